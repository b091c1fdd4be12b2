package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// parseScale returns the number of users of a SCALE such as 1m, 10k or 500.
func parseScale(scale string) (int, error) {
	digits, factor := scale, 1
	for suffix, value := range map[string]int{"k": 1_000, "m": 1_000_000} {
		if number, found := strings.CutSuffix(scale, suffix); found {
			digits, factor = number, value
		}
	}
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 {
		return 0, fmt.Errorf("invalid SCALE %q: want a number of users, for example 1m or 10k", scale)
	}
	return number * factor, nil
}

// The rows of each user.
const (
	passkeysOfUser = 3
	sessionsOfUser = 5
	eventsOfUser   = 10
)

// newID is the SQL expression of a UUIDv7 as text, with the number n as its time.
const newID = `printf('%08x-%04x-7%03x-%04x-%012x', (:start + n) >> 16, (:start + n) & 65535, random() & 4095, 32768 | (random() & 16383), random() & 281474976710655)`

// tables are filled with copies of a row that the server has written. Columns that are not listed are those of that row.
var tables = []struct {
	name   string
	times  int    // rows of a user
	which  string // the condition for the original
	values map[string]string
}{
	{"users", 1, "", map[string]string{"id": "people.id", "user_handle": "randomblob(64)"}},
	{"passkeys", passkeysOfUser, "", map[string]string{"user_id": "people.id", "credential_id": "CASE WHEN n < :users THEN people.credential_id ELSE randomblob(32) END"}},
	// The passkey that the server has written has row id 1.
	{"passkey_attestations", passkeysOfUser, "", map[string]string{"credential_id": "(SELECT passkeys.credential_id FROM main.passkeys WHERE passkeys.rowid = n + 2)"}},
	{"sessions", sessionsOfUser, "", map[string]string{"id": newID, "user_id": "people.id", "credential_id": "people.credential_id", "token_digest": "randomblob(32)"}},
	{"events", eventsOfUser, " WHERE user_id IS NOT NULL", map[string]string{"id": newID, "user_id": "people.id", "credential_id": "NULL", "session_id": "NULL"}},
}

// rowsPerInsert is the number of rows of one statement, after which the progress is shown.
const rowsPerInsert = 100_000

// fill starts the server, which creates the database, signs one user up, stops the server, and copies the rows of that user for
// this many users.
func fill(s *server, users int, progress progress) (err error) {
	if err := s.run(); err != nil {
		return err
	}
	c, err := dial(s.host)
	if err != nil {
		return err // the caller closes the server
	}
	_, err = signUp(s.dialect, c, s.origin)
	c.close()
	if err := errors.Join(err, s.process.Stop(startTimeout)); err != nil {
		return err
	}
	pool, err := sql.Open("sqlite3", "file:"+filepath.Join(s.folder, "keylodge.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	ctx := context.Background()
	db, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f := filler{ctx, db, users, progress}
	return f.run()
}

type filler struct {
	ctx      context.Context
	db       *sql.Conn
	users    int
	progress progress
}

func (f filler) run() error {
	// To create an index SQLite sorts in up to as much memory as the cache has, beside the cache: together less than its limit.
	if err := f.exec(
		"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -50000", "PRAGMA foreign_keys = OFF",
		"PRAGMA temp_store = FILE",
		"CREATE TEMP TABLE people (number INTEGER PRIMARY KEY, id TEXT NOT NULL, credential_id BLOB NOT NULL)",
	); err != nil {
		return err
	}
	if err := f.insert("people", 1, "INSERT INTO people SELECT n, "+newID+", randomblob(32) FROM numbers"); err != nil {
		return err
	}
	indexes, err := f.dropIndexes()
	if err != nil {
		return err
	}
	for _, table := range tables {
		columns, err := f.strings("SELECT name FROM pragma_table_info('" + table.name + "')")
		if err != nil {
			return err
		}
		values := make([]string, len(columns))
		for i, column := range columns {
			values[i] = "original." + column
			if value, found := table.values[column]; found {
				values[i] = value
			}
		}
		if err := f.exec("CREATE TEMP TABLE original_" + table.name + " AS SELECT * FROM main." + table.name + "" + table.which + " LIMIT 1"); err != nil {
			return err
		}
		// 7919 is a prime number: the rows of one user are far from each other, as if they had been written at different times.
		statement := "INSERT INTO main." + table.name + " (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") +
			" FROM numbers JOIN people ON people.number = n * 7919 % :users, original_" + table.name + " AS original"
		if err := f.insert(table.name, table.times, statement); err != nil {
			return err
		}
	}
	for i, index := range indexes {
		f.progress("\rindex: %d of %d          ", i+1, len(indexes))
		if err := f.exec(index); err != nil {
			return err
		}
	}
	f.progress("\n")
	return f.exec("PRAGMA journal_mode = WAL", "PRAGMA optimize")
}

// dropIndexes drops the indexes that no constraint needs, and returns the statements that create them again: that is faster than to
// update them.
func (f filler) dropIndexes() (statements []string, err error) {
	names, err := f.strings("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	if statements, err = f.strings("SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := f.exec("DROP INDEX " + name); err != nil {
			return nil, err
		}
	}
	return statements, nil
}

// insert executes an INSERT … SELECT from numbers, the column n of which is the number of the row.
func (f filler) insert(table string, times int, statement string) error {
	for first := 0; first < f.users*times; first += rowsPerInsert {
		end := min(first+rowsPerInsert, f.users*times)
		_, err := f.db.ExecContext(f.ctx,
			"WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :end) "+statement,
			sql.Named("first", first), sql.Named("end", end), sql.Named("start", fillStart), sql.Named("users", f.users))
		if err != nil {
			return fmt.Errorf("filling %s: %w", table, err)
		}
		f.progress("\r%s: %d of %d          ", table, end, f.users*times)
	}
	f.progress("\n")
	return nil
}

// fillStart is the time of the first id, in milliseconds since the Unix epoch: before that of the rows of the benchmark.
const fillStart = 1_700_000_000_000

func (f filler) exec(statements ...string) error {
	for _, statement := range statements {
		if _, err := f.db.ExecContext(f.ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (f filler) strings(query string) (list []string, err error) {
	rows, err := f.db.QueryContext(f.ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, rows.Err()
}
