package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Save implements dbadmin.Backups by SQLite's online backup (https://sqlite.org/backup.html), under one snapshot: without
// it, the copy would begin again after every write of another process, and on a busy server never end.
func (f *File) Save(ctx context.Context, file string, replace bool, check dbadmin.CheckOptions) (saved dbadmin.Inventory, err error) {
	source, err := f.open(ctx)
	if err != nil {
		return saved, err
	}
	defer source.Close()
	if err := source.requireKeylodge(ctx); err != nil {
		return saved, wrapFile(f.path, err)
	}
	if err := f.requireValidTarget(file, replace); err != nil {
		return saved, err
	}
	d, err := newTempFile(file)
	if err != nil {
		return saved, err
	}
	defer d.discard()
	if err := source.copyTo(ctx, d.path, check.Progress); err != nil {
		return saved, fmt.Errorf("copying the database: %w", err)
	}
	if saved, err = d.verify(ctx, check); err != nil {
		return saved, fmt.Errorf("the copy does not pass its check; the database itself may be damaged: %w", err)
	}
	return saved, d.publish(file, replace)
}

// requireValidTarget makes sure that nothing is lost if file is written.
func (f *File) requireValidTarget(file string, replace bool) error {
	there, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !there.Mode().IsRegular():
		return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_file", Message: file + " is no ordinary file; name another one"}
	case !replace:
		return errFileExists(file)
	}
	for _, suffix := range append([]string{""}, sidecars...) {
		if own, err := os.Stat(f.path + suffix); err == nil && os.SameFile(own, there) {
			return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_file", Message: file + " is the database itself; name another file"}
		}
	}
	return nil
}

func errFileExists(file string) error {
	return &domain.Error{Kind: domain.KindConflict, Code: "file_exists", Message: file + " is there already; name another file, or add --force to replace it"}
}

// copyTo copies the state of one moment into an empty file. Writers go on: they only cannot begin the write-ahead log anew
// meanwhile.
func (c *maintenanceDB) copyTo(ctx context.Context, file string, progress func(dbadmin.Progress)) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return c.raw(ctx, func(conn *sqlite3.Conn) (err error) {
		if err := conn.Exec("BEGIN; SELECT count(*) FROM sqlite_schema"); err != nil { // the read is what takes the snapshot
			return err
		}
		defer func() { err = errors.Join(err, conn.Exec("ROLLBACK")) }()
		backup, err := conn.BackupInit("main", fileURI(absolute, url.Values{"mode": {"rw"}, "modeof": {absolute}}))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, backup.Close()) }()
		copied, err := os.OpenFile(absolute, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer copied.Close()
		const pages = 1000 // a few megabytes, between looks at whether it is still wanted
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			done, err := backup.Step(pages)
			if progress != nil {
				total := int64(backup.PageCount())
				progress(dbadmin.Progress{Stage: dbadmin.StageCopying, Done: total - int64(backup.Remaining()), Total: total})
			}
			if done || err != nil {
				return err
			}
			// Gigabytes that reach the disk all at once, at the end, would make each commit of the server wait for seconds.
			if err := copied.Sync(); err != nil {
				return err
			}
		}
	})
}

// tempFile is a file under another name, until it is whole.
type tempFile struct{ path string }

// newTempFile makes an empty one beside the file that it is to become, for this user alone.
func newTempFile(file string) (tempFile, error) {
	made, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".unfinished-*") // CreateTemp makes it 0600
	if err != nil {
		return tempFile{}, fmt.Errorf("making a file in %s: %w", filepath.Dir(file), err)
	}
	return tempFile{made.Name()}, made.Close()
}

// verify holds the draft to all that a database of ours is: recognised, whole, every reference kept. It makes one file of
// it, without a write-ahead log, that can be looked at wherever it is put.
func (d tempFile) verify(ctx context.Context, check dbadmin.CheckOptions) (found dbadmin.Inventory, err error) {
	db, err := connectTo(ctx, d.path)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.exec(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
		return found, err
	}
	if err := db.requireKeylodge(ctx); err != nil {
		return found, err
	}
	version, err := db.verifySchema(ctx)
	if err != nil {
		return found, err
	}
	complete, err := db.checkIntegrity(ctx, check, quickCheckTimeout)
	if err != nil {
		return found, err
	}
	found, err = db.inventory(ctx, version)
	found.Unchecked = !complete
	return found, err
}

// quickCheckTimeout bounds a check that is not full: quick_check reads every page, which takes minutes for gigabytes.
const quickCheckTimeout = 10 * time.Second

// checkIntegrity runs SQLite's integrity_check, or, unless the check is full, its quick_check within a limit, and looks for references to rows
// that are missing. It returns false if the time was up before everything was read; nothing was wrong until then.
func (c *maintenanceDB) checkIntegrity(ctx context.Context, check dbadmin.CheckOptions, limit time.Duration) (complete bool, err error) {
	pragma, bounded, cancel := "integrity_check", ctx, func() {}
	if !check.Full {
		pragma = "quick_check"
		bounded, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	defer reportProgress(check, dbadmin.StageChecking)()
	if err = c.findDamage(bounded, pragma); err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}

// reportProgress reports once a second that a stage goes on, until the function that it returns is called.
func reportProgress(check dbadmin.CheckOptions, stage dbadmin.Stage) (end func()) {
	if check.Progress == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				check.Progress(dbadmin.Progress{Stage: stage})
			case <-done:
				check.Progress(dbadmin.Progress{Stage: stage, Done: 1, Total: 1})
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (c *maintenanceDB) findDamage(ctx context.Context, pragma string) error {
	said, err := queryStrings(ctx, c.DB, "PRAGMA "+pragma+"(1)")
	if err != nil {
		return err
	}
	if len(said) != 1 || said[0] != "ok" {
		return errDamaged(fmt.Sprint(said))
	}
	broken, err := queryStrings(ctx, c.DB, `SELECT "table" || ' refers to a row of ' || parent || ' that is not there' FROM pragma_foreign_key_check LIMIT 1`)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return errDamaged("a row of " + broken[0])
	}
	return nil
}

// errUnreadable is what SQLite itself cannot read.
var errUnreadable = &domain.Error{Kind: domain.KindInvalid, Code: "database_damaged", Message: "this is a damaged SQLite database, or none"}

func errDamaged(how string) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "database_damaged", Message: "this database is damaged: " + how}
}

// publish gives the draft its name, on the disk before it returns. Nobody else's file is replaced that came in between.
func (d tempFile) publish(file string, replace bool) error {
	if err := syncPath(d.path); err != nil {
		return err
	}
	if replace {
		if err := os.Rename(d.path, file); err != nil {
			return err
		}
		return syncPath(filepath.Dir(file))
	}
	switch err := os.Link(d.path, file); {
	case errors.Is(err, fs.ErrExist):
		return errFileExists(file)
	case err != nil: // a file system without links
		if err := os.Rename(d.path, file); err != nil {
			return err
		}
	default:
		if err := os.Remove(d.path); err != nil {
			return err
		}
	}
	return syncPath(filepath.Dir(file))
}

// discard takes away what is left of the draft, if anything.
func (d tempFile) discard() {
	for _, suffix := range append([]string{""}, sidecars...) {
		_ = os.Remove(d.path + suffix) // in vain where all went well
	}
}

// syncPath makes sure that a file, or what a directory lists, is on the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// wrapFile turns what SQLite says of files that are none of its own, or damaged, into a fault of that file.
func wrapFile(path string, err error) error {
	if errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
