package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileHeader begins every SQLite database that holds anything (https://sqlite.org/fileformat.html, section 1.3.1).
const fileHeader = "SQLite format 3\x00"

var errIsDirectory = errors.New("this is a directory; name a file in it")

var errNotSQLite = errors.New("this is not an SQLite database; name another file, or move this one away to start with an empty database")

// prepareFiles makes the database at path, if there is none, for this user only. What is there keeps its mode, which is
// the operator's decision.
func prepareFiles(path string) error {
	mode, err := prepareFile(path)
	if err != nil {
		return wrapOpen(path, err)
	}
	// SQLite gives the mode of the database to its -wal file, and to this one whatever the umask allows.
	shm, err := os.OpenFile(path+"-shm", os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return wrapOpen(path, err)
	}
	return shm.Close()
}

func prepareFile(path string) (fs.FileMode, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return 0, errIsDirectory
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	var start [len(fileHeader)]byte
	n, err := io.ReadFull(f, start[:])
	switch {
	case errors.Is(err, io.EOF), start == [len(fileHeader)]byte{}: // about to become one, here or in another process
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, err
	case string(start[:n]) != fileHeader:
		return 0, errNotSQLite
	}
	return info.Mode().Perm(), nil
}

func wrapOpen(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("opening the database %s: make the directory %s first: %w", path, filepath.Dir(path), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("opening the database %s: let user id %d read and write it and its directory: %w", path, os.Geteuid(), err)
	}
	return fmt.Errorf("opening the database %s: %w", path, err)
}
