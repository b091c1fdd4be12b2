//go:build unix

package bootstrap

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
)

// Every file is readable for its owner only, even with a umask of 0.
func TestCommand_FilesArePrivateUnderAnyUmask(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	newDatabaseWithUsers(t) // and its key file
	usecases, release, err := openForCommand(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := usecases.SigningKeys.Rotate(t.Context()); err != nil { // writes
		t.Fatal(err)
	}
	for _, line := range []string{"backup saved.db", "export accounts.jsonl"} {
		if exitCode, _, stderr := runCommand(line); exitCode != cli.ExitOK {
			t.Fatalf("%s: exit %d, %s", line, exitCode, stderr)
		}
	}
	files := fileModes(t) // with the write-ahead log, while the database is open
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("restore --yes saved.db"); exitCode != cli.ExitOK {
		t.Fatalf("restore: exit %d, %s", exitCode, stderr)
	}
	for name, mode := range fileModes(t) {
		files[name] = mode
	}
	for _, name := range []string{"keylodge.db", "keylodge.db-wal", "keylodge.db-shm", "keylodge.secret", "saved.db", "accounts.jsonl"} {
		if _, exists := files[name]; !exists {
			t.Errorf("no %s in %v", name, files)
		}
	}
	for name, mode := range files {
		if mode != 0o600 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
	if len(files) < 7 {
		t.Errorf("the database from before the restore is not in %v", files)
	}
}

func fileModes(t *testing.T) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[path] = info.Mode().Perm()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
