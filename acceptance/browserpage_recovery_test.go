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
	if !b.isVisible("#recover") {
		if !b.isVisible("#lost-passkey") {
			b.open()
		}
		b.press("#lost-passkey")
		b.waitFor("the page asks for codes", `document.querySelector('main').dataset.state === 'recovering'`)
	}
	if b.isVisible("#recover-by") {
		if proof.totpCode != "" && proof.backupCode != "" {
			b.t.Fatal("the page accepts one code, but there are two: the story is an attack, not a journey")
		}
		if proof.totpCode != "" {
			b.press("#by-app")
		} else {
			b.press("#by-backup")
		}
	}
	for field, text := range map[string]string{"#recover-account": proof.email, "#recover-app-code": proof.totpCode, "#recover-backup-code": proof.backupCode} {
		if b.isVisible(field) {
			b.fill(field, text)
		}
	}
	b.clearMessage()
	return b.runCeremony("#recover", forgeries)
}

func (b *browserPage) recoveryFactors() result[shownFactors] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[shownFactors]{rejection: rejected}
	}
	have := shownFactors{hasTOTP: b.isVisible("#app-present")}
	if reminded := b.isVisible("#codes-nudge"); b.isVisible("#codes-present") {
		have.codesLeft = eval[int](b, `Number(document.getElementById('codes-left').textContent)`)
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
	rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait("#set-up-app") })
	if rejected != (rejection{}) {
		return result[string]{rejection: rejected}
	}
	uri := b.decodeQRCode("#app-qr")
	query := uri.Query()
	if uri.Scheme != "otpauth" || uri.Host != "totp" || query.Get("issuer") == "" {
		b.t.Fatalf("not a valid otpauth URI: %s", uri)
	}
	text := strings.ReplaceAll(eval[string](b, `document.getElementById('app-secret').textContent`), " ", "")
	if secret := query.Get("secret"); secret == "" || secret != text {
		b.t.Fatalf("the QR code has the secret %q, the text %q", secret, text)
	}
	if link := eval[string](b, `document.getElementById('app-link').href`); link != uri.String() {
		b.t.Fatalf("the QR code has %s, the link %s", uri, link)
	}
	return result[string]{value: query.Get("secret")}
}

func (b *browserPage) confirmTOTP(code string) rejection {
	b.t.Helper()
	b.fill("#app-code", code)
	return rejection{code: b.pressAndWait("#confirm-app")}
}

func (b *browserPage) removeTOTP() rejection {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return rejected
	}
	b.press("#remove-app")
	return b.withAuthenticator(nil, func() string { return b.pressAndWait("#confirm-remove-app") })
}

func (b *browserPage) makeBackupCodes() result[[]string] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]string]{rejection: rejected}
	}
	button := "#make-codes"
	if eval[string](b, `document.getElementById('codes-left').textContent`) != "0" && b.isVisible("#codes-present") {
		b.press(button)
		button = "#replace-codes"
	}
	if rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait(button) }); rejected != (rejection{}) {
		return result[[]string]{rejection: rejected}
	}
	return result[[]string]{value: eval[[]string](b, `[...document.querySelectorAll('#code-list li')].map((item) => item.checkVisibility() ? item.innerText : '')`)}
}

// decodeQRCode decodes the URI in a QR code on the page, with an independent library.
func (b *browserPage) decodeQRCode(image string) *url.URL {
	b.t.Helper()
	b.waitFor("the image is loaded", fmt.Sprintf(`document.querySelector(%q).naturalWidth > 0 && document.querySelector(%[1]q).checkVisibility()`, image))
	encoded, found := strings.CutPrefix(eval[string](b, fmt.Sprintf(`document.querySelector(%q).src`, image)), "data:image/png;base64,")
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
