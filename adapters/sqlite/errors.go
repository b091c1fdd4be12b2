package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
)

// outages are the errors that come from outside: another process has the file, the disk is full or failing. The same
// call may succeed later, once the operator has done what stands beside them.
var outages = []struct {
	code   sqlite3.ErrorCode
	advice string
}{
	{sqlite3.BUSY, otherProcess}, {sqlite3.LOCKED, otherProcess}, {sqlite3.PROTOCOL, otherProcess},
	{sqlite3.FULL, fullOrFailing}, {sqlite3.IOERR, fullOrFailing},
	{sqlite3.CANTOPEN, notWritable}, {sqlite3.READONLY, notWritable}, {sqlite3.PERM, notWritable},
	{sqlite3.NOMEM, "give the process more memory"},
}

const (
	otherProcess  = "end the other process that holds the database, perhaps a shell with a transaction open"
	fullOrFailing = "make room on the disk of the database if it is full, else look into the system's log: the disk is failing"
	notWritable   = "let this process read and write the database and its directory"
)

// fault says what was being done when SQLite failed, whether it is an outage, and what to do about that.
func fault(doing string, err error) error {
	for _, outage := range outages {
		if errors.Is(err, outage.code) {
			return fmt.Errorf("%s: %w: %w; %s", doing, domain.ErrUnavailable, err, outage.advice)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// lookupFault is fault for queries that may find nothing, which is the error absent.
func lookupFault(doing string, err, absent error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return absent
	}
	return fault(doing, err)
}
