package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
)

// outages are the errors that come from outside: another process has the file, the disk is full or failing. The same
// call may succeed later.
var outages = []sqlite3.ErrorCode{
	sqlite3.BUSY, sqlite3.LOCKED, sqlite3.PROTOCOL,
	sqlite3.FULL, sqlite3.IOERR, sqlite3.NOMEM, sqlite3.CANTOPEN, sqlite3.READONLY, sqlite3.PERM,
}

// fault says what was being done when SQLite failed, and whether it is an outage.
func fault(doing string, err error) error {
	for _, code := range outages {
		if errors.Is(err, code) {
			return fmt.Errorf("%s: %w: %w", doing, domain.ErrUnavailable, err)
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
