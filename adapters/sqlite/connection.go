package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/ports"
)

// connection is a connection to the file that stays open until the store is closed.
type connection struct {
	conn            *sql.Conn
	statements      *statements
	tx              ports.Tx
	truncatePending bool // set by queries; the writer truncates the write-ahead log
}

func connect(db *sql.DB) (*connection, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	// Without the stability guarantee, SQLite compiles a statement with a parameter in LIMIT again each time that it runs, because its
	// plan may depend on the value (https://sqlite.org/qpsg.html).
	err = conn.Raw(func(raw any) error {
		_, err := raw.(driver.Conn).Raw().Config(sqlite3.DBCONFIG_ENABLE_QPSG, true)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &connection{conn: conn, statements: &statements{conn, map[string]*sql.Stmt{}}}
	c.tx = sqlstore.New(queries{sqlitedb.New(c.statements), &c.truncatePending}, wrap)
	return c, nil
}

func (c *connection) close() error { return errors.Join(c.statements.close(), c.conn.Close()) }

// exec runs a statement without arguments and result.
func (c *connection) exec(statement string) error {
	_, err := c.conn.ExecContext(context.Background(), statement)
	return err
}

// view runs fn in a read transaction, whose snapshot is that of its first query.
func (c *connection) view(ctx context.Context, fn func(tx ports.Tx) error) (err error) {
	if err := c.exec("BEGIN DEFERRED"); err != nil {
		return wrap("beginning a read transaction", err)
	}
	defer func() {
		if endErr := c.exec("ROLLBACK"); endErr != nil && err == nil {
			err = wrap("ending a read transaction", endErr)
		}
	}()
	if err := fn(c.tx); err != nil {
		return err
	}
	return ctx.Err()
}
