package masterkey

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadPrivate reads a file that holds a secret. It returns the error of CheckPrivate if others have access to the file, and
// those of the operating system.
func ReadPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := CheckPrivate(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// ErrNotPrivate is in the errors of CheckPrivate for a file that others than its owner have access to.
var ErrNotPrivate = errors.New("it holds a secret, and others have access to it")

// CheckPrivate returns an error unless path is a regular file to which its owner alone has access. The group may read a file
// that root owns, since that is how a service without root's rights gets one: mode 0640, or 0440 as Kubernetes mounts it
// for an fsGroup.
func CheckPrivate(path string, info fs.FileInfo) error {
	mode := info.Mode()
	if !mode.IsRegular() {
		return fmt.Errorf("%s is no file; move it away and put the right one in its place", path)
	}
	if mode.Perm()&forbiddenMode(ownedByRoot(info)) != 0 {
		return fmt.Errorf("%w (mode %04o); run: chmod 600 %s", ErrNotPrivate, mode.Perm(), path)
	}
	return nil
}

// forbiddenMode are the permissions that a secret's file must not give.
func forbiddenMode(roots bool) fs.FileMode {
	if roots {
		return 0o037
	}
	return 0o077
}
