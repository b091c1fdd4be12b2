package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keylodge/keylodge/domain"
)

// atomicFile is a file that gets its name when it is complete.
type atomicFile struct {
	io.Writer
	file  *os.File // nil for standard output
	name  string
	force bool
}

// createOutput creates a file that only this user can read. It replaces an existing file only with force, and never anything but a
// regular file: a device or a link would be lost.
func (p *Program) createOutput(name string, force bool) (*atomicFile, error) {
	if name == stdio {
		return &atomicFile{Writer: p.Stdout}, nil
	}
	switch info, err := os.Lstat(name); {
	case err != nil: // there is none, or CreateTemp returns the error
	case !info.Mode().IsRegular():
		return nil, errInvalidFile(errors.New(name + " is not a regular file; choose another one, or - for standard output"))
	case !force:
		return nil, errFileExists(name)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".keylodge-export-*") // with mode 0600
	if err != nil {
		return nil, errInvalidFile(err)
	}
	return &atomicFile{file, file, name, force}, nil
}

func (a *atomicFile) commit() error {
	if a.file == nil {
		return nil
	}
	if err := errors.Join(a.file.Sync(), a.file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", a.name, err)
	}
	if err := a.rename(); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(a.name)) // to sync the new name
	if err != nil {
		return fmt.Errorf("writing %s: %w", a.name, err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func (a *atomicFile) rename() error {
	if !a.force {
		switch err := os.Link(a.file.Name(), a.name); {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrExist):
			return errFileExists(a.name)
		}
		// Not every file system has links. The name was free before.
	}
	return os.Rename(a.file.Name(), a.name)
}

// discard closes and removes the temporary file. It must be called in any case, and does nothing after commit.
func (a *atomicFile) discard() {
	if a.file != nil {
		_ = a.file.Close()
		_ = os.Remove(a.file.Name()) // fails after commit
	}
}

// copyInput copies a file, or standard input, to a temporary file that no other process writes to. The caller closes and
// removes it.
func (p *Program) copyInput(ctx context.Context, name string) (*os.File, error) {
	in := p.Stdin
	if name != stdio {
		file, err := os.Open(name)
		if err != nil {
			return nil, errInvalidFile(err)
		}
		defer file.Close()
		if info, err := file.Stat(); err != nil || info.IsDir() {
			return nil, errInvalidFile(errors.Join(err, errors.New(name+" is not a file")))
		}
		in = file
	}
	file, err := os.CreateTemp("", "keylodge-import-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("copying the export: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(file, in)
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done(): // a blocked read of standard input cannot be interrupted
		err = ctx.Err()
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		removeTemporary(file)
		return nil, fmt.Errorf("copying the export: %w", err)
	}
	return file, nil
}

func removeTemporary(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}

func errFileExists(name string) error {
	return &domain.Error{Kind: domain.KindConflict, Code: "file_exists", Message: name + " already exists; choose another file, or add --force"}
}

func errInvalidFile(err error) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_file", Message: err.Error()}
}
