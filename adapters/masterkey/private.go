package masterkey

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadPrivate reads a file that contains a secret. It returns the error of CheckPrivate, or one of the operating system.
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

// ErrNotPrivate is the error of CheckPrivate for a file that users other than its owner can access.
var ErrNotPrivate = errors.New("it contains a secret, and other users can access it")

// CheckPrivate returns an error unless path is a regular file that only its owner can access. The group may read a file of root,
// since a service without root's rights gets a secret like that: mode 0640, or 0440 as Kubernetes mounts it for an fsGroup.
func CheckPrivate(path string, info fs.FileInfo) error {
	mode := info.Mode()
	if !mode.IsRegular() {
		return fmt.Errorf("%s is not a file; replace it by the key file", path)
	}
	if mode.Perm()&forbiddenMode(ownedByRoot(info)) != 0 {
		return fmt.Errorf("%w (mode %04o); run: chmod 600 %s", ErrNotPrivate, mode.Perm(), path)
	}
	return nil
}

// forbiddenMode returns the permissions that the file of a secret must not have.
func forbiddenMode(roots bool) fs.FileMode {
	if roots {
		return 0o037
	}
	return 0o077
}
