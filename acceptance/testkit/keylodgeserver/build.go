package keylodgeserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// Module is the import path of the program.
const Module = "github.com/keylodge/keylodge"

// builds are the programs that were built, by the arguments of go build.
var builds struct {
	sync.Mutex
	folder   *process.Folder
	programs map[string]string
}

// Binary returns the path of the program. It is built as for a release: static, and without the race detector.
func Binary(t testing.TB) string {
	t.Helper()
	return Build(t, Module)
}

// Build is [Binary] for another main package, with additional arguments of go build. Each program is built once.
func Build(t testing.TB, program string, arguments ...string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	arguments = append(arguments, program)
	key := strings.Join(arguments, " ")
	if path, found := builds.programs[key]; found {
		return path
	}
	if builds.folder == nil {
		var err error
		if builds.folder, err = process.NewFolder(); err != nil {
			t.Fatal(err)
		}
		builds.programs = map[string]string{}
	}
	path := filepath.Join(builds.folder.Path, strconv.Itoa(len(builds.programs)), filepath.Base(program))
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", path}, arguments...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", program, err, output)
	}
	builds.programs[key] = path
	return path
}
