package ports

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Backups saves what the store holds in a file, and brings it back. An engine whose own tools are better at it refuses,
// with a domain.Error that says which.
type Backups interface {
	// Save writes the state of one moment, no earlier than the call, to a new file for this user alone, while others read and
	// write. The file is checked, and is there whole or not at all. One of that name is replaced if replace says so; otherwise it
	// is a conflict.
	Save(ctx context.Context, file string, replace bool, check Check) (Inventory, error)
	// Prepare checks a backup and makes it ready to replace the store. Nothing is replaced before Commit. A file that is
	// damaged, or of something else, is an error of domain.KindInvalid, and one that this program is too old for a conflict.
	Prepare(ctx context.Context, file string) (Restoration, error)
}

// Check says how thoroughly a whole database is checked, and follows operations that take minutes on a large one.
type Check struct {
	// Full reads all of it, however long that takes. Otherwise the check ends after a few seconds with what it has found by then.
	Full bool
	// Progress is called about once a second; nil: not at all.
	Progress func(Progress)
}

// Progress is how far a stage of an operation is, in pages of the database. Total is 0 where it is not known.
type Progress struct {
	Stage       Stage
	Done, Total int64
}

// Stage is a part of a long operation.
type Stage string

const (
	StageCopying  Stage = "copying"
	StageChecking Stage = "checking"
)

// Restoration is a backup that is ready to replace the store.
type Restoration interface {
	Backup() Inventory
	// Present is what would be replaced: nil for nothing, and an Inventory without anything in it for what cannot be read.
	Present(ctx context.Context) (*Inventory, error)
	// Commit replaces the store, all of it or, on an error, nothing. While anybody else has the store open, that is a conflict.
	// It returns the file in which what was there is kept: "" if there was nothing.
	Commit(ctx context.Context) (kept string, err error)
	// Discard takes away what Prepare made. After Commit it does nothing.
	Discard() error
}

// Inventory says what a store, or a backup of one, holds.
type Inventory struct {
	Bytes       int64
	Pages       int64 // as the engine counts them
	Schema      int   // version
	Users       int64
	Passkeys    int64
	LatestEvent time.Time // zero if there is none
	SigningKeys domain.SigningKeys
	Unchecked   bool // the check ended before it had read all of it
}

// Schema is the form of what is stored, in versions.
type Schema interface {
	// Status lists the migrations that this program has, the first one first, and after them the last one of a newer release
	// that has made the store, if this program may serve on it. If it may not, that is a conflict.
	Status(ctx context.Context) ([]Migration, error)
	// Up brings the store to the newest version, also while others use it, and returns what was missing.
	Up(ctx context.Context) ([]Migration, error)
	// Rehearse finds out what Down would lose, and changes nothing.
	Rehearse(ctx context.Context) (Loss, error)
	// Down takes the newest migration back. While anybody else has the store open, with none left, and with one that this
	// program does not know, that is a conflict.
	Down(ctx context.Context) (Loss, error)
}

// Migration is a step from one version of the schema to the next.
type Migration struct {
	Version int
	Name    string
	Applied bool
	Newer   bool // it was brought by a newer release: this program knows its number only
}

// Loss is what goes when a migration is taken back.
type Loss struct {
	Migration Migration
	Rows      map[string]int64 // by table, without those that lose none
	Tables    []string         // by name, also those that are empty
	Columns   []string         // as table.column, of tables that stay
}

// Inspection looks at the storage from below: its files or its server, its version, its clock. It changes nothing, and
// needs no store that can be opened.
type Inspection interface {
	// Inspect returns what it found, from the foundation up; what rests on a fault is not looked at.
	Inspect(ctx context.Context, now time.Time, check Check) Findings
}

// Finding is what a look at one thing has found.
type Finding struct {
	Check  string // what was looked at: a stable name
	State  FindingState
	Found  string // in a sentence
	Advice string // what to do; "" if nothing
}

// FindingState says how bad a finding is.
type FindingState string

const (
	FindingOK      FindingState = "ok"
	FindingWarning FindingState = "warning" // it works, and may not tomorrow or not as meant
	FindingFault   FindingState = "fault"   // it does not work
)

// Findings are gathered one by one.
type Findings []Finding

func (f *Findings) OK(check, found string) { *f = append(*f, Finding{check, FindingOK, found, ""}) }

func (f *Findings) Warn(check, found, advice string) {
	*f = append(*f, Finding{check, FindingWarning, found, advice})
}

func (f *Findings) Fault(check, found, advice string) {
	*f = append(*f, Finding{check, FindingFault, found, advice})
}

// Faulty reports whether any finding is a fault.
func (f Findings) Faulty() bool {
	return slices.ContainsFunc(f, func(one Finding) bool { return one.State == FindingFault })
}
