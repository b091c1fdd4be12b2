package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/ports"
)

// connection is one connection to the file for as long as the store is open, every statement prepared on it.
type connection struct {
	conn            *sql.Conn
	queries         *sqlitedb.Queries
	tx              ports.Tx
	truncatePending bool // a user, or what told of one, and what is left of it in the write-ahead log is to be forgotten
}

func connect(db *sql.DB) (*connection, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	queries, err := sqlitedb.Prepare(context.Background(), conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &connection{conn: conn, queries: queries}
	c.tx = ports.Tx{
		Users:          users{queries, &c.truncatePending},
		Credentials:    credentials{queries},
		Challenges:     challenges{queries},
		Sessions:       sessions{queries},
		Events:         events{queries},
		SigningKeys:    signingKeys{queries},
		TOTPs:          totps{queries},
		BackupCodes:    backupCodes{queries},
		RecoveryGrants: recoveryGrants{queries},
		Lockouts:       lockouts{queries},
		Leases:         leases{queries},
		OutboxEmails:   outboxEmails{queries, &c.truncatePending},
	}
	return c, nil
}

func (c *connection) close() error { return errors.Join(c.queries.Close(), c.conn.Close()) }

// exec runs a statement that takes and returns nothing.
func (c *connection) exec(statement string) error {
	_, err := c.conn.ExecContext(context.Background(), statement)
	return err
}

// view runs fn on the state of its first read.
func (c *connection) view(ctx context.Context, fn func(tx ports.Tx) error) (err error) {
	if err := c.exec("BEGIN DEFERRED"); err != nil {
		return wrap("beginning to read", err)
	}
	defer func() {
		if endErr := c.exec("ROLLBACK"); endErr != nil && err == nil {
			err = wrap("ending to read", endErr)
		}
	}()
	if err := fn(c.tx); err != nil {
		return err
	}
	return ctx.Err()
}
