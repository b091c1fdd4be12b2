package sqlite

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
)

// condition is the meaning of a result code of SQLite (https://www.sqlite.org/rescode.html) while the server runs. It includes the
// code's extended codes.
type condition struct {
	code   sqlite3.ErrorCode
	name   string
	outage bool   // the same call may succeed later: domain.ErrUnavailable, and 503 instead of 500
	advice string // for the operator, in the log
}

// conditions lists the result codes with a meaning of their own. For any other, a client gets 500 internal and the log has SQLite's
// message. docs/operations/sqlite.md has the same table.
var conditions = []condition{
	{sqlite3.BUSY, "BUSY", true, otherProcess},
	{sqlite3.LOCKED, "LOCKED", true, otherProcess},
	{sqlite3.PROTOCOL, "PROTOCOL", true, otherProcess},
	{sqlite3.FULL, "FULL", true, fullOrFailing},
	{sqlite3.IOERR, "IOERR", true, fullOrFailing},
	{sqlite3.CANTOPEN, "CANTOPEN", true, notWritable},
	{sqlite3.READONLY, "READONLY", true, notWritable},
	{sqlite3.PERM, "PERM", true, notWritable},
	{sqlite3.AUTH, "AUTH", true, notWritable},
	{sqlite3.NOMEM, "NOMEM", true, "give the process more memory"},
	{sqlite3.NOLFS, "NOLFS", true, "move the database to a file system that supports large files"},
	{sqlite3.CORRUPT, "CORRUPT", false, damaged},
	{sqlite3.NOTADB, "NOTADB", false, damaged},
}

const (
	otherProcess  = "stop the other process that has locked the database, perhaps a shell with an open transaction"
	fullOrFailing = "free space on the disk of the database if it is full, else read the system's log: the disk is failing"
	notWritable   = "give this process permission to read and write the database and its directory"
	damaged       = "the file is damaged: stop the server, keep a copy of the file, and restore a backup (keylodge restore); then look for the cause"
)

// wrap adds the operation that failed, domain.ErrUnavailable if the error is an outage, and the advice for the operator.
func wrap(operation string, err error) error {
	for _, c := range conditions {
		if !errors.Is(err, c.code) {
			continue
		}
		if c.outage {
			return fmt.Errorf("%s: %w: %w; %s", operation, domain.ErrUnavailable, err, c.advice)
		}
		return fmt.Errorf("%s: %w; %s", operation, err, c.advice)
	}
	return fmt.Errorf("%s: %w", operation, err)
}
