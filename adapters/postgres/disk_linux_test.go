package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/smalldisk"
	"github.com/keylodge/keylodge/domain"
)

// The database is on a small disk, and another file fills the disk.
func TestStore_fullDisk(t *testing.T) {
	server := postgresserver.StartForTest(t)
	disk := smallDisk(t, server)
	execAsOperator(t, server, []string{"CREATE TABLESPACE small LOCATION '" + disk + "/space'", "CREATE DATABASE app TABLESPACE small"})
	s := openAt(t, server.URL("app"))
	filler := filepath.Join(disk, "filler")
	smalldisk.Fill(t, filler)
	err := eventuallyFails(t, s, 1)
	if !errors.Is(err, domain.ErrUnavailable) || stateOf(err) != "53100" || !strings.Contains(err.Error(), "free space on it") {
		t.Errorf("got %v; want an outage of SQLSTATE 53100", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	add(t, s, 1)
}

// smallDisk returns a folder on a disk of a few megabytes, with a folder for the server in it.
func smallDisk(t *testing.T, server *postgresserver.Server) (folder string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "pgdisk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(folder) })
	smalldisk.Mount(t, folder, "24m", 0o755)
	space := filepath.Join(folder, "space")
	if err := errors.Join(os.Mkdir(space, 0o700), server.Chown(space)); err != nil {
		t.Fatal(err)
	}
	return folder
}
