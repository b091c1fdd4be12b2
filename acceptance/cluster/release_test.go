package cluster

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/migrations"
)

// nextReleaseVersion is the version that the program of the next release prints.
const nextReleaseVersion = "the next release"

func nextRelease(t *testing.T) (binary string) {
	t.Helper()
	return keylodgeserver.Build(t, keylodgeserver.Module+"/acceptance/cluster/cmd/nextrelease",
		"-ldflags", "-X '"+keylodgeserver.Module+"/bootstrap.release="+nextReleaseVersion+"'")
}

func testClock(t *testing.T) (binary string) {
	t.Helper()
	return keylodgeserver.Build(t, keylodgeserver.Module+"/acceptance/cluster/cmd/testclock")
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
