package cluster

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/migrations"
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

const (
	module = "github.com/keylodge/keylodge"

	// nextReleaseVersion is the version that the program of the next release prints.
	nextReleaseVersion = "the next release"
)

// The programs, each built once.
var (
	buildThisRelease = sync.OnceValues(func() (string, error) { return build("keylodge", module) })
	buildNextRelease = sync.OnceValues(func() (string, error) {
		return build("nextrelease", module+"/acceptance/cluster/cmd/nextrelease", "-ldflags", "-X '"+module+"/bootstrap.release="+nextReleaseVersion+"'")
	})
	buildTestClock = sync.OnceValues(func() (string, error) { return build("testclock", module+"/acceptance/cluster/cmd/testclock") })
)

// built returns the path of a program.
func built(t *testing.T, program func() (string, error)) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func build(name, program string, flags ...string) (string, error) {
	path := filepath.Join(buildDir, name)
	compile := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), program)...)
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
}

// nextVersion returns the number of the next release's migration.
func nextVersion() (int, error) {
	files, err := fs.Glob(migrations.Postgres(), "*.up.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no migrations: %w", err)
	}
	number, _, _ := strings.Cut(files[len(files)-1], "_")
	newest, err := strconv.Atoi(number)
	return newest + 1, err
}
