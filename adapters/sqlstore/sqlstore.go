// Package sqlstore implements the collections of ports.Tx on the queries that sqlc generates, once for both SQL databases. The
// adapters sqlite and postgres provide connections, transactions, errors and the queries. schema.go has what their commands about
// migrations share.
//
// sqlc generates the same rows and parameters for both (see sqlc.yaml); those of SQLite are the ones that this package uses. The
// adapter postgres converts its own to them, which does not compile if a column differs.
package sqlstore

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/ports"
)

// New returns the collections of a transaction in which q runs. wrap adds the operation to an error of q, and
// domain.ErrUnavailable if the database is unavailable. A query without a result returns sql.ErrNoRows.
func New(q sqlitedb.Querier, wrap func(operation string, err error) error) ports.Tx {
	c := collection{q, wrap}
	return ports.Tx{
		Users:              users{c},
		Credentials:        credentials{c},
		Challenges:         challenges{c},
		Sessions:           sessions{c},
		Events:             events{c},
		SigningKeys:        signingKeys{c},
		APIKeys:            apiKeys{c},
		Invites:            invites{c},
		TOTPs:              totps{c},
		BackupCodes:        backupCodes{c},
		RecoveryGrants:     recoveryGrants{c},
		AuthorizationCodes: authorizationCodes{c},
		Lockouts:           lockouts{c},
		OutboxEmails:       outboxEmails{c},
		Leases:             leases{c},
	}
}

type collection struct {
	q        sqlitedb.Querier
	wrapFunc func(operation string, err error) error
}

// wrap returns nil for no error.
func (c collection) wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return c.wrapFunc(operation, err)
}

// wrapNotFound is wrap for a query that may have no result, which is the error notFound.
func (c collection) wrapNotFound(operation string, err, notFound error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound
	}
	return c.wrap(operation, err)
}

// affected is wrap for a statement that returns the error none if it has changed no row.
func (c collection) affected(operation string, rows int64, err, none error) error {
	if err == nil && rows == 0 {
		return none
	}
	return c.wrap(operation, err)
}

// restoreAll restores the aggregates of the rows, in their order.
func restoreAll[Row, Aggregate any](rows []Row, restore func(Row) (*Aggregate, error)) ([]*Aggregate, error) {
	all := make([]*Aggregate, len(rows))
	for i, row := range rows {
		var err error
		if all[i], err = restore(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// decoder decodes the columns of a row and keeps the first error.
type decoder struct{ err error }

func (d *decoder) fail(column string, err error) {
	if d.err == nil && err != nil {
		d.err = fmt.Errorf("column %s: %w", column, err)
	}
}

// bytes fills an array from a column of that length; NULL leaves it as it is.
func (d *decoder) bytes(name string, array, value []byte) {
	if value == nil {
		return
	}
	if len(value) != len(array) {
		d.fail(name, fmt.Errorf("got %d bytes, want %d", len(value), len(array)))
	}
	copy(array, value)
}

// parseID returns the zero id for NULL.
func parseID[ID any, T ~string](d *decoder, name string, text T, parse func(string) (ID, error)) (id ID) {
	if text == "" {
		return id
	}
	id, err := parse(string(text))
	d.fail(name, err)
	return id
}

// restore returns the aggregate with that state, unless a column was invalid.
func restore[State, Aggregate any](d decoder, name string, s State, restore func(State) *Aggregate) (*Aggregate, error) {
	if d.err != nil {
		return nil, fmt.Errorf("invalid %s in the database: %w", name, d.err)
	}
	return restore(s), nil
}

// identifier is an id of the domain.
type identifier interface {
	fmt.Stringer
	IsZero() bool
}

// optionalID encodes the zero id as NULL.
func optionalID(id identifier) column.Text {
	if id.IsZero() {
		return ""
	}
	return column.Text(id.String())
}

// upperBound returns the id below which a list in descending order begins; for the zero id, one that is above all ids.
func upperBound(id identifier) string {
	if id.IsZero() {
		return "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	return id.String()
}

// optionalDigest encodes the zero digest as NULL.
func optionalDigest[D ~[sha256.Size]byte](d D) []byte {
	var zero D
	if d == zero {
		return nil
	}
	return d[:]
}

// listOf is the reverse of stringsOf; an empty list is nil.
func listOf[S ~string](texts column.Strings) []S {
	var list []S
	for _, text := range texts {
		list = append(list, S(text))
	}
	return list
}

func stringsOf[S ~string](list []S) column.Strings {
	texts := make(column.Strings, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return texts
}
