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
	Save(ctx context.Context, file string, replace bool, check CheckOptions) (Inventory, error)
	// PrepareRestore checks a backup and makes it ready to replace the store. Nothing is replaced before Commit. A file that is
	// damaged, or of something else, is an error of domain.KindInvalid, and one that this program is too old for a conflict.
	PrepareRestore(ctx context.Context, file string) (PreparedRestore, error)
}

// CheckOptions says how thoroughly a whole database is checked, and follows operations that take minutes on a large one.
type CheckOptions struct {
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

// PreparedRestore is a backup that is ready to replace the store.
type PreparedRestore interface {
	Backup() Inventory
	// Current is what would be replaced: nil for nothing, and an Inventory without anything in it for what cannot be read.
	Current(ctx context.Context) (*Inventory, error)
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
	// DryRunDown finds out what Down would lose, and changes nothing.
	DryRunDown(ctx context.Context) (DataLoss, error)
	// Down takes the newest migration back. While anybody else has the store open, with none left, and with one that this
	// program does not know, that is a conflict.
	Down(ctx context.Context) (DataLoss, error)
}

// Migration is a step from one version of the schema to the next.
type Migration struct {
	Version int
	Name    string
	Applied bool
	Newer   bool // it was brought by a newer release: this program knows its number only
}

// DataLoss is what goes when a migration is taken back.
type DataLoss struct {
	Migration Migration
	Rows      map[string]int64 // by table, without those that lose none
	Tables    []string         // by name, also those that are empty
	Columns   []string         // as table.column, of tables that stay
}

// Inspector looks at the storage from below: its files or its server, its version, its clock. It changes nothing, and
// needs no store that can be opened.
type Inspector interface {
	// Inspect returns what it found, from the foundation up; what rests on a fault is not looked at.
	Inspect(ctx context.Context, now time.Time, check CheckOptions) CheckResults
}

// CheckResult is what a look at one thing has found.
type CheckResult struct {
	Name    string // what was looked at: a stable name
	Status  CheckStatus
	Message string // in a sentence
	Advice  string // what to do; "" if nothing
}

// CheckStatus says how bad a finding is.
type CheckStatus string

const (
	CheckOK      CheckStatus = "ok"
	CheckWarning CheckStatus = "warning" // it works, and may not tomorrow or not as meant
	CheckError   CheckStatus = "error"   // it does not work
)

// CheckResults are gathered one by one.
type CheckResults []CheckResult

func (f *CheckResults) AddOK(check, found string) {
	*f = append(*f, CheckResult{check, CheckOK, found, ""})
}

func (f *CheckResults) AddWarning(check, found, advice string) {
	*f = append(*f, CheckResult{check, CheckWarning, found, advice})
}

func (f *CheckResults) AddError(check, found, advice string) {
	*f = append(*f, CheckResult{check, CheckError, found, advice})
}

// HasErrors reports whether any finding is a fault.
func (f CheckResults) HasErrors() bool {
	return slices.ContainsFunc(f, func(one CheckResult) bool { return one.Status == CheckError })
}
