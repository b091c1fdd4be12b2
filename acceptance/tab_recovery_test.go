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
func (b *tab) recover(c claim, tricks ...trick) (identity, refusal) {
	b.t.Helper()
	if !b.sees("#recover") {
		if !b.sees("#lost-passkey") {
			b.open()
		}
		b.press("#lost-passkey")
		b.until("the page asks for codes", `document.querySelector('main').dataset.state === 'recovering'`)
	}
	if b.sees("#recover-by") {
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
		if b.sees(field) {
			b.fill(field, text)
		}
	}
	b.silence()
	return b.perform("#recover", tricks)
}

func (b *tab) recoveryFactors() (shownFactors, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return shownFactors{}, refused
	}
	have := shownFactors{app: b.sees("#app-present")}
	if nudged := b.sees("#codes-nudge"); b.sees("#codes-present") {
		have.codesLeft = eval[int](b, `Number(document.getElementById('codes-left').textContent)`)
		if nudged != (have.codesLeft <= 3) {
			b.t.Errorf("%d codes are left, and the page's hint to make new ones is there: %v", have.codesLeft, nudged)
		}
	} else if !nudged {
		b.t.Error("no codes were ever made, and the page does not say so")
	}
	return have, refusal{}
}

func (b *tab) setUpTOTP() (string, refusal) {
	b.t.Helper()
	refused := b.withDevice(nil, func() string { return b.presses("#set-up-app") })
	if refused != (refusal{}) {
		return "", refused
	}
	uri := b.scans("#app-qr")
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
	return query.Get("secret"), refusal{}
}

func (b *tab) confirmTOTP(code string) refusal {
	b.t.Helper()
	b.fill("#app-code", code)
	return refusal{code: b.presses("#confirm-app")}
}

func (b *tab) removeTOTP() refusal {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return refused
	}
	b.press("#remove-app")
	return b.withDevice(nil, func() string { return b.presses("#confirm-remove-app") })
}

func (b *tab) makeBackupCodes() ([]string, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return nil, refused
	}
	button := "#make-codes"
	if eval[string](b, `document.getElementById('codes-left').textContent`) != "0" && b.sees("#codes-present") {
		b.press(button)
		button = "#replace-codes"
	}
	if refused := b.withDevice(nil, func() string { return b.presses(button) }); refused != (refusal{}) {
		return nil, refused
	}
	return eval[[]string](b, `[...document.querySelectorAll('#code-list li')].map((item) => item.checkVisibility() ? item.innerText : '')`), refusal{}
}

// scans reads the address in a QR code on the page, as it is drawn, with somebody else's eyes.
func (b *tab) scans(image string) *url.URL {
	b.t.Helper()
	b.until("the picture is there", fmt.Sprintf(`document.querySelector(%q).naturalWidth > 0 && document.querySelector(%[1]q).checkVisibility()`, image))
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
