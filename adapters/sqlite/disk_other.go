//go:build !linux && !darwin && !freebsd

package sqlite

func freeSpace(string) (bytes int64, known bool) { return 0, false }
