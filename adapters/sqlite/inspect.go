package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Inspect implements dbadmin.Inspector.
func (f *File) Inspect(ctx context.Context, now time.Time, check dbadmin.CheckOptions) dbadmin.CheckResults {
	// Check database.file: the file of the database exists, and only its owner can open it.
	c := checks{path: f.path}
	found, err := f.nonEmpty()
	if err != nil {
		c.AddError("database.file", err.Error(), fmt.Sprintf("name another file in KEYLODGE_DATABASE_URL, or allow user id %d to open this one", os.Geteuid()))
		return c.CheckResults
	}
	c.checkFolder()
	if !found {
		c.AddOK("database.file", "there is no database at "+f.path+" yet; the first start creates it")
		return c.CheckResults
	}
	c.checkModes()
	db, err := f.open(ctx)
	if err != nil {
		c.AddError("database.open", err.Error(), "correct KEYLODGE_DATABASE_URL, or restore a backup: keylodge restore FILE")
		return c.CheckResults
	}
	defer db.Close()
	c.checkContents(ctx, db, now, check)
	return c.CheckResults
}

// checks collects the results of the checks of one file.
type checks struct {
	dbadmin.CheckResults
	path string
}

// Limits of the free disk space. A backup, an upgrade or a busy day needs more.
const (
	lowDiskSpace      = 512 << 20
	criticalDiskSpace = 32 << 20
)

func (c *checks) checkFolder() {
	// Check database.folder: the server can create files next to the database, and other users cannot.
	// Check database.disk: enough space is left on the disk of the database. On a full disk every write fails:
	// docs/runbooks/disk-full.md.
	folder := filepath.Dir(c.path)
	info, err := os.Stat(folder)
	if err != nil {
		c.AddError("database.folder", err.Error(), fmt.Sprintf("create the directory %s, for user id %d", folder, os.Geteuid()))
		return
	}
	probe, err := newTempFile(c.path)
	if err != nil {
		c.AddError("database.folder", err.Error(), fmt.Sprintf("allow user id %d to write to %s: SQLite creates files next to the database", os.Geteuid(), folder))
		return
	}
	probe.discard()
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
		c.AddWarning("database.folder", fmt.Sprintf("other users can write to %s (mode %o), and so replace the database", folder, mode.Perm()), "chmod go-w "+folder)
	} else {
		c.AddOK("database.folder", "this user can write to "+folder)
	}
	switch free, known := freeSpace(folder); {
	case !known:
	case free < criticalDiskSpace:
		c.AddError("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "free space on the disk: no sign-in is possible when it is full")
	case free < lowDiskSpace:
		c.AddWarning("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "free space on the disk before it is full")
	default:
		c.AddOK("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20))
	}
}

func (c *checks) checkModes() {
	for _, suffix := range append([]string{""}, sidecars...) {
		info, err := os.Stat(c.path + suffix)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			c.AddWarning("database.file", fmt.Sprintf("other users can open %s (mode %o)", c.path+suffix, info.Mode().Perm()), "chmod 600 "+c.path+suffix)
			return
		}
	}
	c.AddOK("database.file", "only its owner can open "+c.path)
}

func (c *checks) checkContents(ctx context.Context, db *maintenanceDB, now time.Time, check dbadmin.CheckOptions) {
	// Check database.schema: this release can run on the schema of the database: docs/operations/upgrade-and-roll-back.md.
	// Check database.writable: the server can write to the database: docs/runbooks/database-locked.md.
	// Check database.integrity: SQLite finds no damage in the file. The check ends after ten seconds without --full.
	known, err := sqlstore.Migrations(SchemaFiles)
	if err != nil {
		c.AddError("database.schema", err.Error(), "the program is damaged: reinstall it")
		return
	}
	newest := sqlstore.NewestVersion(known)
	version, err := db.verifySchema(ctx)
	switch {
	case err != nil:
		c.AddError("database.schema", wrapFile(c.path, err).Error(), "start the release that created it, or set KEYLODGE_DATABASE_URL to another file, or restore a backup: keylodge restore FILE")
		return
	case version < newest:
		c.AddWarning("database.schema", fmt.Sprintf("it is at version %d, and this program upgrades it to %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		c.AddWarning("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it can run on this schema", version, newest),
			"finish the upgrade, or revert it with the newer release: keylodge migrate down")
	default:
		c.AddOK("database.schema", fmt.Sprintf("it is at version %d, which is current", version))
	}
	if err := db.exec(ctx, "BEGIN IMMEDIATE; ROLLBACK"); err != nil {
		c.AddError("database.writable", err.Error(), fmt.Sprintf("allow user id %d to write to it, or stop the process that has locked it", os.Geteuid()))
	} else {
		c.AddOK("database.writable", "this user can write to it")
	}
	complete, err := db.checkIntegrity(ctx, check, quickCheckTimeout)
	if err != nil {
		c.AddError("database.integrity", wrapFile(c.path, err).Error(), "stop the server and restore the newest backup: keylodge restore FILE")
		return
	}
	if complete {
		c.AddOK("database.integrity", "the integrity check passed")
	} else {
		c.AddOK("database.integrity", fmt.Sprintf("the integrity check found no problem in %s; keylodge doctor --full checks the whole file", quickCheckTimeout))
	}
	c.checkJournal(ctx, db)
	if version > 0 {
		c.checkTimes(ctx, db, now)
	}
}

func (c *checks) checkJournal(ctx context.Context, db *maintenanceDB) {
	// Check database.journal: the database uses a write-ahead log, and no process prevents that it is truncated.
	mode, err := queryStrings(ctx, db, "PRAGMA journal_mode")
	switch wal, _ := os.Stat(c.path + "-wal"); {
	case err != nil:
		c.AddError("database.journal", err.Error(), "restore the newest backup: keylodge restore FILE")
	case mode[0] != "wal":
		c.AddWarning("database.journal", "its journal mode is "+mode[0]+", not wal: no server has it open", "start the server, which sets the mode")
	case wal != nil && wal.Size() > lowDiskSpace:
		c.AddWarning("database.journal", fmt.Sprintf("its write-ahead log has grown to %d MB: a process never ends its read transaction", wal.Size()>>20), "stop the process that reads it, for example a backup that hangs or an open shell")
	default:
		c.AddOK("database.journal", "its journal mode is wal")
	}
}

// clockTolerance is how far in the future an event may be, since clocks differ a little.
const clockTolerance = time.Minute

// cleanupOverdue is how long after its end a challenge still exists only if no server deletes expired challenges.
const cleanupOverdue = time.Hour

func (c *checks) checkTimes(ctx context.Context, db *maintenanceDB, now time.Time) {
	// Check clock: the clock of this machine agrees with the database. A wrong clock ends sessions, codes and tokens too early or
	// too late.
	// Check jobs: the server deletes expired data once a minute.
	var latest column.Time
	var overdue int64
	err := db.QueryRowContext(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < ?)",
		micros(now.Add(-cleanupOverdue))).Scan(&latest, &overdue)
	if err != nil {
		c.AddError("clock", err.Error(), "restore the newest backup: keylodge restore FILE")
		return
	}
	if ahead := latest.Sub(now); !latest.IsZero() && ahead > clockTolerance {
		c.AddError("clock", fmt.Sprintf("the newest event in the database is %s in the future", ahead.Round(time.Second)), "synchronise this machine's clock (NTP)")
	} else {
		c.AddOK("clock", "no event in the database is later: "+now.Format(time.RFC3339))
	}
	if overdue > 0 {
		c.AddWarning("jobs", fmt.Sprintf("%d expired challenges have not been deleted", overdue), "start the server: it deletes expired data once a minute. If it runs, its log says why it cannot")
	} else {
		c.AddOK("jobs", "expired challenges are deleted")
	}
}
