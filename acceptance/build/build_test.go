package build

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever builds the same sources gets the same bytes, wherever they lie and whether git knows them; so anybody can find out
// whether a binary is what it is said to be.
func TestBuild_IsReproducible(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	one, another := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "in", "another", "folder")
	first, second := build(t, one, false), build(t, another, true)
	if !bytes.Equal(first, second) {
		t.Errorf("two builds differ: %d and %d bytes", len(first), len(second))
	}
	isStatic(t, filepath.Join(one, "bin", "keylodge"))
	run(t, one, "make", "build", "VERSION=v1.2.3")
	if said := run(t, one, filepath.Join("bin", "keylodge"), "version"); !strings.Contains(said, "v1.2.3") {
		t.Errorf("a release says that it is %s", said)
	}
	for _, path := range append(goEnv(t, "GOROOT", "GOMODCACHE", "GOCACHE"), one, another) {
		if path != "" && bytes.Contains(first, []byte(path)) {
			t.Errorf("the binary has %s in it", path)
		}
	}
}

// build copies the sources and returns what `make build` makes of them there.
func build(t *testing.T, folder string, underGit bool) []byte {
	t.Helper()
	sources := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == ".git" || path == "bin"):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(folder, path), 0o755)
		case !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), "keylodge."): // somebody's own installation
			return nil
		}
		text, err := fs.ReadFile(sources, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, path), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("git"); err == nil && underGit {
		run(t, folder, "git", "init", "--quiet")
		run(t, folder, "git", "add", "go.mod")
		run(t, folder, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message=One file of many")
	}
	run(t, folder, "make", "build")
	binary, err := os.ReadFile(filepath.Join(folder, "bin", "keylodge"))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func run(t *testing.T, folder, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = folder
	// What the make that runs this test tells those below it is not meant for this one.
	command.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "MAKE") || strings.HasPrefix(setting, "MFLAGS") || strings.HasPrefix(setting, "GIT_")
	})
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, arguments, err, said)
	}
	return string(said)
}

func goEnv(t *testing.T, names ...string) []string {
	t.Helper()
	said, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(said)), "\n")
}

// isStatic looks for an interpreter and for libraries, on systems whose programs are ELF files.
func isStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Logf("not looked at: %v", err)
		return
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is linked dynamically: %s", program.Type)
		}
	}
}
