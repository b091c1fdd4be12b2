package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// Inspect implements ports.Inspection.
func (f *File) Inspect(ctx context.Context, now time.Time, check ports.Check) ports.Findings {
	i := inspection{path: f.path}
	found, err := f.holdsSomething()
	if err != nil {
		i.Fault("database.file", err.Error(), fmt.Sprintf("name another file in KEYLODGE_DATABASE_URL, or let user id %d reach this one", os.Geteuid()))
		return i.Findings
	}
	i.lookAtFolder()
	if !found {
		i.OK("database.file", "there is none at "+f.path+" yet; the first start makes it")
		return i.Findings
	}
	i.lookAtModes()
	db, err := f.open(ctx)
	if err != nil {
		i.Fault("database.open", err.Error(), "put the right file there, or restore a backup: keylodge restore FILE")
		return i.Findings
	}
	defer db.Close()
	i.lookInside(ctx, db, now, check)
	return i.Findings
}

// inspection gathers findings about one file.
type inspection struct {
	ports.Findings
	path string
}

// Below these a disk is as good as full: a backup, an upgrade or a busy day needs more.
const (
	scarce   = 512 << 20
	tooScant = 32 << 20
)

func (i *inspection) lookAtFolder() {
	folder := filepath.Dir(i.path)
	info, err := os.Stat(folder)
	if err != nil {
		i.Fault("database.folder", err.Error(), fmt.Sprintf("make the directory %s, for user id %d", folder, os.Geteuid()))
		return
	}
	probe, err := newDraft(i.path)
	if err != nil {
		i.Fault("database.folder", err.Error(), fmt.Sprintf("let user id %d write to %s: SQLite keeps files beside the database", os.Geteuid(), folder))
		return
	}
	probe.discard()
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
		i.Warn("database.folder", fmt.Sprintf("others may write to %s (mode %o), and so replace the database", folder, mode.Perm()), "chmod go-w "+folder)
	} else {
		i.OK("database.folder", folder+" can be written to by this user")
	}
	switch free, known := freeSpace(folder); {
	case !known:
	case free < tooScant:
		i.Fault("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "make room: without it nobody can sign in")
	case free < scarce:
		i.Warn("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20), "make room before it is full")
	default:
		i.OK("database.disk", fmt.Sprintf("%d MB are left on the disk", free>>20))
	}
}

func (i *inspection) lookAtModes() {
	for _, suffix := range append([]string{""}, sidecars...) {
		info, err := os.Stat(i.path + suffix)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			i.Warn("database.file", fmt.Sprintf("others may open %s (mode %o)", i.path+suffix, info.Mode().Perm()), "chmod 600 "+i.path+suffix)
			return
		}
	}
	i.OK("database.file", i.path+" is for its owner alone")
}

func (i *inspection) lookInside(ctx context.Context, db *single, now time.Time, check ports.Check) {
	known, err := allMigrations()
	if err != nil {
		i.Fault("database.schema", err.Error(), "this program is damaged: install it again")
		return
	}
	newest := newestVersion(known)
	version, err := db.recognise(ctx)
	switch {
	case err != nil:
		i.Fault("database.schema", explainUpkeep(i.path, err).Error(), "start the release that made it, or restore a backup: keylodge restore FILE")
		return
	case version < newest:
		i.Warn("database.schema", fmt.Sprintf("it is at version %d, and this program brings %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		i.Warn("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it may serve on it meanwhile", version, newest),
			"go on with the upgrade, or back with that release's: keylodge migrate down")
	default:
		i.OK("database.schema", fmt.Sprintf("it is at version %d, as this program wants it", version))
	}
	if err := db.exec(ctx, "BEGIN IMMEDIATE; ROLLBACK"); err != nil {
		i.Fault("database.writable", err.Error(), fmt.Sprintf("let user id %d write to it, or end what holds it", os.Geteuid()))
	} else {
		i.OK("database.writable", "it can be written to")
	}
	complete, err := db.checkIntegrity(ctx, check, quickCheckTime)
	if err != nil {
		i.Fault("database.integrity", explainUpkeep(i.path, err).Error(), "stop the server and restore the newest backup: keylodge restore FILE")
		return
	}
	if complete {
		i.OK("database.integrity", "it is whole")
	} else {
		i.OK("database.integrity", fmt.Sprintf("the check found nothing in %s; keylodge doctor --full checks all of it", quickCheckTime))
	}
	i.lookAtJournal(ctx, db)
	if version >= 2 {
		i.lookAtTimes(ctx, db, now)
	}
}

func (i *inspection) lookAtJournal(ctx context.Context, db *single) {
	mode, err := texts(ctx, db, "PRAGMA journal_mode")
	switch wal, _ := os.Stat(i.path + "-wal"); {
	case err != nil:
		i.Fault("database.journal", err.Error(), "restore the newest backup: keylodge restore FILE")
	case mode[0] != "wal":
		i.Warn("database.journal", "its journal is in mode "+mode[0]+", not wal: no server has it open", "start the server, which sets the mode")
	case wal != nil && wal.Size() > scarce:
		i.Warn("database.journal", fmt.Sprintf("its write-ahead log has grown to %d MB: somebody reads without an end", wal.Size()>>20), "end what reads it: a backup that hangs, a forgotten shell")
	default:
		i.OK("database.journal", "its journal is a write-ahead log")
	}
}

// What is further in the future than this is no matter of clocks that differ a little.
const tolerance = time.Minute

// overdue is how long after its end a ceremony is still there only if nobody sweeps.
const overdue = time.Hour

func (i *inspection) lookAtTimes(ctx context.Context, db *single, now time.Time) {
	var latest *int64
	var left int64
	err := db.QueryRowContext(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < ?)",
		micros(now.Add(-overdue))).Scan(&latest, &left)
	if err != nil {
		i.Fault("clock", err.Error(), "restore the newest backup: keylodge restore FILE")
		return
	}
	if ahead := optionalTime(latest).Sub(now); latest != nil && ahead > tolerance {
		i.Fault("clock", fmt.Sprintf("the newest event in the database is %s in the future", ahead.Round(time.Second)), "set this machine's clock, and keep it set (NTP)")
	} else {
		i.OK("clock", "it agrees with what is in the database: "+now.Format(time.RFC3339))
	}
	if left > 0 {
		i.Warn("jobs", fmt.Sprintf("%d ceremonies that are long over have not been swept away", left), "start the server: it sweeps once a minute. If it runs, its log says why it cannot")
	} else {
		i.OK("jobs", "expired ceremonies are deleted")
	}
}
