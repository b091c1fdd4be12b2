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

// Save implements dbadmin.Backups with SQLite's online backup (https://sqlite.org/backup.html) in one snapshot. Without the snapshot the
// backup would restart after each write of another process, and never end on a busy server.
func (f *File) Save(ctx context.Context, file string, replace bool, check dbadmin.CheckOptions) (saved dbadmin.Inventory, err error) {
	source, err := f.open(ctx)
	if err != nil {
		return saved, err
	}
	defer source.Close()
	if _, err := source.requireKeylodge(ctx); err != nil {
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

// requireValidTarget returns an error if writing file would overwrite something that must be kept.
func (f *File) requireValidTarget(file string, replace bool) error {
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_file", Message: file + " is not a regular file; name another one"}
	case !replace:
		return errFileExists(file)
	}
	for _, suffix := range append([]string{""}, sidecars...) {
		if ownInfo, err := os.Stat(f.path + suffix); err == nil && os.SameFile(ownInfo, info) {
			return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_file", Message: file + " is the database itself; name another file"}
		}
	}
	return nil
}

func errFileExists(file string) error {
	return &domain.Error{Kind: domain.KindConflict, Code: "file_exists", Message: file + " already exists; name another file, or add --force to replace it"}
}

// copyTo copies the state of one moment into an empty file. Writers are not blocked, but cannot restart the write-ahead log meanwhile.
func (c *maintenanceDB) copyTo(ctx context.Context, file string, progress func(dbadmin.Progress)) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return c.raw(ctx, func(conn *sqlite3.Conn) (err error) {
		if err := conn.Exec("BEGIN; SELECT count(*) FROM sqlite_schema"); err != nil { // the query takes the snapshot
			return err
		}
		defer func() { err = errors.Join(err, conn.Exec("ROLLBACK")) }()
		backup, err := conn.BackupInit("main", fileURI(absolute, url.Values{"mode": {"rw"}, "modeof": {absolute}}))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, backup.Close()) }()
		target, err := os.OpenFile(absolute, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer target.Close()
		const pages = 1000 // a few megabytes between two checks of the context
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
			// Without this, gigabytes would reach the disk at the end, and each commit of the server would wait for seconds.
			if err := target.Sync(); err != nil {
				return err
			}
		}
	})
}

// tempFile is a file under a temporary name until it is complete.
type tempFile struct{ path string }

// newTempFile creates an empty file in the directory of file, for this user only.
func newTempFile(file string) (tempFile, error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".unfinished-*") // CreateTemp makes it 0600
	if err != nil {
		return tempFile{}, fmt.Errorf("creating a file in %s: %w", filepath.Dir(file), err)
	}
	return tempFile{f.Name()}, f.Close()
}

// verify checks that the file is a Keylodge database without damage and with valid references. It sets the journal mode so that the
// database is one file without a write-ahead log.
func (t tempFile) verify(ctx context.Context, check dbadmin.CheckOptions) (inventory dbadmin.Inventory, err error) {
	db, err := connectTo(ctx, t.path)
	if err != nil {
		return inventory, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.exec(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
		return inventory, err
	}
	version, err := db.requireKeylodge(ctx)
	if err != nil {
		return inventory, err
	}
	complete, err := db.checkIntegrity(ctx, check, quickCheckTimeout)
	if err != nil {
		return inventory, err
	}
	inventory, err = db.inventory(ctx, version)
	inventory.Unchecked = !complete
	return inventory, err
}

// quickCheckTimeout limits a check that is not full. quick_check reads every page, which takes minutes for gigabytes.
const quickCheckTimeout = 10 * time.Second

// checkIntegrity runs SQLite's integrity_check and checks references. Unless the check is full, it runs quick_check instead, until the
// timeout. It returns false if the timeout ended the check; until then it has found no problem.
func (c *maintenanceDB) checkIntegrity(ctx context.Context, check dbadmin.CheckOptions, timeout time.Duration) (complete bool, err error) {
	pragma, bounded, cancel := "integrity_check", ctx, func() {}
	if !check.Full {
		pragma = "quick_check"
		bounded, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	defer reportProgress(check, dbadmin.StageChecking)()
	if err = c.findDamage(bounded, pragma); err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}

// reportProgress reports once a second that a stage runs, until the returned function is called.
func reportProgress(check dbadmin.CheckOptions, stage dbadmin.Stage) (stop func()) {
	if check.Progress == nil {
		return func() {}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
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
	return func() { close(done); <-stopped }
}

func (c *maintenanceDB) findDamage(ctx context.Context, pragma string) error {
	messages, err := queryStrings(ctx, c.DB, "PRAGMA "+pragma+"(1)")
	if err != nil {
		return err
	}
	if len(messages) != 1 || messages[0] != "ok" {
		return errDamaged(fmt.Sprint(messages))
	}
	broken, err := queryStrings(ctx, c.DB, `SELECT "table" || ' refers to a missing row of ' || parent FROM pragma_foreign_key_check LIMIT 1`)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return errDamaged("a row of " + broken[0])
	}
	return nil
}

// errUnreadable is returned for a file that SQLite cannot read.
var errUnreadable = &domain.Error{Kind: domain.KindInvalid, Code: "database_damaged", Message: "this file is a damaged SQLite database, or not a database"}

func errDamaged(problem string) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "database_damaged", Message: "this database is damaged: " + problem}
}

// publish renames the file and syncs its directory. Without replace it does not overwrite a file that another process has created.
func (t tempFile) publish(file string, replace bool) error {
	if err := syncPath(t.path); err != nil {
		return err
	}
	if replace {
		if err := os.Rename(t.path, file); err != nil {
			return err
		}
		return syncPath(filepath.Dir(file))
	}
	switch err := os.Link(t.path, file); {
	case errors.Is(err, fs.ErrExist):
		return errFileExists(file)
	case err != nil: // the file system has no hard links
		if err := os.Rename(t.path, file); err != nil {
			return err
		}
	default:
		if err := os.Remove(t.path); err != nil {
			return err
		}
	}
	return syncPath(filepath.Dir(file))
}

// discard removes the file, if it still exists, and its sidecars.
func (t tempFile) discard() {
	for _, suffix := range append([]string{""}, sidecars...) {
		_ = os.Remove(t.path + suffix) // most of them do not exist
	}
}

// syncPath writes a file, or the entries of a directory, to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// wrapFile adds the path, and errUnreadable if SQLite cannot read the file.
func wrapFile(path string, err error) error {
	if errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
