package cluster

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

// buildDir is the folder of the built programs. It is removed when the process ends.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "cluster"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

var buildThisRelease = sync.OnceValues(func() (string, error) { return build("this", nil) })

// thisRelease builds, once, the program of the unchanged sources.
func thisRelease(t *testing.T) string {
	t.Helper()
	path, err := buildThisRelease()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// edits maps paths of source files to their changes in a modified program. A missing file begins empty. The sources stay
// unchanged: the compiler reads the changed copies instead.
type edits map[string]edit

type edit func(source string) (string, error)

// replacing replaces a text that must occur exactly once.
func replacing(old, with string) edit {
	return func(source string) (string, error) {
		if n := strings.Count(source, old); n != 1 {
			return "", fmt.Errorf("found %d times, want once: %s; update this edit to the changed source", n, old)
		}
		return strings.Replace(source, old, with, 1), nil
	}
}

// sequence applies edits in order.
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

// newFile adds a file.
func newFile(text string) edit {
	return func(source string) (string, error) {
		if source != "" {
			return "", errors.New("the file already exists")
		}
		return text, nil
	}
}

// build builds a program from the sources with the edits. They may also change embedded files, such as migrations.
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
		replacement := filepath.Join(folder, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(replacement, []byte(changed), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, path)] = replacement
	}
	encoded, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	overlayFile := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlayFile, encoded, 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(folder, "keylodge")
	compile := exec.Command("go", "build", "-overlay", overlayFile, "-o", program, "github.com/keylodge/keylodge")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return program, nil
}
