// Package smalldisk gives tests a disk that they can fill. Linux only.
package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// Mount mounts an empty file system of this size, for example "16m", on the folder until the end of the test. Only root can mount
// it; otherwise the test ends as require.Missing says.
func Mount(t testing.TB, folder, size string, mode os.FileMode) {
	t.Helper()
	if err := syscall.Mount("keylodge-test", folder, "tmpfs", 0, fmt.Sprintf("size=%s,mode=%#o", size, mode)); err != nil {
		t.Log(err)
		require.Missing(t, require.SmallDisk)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// Fill creates a file that takes all free space of its disk. The test removes it.
func Fill(t testing.TB, path string) {
	t.Helper()
	filler, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for _, size := range []int{1 << 20, 1 << 12} {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}
