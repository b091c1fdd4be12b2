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

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// Two builds of the same sources give the same bytes, in any folder and with or without git, so that users can verify a
// binary.
func TestBuild_IsReproducible(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		require.Missing(t, require.Tools)
	}
	one, another := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "in", "another", "folder")
	first, second := build(t, one, false), build(t, another, true)
	if !bytes.Equal(first, second) {
		t.Errorf("two builds differ: %d and %d bytes", len(first), len(second))
	}
	isStatic(t, filepath.Join(one, "bin", "keylodge"))
	// A package that finds methods by name, as text/template does, makes the linker keep every exported method of every type, which
	// adds 13 MB. `go build -ldflags=-dumpdep` marks such functions with <ReflectMethod>.
	if maxSize := 32_000_000; len(first) > maxSize {
		t.Errorf("the binary has %d bytes, more than %d", len(first), maxSize)
	}
	run(t, one, "make", "build", "VERSION=v1.2.3")
	if output := run(t, one, filepath.Join("bin", "keylodge"), "version"); !strings.Contains(output, "v1.2.3") {
		t.Errorf("the version of a release is %s", output)
	}
	// One platform: the others would be compiled from the beginning. A weekly workflow builds all.
	var sums []string
	for _, folder := range []string{one, another} {
		run(t, folder, "make", "release", "VERSION=v1.2.3", "PLATFORMS=linux/amd64")
		release := filepath.Join(folder, "bin", "release")
		const files = "keylodge-deploy.tar.gz: OK\nkeylodge-linux-amd64: OK\nkeylodge-linux-amd64.cdx.json: OK\n"
		if output := run(t, release, "sha256sum", "--check", "SHA256SUMS"); output != files {
			t.Errorf("the checksums are wrong: %s", output)
		}
		text, err := os.ReadFile(filepath.Join(release, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(text))
	}
	if sums[0] != sums[1] {
		t.Errorf("two releases differ: %q", sums)
	}
	for _, path := range append(goEnv(t, "GOROOT", "GOMODCACHE", "GOCACHE"), one, another) {
		if path != "" && bytes.Contains(first, []byte(path)) {
			t.Errorf("the binary contains %s", path)
		}
	}
}

// build copies the sources to a folder, runs `make build` there, and returns the binary.
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
		case path == ".git": // the file of a linked worktree: git would commit to the branch of the developer
			return nil
		case !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), "keylodge."): // data of a local server
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
	// The variables of a make that runs this test must not reach this make.
	command.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "MAKE") || strings.HasPrefix(setting, "MFLAGS") || strings.HasPrefix(setting, "GIT_")
	})
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, arguments, err, output)
	}
	return string(output)
}

func goEnv(t *testing.T, names ...string) []string {
	t.Helper()
	output, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n")
}

// isStatic fails the test if the binary needs a dynamic linker. It checks ELF files only.
func isStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Logf("not checked: %v", err)
		return
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is linked dynamically: %s", program.Type)
		}
	}
}
