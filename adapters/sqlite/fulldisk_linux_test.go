package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/smalldisk"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestSave_FullDiskLeavesNoFile(t *testing.T) {
	disk := t.TempDir()
	smalldisk.Mount(t, disk, "64k", 0o700)
	path := newFilledFile(t)
	_, err := NewFile(path).Save(t.Context(), filepath.Join(disk, "backup"), false, dbadmin.CheckOptions{Full: true})
	if err == nil || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v", err)
	}
	wantFiles(t, disk)
}
