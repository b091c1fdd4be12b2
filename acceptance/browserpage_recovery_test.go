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

// What somebody does on the page against the day when their passkeys are gone, and on that day.

// recover fills in what the page asks for. What it needs and is not given, it asks for without troubling the server.
func (b *browserPage) recover(c recoveryProof, tricks ...forgery) (shownUser, rejection) {
	b.t.Helper()
	if !b.isVisible("#recover") {
		if !b.isVisible("#lost-passkey") {
			b.open()
		}
		b.press("#lost-passkey")
		b.waitFor("the page asks for codes", `document.querySelector('main').dataset.state === 'recovering'`)
	}
	if b.isVisible("#recover-by") {
		if c.totpCode != "" && c.backupCode != "" {
			b.t.Fatal("the page takes one code, and there are two: say so in the table of stories")
		}
		if c.totpCode != "" {
			b.press("#by-app")
		} else {
			b.press("#by-backup")
		}
	}
	for field, text := range map[string]string{"#recover-account": c.email, "#recover-app-code": c.totpCode, "#recover-backup-code": c.backupCode} {
		if b.isVisible(field) {
			b.fill(field, text)
		}
	}
	b.clearMessage()
	return b.runCeremony("#recover", tricks)
}

func (b *browserPage) recoveryFactors() (shownFactors, rejection) {
	b.t.Helper()
	if refused := b.reload(); refused != (rejection{}) {
		return shownFactors{}, refused
	}
	have := shownFactors{hasTOTP: b.isVisible("#app-present")}
	if nudged := b.isVisible("#codes-nudge"); b.isVisible("#codes-present") {
		have.codesLeft = eval[int](b, `Number(document.getElementById('codes-left').textContent)`)
		if nudged != (have.codesLeft <= 3) {
			b.t.Errorf("%d codes are left, and the page's hint to make new ones is there: %v", have.codesLeft, nudged)
		}
	} else if !nudged {
		b.t.Error("no codes were ever made, and the page does not say so")
	}
	return have, rejection{}
}

func (b *browserPage) setUpTOTP() (string, rejection) {
	b.t.Helper()
	refused := b.withAuthenticator(nil, func() string { return b.pressAndWait("#set-up-app") })
	if refused != (rejection{}) {
		return "", refused
	}
	uri := b.decodeQRCode("#app-qr")
	query := uri.Query()
	if uri.Scheme != "otpauth" || uri.Host != "totp" || query.Get("issuer") == "" {
		b.t.Fatalf("no app takes %s", uri)
	}
	written := strings.ReplaceAll(eval[string](b, `document.getElementById('app-secret').textContent`), " ", "")
	if secret := query.Get("secret"); secret == "" || secret != written {
		b.t.Fatalf("the picture holds %q, and beside it is written %q", secret, written)
	}
	if link := eval[string](b, `document.getElementById('app-link').href`); link != uri.String() {
		b.t.Fatalf("the picture holds %s, and the link beside it leads to %s", uri, link)
	}
	return query.Get("secret"), rejection{}
}

func (b *browserPage) confirmTOTP(code string) rejection {
	b.t.Helper()
	b.fill("#app-code", code)
	return rejection{code: b.pressAndWait("#confirm-app")}
}

func (b *browserPage) removeTOTP() rejection {
	b.t.Helper()
	if refused := b.reload(); refused != (rejection{}) {
		return refused
	}
	b.press("#remove-app")
	return b.withAuthenticator(nil, func() string { return b.pressAndWait("#confirm-remove-app") })
}

func (b *browserPage) makeBackupCodes() ([]string, rejection) {
	b.t.Helper()
	if refused := b.reload(); refused != (rejection{}) {
		return nil, refused
	}
	button := "#make-codes"
	if eval[string](b, `document.getElementById('codes-left').textContent`) != "0" && b.isVisible("#codes-present") {
		b.press(button)
		button = "#replace-codes"
	}
	if refused := b.withAuthenticator(nil, func() string { return b.pressAndWait(button) }); refused != (rejection{}) {
		return nil, refused
	}
	return eval[[]string](b, `[...document.querySelectorAll('#code-list li')].map((item) => item.checkVisibility() ? item.innerText : '')`), rejection{}
}

// decodeQRCode reads the address in a QR code on the page, as it is drawn, with somebody else's eyes.
func (b *browserPage) decodeQRCode(image string) *url.URL {
	b.t.Helper()
	b.waitFor("the picture is there", fmt.Sprintf(`document.querySelector(%q).naturalWidth > 0 && document.querySelector(%[1]q).checkVisibility()`, image))
	encoded, found := strings.CutPrefix(eval[string](b, fmt.Sprintf(`document.querySelector(%q).src`, image)), "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !found {
		b.t.Fatalf("the picture is not one in itself: %v", err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		b.t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}) // without a camera's doubts
	if err != nil {
		b.t.Fatalf("a picture of %v pixels cannot be read: %v", picture.Bounds().Size(), err)
	}
	address, err := url.Parse(read.GetText())
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}
