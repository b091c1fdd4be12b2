package masterkey

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestSealer_RoundTrip(t *testing.T) {
	s := newTestSealer(t, 'a')
	for _, plain := range []string{"", "x", strings.Repeat("a private key ", 100)} {
		ciphertext := encrypt(t, s, plain)
		if len(plain) > 1 && bytes.Contains(ciphertext, []byte(plain)) {
			t.Error("the ciphertext contains the plain text")
		}
		if decrypted, err := s.Open(ciphertext, "here"); err != nil || string(decrypted) != plain {
			t.Errorf("encrypted %q, decrypted %q, %v", plain, decrypted, err)
		}
	}
}

func TestSealer_NoncesDiffer(t *testing.T) {
	s := newTestSealer(t, 'a')
	if bytes.Equal(encrypt(t, s, "same"), encrypt(t, s, "same")) {
		t.Error("the same text has the same ciphertext twice")
	}
}

func TestSealer_RejectsAnyChangedByte(t *testing.T) {
	s := newTestSealer(t, 'a')
	ciphertext := encrypt(t, s, "a private key")
	for i := range ciphertext {
		tampered := bytes.Clone(ciphertext)
		tampered[i] ^= 1
		if decrypted, err := s.Open(tampered, "here"); err == nil {
			t.Errorf("with byte %d changed, decrypted %q", i, decrypted)
		}
		if decrypted, err := s.Open(ciphertext[:i], "here"); err == nil {
			t.Errorf("truncated to %d bytes, decrypted %q", i, decrypted)
		}
	}
	if decrypted, err := s.Open(append(ciphertext, 0), "here"); err == nil {
		t.Errorf("with an additional byte, decrypted %q", decrypted)
	}
}

func TestSealer_BindsLabel(t *testing.T) {
	s := newTestSealer(t, 'a')
	ciphertext := encrypt(t, s, "a private key")
	for _, label := range []string{"", "there", "her", "here ", "HERE"} {
		if _, err := s.Open(ciphertext, label); err == nil {
			t.Errorf("encrypted with label %q, decrypted with %q", "here", label)
		}
	}
}

// Requirement: ASVS-13.3.1
func TestSealer_PreviousKeysOnlyDecrypt(t *testing.T) {
	before, after := newTestSealer(t, 'a'), newTestSealer(t, 'c', 'a', 'b')
	if decrypted, err := after.Open(encrypt(t, before, "kept"), "here"); err != nil || string(decrypted) != "kept" {
		t.Errorf("decrypted %q, %v", decrypted, err)
	}
	if _, err := before.Open(encrypt(t, after, "new"), "here"); err == nil {
		t.Error("decrypted without the current key")
	}
}

func TestSealer_UnknownKeySuggestsPreviousSecrets(t *testing.T) {
	_, err := newTestSealer(t, 'b').Open(encrypt(t, newTestSealer(t, 'a'), "lost"), "here")
	if err == nil || !strings.Contains(err.Error(), "add the previous value to KEYLODGE_PREVIOUS_SECRETS") {
		t.Errorf("got %v", err)
	}
}

func TestSealer_RejectsUnknownFormat(t *testing.T) {
	s := newTestSealer(t, 'a')
	ciphertext := encrypt(t, s, "x")
	ciphertext[0]++
	if _, err := s.Open(ciphertext, "here"); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("got %v", err)
	}
}

// The ciphertext was made with HKDF-SHA-256 and AES-256-GCM of Node.js, with the format byte 1, the nonce 0102…0c and the format
// byte before the label as additional data.
func TestSealer_FormatIsStable(t *testing.T) {
	ciphertext, err := hex.DecodeString("010102030405060708090a0b0c666db0351f5c7e97774dde676343b3e8081d0a4b94bf1647faccffaa33")
	if err != nil {
		t.Fatal(err)
	}
	if decrypted, err := newTestSealer(t, 'a').Open(ciphertext, "here"); err != nil || string(decrypted) != "a private key" {
		t.Errorf("decrypted %q, %v", decrypted, err)
	}
}

// newTestSealer returns a sealer with master keys of one repeated byte each.
func newTestSealer(t *testing.T, current byte, previous ...byte) *Sealer {
	t.Helper()
	previousKeys := make([]Key, len(previous))
	for i, b := range previous {
		previousKeys[i] = Key{secret: bytes.Repeat([]byte{b}, Size)}
	}
	s, err := NewSealer(Key{secret: bytes.Repeat([]byte{current}, Size)}, previousKeys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encrypt(t *testing.T, s *Sealer, plain string) []byte {
	t.Helper()
	ciphertext, err := s.Seal([]byte(plain), "here")
	if err != nil {
		t.Fatal(err)
	}
	return ciphertext
}
