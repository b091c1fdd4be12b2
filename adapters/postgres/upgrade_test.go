package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A backup reads a table for as long as it takes. An upgrade that wants the table waits for it, and nobody else for the
// upgrade.
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
	mustExec(t, other, "SET statement_timeout = '60s'; INSERT INTO a VALUES (1)") // in vain if the upgrade waits on
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

// Whoever has one table and wants another one, which the upgrade has, gets it.
func TestUpgrade_YieldsToOtherTransactions(t *testing.T) {
	db := newDatabase(t)
	known := []string{"CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)"}
	wantUpgrade(t, db, migrationFiles(known...), "")
	somebody, other := connect(t, urlOf(db)), connect(t, urlOf(db))
	mustExec(t, somebody, "SET deadlock_timeout = '60s'; BEGIN; INSERT INTO b VALUES (1)")
	upgraded := make(chan error, 1)
	go func() {
		_, err := upgrade(context.Background(), db.Config(), migrationFiles(append(known, "ALTER TABLE a ADD COLUMN m bigint; ALTER TABLE b ADD COLUMN m bigint")...))
		upgraded <- err
	}()
	waitForBlockedSession(t, other, "b")
	mustExec(t, somebody, "INSERT INTO a VALUES (1); COMMIT")
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	wantState(t, db, "version 3, tables a b")
}

func urlOf(db *pgx.Conn) string { return db.Config().ConnString() }

func mustExec(t *testing.T, db *pgx.Conn, statements string) {
	t.Helper()
	if err := exec(t.Context(), db, statements); err != nil {
		t.Fatal(err)
	}
}

// waitForBlockedSession returns once somebody waits for the table.
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
			t.Fatalf("nobody waits for %s", table)
		}
	}
}
