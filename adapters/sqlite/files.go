package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileHeader begins every SQLite database that is not empty (https://sqlite.org/fileformat.html, section 1.3.1).
const fileHeader = "SQLite format 3\x00"

var errIsDirectory = errors.New("this is a directory; name a file in it")

var errNotSQLite = errors.New("this is not an SQLite database; name another file, or move this file to start with an empty database")

// prepareFiles creates a missing database at path, for this user only. An existing file keeps its mode, which the operator has chosen.
func prepareFiles(path string) error {
	mode, err := prepareFile(path)
	if err != nil {
		return wrapOpen(path, err)
	}
	// SQLite gives -wal the mode of the database, and the umask does not apply to it. -shm is created here with the same mode.
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
	case errors.Is(err, io.EOF), start == [len(fileHeader)]byte{}: // empty: this or another process is creating the database
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
		return fmt.Errorf("opening the database %s: create the directory %s first: %w", path, filepath.Dir(path), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("opening the database %s: allow user id %d to read and write it and its directory: %w", path, os.Geteuid(), err)
	}
	return fmt.Errorf("opening the database %s: %w", path, err)
}
