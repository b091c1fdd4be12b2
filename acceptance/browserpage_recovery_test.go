package acceptance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"net/url"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// The actions on the page that prepare a recovery, and the recovery.

// recover fills in the fields that the page shows. The page checks for missing values without a request to the server.
func (b *browserPage) recover(proof recoveryProof, forgeries ...forgery) result[shownUser] {
	b.t.Helper()
	if !b.isVisible(named("recover")) {
		if !b.isVisible(named("to-recover")) {
			b.open()
		}
		b.view("recover")
	}
	if b.isVisible(`[name="by"]`) {
		switch {
		case proof.totpCode != "" && proof.backupCode != "":
			b.t.Fatal("the page accepts one code, but there are two: the story is an attack, not a journey")
		case proof.totpCode != "":
			b.press(`[name="by"][value="app"]`)
			b.waitFor("the page asks for a code of the app", visible(named("totp_code")))
		default:
			b.press(`[name="by"][value="backup"]`)
			b.waitFor("the page asks for a backup code", visible(named("backup_code")))
		}
	}
	for field, text := range map[string]string{"account": proof.email, "totp_code": proof.totpCode, "backup_code": proof.backupCode} {
		if b.isVisible(named(field)) {
			b.fill(named(field), text)
		}
	}
	return b.runCeremony(named("recover"), forgeries) // the page asks for the new passkey at once
}

func (b *browserPage) recoveryFactors() result[shownFactors] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[shownFactors]{rejection: rejected}
	}
	have := shownFactors{hasTOTP: b.isVisible(named("remove-app"))}
	reminded := b.isVisible("#ways-back .reminder")
	if left := b.textOf(dataNamed("codes-left")); left != "" {
		if _, err := fmt.Sscan(left, &have.codesLeft); err != nil {
			b.t.Fatalf("%q has no number of codes", left)
		}
		if reminded != (have.codesLeft <= 3) {
			b.t.Errorf("%d codes are left, reminder shown: %v", have.codesLeft, reminded)
		}
	} else if !reminded {
		b.t.Error("no codes were generated, and the page shows no reminder")
	}
	return result[shownFactors]{value: have}
}

func (b *browserPage) setUpTOTP() result[string] {
	b.t.Helper()
	rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait(named("set-up-app")) })
	if rejected != (rejection{}) {
		return result[string]{rejection: rejected}
	}
	uri := b.decodeQRCode(dataNamed("app-qr"))
	query := uri.Query()
	if uri.Scheme != "otpauth" || uri.Host != "totp" || query.Get("issuer") == "" {
		b.t.Fatalf("not a valid otpauth URI: %s", uri)
	}
	text := strings.ReplaceAll(b.textOf(dataNamed("app-secret")), " ", "")
	if secret := query.Get("secret"); secret == "" || secret != text {
		b.t.Fatalf("the QR code has the secret %q, the text %q", secret, text)
	}
	if link := eval[string](b, `find('[data-name="app-link"]').href`); link != uri.String() {
		b.t.Fatalf("the QR code has %s, the link %s", uri, link)
	}
	return result[string]{value: query.Get("secret")}
}

func (b *browserPage) confirmTOTP(code string) rejection {
	b.t.Helper()
	b.fill(named("code"), code)
	return rejection{code: b.pressAndWait(named("confirm-app"))}
}

func (b *browserPage) removeTOTP() rejection {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return rejected
	}
	b.press(named("remove-app"))
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(named("confirm-remove-app")) })
}

func (b *browserPage) makeBackupCodes() result[[]string] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]string]{rejection: rejected}
	}
	button := named("make-codes")
	if left := b.textOf(dataNamed("codes-left")); left != "" && !strings.HasPrefix(left, "0 ") {
		b.press(button)
		button = named("replace-codes")
	}
	if rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait(button) }); rejected != (rejection{}) {
		return result[[]string]{rejection: rejected}
	}
	codes := eval[[]string](b, `[...find('.codes').children].map((item) => item.checkVisibility() ? item.innerText : '')`)
	b.press(named("stored"))
	return result[[]string]{value: codes}
}

// decodeQRCode decodes the URI in a QR code on the page, with an independent library.
func (b *browserPage) decodeQRCode(image string) *url.URL {
	b.t.Helper()
	b.waitFor("the image is loaded", fmt.Sprintf(`find(%q)?.naturalWidth > 0 && find(%[1]q).checkVisibility()`, image))
	encoded, found := strings.CutPrefix(eval[string](b, fmt.Sprintf(`find(%q).src`, image)), "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !found {
		b.t.Fatalf("the image is not a data URL: %v", err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		b.t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}) // no camera distortion
	if err != nil {
		b.t.Fatalf("decoding an image of %v pixels: %v", picture.Bounds().Size(), err)
	}
	address, err := url.Parse(read.GetText())
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}
