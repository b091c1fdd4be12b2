package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// PrepareRestore implements dbadmin.Backups. It copies the backup and checks the copy, so that the checked bytes are the restored ones,
// and nothing is written to the backup or its directory.
func (f *File) PrepareRestore(ctx context.Context, file string) (dbadmin.PreparedRestore, error) {
	if _, err := f.nonEmpty(); err != nil {
		return nil, err
	}
	if err := f.requireBackup(file); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d, err := newTempFile(f.path)
	if err != nil {
		return nil, err
	}
	r := &restoration{file: f, temp: d}
	if err := copyFile(ctx, file, d.path); err != nil {
		d.discard()
		return nil, fmt.Errorf("copying %s: %w", file, err)
	}
	if r.backup, err = d.verify(ctx, dbadmin.CheckOptions{Full: true}); err != nil {
		d.discard()
		return nil, wrapFile(file, err)
	}
	return r, nil
}

// requireBackup checks what is visible without opening the file.
func (f *File) requireBackup(file string) error {
	invalid := func(reason string) error {
		return &domain.Error{Kind: domain.KindInvalid, Code: "not_a_backup", Message: reason}
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("there is no such file")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return invalid("this is not a regular file")
	case info.Size() == 0:
		return invalid("this file is empty")
	}
	if ownInfo, err := os.Stat(f.path); err == nil && os.SameFile(ownInfo, info) {
		return invalid("this is the database itself")
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if sidecar, err := os.Stat(file + suffix); err == nil && sidecar.Size() > 0 {
			return invalid("the file " + filepath.Base(file) + suffix + " exists, so this is a database in use, or an incomplete one; make a backup with: keylodge backup FILE")
		}
	}
	return nil
}

func copyFile(ctx context.Context, from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, contextReader{ctx, source})
	return errors.Join(err, target.Close())
}

// contextReader returns the context's error once the context has ended.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// restoration is a checked copy of a backup in the directory of the database.
type restoration struct {
	file   *File
	temp   tempFile
	backup dbadmin.Inventory
}

func (r *restoration) Backup() dbadmin.Inventory { return r.backup }

func (r *restoration) Discard() error {
	r.temp.discard()
	return nil
}

// Current implements dbadmin.PreparedRestore.
func (r *restoration) Current(ctx context.Context) (*dbadmin.Inventory, error) {
	found, err := r.file.nonEmpty()
	if err != nil || !found {
		return nil, err
	}
	var current dbadmin.Inventory
	db, err := r.file.open(ctx)
	if err != nil {
		return &current, nil // an unreadable database can be restored
	}
	defer db.Close()
	if version, err := db.verifySchema(ctx); err == nil {
		current, _ = db.inventory(ctx, version) // what is readable
	}
	return &current, nil
}

// Commit implements dbadmin.PreparedRestore. It overwrites an existing database in place, in one transaction of SQLite, so that a process
// that waits for the file sees the new contents. If it replaced the file, that process would keep the old file open and use it with
// the write-ahead log of the new one.
func (r *restoration) Commit(ctx context.Context) (keptPath string, err error) {
	found, err := r.file.nonEmpty()
	if err != nil {
		return "", err
	}
	if !found {
		return r.replace("")
	}
	keptPath = r.file.path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	db, err := r.file.open(ctx)
	if err != nil {
		return r.replaceUnreadable(keptPath, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.lockExclusively(ctx); err != nil {
		return r.replaceUnreadable(keptPath, err)
	}
	if err := db.saveCopy(ctx, keptPath); err != nil {
		return "", fmt.Errorf("saving the current database as %s: %w", keptPath, err)
	}
	if err := db.restoreFrom(ctx, r.temp.path); err != nil {
		_ = os.Remove(keptPath) // the database is unchanged
		return "", fmt.Errorf("writing the backup into the database, which was not changed: %w", err)
	}
	r.temp.discard()
	return keptPath, nil
}

// replaceUnreadable replaces a file that SQLite cannot open, and so no other process uses, and returns other errors.
func (r *restoration) replaceUnreadable(keptPath string, err error) (string, error) {
	if errors.Is(err, errNotSQLite) || errors.Is(err, errUnreadable) {
		return r.replace(keptPath)
	}
	return "", err
}

// saveCopy writes the database, even a damaged one, to a new file.
func (c *maintenanceDB) saveCopy(ctx context.Context, file string) error {
	d, err := newTempFile(file)
	if err != nil {
		return err
	}
	defer d.discard()
	if err := c.copyTo(ctx, d.path, nil); err != nil {
		return err
	}
	return d.publish(file, false)
}

// restoreFrom overwrites the database with the contents of another file.
func (c *maintenanceDB) restoreFrom(ctx context.Context, file string) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return c.raw(ctx, func(conn *sqlite3.Conn) error {
		return conn.Restore("main", fileURI(absolute, url.Values{"mode": {"ro"}}))
	})
}

// replace moves the copy to the path of the database. It first renames a database that cannot be opened, and all sidecars.
func (r *restoration) replace(keptPath string) (string, error) {
	renamed := keptPath
	if renamed == "" {
		renamed = r.file.path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	for _, suffix := range append([]string{""}, sidecars...) {
		if suffix == "" && keptPath == "" {
			continue
		}
		if err := os.Rename(r.file.path+suffix, renamed+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return keptPath, r.temp.publish(r.file.path, true)
}
