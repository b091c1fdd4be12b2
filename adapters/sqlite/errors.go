package sqlite

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
)

// condition is what a result code of SQLite (https://www.sqlite.org/rescode.html) means while the server runs. A code stands
// for its extended codes, too.
type condition struct {
	code   sqlite3.ErrorCode
	name   string
	outage bool   // the cause is outside and the same call may succeed later: domain.ErrUnavailable, and 503 instead of 500
	advice string // to the operator, in the log
}

// conditions holds every result code that has a meaning here. Of any other, a client gets 500 internal and the log SQLite's
// message. docs/storage.md has the same table.
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
	{sqlite3.NOLFS, "NOLFS", true, "move the database to a file system that takes large files"},
	{sqlite3.CORRUPT, "CORRUPT", false, damaged},
	{sqlite3.NOTADB, "NOTADB", false, damaged},
}

const (
	otherProcess  = "end the other process that holds the database, perhaps a shell with a transaction open"
	fullOrFailing = "make room on the disk of the database if it is full, else look into the system's log: the disk is failing"
	notWritable   = "let this process read and write the database and its directory"
	damaged       = "the file is damaged: stop the server, keep a copy of the file, and restore a backup (keylodge restore); then look for the cause"
)

// wrap says what was being done when SQLite failed, whether it is an outage, and what to do about it.
func wrap(doing string, err error) error {
	for _, c := range conditions {
		if !errors.Is(err, c.code) {
			continue
		}
		if c.outage {
			return fmt.Errorf("%s: %w: %w; %s", doing, domain.ErrUnavailable, err, c.advice)
		}
		return fmt.Errorf("%s: %w; %s", doing, err, c.advice)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
