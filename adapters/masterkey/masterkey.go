// Package masterkey keeps the one secret of an installation. Every other key is derived from it, each for one purpose.
package masterkey

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Size is the least number of bytes in a master key.
const Size = 32

// Key is the secret itself. It prints as nothing.
type Key struct {
	secret   []byte
	weakness error // see CheckStrength
}

func (Key) String() string   { return "[redacted]" }
func (Key) GoString() string { return "[redacted]" }

// Format redacts whatever the verb: %d and %x would otherwise pass String by.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

func (Key) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Equal reports whether two keys are the same.
func (k Key) Equal(other Key) bool { return hmac.Equal(k.secret, other.secret) }

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.secret) == 0 }

// Parse reads a key in base64, of either alphabet, padded or not: Size bytes or more. CheckStrength judges it.
func Parse(encoded string) (Key, error) {
	written := strings.TrimRight(strings.TrimSpace(encoded), "=")
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(written)
	secret, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return Key{}, errors.New("is not base64")
	}
	if len(secret) < Size {
		return Key{}, fmt.Errorf("holds %d bytes, and %d are needed", len(secret), Size)
	}
	return Key{secret: secret, weakness: findWeakness(secret, written)}, nil
}

// Derive returns the 32-byte key for one purpose (HKDF-SHA-256, RFC 5869). Keys for different purposes tell nothing of
// each other.
func (k Key) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "keylodge "+purpose, 32)
}

// LoadOrCreate reads the key file, or makes it with a new key, readable by its owner alone; one that others have access to,
// or whose key is weak, is refused. Of several processes that start at once one makes it and all get the same key.
func LoadOrCreate(path string) (Key, error) {
	encoded, err := ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path); err != nil {
			return Key{}, fmt.Errorf("making the key file %s: %s, or set KEYLODGE_SECRET: %w", path, creationAdvice(path, err), err)
		}
		encoded, err = ReadPrivate(path)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Key{}, fmt.Errorf("reading the key file: let this user read it: %w", err)
	case err != nil:
		return Key{}, fmt.Errorf("reading the key file %s: %w", path, err)
	}
	key, err := Parse(string(encoded))
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s is damaged (it %w); put the right one back: without it nothing it protects can be read", path, err)
	}
	if err := key.CheckStrength(); err != nil {
		return Key{}, fmt.Errorf("the key in %s %w; set KEYLODGE_SECRET to what openssl rand -base64 32 prints, and KEYLODGE_PREVIOUS_SECRETS to the key in the file until nothing needs it", path, err)
	}
	return key, nil
}

func creationAdvice(path string, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "make the directory " + filepath.Dir(path) + " first"
	}
	return "let this user write to " + filepath.Dir(path)
}

// create writes the whole file under another name first and then links it, so that nobody ever reads half a key or
// replaces one that is there.
func create(path string) error {
	secret := make([]byte, Size)
	rand.Read(secret)
	draft, err := os.CreateTemp(filepath.Dir(path), ".keylodge-secret-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	var text bytes.Buffer
	fmt.Fprintln(&text, base64.StdEncoding.EncodeToString(secret))
	_, err = draft.Write(text.Bytes())
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
