// Package masterkey reads the server's secret and derives all other keys from it, each for one purpose.
package masterkey

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keylodge/keylodge/domain"
)

// Size is the minimum number of bytes in a master key.
const Size = 32

// Key is the secret.
type Key struct {
	domain.Redacted
	secret   []byte
	weakness error // see CheckStrength
}

// Equal reports whether two keys are the same.
func (k Key) Equal(other Key) bool { return hmac.Equal(k.secret, other.secret) }

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.secret) == 0 }

// Parse parses a key of Size bytes or more in base64, with either alphabet, padded or not. It does not reject a weak key: see
// CheckStrength.
func Parse(encoded string) (Key, error) {
	trimmed := strings.TrimRight(strings.TrimSpace(encoded), "=")
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(trimmed)
	secret, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return Key{}, errors.New("is not base64")
	}
	if len(secret) < Size {
		return Key{}, fmt.Errorf("has %d bytes, want at least %d", len(secret), Size)
	}
	return Key{secret: secret, weakness: findWeakness(secret, trimmed)}, nil
}

// Derive returns the 32-byte key for one purpose (HKDF-SHA-256, RFC 5869). A key reveals nothing about the keys
// for other purposes.
func (k Key) Derive(purpose Purpose) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "keylodge "+purpose.String(), 32)
}

// LoadOrCreate is Load, but creates a missing file with a new key, readable by its owner only. Of several processes that start at
// once, one creates the file and all return its key.
func LoadOrCreate(path string) (Key, error) {
	key, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := create(path); err != nil {
		return Key{}, fmt.Errorf("creating the key file %s: %s, or set KEYLODGE_SECRET: %w", path, creationAdvice(path, err), err)
	}
	return Load(path)
}

// Load reads the key file. It returns an error that is fs.ErrNotExist (errors.Is) if there is none, and an error for a file that others
// can access, and for a weak key.
func Load(path string) (Key, error) {
	encoded, err := ReadPrivate(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Key{}, fmt.Errorf("reading the key file: give this user read access: %w", err)
	case err != nil:
		return Key{}, fmt.Errorf("reading the key file %s: %w", path, err)
	}
	key, err := Parse(string(encoded))
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s is damaged (it %w); restore it from a backup: encrypted data cannot be decrypted without it", path, err)
	}
	if err := key.CheckStrength(); err != nil {
		return Key{}, fmt.Errorf("the key in %s %w; set KEYLODGE_SECRET to the output of openssl rand -base64 32, and KEYLODGE_PREVIOUS_SECRETS to the key in the file until no data needs it", path, err)
	}
	return key, nil
}

func creationAdvice(path string, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "make the directory " + filepath.Dir(path) + " first"
	}
	return "give this user write access to " + filepath.Dir(path)
}

// create writes a temporary file and links it to path, so that no process reads an incomplete key or replaces an existing one.
func create(path string) error {
	secret := make([]byte, Size)
	rand.Read(secret)
	temporary, err := os.CreateTemp(filepath.Dir(path), ".keylodge-secret-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = fmt.Fprintln(temporary, base64.StdEncoding.EncodeToString(secret))
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
