package masterkey

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLoadOrCreate_CreatesOncePrivately(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.secret")
	derived := make([][]byte, 16)
	var starters sync.WaitGroup
	for i := range derived {
		starters.Go(func() {
			key, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			derived[i] = derive(t, key, Sealing)
		})
	}
	starters.Wait()
	for _, d := range derived {
		if !bytes.Equal(d, derived[0]) {
			t.Fatal("two processes that started at once have different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the key file's mode is %o, want 600", mode)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keylodge*")); len(left) != 0 {
		t.Errorf("temporary files were not removed: %v", left)
	}
}

func TestLoadOrCreate_KeepsDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.secret")
	if err := os.WriteFile(path, []byte("c2hvcnQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
	if kept, _ := os.ReadFile(path); string(kept) != "c2hvcnQ=\n" {
		t.Error("the damaged file was overwritten")
	}
}

func TestLoadOrCreate_NamesMissingDirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "missing")
	if _, err := LoadOrCreate(filepath.Join(directory, "keylodge.secret")); err == nil || !strings.Contains(err.Error(), "make the directory "+directory+" first") {
		t.Errorf("got %v", err)
	}
}

// Requirement: ASVS-13.3.1
func TestLoadOrCreate_RejectsReadableByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.secret")
	if _, err := LoadOrCreate(path); err != nil {
		t.Fatal(err)
	}
	allowed := []os.FileMode{0o600, 0o400}
	rejected := []os.FileMode{0o604, 0o660, 0o644, 0o444, 0o620}
	if os.Geteuid() == 0 { // the group may read files of root
		allowed = append(allowed, 0o640, 0o440)
	} else {
		rejected = append(rejected, 0o640, 0o440)
	}
	for _, mode := range rejected {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for _, mode := range allowed {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if _, err := LoadOrCreate(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestLoadOrCreate_RejectsWeakKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.secret")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, Size))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), "openssl rand -base64 32") || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") {
		t.Errorf("got %v", err)
	}
}

// Another process may create the file after this one has found none.
func TestCreate_KeepsExistingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.secret")
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := create(path); err != nil {
		t.Error(err)
	}
	if kept, _ := os.ReadFile(path); string(kept) != "theirs" {
		t.Error("the key of the other process was overwritten")
	}
}

// Requirement: ASVS-11.5.1
func TestLoadOrCreate_KeysDiffer(t *testing.T) {
	var derived [2][]byte
	for i := range derived {
		key, err := LoadOrCreate(filepath.Join(t.TempDir(), "keylodge.secret"))
		if err != nil {
			t.Fatal(err)
		}
		derived[i] = derive(t, key, Sealing)
	}
	if bytes.Equal(derived[0], derived[1]) {
		t.Error("two new keys are the same")
	}
}

func TestParse_EveryBase64Variant(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb, 0xff}, Size/2)
	want := derive(t, Key{secret: secret}, Sealing)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		key, err := Parse(encoding.EncodeToString(secret) + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(derive(t, key, Sealing), want) {
			t.Error("the same key in another base64 alphabet differs")
		}
	}
	for _, bad := range []string{"", "not base64!", base64.StdEncoding.EncodeToString(make([]byte, Size-1))} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) succeeded", bad)
		}
	}
}

func TestDerive_PurposesDiffer(t *testing.T) {
	key, derived := Key{secret: make([]byte, Size)}, map[string]Purpose{}
	for _, purpose := range Purposes() {
		bytes := string(derive(t, key, purpose))
		if other, found := derived[bytes]; found {
			t.Errorf("%s and %s share a key", purpose, other)
		}
		derived[bytes] = purpose
	}
}

func TestKey_IsRedacted(t *testing.T) {
	key := Key{secret: []byte("0123456789abcdef0123456789abcdef")}
	for _, printed := range []string{fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s", key, key, key, key), key.LogValue().String()} {
		if strings.Contains(printed, "0123") || strings.Contains(printed, "48") {
			t.Errorf("a key was printed: %s", printed)
		}
	}
}

func derive(t *testing.T, key Key, purpose Purpose) []byte {
	t.Helper()
	derived, err := key.Derive(purpose)
	if err != nil || len(derived) != 32 {
		t.Fatalf("a key of %d bytes, %v", len(derived), err)
	}
	return derived
}
