//go:build linux || darwin || freebsd

package sqlite

import "syscall"

// freeSpace returns how many bytes this user can still write in the folder, if the system reports it.
func freeSpace(folder string) (bytes int64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // the types differ between systems
}
