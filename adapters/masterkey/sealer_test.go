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
		sealed := seal(t, s, plain)
		if len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the plain text can be read in the sealed one")
		}
		if opened, err := s.Open(sealed, "here"); err != nil || string(opened) != plain {
			t.Errorf("sealed %q, opened %q, %v", plain, opened, err)
		}
	}
}

func TestSealer_NoncesDiffer(t *testing.T) {
	s := newTestSealer(t, 'a')
	if bytes.Equal(seal(t, s, "same"), seal(t, s, "same")) {
		t.Error("the same text was sealed twice under the same nonce")
	}
}

func TestSealer_RejectsAnyChangedByte(t *testing.T) {
	s := newTestSealer(t, 'a')
	sealed := seal(t, s, "a private key")
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 1
		if opened, err := s.Open(tampered, "here"); err == nil {
			t.Errorf("byte %d was changed and it opened as %q", i, opened)
		}
		if opened, err := s.Open(sealed[:i], "here"); err == nil {
			t.Errorf("cut to %d bytes it opened as %q", i, opened)
		}
	}
	if opened, err := s.Open(append(sealed, 0), "here"); err == nil {
		t.Errorf("with a byte more it opened as %q", opened)
	}
}

func TestSealer_BindsLabel(t *testing.T) {
	s := newTestSealer(t, 'a')
	sealed := seal(t, s, "a private key")
	for _, label := range []string{"", "there", "her", "here ", "HERE"} {
		if _, err := s.Open(sealed, label); err == nil {
			t.Errorf("what was sealed for %q opened for %q", "here", label)
		}
	}
}

func TestSealer_PreviousKeysOnlyDecrypt(t *testing.T) {
	before, after := newTestSealer(t, 'a'), newTestSealer(t, 'c', 'a', 'b')
	if opened, err := after.Open(seal(t, before, "kept"), "here"); err != nil || string(opened) != "kept" {
		t.Errorf("opened %q, %v", opened, err)
	}
	if _, err := before.Open(seal(t, after, "new"), "here"); err == nil {
		t.Error("a previous key has sealed")
	}
}

func TestSealer_UnknownKeySuggestsPreviousSecrets(t *testing.T) {
	_, err := newTestSealer(t, 'b').Open(seal(t, newTestSealer(t, 'a'), "lost"), "here")
	if err == nil || !strings.Contains(err.Error(), "bring the former one back in KEYLODGE_PREVIOUS_SECRETS") {
		t.Errorf("got %v", err)
	}
}

func TestSealer_RejectsUnknownFormat(t *testing.T) {
	s := newTestSealer(t, 'a')
	sealed := seal(t, s, "x")
	sealed[0]++
	if _, err := s.Open(sealed, "here"); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("got %v", err)
	}
}

// Made by other software: HKDF-SHA-256 and AES-256-GCM of Node.js, with the format byte 1, the nonce 0102…0c and the
// format byte before the label as associated data.
func TestSealer_FormatIsStable(t *testing.T) {
	sealed, err := hex.DecodeString("010102030405060708090a0b0c666db0351f5c7e97774dde676343b3e8081d0a4b94bf1647faccffaa33")
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := newTestSealer(t, 'a').Open(sealed, "here"); err != nil || string(opened) != "a private key" {
		t.Errorf("opened %q, %v", opened, err)
	}
}

// newTestSealer has a master key of one repeated byte, and previous ones.
func newTestSealer(t *testing.T, present byte, previous ...byte) *Sealer {
	t.Helper()
	former := make([]Key, len(previous))
	for i, b := range previous {
		former[i] = Key{secret: bytes.Repeat([]byte{b}, Size)}
	}
	s, err := NewSealer(Key{secret: bytes.Repeat([]byte{present}, Size)}, former)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t *testing.T, s *Sealer, plain string) []byte {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), "here")
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}
