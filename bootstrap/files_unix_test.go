//go:build unix

package bootstrap

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
)

// Whatever is written is for its owner alone, also where the umask would let everybody read it.
func TestCommand_FilesArePrivateUnderAnyUmask(t *testing.T) {
	former := syscall.Umask(0)
	defer syscall.Umask(former)
	newDatabaseWithUsers(t) // a database and its secret
	usecases, release, err := openForCommand(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := usecases.SigningKeys.Rotate(t.Context()); err != nil { // writes
		t.Fatal(err)
	}
	for _, line := range []string{"backup saved.db", "export lodge.jsonl"} {
		if exitCode, _, stderr := runCommand(line); exitCode != cli.ExitOK {
			t.Fatalf("%s: exit %d, %s", line, exitCode, stderr)
		}
	}
	files := fileModes(t) // with the write-ahead log, while somebody has the database open
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("restore --yes saved.db"); exitCode != cli.ExitOK {
		t.Fatalf("restore: exit %d, %s", exitCode, stderr)
	}
	for name, mode := range fileModes(t) {
		files[name] = mode
	}
	for _, name := range []string{"keylodge.db", "keylodge.db-wal", "keylodge.db-shm", "keylodge.secret", "saved.db", "lodge.jsonl"} {
		if _, there := files[name]; !there {
			t.Errorf("there is no %s among %v", name, files)
		}
	}
	for name, mode := range files {
		if mode != 0o600 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
	if len(files) < 7 {
		t.Errorf("what was there before the restore is not among %v", files)
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
