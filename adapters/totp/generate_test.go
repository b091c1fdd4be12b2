package totp

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/pquerna/otp"

	"github.com/keylodge/keylodge/ports"
)

// labelCases are issuers and accounts, with the names that an app shows.
var labelCases = map[string]struct{ issuer, account, shownIssuer, shownAccount string }{
	"an address":          {"Keylodge", "ada@example.org", "Keylodge", "ada@example.org"},
	"a tagged address":    {"Keylodge", "ada+test@example.org", "Keylodge", "ada+test@example.org"},
	"spaces":              {"The Library", "Ada Lovelace", "The Library", "Ada Lovelace"},
	"colons":              {"Library: Keys", "Ada: the first", "Library∶ Keys", "Ada∶ the first"},
	"only a colon":        {":", ":", "∶", "∶"},
	"reserved characters": {"Keys & Co. 100%?", "a/b?c=d#e&f%2F;g,h", "Keys & Co. 100%?", "a/b?c=d#e&f%2F;g,h"},
	"a slash first":       {"//library", "../ada", "//library", "../ada"},
	"other scripts":       {"鍵の家", "Ада Лавлейс ć", "鍵の家", "Ада Лавлейс ć"},
	"the longest": {
		strings.Repeat("🔑", 16), strings.Repeat("🧑", 64), strings.Repeat("🔑", 16), strings.Repeat("🧑", 64),
	},
	"the longest address": {
		strings.Repeat("k", 64), strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 94) + "c",
		strings.Repeat("k", 64), strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 94) + "c",
	},
}

// generatedKeys returns a key for each of the cases. Drawing the QR codes is slow.
var generatedKeys = sync.OnceValues(func() (map[string]ports.TOTPKey, error) {
	keys := map[string]ports.TOTPKey{}
	for name, c := range labelCases {
		key, err := New(c.issuer).Generate(c.account)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys[name] = key
	}
	return keys, nil
})

func keys(t *testing.T) map[string]ports.TOTPKey {
	t.Helper()
	keys, err := generatedKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func decodePNG(t *testing.T, key ports.TOTPKey) image.Image {
	t.Helper()
	drawn, err := png.Decode(bytes.NewReader(key.QR))
	if err != nil {
		t.Fatal(err)
	}
	return drawn
}

func TestURI_Parameters(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			c := labelCases[name]
			uri, err := url.Parse(key.URI.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Fragment != "" || uri.User != nil {
				t.Errorf("got %s", uri)
			}
			for parameter, want := range map[string]string{
				"secret": key.Secret.Reveal(), "issuer": c.shownIssuer, "algorithm": "SHA1", "digits": "6", "period": "30",
			} {
				if got := uri.Query()[parameter]; len(got) != 1 || got[0] != want {
					t.Errorf("%s is %q, want %q", parameter, got, want)
				}
			}
			if len(uri.Query()) != 5 {
				t.Errorf("got %v", uri.Query())
			}
			// Apps decode the label first, and use the text before the first colon as the issuer.
			if issuer, account, _ := strings.Cut(strings.TrimPrefix(uri.Path, "/"), ":"); issuer != c.shownIssuer || account != c.shownAccount {
				t.Errorf("the label has the account %q and the issuer %q", account, issuer)
			}
			read, err := otp.NewKeyFromURL(key.URI.Reveal())
			if err != nil || read.Issuer() != c.shownIssuer || read.AccountName() != c.shownAccount || read.Secret() != key.Secret.Reveal() {
				t.Errorf("parsed again: %v, %v", read, err)
			}
		})
	}
}

// Some apps do not decode URIs correctly.
func TestURI_IsUnambiguous(t *testing.T) {
	for name, key := range keys(t) {
		uri := key.URI.Reveal()
		label, query, _ := strings.Cut(strings.TrimPrefix(uri, "otpauth://totp/"), "?")
		if strings.Count(label, ":") != 1 || strings.ContainsAny(uri, "+ ;#") || strings.ContainsAny(label, "/@&=,") || strings.Contains(query, "/") {
			t.Errorf("%s: %s", name, uri)
		}
		for _, r := range uri {
			if r >= utf8.RuneSelf {
				t.Errorf("%s: %s is not ASCII", name, uri)
				break
			}
		}
	}
}

// Requirement: ASVS-6.5.3
func TestGenerate_SecretsAre160BitsAndUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range keys(t) {
		secret := key.Secret.Reveal()
		raw, err := base32.StdEncoding.DecodeString(secret)
		if err != nil || len(raw) != 20 || seen[secret] {
			t.Fatalf("%q after %d others: %v", secret, len(seen), err)
		}
		seen[secret] = true
	}
}

func TestTOTPKey_IsRedacted(t *testing.T) {
	key := keys(t)["an address"]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(verb, key); strings.Contains(printed, key.Secret.Reveal()) {
			t.Errorf("%s prints %s", verb, printed)
		}
	}
}

func TestQRCode_EncodesURI(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			picture := decodePNG(t, key)
			if read, err := readQRCode(picture); read != key.URI.Reveal() || err != nil {
				t.Errorf("decoded %q, %v\nwant    %q", read, err, key.URI.Reveal())
			}
			size := picture.Bounds()
			if size.Dx() != size.Dy() || size.Dx() < 180 || size.Dx() > 256 || len(key.QR) > 8<<10 {
				t.Errorf("%d bytes of %v", len(key.QR), size)
			}
		})
	}
}

// readQRCode decodes a picture that has nothing but the code. Without this hint the decoder, which is made for photographs, fails
// for one of a hundred generated pictures.
func readQRCode(picture image.Image) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// A code with a margin of four modules can be read on a dark page, too.
func TestQRCode_HasQuietZone(t *testing.T) {
	for name, key := range keys(t) {
		picture := decodePNG(t, key)
		width := picture.Bounds().Dx()
		dark := func(x, y int) bool { r, _, _, _ := picture.At(x, y).RGBA(); return r == 0 }
		corner := 0
		for corner < width && !dark(corner, corner) {
			corner++
		}
		finder := 0 // the dark edge of the finder pattern is seven modules long
		for corner+finder < width && dark(corner+finder, corner) {
			finder++
		}
		if finder < 2*7 || finder%7 != 0 || corner != 4*finder/7 {
			t.Errorf("%s: the code begins after %d pixels, its finder pattern has %d", name, corner, finder)
			continue
		}
		for x := range width {
			for y := range corner {
				if dark(x, y) || dark(y, x) || dark(x, width-1-y) || dark(width-1-y, x) {
					t.Fatalf("%s: the margin is dark at %d, %d", name, x, y)
				}
			}
		}
	}
}
