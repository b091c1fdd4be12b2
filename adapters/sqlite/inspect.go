package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Inspect implements dbadmin.Inspector.
func (f *File) Inspect(ctx context.Context, now time.Time, check dbadmin.CheckOptions) dbadmin.CheckResults {
	i := checks{path: f.path}
	found, err := f.nonEmpty()
	if err != nil {
		i.AddError("database.file", err.Error(), fmt.Sprintf("name another file in KEYLODGE_DATABASE_URL, or let user id %d reach this one", os.Geteuid()))
		return i.CheckResults
	}
	i.checkFolder()
	if !found {
		i.AddOK("database.file", "there is none at "+f.path+" yet; the first start makes it")
		return i.CheckResults
	}
	i.checkModes()
	db, err := f.open(ctx)
	if err != nil {
		i.AddError("database.open", err.Error(), "put the right file there, or restore a backup: keylodge restore FILE")
		return i.CheckResults
	}
	defer db.Close()
	i.checkContents(ctx, db, now, check)
	return i.CheckResults
}

// checks gathers findings about one file.
type checks struct {
	dbadmin.CheckResults
	path string
}

// Below these a disk is as good as full: a backup, an upgrade or a busy day needs more.
const (
	lowDiskSpace      = 512 << 20
	criticalDiskSpace = 32 << 20
)

func (i *checks) checkFolder() {
	folder := filepath.Dir(i.path)
	info, err := os.Stat(folder)
	if err != nil {
		i.AddError("database.folder", err.Error(), fmt.Sprintf("make the directory %s, for user id %d", folder, os.Geteuid()))
		return
	}
	probe, err := newTempFile(i.path)
	if err != nil {
		i.AddError("database.folder", err.Error(), fmt.Sprintf("let user id %d write to %s: SQLite keeps files beside the database", os.Geteuid(), folder))
		return
	}
	probe.discard()
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
		i.AddWarning("database.folder", fmt.Sprintf("others may write to %s (mode %o), and so replace the database", folder, mode.Perm()), "chmod go-w "+folder)
	} else {
		i.AddOK("database.folder", folder+" can be written to by this user")
	}
	switch free, known := freeSpace(folder); {
	case !known:
	case free < criticalDiskSpace:
		i.AddError("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "make room: without it nobody can sign in")
	case free < lowDiskSpace:
		i.AddWarning("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "make room before it is full")
	default:
		i.AddOK("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20))
	}
}

func (i *checks) checkModes() {
	for _, suffix := range append([]string{""}, sidecars...) {
		info, err := os.Stat(i.path + suffix)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			i.AddWarning("database.file", fmt.Sprintf("others may open %s (mode %o)", i.path+suffix, info.Mode().Perm()), "chmod 600 "+i.path+suffix)
			return
		}
	}
	i.AddOK("database.file", i.path+" is for its owner alone")
}

func (i *checks) checkContents(ctx context.Context, db *maintenanceDB, now time.Time, check dbadmin.CheckOptions) {
	known, err := allMigrations()
	if err != nil {
		i.AddError("database.schema", err.Error(), "this program is damaged: install it again")
		return
	}
	newest := newestVersion(known)
	version, err := db.verifySchema(ctx)
	switch {
	case err != nil:
		i.AddError("database.schema", wrapFile(i.path, err).Error(), "start the release that made it, or restore a backup: keylodge restore FILE")
		return
	case version < newest:
		i.AddWarning("database.schema", fmt.Sprintf("it is at version %d, and this program brings %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		i.AddWarning("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it may serve on it meanwhile", version, newest),
			"go on with the upgrade, or back with that release's: keylodge migrate down")
	default:
		i.AddOK("database.schema", fmt.Sprintf("it is at version %d, as this program wants it", version))
	}
	if err := db.exec(ctx, "BEGIN IMMEDIATE; ROLLBACK"); err != nil {
		i.AddError("database.writable", err.Error(), fmt.Sprintf("let user id %d write to it, or end what holds it", os.Geteuid()))
	} else {
		i.AddOK("database.writable", "it can be written to")
	}
	complete, err := db.checkIntegrity(ctx, check, quickCheckTimeout)
	if err != nil {
		i.AddError("database.integrity", wrapFile(i.path, err).Error(), "stop the server and restore the newest backup: keylodge restore FILE")
		return
	}
	if complete {
		i.AddOK("database.integrity", "it is whole")
	} else {
		i.AddOK("database.integrity", fmt.Sprintf("the check found nothing in %s; keylodge doctor --full checks all of it", quickCheckTimeout))
	}
	i.checkJournal(ctx, db)
	if version > 0 {
		i.checkTimes(ctx, db, now)
	}
}

func (i *checks) checkJournal(ctx context.Context, db *maintenanceDB) {
	mode, err := queryStrings(ctx, db, "PRAGMA journal_mode")
	switch wal, _ := os.Stat(i.path + "-wal"); {
	case err != nil:
		i.AddError("database.journal", err.Error(), "restore the newest backup: keylodge restore FILE")
	case mode[0] != "wal":
		i.AddWarning("database.journal", "its journal is in mode "+mode[0]+", not wal: no server has it open", "start the server, which sets the mode")
	case wal != nil && wal.Size() > lowDiskSpace:
		i.AddWarning("database.journal", fmt.Sprintf("its write-ahead log has grown to %d MB: somebody reads without an end", wal.Size()>>20), "end what reads it: a backup that hangs, a forgotten shell")
	default:
		i.AddOK("database.journal", "its journal is a write-ahead log")
	}
}

// What is further in the future than this is no matter of clocks that differ a little.
const clockTolerance = time.Minute

// cleanupOverdue is how long after its end a ceremony is still there only if nobody sweeps.
const cleanupOverdue = time.Hour

func (i *checks) checkTimes(ctx context.Context, db *maintenanceDB, now time.Time) {
	var latest column.Time
	var left int64
	err := db.QueryRowContext(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < ?)",
		micros(now.Add(-cleanupOverdue))).Scan(&latest, &left)
	if err != nil {
		i.AddError("clock", err.Error(), "restore the newest backup: keylodge restore FILE")
		return
	}
	if ahead := latest.Sub(now); !latest.IsZero() && ahead > clockTolerance {
		i.AddError("clock", fmt.Sprintf("the newest event in the database is %s in the future", ahead.Round(time.Second)), "set this machine's clock, and keep it set (NTP)")
	} else {
		i.AddOK("clock", "it agrees with what is in the database: "+now.Format(time.RFC3339))
	}
	if left > 0 {
		i.AddWarning("jobs", fmt.Sprintf("%d ceremonies that are long over have not been swept away", left), "start the server: it sweeps once a minute. If it runs, its log says why it cannot")
	} else {
		i.AddOK("jobs", "expired ceremonies are deleted")
	}
}
