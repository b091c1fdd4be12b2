package nodes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buildDir is where programs are built. It goes with the process.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "nodes"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

var buildThisRelease = sync.OnceValues(func() (string, error) { return build("this", nil) })

// thisRelease is the program of the sources as they are, made once.
func thisRelease(t *testing.T) string {
	t.Helper()
	path, err := buildThisRelease()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// edits say how a program's sources differ from those that are here, by the file's path. A file that is not here begins
// empty. Nothing here is changed: the compiler is told to read other files instead.
type edits map[string]edit

type edit func(source string) (string, error)

// replacing puts new text in the place of what has to be there exactly once.
func replacing(old, with string) edit {
	return func(source string) (string, error) {
		if n := strings.Count(source, old); n != 1 {
			return "", fmt.Errorf("it says %d times, and not once: %s; say anew how this program differs", n, old)
		}
		return strings.Replace(source, old, with, 1), nil
	}
}

// sequence does one edit after the other.
func sequence(edits ...edit) edit {
	return func(source string) (_ string, err error) {
		for _, e := range edits {
			if source, err = e(source); err != nil {
				return "", err
			}
		}
		return source, nil
	}
}

// newFile is a whole new file.
func newFile(text string) edit {
	return func(source string) (string, error) {
		if source != "" {
			return "", errors.New("it is there already")
		}
		return text, nil
	}
}

// build makes a program of the sources with those edits. The assets that the program carries, such as its migrations, are
// read in the same way.
func build(name string, changes edits) (string, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	folder := filepath.Join(buildDir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for path, change := range changes {
		original, err := os.ReadFile(filepath.Join(root, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		changed, err := change(string(original))
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		instead := filepath.Join(folder, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(instead, []byte(changed), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, path)] = instead
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	listed := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(listed, list, 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(folder, "keylodge")
	compile := exec.Command("go", "build", "-overlay", listed, "-o", program, "github.com/keylodge/keylodge")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return program, nil
}
