package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/migrations"
	"github.com/keylodge/keylodge/ports"
)

func TestUpgrade_Idempotent(t *testing.T) {
	db := newDatabase(t)
	files := migrationFiles("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER); INSERT INTO b VALUES (1)")
	for range 2 {
		wantUpgrade(t, db, files, "")
		wantState(t, db, "version 2, tables a b")
	}
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)", "DROP TABLE a"), "")
	wantState(t, db, "version 3, tables b")
}

func TestUpgrade_FailureRollsBack(t *testing.T) {
	const parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY)"
	const child = "CREATE TABLE child (parent INTEGER REFERENCES parent (id)); INSERT INTO child VALUES (1)"
	for name, broken := range map[string]struct{ step, reason string }{
		"invalid syntax":       {"CREATE TABLE c (n INTEGER); CREATE TABEL d (n INTEGER)", "syntax error"},
		"invalid data":         {"CREATE TABLE c (n INTEGER NOT NULL); INSERT INTO c VALUES (NULL)", "NOT NULL"},
		"violated foreign key": {parent + ";" + child, "a row of child refers to a missing row of parent"},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)"), "")
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)", broken.step), broken.reason)
			wantState(t, db, "version 1, tables a")
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)"), "")
			wantState(t, db, "version 2, tables a b")
		})
	}
}

func TestUpgrade_TableRebuildKeepsReferences(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, migrationFiles(
		"CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1)",
		"CREATE TABLE child (parent INTEGER REFERENCES parent (id) ON DELETE CASCADE); INSERT INTO child VALUES (1)",
		"CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO new (id) SELECT id FROM parent; DROP TABLE parent; ALTER TABLE new RENAME TO parent",
	), "")
	var children, enforced int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM child), foreign_keys FROM pragma_foreign_keys").Scan(&children, &enforced); err != nil {
		t.Fatal(err)
	}
	if children != 1 || enforced != 1 {
		t.Errorf("%d rows of child, want 1; foreign_keys is %d, want 1", children, enforced)
	}
}

func TestUpgrade_RejectsNewerSchema(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)"), "")
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER)"), "its schema is version 2, of a newer release, and this program knows up to 1: start the newer release")
	wantState(t, db, "version 2, tables a b")
}

func TestOpen_Concurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	var starts sync.WaitGroup
	for range 8 {
		starts.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	starts.Wait()
	openAt(t, path)
}

func TestMigrations_DownAndUp(t *testing.T) {
	useTestMigrations(t)
	db := newDatabase(t)
	m := migrator(t, db)
	contents := []string{contentsOf(t, db)}
	for _, rows := range rowsByVersion {
		if err := m.Steps(1); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(rows); err != nil {
			t.Fatal(err)
		}
		contents = append(contents, contentsOf(t, db))
	}
	if err := m.Steps(1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("after the last migration of rowsByVersion: got error %v, want %v; add the rows of a new migration to rowsByVersion", err, fs.ErrNotExist)
	}
	for version := len(rowsByVersion) - 1; version >= 0; version-- {
		if err := m.Steps(-1); err != nil {
			t.Fatal(err)
		}
		if got := contentsOf(t, db); got != contents[version] {
			t.Fatalf("reverted to version %d:\n%s\nwant:\n%s", version, got, contents[version])
		}
	}
	wantState(t, db, "version -1, tables ")
	for i, rows := range rowsByVersion {
		if err := m.Steps(1); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(rows); err != nil {
			t.Fatal(err)
		}
		if got := contentsOf(t, db); got != contents[i+1] {
			t.Fatalf("upgraded to version %d again:\n%s\nwant:\n%s", i+1, got, contents[i+1])
		}
	}
}

func TestOpen_KeepsFirstReleaseData(t *testing.T) {
	useTestMigrations(t)
	path := filepath.Join(t.TempDir(), "keylodge.db")
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrator(t, db).Migrate(1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(initialRows); err != nil {
		t.Fatal(err)
	}
	if err := openAt(t, path).View(t.Context(), func(tx ports.Tx) error {
		user, userErr := tx.Users.ByEmail(t.Context(), "ada@example.org")
		session, sessionErr := tx.Sessions.ByToken(t.Context(), domain.TokenDigest{})
		_, challengeErr := tx.Challenges.ByID(t.Context(), numberedID(3))
		if err := errors.Join(userErr, sessionErr, challengeErr); err != nil {
			return err
		}
		keys, err := tx.Credentials.ListByUser(t.Context(), user.ID())
		if err != nil || len(keys) != 1 {
			t.Errorf("%d passkeys, error %v; want 1", len(keys), err)
		}
		if err := user.RequireEnabled(); !errors.Is(err, domain.ErrUserDisabled) {
			t.Errorf("the user: got error %v, want it disabled", err)
		}
		if pending := user.PendingEmail(); pending != "countess@example.org" {
			t.Errorf("the pending e-mail is %q", pending)
		}
		if session.Transport() != domain.TransportCookie {
			t.Errorf("the session's transport is %q, want a browser's", session.Transport())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// rowsByVersion are the rows that each version of the test migrations adds. The first entry fills version 1, the schema of this
// release.
var rowsByVersion = []string{
	`INSERT INTO users (id, user_handle, email, email_verified_at, pending_email, pending_email_code, pending_email_failures,
		pending_email_expires_at, display_name, disabled_at, created_at)
	VALUES ('019a0000-0000-7000-0000-000000000001', x'01', 'ada@example.org', 1, 'countess@example.org', zeroblob(32), 1, 2, 'Ada', 3, 1);
	INSERT INTO passkeys (credential_id, user_id, name, status, rp_id, public_key, algorithm, aaguid, attachment, transports,
		flags, sign_count, clone_warning, extensions, created_at, last_used_at)
	VALUES (x'ff', '019a0000-0000-7000-0000-000000000001', '', 'active', 'example.org', x'01', -7, zeroblob(16), '', '["usb"]',
		5, 1, 0, '{}', 1, 2);
	INSERT INTO passkey_attestations (credential_id, attestation_type, attestation_format, attestation_object, authenticator_data,
		client_data_json)
	VALUES (x'ff', 'none', 'none', x'01', x'01', x'01');
	INSERT INTO sessions (id, user_id, credential_id, transport, token_digest, previous_token_digest, rotated_at, assurance,
		amr, device_name, device_user_agent, device_ip, created_at, auth_time, last_seen_at, idle_ends_at, expires_at, revoked_at)
	VALUES ('019a0000-0000-7000-0000-000000000002', '019a0000-0000-7000-0000-000000000001', x'ff', 'cookie', zeroblob(32), NULL, NULL, 'passkey', '["hwk"]', '', '', '', 1, 1, 1, 2, 3, 2),
		('019a0000-0000-7000-0000-000000000005', '019a0000-0000-7000-0000-000000000001', x'ff', 'bearer', CAST('thirty-two bytes of a new digest' AS BLOB), zeroblob(32), 2, 'passkey', '[]', '',
			'', '', 1, 1, 1, 2, 3, NULL),
		('019a0000-0000-7000-0000-00000000000a', '019a0000-0000-7000-0000-000000000001', x'ff', 'cookie', CAST('the digest of a recovery session' AS BLOB), NULL, NULL, 'recovery', '["otp"]', '',
			'', '', 1, 1, 1, 2, 3, NULL);
	INSERT INTO totps (user_id, secret, confirmed_at, last_step, pending_secret, pending_at)
	VALUES ('019a0000-0000-7000-0000-000000000001', x'01', 1, 2, x'02', 3);
	INSERT INTO backup_code_sets (user_id, created_at) VALUES ('019a0000-0000-7000-0000-000000000001', 1);
	INSERT INTO backup_codes (digest, user_id) VALUES (zeroblob(32), '019a0000-0000-7000-0000-000000000001');
	INSERT INTO recovery_grants (user_id, token_digest, nonce, backup_code_digest, factors, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000001', zeroblob(32), x'01', zeroblob(32), '["backup_code"]', 1, 2);
	INSERT INTO recovery_lockouts (subject, failures, locked_until, updated_at) VALUES (zeroblob(32), 5, 2, 1);
	INSERT INTO webauthn_challenges (id, purpose, binding, ceremony_state, pending_user_id, pending_user_handle, pending_email,
		created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000003', 'signup', zeroblob(32), x'01', '019a0000-0000-7000-0000-000000000004', x'02', 'ben@example.org', 1, 2);
	INSERT INTO webauthn_challenges (id, purpose, session_id, recovery_grant, ceremony_state, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000006', 'step-up', '019a0000-0000-7000-0000-000000000002', NULL, x'01', 1, 2),
		('019a0000-0000-7000-0000-000000000007', 'step-up', '019a0000-0000-7000-0000-000000000005', NULL, x'01', 1, 2),
		('019a0000-0000-7000-0000-00000000000b', 'recovery', NULL, zeroblob(32), x'01', 1, 2),
		('019a0000-0000-7000-0000-00000000000c', 'step-up', '019a0000-0000-7000-0000-00000000000a', NULL, x'01', 1, 2);
	INSERT INTO events (id, kind, at, actor, user_id, session_id) VALUES ('019a0000-0000-7000-0000-000000000008', 'signed_in', 1, 'user', '019a0000-0000-7000-0000-000000000001', '019a0000-0000-7000-0000-000000000005');
	INSERT INTO events (id, kind, at, actor) VALUES ('019a0000-0000-7000-0000-000000000009', 'signed_out', 1, 'user');
	INSERT INTO signing_keys (id, algorithm, encrypted_key, created_at, signs_from) VALUES ('kid', 'ES256', x'01', 1, 1);
	INSERT INTO outbox_emails (id, user_id, recipient, kind, happened_at, actor, passkey_name, device_name, ip, code, attempts,
		due_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-00000000000d', '019a0000-0000-7000-0000-000000000001', 'countess@example.org', 'email_code', 1, NULL, NULL, NULL, NULL, x'01', 0, 1, 2),
		('019a0000-0000-7000-0000-00000000000e', '019a0000-0000-7000-0000-000000000001', 'ada@example.org', 'passkey_removed', 1, 'operator', 'Phone', 'Firefox', '192.0.2.1', NULL, 1, 1, 2),
		('019a0000-0000-7000-0000-00000000000f', NULL, 'cem@example.org', 'account_deleted', 1, 'user', NULL, NULL, NULL, NULL, 0, 1, 2);
	INSERT INTO job_leases (name, due_at) VALUES ('delete_expired', 1)`,

	`INSERT INTO labels (id, user_id, text) VALUES (1, '019a0000-0000-7000-0000-000000000001', 'first'), (2, '019a0000-0000-7000-0000-000000000001', 'second');
	INSERT INTO webauthn_challenges (id, purpose, ceremony_state, label_id, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000010', 'login', x'01', 1, 1, 2)`,

	`UPDATE users SET title = 'Countess'`,

	``, // drops an empty table
}

var initialRows = rowsByVersion[0]

// useTestMigrations makes the adapter use the migrations of testdata, after that of this release, until the test ends.
func useTestMigrations(t *testing.T) {
	t.Helper()
	all := fstest.MapFS{}
	for _, folder := range []fs.FS{migrations.SQLite(), os.DirFS("testdata/migrations")} {
		files, err := fs.Glob(folder, "*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d migrations, error %v", len(files), err)
		}
		for _, file := range files {
			text, err := fs.ReadFile(folder, file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = &fstest.MapFile{Data: text}
		}
	}
	released := SchemaFiles
	SchemaFiles = all
	t.Cleanup(func() { SchemaFiles = released })
}

// migrator steps through the migrations one by one.
func migrator(t *testing.T, db *sql.DB) *migrate.Migrate {
	t.Helper()
	files, err := iofs.New(SchemaFiles, ".")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", files, "sqlite", &migrationDriver{conn: conn, newest: 9999})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// contentsOf returns the whole database as text: its schema, and every row of every table.
func contentsOf(t *testing.T, db *sql.DB) string {
	t.Helper()
	const ownTables = "FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'schema_migrations'"
	var contents strings.Builder
	for _, statement := range queryColumn(t, db, "SELECT sql "+ownTables+" ORDER BY name") {
		fmt.Fprintln(&contents, statement)
	}
	for _, table := range queryColumn(t, db, "SELECT name "+ownTables+" AND type = 'table' ORDER BY name") {
		fields := queryColumn(t, db, fmt.Sprintf("SELECT 'quote(' || name || ')' FROM pragma_table_info('%s')", table))
		for _, row := range queryColumn(t, db, fmt.Sprintf("SELECT concat_ws(' ', %s) FROM %s ORDER BY 1", strings.Join(fields, ", "), table)) {
			fmt.Fprintln(&contents, table, row)
		}
	}
	return contents.String()
}

func queryColumn(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// migrationFiles returns migrations with these statements, numbered from 1.
func migrationFiles(statements ...string) fs.FS {
	files := fstest.MapFS{}
	for i, statement := range statements {
		files[fmt.Sprintf("%04d_step.up.sql", i+1)] = &fstest.MapFile{Data: []byte(statement)}
	}
	return files
}

func newDatabase(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openDatabase(filepath.Join(t.TempDir(), "keylodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// wantUpgrade fails the test unless the upgrade's error contains the reason; "" means no error.
func wantUpgrade(t *testing.T, db *sql.DB, files fs.FS, reason string) {
	t.Helper()
	_, err := upgrade(db, files)
	if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
		t.Fatalf("upgrade: got error %v, want %q", err, reason)
	}
}

func wantState(t *testing.T, db *sql.DB, want string) {
	t.Helper()
	const query = `SELECT 'version ' || COALESCE((SELECT max(version) FROM schema_migrations), -1) || ', tables '
		|| COALESCE((SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'), '')`
	var got string
	if err := db.QueryRow(query).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("the database has %s; want %s", got, want)
	}
}
