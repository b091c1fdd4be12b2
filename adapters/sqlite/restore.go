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

// PrepareRestore implements dbadmin.Backups. It copies the backup first and checks the copy, so that what was checked is what is
// restored, and nothing is ever written to the backup or beside it.
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

// requireBackup looks at what can be told without opening it.
func (f *File) requireBackup(file string) error {
	invalid := func(why string) error {
		return &domain.Error{Kind: domain.KindInvalid, Code: "not_a_backup", Message: why}
	}
	there, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("there is no such file")
	case err != nil:
		return err
	case !there.Mode().IsRegular():
		return invalid("this is no ordinary file")
	case there.Size() == 0:
		return invalid("this file is empty")
	}
	if own, err := os.Stat(f.path); err == nil && os.SameFile(own, there) {
		return invalid("this is the database itself")
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if beside, err := os.Stat(file + suffix); err == nil && beside.Size() > 0 {
			return invalid("beside it is " + filepath.Base(file) + suffix + ", so it is a database in use, or half of one; make a backup with: keylodge backup FILE")
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

// contextReader ends with its context.
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

// restoration is a checked copy of a backup beside the database.
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
	var present dbadmin.Inventory
	db, err := r.file.open(ctx)
	if err != nil {
		return &present, nil // damaged, say: a reason to restore, not to give up
	}
	defer db.Close()
	if version, err := db.verifySchema(ctx); err == nil {
		present, _ = db.inventory(ctx, version) // as far as it can be read
	}
	return &present, nil
}

// Commit implements dbadmin.PreparedRestore. A database that is there is overwritten in place, in one transaction of SQLite's: a
// process that waits for the file goes on with the new contents, as it would after any other transaction. If the file
// were replaced by another one, that process would keep the old one, with the write-ahead log of the new.
func (r *restoration) Commit(ctx context.Context) (kept string, err error) {
	found, err := r.file.nonEmpty()
	if err != nil {
		return "", err
	}
	if !found {
		return r.replace("")
	}
	kept = r.file.path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	db, err := r.file.open(ctx)
	if err != nil {
		return r.replaceUnreadable(kept, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.lockExclusively(ctx); err != nil {
		return r.replaceUnreadable(kept, err)
	}
	if err := db.saveCopy(ctx, kept); err != nil {
		return "", fmt.Errorf("keeping what is there as %s: %w", kept, err)
	}
	if err := db.restoreFrom(ctx, r.temp.path); err != nil {
		_ = os.Remove(kept) // a copy of what is still there
		return "", fmt.Errorf("writing the backup into the database, which stays as it was: %w", err)
	}
	r.temp.discard()
	return kept, nil
}

// replaceUnreadable moves a file that SQLite cannot open, and nobody else can, out of the way.
func (r *restoration) replaceUnreadable(kept string, err error) (string, error) {
	if errors.Is(err, errNotSQLite) || errors.Is(err, errUnreadable) {
		return r.replace(kept)
	}
	return "", err
}

// saveCopy writes the database, damaged or not, to a new file.
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

// restoreFrom puts the contents of another file in the place of the database's own.
func (c *maintenanceDB) restoreFrom(ctx context.Context, file string) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return c.raw(ctx, func(conn *sqlite3.Conn) error {
		return conn.Restore("main", fileURI(absolute, url.Values{"mode": {"ro"}}))
	})
}

// replace puts the copy where no database is, or none that can be opened: that one, and whatever lies beside it, is kept.
func (r *restoration) replace(kept string) (string, error) {
	aside := kept
	if aside == "" {
		aside = r.file.path + ".before-restore-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	for _, suffix := range append([]string{""}, sidecars...) {
		if suffix == "" && kept == "" {
			continue
		}
		if err := os.Rename(r.file.path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return kept, r.temp.publish(r.file.path, true)
}
