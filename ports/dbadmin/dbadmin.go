// Package dbadmin is the port through which the operator's tools use a database as a whole: backup and restore, schema, and
// checks. The database adapters implement it, and the command line and the doctor use it. No use case does.
package dbadmin

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Backups saves a database in a file, and restores it from one. An adapter whose engine has better tools of its own returns a
// domain.Error that names them.
type Backups interface {
	// Save writes a snapshot of the database to a new file that only this user may read, while others read and write. The
	// snapshot contains all transactions that were committed before the call. The file is checked, and appears complete or not
	// at all. Save replaces an existing file if replace is set; otherwise it returns an error of domain.KindConflict.
	Save(ctx context.Context, file string, replace bool, check CheckOptions) (Inventory, error)
	// PrepareRestore checks a backup and prepares it to replace the database. It replaces nothing before Commit. It returns an
	// error of domain.KindInvalid if the file is damaged or no backup, and of domain.KindConflict if its schema is newer than
	// this program.
	PrepareRestore(ctx context.Context, file string) (PreparedRestore, error)
}

// Setting is a setting of the server, as it is in effect.
type Setting struct {
	Name   string
	Value  string // "" if it is unset, or a secret
	Origin string // "environment", "default", or the name of a file
	Hidden bool   // the value is or contains a secret, which is left out
}

// CheckOptions says how thoroughly a database is checked, and reports the progress of operations that take minutes on a large
// one.
type CheckOptions struct {
	// Full reads the whole database, which may take minutes. Otherwise the check ends after a few seconds with what it has
	// found until then.
	Full bool
	// Progress is called about once a second; nil: never.
	Progress func(Progress)
}

// Progress is the progress of one stage of an operation, in pages of the database. Total is 0 if it is unknown.
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

// PreparedRestore is a checked backup that can replace the database.
type PreparedRestore interface {
	Backup() Inventory
	// Current returns what Commit will replace: nil if there is no database, an empty Inventory if it cannot be read.
	Current(ctx context.Context) (*Inventory, error)
	// Commit replaces the whole database or, on an error, nothing. It returns an error of domain.KindConflict while another
	// process has the database open. It returns the file that keeps the replaced database, "" if there was none.
	Commit(ctx context.Context) (kept string, err error)
	// Discard deletes the temporary files of PrepareRestore. After Commit it does nothing.
	Discard() error
}

// Inventory is a summary of a database or of a backup.
type Inventory struct {
	Bytes       int64
	Pages       int64 // of the engine
	Schema      int   // version
	Users       int64
	Passkeys    int64
	LatestEvent time.Time // zero if there is none
	SigningKeys domain.SigningKeys
	Unchecked   bool // the check ended before it had read all pages
}

// Schema reads and changes the version of a database's schema.
type Schema interface {
	// Status lists the migrations of this program, the oldest first. If a newer release has upgraded the schema and this program
	// may still use it, the last item is the newest migration of that release; if it may not, Status returns an error of
	// domain.KindConflict.
	Status(ctx context.Context) ([]Migration, error)
	// Up applies all pending migrations, also while others use the database, and returns them.
	Up(ctx context.Context) ([]Migration, error)
	// DryRunDown returns the data that Down would delete, and changes nothing.
	DryRunDown(ctx context.Context) (DataLoss, error)
	// Down reverts the newest migration. It returns an error of domain.KindConflict while another process has the database open,
	// if no migration is applied, and if the newest one is unknown to this program.
	Down(ctx context.Context) (DataLoss, error)
}

// Migration is a step from one version of the schema to the next.
type Migration struct {
	Version int
	Name    string
	Applied bool
	Newer   bool // a newer release applied it: this program knows only its version
}

// DataLoss is the data that reverting a migration deletes.
type DataLoss struct {
	Migration Migration
	Rows      map[string]int64 // by table; tables that lose no row are left out
	Tables    []string         // deleted tables by name, also empty ones
	Columns   []string         // deleted columns of other tables, as table.column
}

// Inspector checks the files or the server of a database, its version and its clock. It changes nothing, and works also if
// the database cannot be opened as a store.
type Inspector interface {
	// Inspect runs the checks in the order in which they depend on each other. It skips those that depend on a failed one.
	Inspect(ctx context.Context, now time.Time, check CheckOptions) CheckResults
}

// CheckResult is the result of one check.
type CheckResult struct {
	Name    string // of the check; stable
	Status  CheckStatus
	Message string // what was found, in a sentence
	Advice  string // what to do; "" for nothing
}

// CheckStatus is the severity of a result.
type CheckStatus string

const (
	CheckOK      CheckStatus = "ok"
	CheckWarning CheckStatus = "warning" // works, but may fail later or not work as intended
	CheckError   CheckStatus = "error"   // does not work
)

// CheckResults collects results.
type CheckResults []CheckResult

func (r *CheckResults) AddOK(check, message string) {
	*r = append(*r, CheckResult{check, CheckOK, message, ""})
}

func (r *CheckResults) AddWarning(check, message, advice string) {
	*r = append(*r, CheckResult{check, CheckWarning, message, advice})
}

func (r *CheckResults) AddError(check, message, advice string) {
	*r = append(*r, CheckResult{check, CheckError, message, advice})
}

// HasErrors reports whether any check failed.
func (r CheckResults) HasErrors() bool {
	return slices.ContainsFunc(r, func(result CheckResult) bool { return result.Status == CheckError })
}
