package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestBackups_ReferToPgDump(t *testing.T) {
	d := NewDatabase("postgres://ada:hunter2@db/app")
	_, err := d.Save(t.Context(), "night.db", true, dbadmin.CheckOptions{Full: true})
	wantDomainError(t, err, "use_pg_dump", "pg_dump --format=custom")
	_, err = d.PrepareRestore(t.Context(), "night.db")
	wantDomainError(t, err, "use_pg_restore", "pg_restore --clean")
}

func TestSchema_StatusUpDown(t *testing.T) {
	useTestMigrations(t)
	url := postgresserver.EmptyDatabase(t)
	d := NewDatabase(url)
	wantApplied(t, d, 0)
	if _, err := d.DryRunDown(t.Context()); err == nil {
		t.Error("DryRunDown of an empty database succeeded")
	}
	_, err := d.Down(t.Context())
	wantDomainError(t, err, "nothing_to_undo", "no migration")
	all := len(rowsByVersion)
	if applied, err := d.Up(t.Context()); err != nil || len(applied) != all {
		t.Fatalf("Up: %v, %v", applied, err)
	}
	wantApplied(t, d, all)
	if applied, err := d.Up(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Up again: %v, %v", applied, err)
	}
	db := connect(t, url)
	for _, rows := range rowsByVersion {
		if err := exec(t.Context(), db, rows); err != nil {
			t.Fatal(err)
		}
	}
	status, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]bool{}
	for version := all; version > 0; version-- {
		before := contentsOf(t, db)
		dryRun, err := d.DryRunDown(t.Context())
		if err != nil || dryRun.Migration.Version != status[version-1].Version {
			t.Fatalf("DryRunDown at version %d: %+v, %v", version, dryRun, err)
		}
		if after := contentsOf(t, db); after != before {
			t.Fatalf("a dry run at version %d left:\n%s\nof:\n%s", version, after, before)
		}
		wantApplied(t, d, version)
		loss, err := d.Down(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantApplied(t, d, version-1)
		if got, want := lossText(loss), lossText(dryRun); got != want {
			t.Errorf("at version %d: lost %s, in the dry run %s", version, got, want)
		}
		for _, table := range loss.Tables {
			lost[table] = true
		}
		for _, column := range loss.Columns {
			lost[column] = true
		}
		if version == 2 && lossText(loss) != "rows 1 of webauthn_challenges, 2 of labels; tables labels, old_labels; columns webauthn_challenges.label_id" {
			t.Errorf("of version 2: %s", lossText(loss))
		}
	}
	for _, name := range []string{"passkeys", "events", "totps", "outbox_emails", "labels", "users.title"} {
		if !lost[name] {
			t.Errorf("the loss of %s was not reported", name)
		}
	}
}

func TestDown_RejectedWhileServerConnected(t *testing.T) {
	useTestMigrations(t)
	for name, parameters := range map[string]string{"": "", "renamed": "&application_name=app"} {
		url := postgresserver.EmptyDatabase(t) + parameters
		d := NewDatabase(url)
		impatient := &Database{url: url, disconnectTimeout: 100 * time.Millisecond}
		s, err := Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, 0) // so that the pool has a connection
		for _, down := range []func(context.Context) (dbadmin.DataLoss, error){impatient.DryRunDown, impatient.Down} {
			_, err := down(t.Context())
			wantDomainError(t, err, "database_in_use", "stop all servers")
		}
		wantApplied(t, d, len(rowsByVersion))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		postgresserver.AwaitNoConnections(t, url)
		if _, err := d.Down(t.Context()); err != nil {
			t.Errorf("%s: after Close: %v", name, err)
		}
	}
}

// Down checks for other connections twice: before it changes anything, with time for servers that are stopping, and at the end of the
// transaction.
func TestRequireNoOtherConnections(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	config, err := parse(url)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := connectDriver(t.Context(), config.ConnConfig, 9999)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	if err := driver.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := driver.requireNoOtherConnections(0); err != nil {
		t.Errorf("without other connections: %v", err)
	}
	server, watcher := connect(t, url+"&application_name="+applicationName), connect(t, url)
	wantDomainError(t, driver.requireNoOtherConnections(0), "database_in_use", "stop all servers")
	pid := server.PgConn().PID()
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if pids := queryColumn(t, watcher, fmt.Sprintf("SELECT pid::text FROM pg_stat_activity WHERE pid = %d", pid)); len(pids) > 0 {
			return fmt.Errorf("the server's process %d still runs", pid)
		}
		return nil
	})
	if err := driver.requireNoOtherConnections(0); err != nil {
		t.Errorf("after the server's connection is closed: %v", err)
	}
	if err := driver.Unlock(); err != nil {
		t.Error(err)
	}
}

// A server that starts during Down waits for its end, then upgrades the schema again.
func TestOpen_WaitsForDown(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	config, err := parse(url)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := connectDriver(t.Context(), config.ConnConfig, 9999)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	driver.beforeSteps = func() error { return driver.lockExclusively(time.Minute) }
	if err := driver.Lock(); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() { opened <- migrateDatabase(url) }()
	awaitLock(t, connect(t, url))
	select {
	case err := <-opened:
		t.Fatalf("Open did not wait: %v", err)
	default:
	}
	driver.failed = true
	if err := driver.Unlock(); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// pg_dump locks every table in this mode while it runs.
func TestDown_RejectedDuringBackup(t *testing.T) {
	t.Parallel()
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	if err := exec(t.Context(), connect(t, url), "BEGIN; LOCK TABLE schema_migrations IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	_, err := NewDatabase(url).Down(t.Context())
	wantDomainError(t, err, "database_in_use", "a backup")
}

func TestSchema_RejectsUnknownSchemas(t *testing.T) {
	for statements, want := range map[string]struct{ code, text string }{
		setIncompatibleVersion:                      {"newer_release", "start the newer release"},
		"UPDATE schema_migrations SET dirty = true": {"not_a_keylodge_database", "incomplete"},
		"DROP TABLE passkeys CASCADE":               {"not_a_keylodge_database", "no tables users and passkeys"},
		"DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1')": {"not_a_keylodge_database", "other columns"},
	} {
		url := postgresserver.EmptyDatabase(t)
		if err := migrateDatabase(url); err != nil {
			t.Fatal(err)
		}
		db := connect(t, url)
		if err := exec(t.Context(), db, statements); err != nil {
			t.Fatal(err)
		}
		d := NewDatabase(url)
		_, statusErr := d.Status(t.Context())
		_, upErr := d.Up(t.Context())
		_, downErr := d.Down(t.Context())
		for _, err := range []error{statusErr, upErr, downErr} {
			wantDomainError(t, err, want.code, want.text)
		}
	}
}

// The schema may have tables of other programs, but the names of Keylodge's must be free. A start changes nothing there.
func TestOpen_RejectsTablesOfAnotherProgram(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	db := connect(t, url)
	for statements, reason := range map[string]string{
		"CREATE TABLE users (name text)":   "it has a table users, which Keylodge did not create",
		"CREATE VIEW sessions AS SELECT 1": "it has a table sessions, which Keylodge did not create",
		"CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1')":                       "other columns",
		"CREATE TABLE schema_migrations (version bigint, dirty boolean); INSERT INTO schema_migrations VALUES (1, false)": "no tables users and passkeys",
	} {
		if err := exec(t.Context(), db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"+statements); err != nil {
			t.Fatal(err)
		}
		before := relationsOf(t, db)
		s, err := Open(t.Context(), url)
		if err == nil {
			t.Fatalf("%s: it was opened, %v", statements, s.Close())
		}
		wantDomainError(t, err, "not_a_keylodge_database", reason)
		if after := relationsOf(t, db); after != before {
			t.Errorf("%s: a start left %s of %s", statements, after, before)
		}
	}
	const others = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE notes (text text); CREATE SCHEMA other; CREATE TABLE other.users (name text)"
	if err := exec(t.Context(), db, others); err != nil {
		t.Fatal(err)
	}
	if err := migrateDatabase(url); err != nil {
		t.Errorf("beside tables with other names: %v", err)
	}
}

func relationsOf(t *testing.T, db *pgx.Conn) (names string) {
	t.Helper()
	const query = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
	if err := db.QueryRow(t.Context(), query).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestIsPostgres(t *testing.T) {
	for version, want := range map[string]bool{
		"PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64": true,
		"PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64":            false,
		"CockroachDB CCL v25.1.0 (x86_64-pc-linux-gnu)":       false,
	} {
		if isPostgres(version) != want {
			t.Errorf("%s: %t", version, !want)
		}
	}
}

func wantApplied(t *testing.T, d *Database, want int) {
	t.Helper()
	status, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range status {
		if m.Version <= i || m.Applied != (i < want) || m.Name == "" || m.Newer {
			t.Fatalf("migrations %+v, want %d applied", status, want)
		}
	}
	if len(status) != len(rowsByVersion) {
		t.Fatalf("%d migrations, want %d", len(status), len(rowsByVersion))
	}
}

func wantDomainError(t *testing.T, err error, code, text string) {
	t.Helper()
	var domainErr *domain.Error
	if !errors.As(err, &domainErr) || domainErr.Code != code || !strings.Contains(domainErr.Message, text) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want %s, %q", err, code, text)
	}
}

func lossText(l dbadmin.DataLoss) string {
	var rows []string
	for table, n := range l.Rows {
		rows = append(rows, fmt.Sprintf("%d of %s", n, table))
	}
	slices.Sort(rows)
	return "rows " + strings.Join(rows, ", ") + "; tables " + strings.Join(l.Tables, ", ") + "; columns " + strings.Join(l.Columns, ", ")
}
