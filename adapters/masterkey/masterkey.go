// Package masterkey keeps the one secret of an installation. Every other key is derived from it, each for one purpose.
package masterkey

import (
	"bytes"
	"crypto/hkdf"
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
type Key struct{ secret []byte }

func (Key) String() string   { return "[redacted]" }
func (Key) GoString() string { return "[redacted]" }

// Format redacts whatever the verb: %d and %x would otherwise pass String by.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

func (Key) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Parse reads a key in base64, of either alphabet, padded or not: Size bytes or more.
func Parse(encoded string) (Key, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(encoded), "="))
	secret, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return Key{}, errors.New("is not base64")
	}
	if len(secret) < Size {
		return Key{}, fmt.Errorf("holds %d bytes, and %d are needed", len(secret), Size)
	}
	return Key{secret}, nil
}

// Derive returns the 32-byte key for one purpose (HKDF-SHA-256, RFC 5869). Keys for different purposes tell nothing of
// each other.
func (k Key) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "keylodge "+purpose, 32)
}

// LoadOrCreate reads the key file, or makes it with a new key, readable by its owner alone; one that others can read is
// refused. Of several processes that start at once one makes it and all get the same key.
func LoadOrCreate(path string) (Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path); err != nil {
			return Key{}, fmt.Errorf("making the key file %s: %s, or set KEYLODGE_SECRET: %w", path, creationAdvice(path, err), err)
		}
		info, err = os.Stat(path)
	}
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("reading the key file: %w", err)
	case !info.Mode().IsRegular():
		return Key{}, fmt.Errorf("the key file %s is no file; move it away and put the right one in its place", path)
	case info.Mode().Perm()&0o077 != 0:
		return Key{}, fmt.Errorf("the key file %s can be read by others than its owner; run: chmod 600 %s", path, path)
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("reading the key file: let this user read it: %w", err)
	}
	key, err := Parse(string(encoded))
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s is damaged (it %w); put the right one back: without it nothing it protects can be read", path, err)
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
	if _, err := rand.Read(secret); err != nil {
		return err
	}
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
