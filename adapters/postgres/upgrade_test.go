package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A backup may lock a table for a long time. An upgrade that needs the table waits for the backup without blocking other sessions.
func TestUpgrade_DoesNotBlockOtherSessions(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)"), "")
	backup, other := connect(t, urlOf(db)), connect(t, urlOf(db))
	mustExec(t, backup, "BEGIN; SELECT * FROM a")
	upgraded := make(chan error, 1)
	go func() {
		_, err := upgrade(context.Background(), db.Config(), migrationFiles("CREATE TABLE a (n bigint)", "ALTER TABLE a ADD COLUMN m bigint"))
		upgraded <- err
	}()
	waitForBlockedSession(t, other, "a")
	mustExec(t, other, "SET statement_timeout = '5min'; INSERT INTO a VALUES (1)") // fails if the upgrade keeps waiting for the lock
	select {
	case err := <-upgraded:
		t.Fatalf("the upgrade did not wait for the backup: %v", err)
	default:
	}
	mustExec(t, backup, "COMMIT")
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	wantState(t, db, "version 2, tables a")
}

// A transaction that needs a table which the upgrade has locked gets it, because the upgrade gives up and retries.
func TestUpgrade_YieldsToOtherTransactions(t *testing.T) {
	db := newDatabase(t)
	known := []string{"CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)"}
	wantUpgrade(t, db, migrationFiles(known...), "")
	writer, watcher := connect(t, urlOf(db)), connect(t, urlOf(db))
	mustExec(t, writer, "SET deadlock_timeout = '10min'; BEGIN; INSERT INTO b VALUES (1)")
	upgraded := make(chan error, 1)
	go func() {
		_, err := upgrade(context.Background(), db.Config(), migrationFiles(append(known, "ALTER TABLE a ADD COLUMN m bigint; ALTER TABLE b ADD COLUMN m bigint")...))
		upgraded <- err
	}()
	waitForBlockedSession(t, watcher, "b")
	mustExec(t, writer, "INSERT INTO a VALUES (1); COMMIT")
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	wantState(t, db, "version 3, tables a b")
}

// A request locks its session first, and then other tables. While the upgrade waits for the request, it has locked none of those.
func TestUpgrade_LocksInTheOrderOfRequests(t *testing.T) {
	db := newDatabase(t)
	known := []string{"CREATE TABLE users (n bigint)", "CREATE TABLE sessions (n bigint)"}
	wantUpgrade(t, db, migrationFiles(known...), "")
	request, watcher := connect(t, urlOf(db)), connect(t, urlOf(db))
	mustExec(t, request, "BEGIN; SELECT * FROM sessions")
	upgraded := make(chan error, 1)
	go func() {
		_, err := upgrade(context.Background(), db.Config(), migrationFiles(append(known, "ALTER TABLE users ADD COLUMN m bigint; ALTER TABLE sessions ADD COLUMN m bigint")...))
		upgraded <- err
	}()
	waitForBlockedSession(t, watcher, "sessions")
	mustExec(t, request, "SET LOCAL lock_timeout = 1; INSERT INTO users VALUES (1); COMMIT")
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	wantState(t, db, "version 3, tables sessions users")
}

func urlOf(db *pgx.Conn) string { return db.Config().ConnString() }

func mustExec(t *testing.T, db *pgx.Conn, statements string) {
	t.Helper()
	if err := exec(t.Context(), db, statements); err != nil {
		t.Fatal(err)
	}
}

// waitForBlockedSession returns when a session waits for a lock on the table.
func waitForBlockedSession(t *testing.T, db *pgx.Conn, table string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var waiting bool
		if err := db.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = $1::regclass", table).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no session waits for a lock on %s", table)
		}
	}
}
