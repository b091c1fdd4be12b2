package masterkey

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// Requirement: ASVS-11.5.1
func TestCheckStrength_RejectsNonRandomKeys(t *testing.T) {
	counted := make([]byte, 32)
	for i := range counted {
		counted[i] = byte(200 + 3*i)
	}
	encode := base64.StdEncoding.EncodeToString
	for name, encoded := range map[string]string{
		"zeros":                         encode(make([]byte, 32)),
		"zeros and a last bit":          encode(append(make([]byte, 31), 1)),
		"one repeated byte":             encode(bytes.Repeat([]byte{0xff}, 48)),
		"one repeated character":        strings.Repeat("B", 44),
		"the same, unpadded":            strings.Repeat("x", 43),
		"alternating bytes":             encode(bytes.Repeat([]byte{0xaa, 0x55}, 16)),
		"a repeated pattern, cut":       encode(bytes.Repeat([]byte{1, 9, 4, 200, 17, 33, 5}, 6)[:40]),
		"a random half, twice":          encode(bytes.Repeat([]byte{0x9c, 0x1f, 0x07, 0xe1, 0x44, 0xb8, 0x52, 0x6d, 0xf0, 0x3a, 0x81, 0xc5, 0x2e, 0x97, 0x60, 0xdb}, 2)),
		"counted bytes":                 encode(counted),
		"sequential bytes":              encode([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}),
		"the alphabet":                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		"base64's own alphabet":         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		"digits":                        "31415926535897932384626433832795028841971693993751",
		"counted hexadecimal digits":    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"a repeated word":               "changemechangemechangemechangemechangemechangeme",
		"a word and its padding":        "changeme" + strings.Repeat("A", 36),
		"a passphrase":                  "correcthorsebatterystaplecorrecthorsebatterystap",
		"words in upper case":           "CORRECTHORSEBATTERYSTAPLEANDANOTHERHORSEINTHEBAR",
		"words with hyphens":            "please-change-this-secret-before-you-go-to-produce",
		"text":                          encode([]byte("changeme, this is not a secret at all\n")),
		"text beyond ASCII":             encode([]byte("Größe ändert nichts an Ödnis, sagt Ada")),
		"hexadecimal digits in base64":  encode([]byte("9c1f07e144b8526df03a81c52e9760db")),
		"few different bytes":           encode([]byte{7, 3, 200, 3, 7, 9, 200, 200, 3, 9, 7, 7, 3, 9, 200, 3, 3, 7, 200, 9, 9, 3, 7, 200, 7, 9, 3, 200, 9, 7, 200, 3}),
		"a repeated unit of hex digits": strings.Repeat("deadbeef", 8),
	} {
		key, err := Parse(encoded)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := key.CheckStrength(); err == nil || !strings.Contains(err.Error(), "can be guessed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckStrength_AcceptsRandomKeys(t *testing.T) {
	random := rand.NewChaCha8([32]byte{7})
	for _, size := range []int{32, 33, 48, 64} {
		for range 2_000 {
			secret := make([]byte, size)
			_, _ = random.Read(secret)
			for _, encoded := range []string{base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret), hex.EncodeToString(secret)} {
				key, err := Parse(encoded)
				if err != nil {
					t.Fatal(err)
				}
				if err := key.CheckStrength(); err != nil {
					t.Fatalf("%s: %v", encoded, err)
				}
			}
		}
	}
}

func TestCheckPrivate_RootFileMayBeGroupReadable(t *testing.T) {
	for mode, c := range map[uint32]struct{ owners, roots bool }{
		0o600: {true, true}, 0o400: {true, true}, 0o700: {true, true},
		0o640: {false, true}, 0o440: {false, true},
		0o660: {false, false}, 0o620: {false, false}, 0o650: {false, false},
		0o604: {false, false}, 0o444: {false, false}, 0o644: {false, false}, 0o602: {false, false}, 0o601: {false, false},
	} {
		if got := mode&uint32(forbiddenMode(false)) == 0; got != c.owners {
			t.Errorf("%o of the server's user: %t", mode, got)
		}
		if got := mode&uint32(forbiddenMode(true)) == 0; got != c.roots {
			t.Errorf("%o of root: %t", mode, got)
		}
	}
}
