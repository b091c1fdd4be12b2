package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/migrations"
	"github.com/keylodge/keylodge/ports"
)

func TestUpgrade_Idempotent(t *testing.T) {
	db := newDatabase(t)
	files := migrationFiles("CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint); INSERT INTO b VALUES (1)")
	for range 2 {
		wantUpgrade(t, db, files, "")
		wantState(t, db, "version 2, tables a b")
	}
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)", "DROP TABLE a"), "")
	wantState(t, db, "version 3, tables b")
}

func TestUpgrade_FailureRollsBack(t *testing.T) {
	const parent = "CREATE TABLE parent (id bigint PRIMARY KEY)"
	const child = "CREATE TABLE child (parent bigint REFERENCES parent (id)); INSERT INTO child VALUES (1)"
	for name, broken := range map[string]struct{ step, reason string }{
		"invalid syntax":       {"CREATE TABLE c (n bigint); CREATE TABEL d (n bigint)", "syntax error"},
		"invalid data":         {"CREATE TABLE c (n bigint NOT NULL); INSERT INTO c VALUES (NULL)", "not-null"},
		"violated foreign key": {parent + ";" + child, "violates foreign key constraint"},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)"), "")
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)", broken.step), broken.reason)
			wantState(t, db, "version 1, tables a")
			wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)"), "")
			wantState(t, db, "version 2, tables a b")
		})
	}
}

func TestUpgrade_RejectsNewerSchema(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)", "CREATE TABLE b (n bigint)"), "")
	wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n bigint)"), "its schema is version 2, of a newer release, and this program knows up to 1: start the newer release")
	wantState(t, db, "version 2, tables a b")
}

func TestOpen_Concurrent(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	var starts sync.WaitGroup
	for range 8 {
		starts.Go(func() {
			s, err := Open(t.Context(), url)
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
	openAt(t, url)
}

// The migrations take time, and would fail if two servers applied them.
func TestUpgrade_Concurrent(t *testing.T) {
	db := newDatabase(t)
	files := migrationFiles("CREATE TABLE a (n bigint); SELECT pg_sleep(0.1)", "INSERT INTO a VALUES (1); SELECT pg_sleep(0.1)")
	var upgrades sync.WaitGroup
	for range 8 {
		upgrades.Go(func() {
			if _, err := upgrade(context.Background(), db.Config(), files); err != nil {
				t.Error(err)
			}
		})
	}
	upgrades.Wait()
	wantState(t, db, "version 2, tables a")
	if rows := queryColumn(t, db, "SELECT n::text FROM a"); len(rows) != 1 {
		t.Errorf("the last migration was applied %d times", len(rows))
	}
}

// A role that may not change the schema can use a current one.
func TestOpen_CurrentSchemaNeedsNoDDLPrivilege(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	openAt(t, url)
	db := connect(t, url)
	if err := exec(t.Context(), db, `DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk; REVOKE UPDATE ON schema_lock FROM clerk`); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, strings.Replace(url, "keylodge@", "clerk@", 1))
	add(t, s, 1)
	wantChallenges(t, s, 1)
}

func TestMigrations_DownAndUp(t *testing.T) {
	useTestMigrations(t)
	db := newDatabase(t)
	m := migrator(t, db)
	contents := []string{contentsOf(t, db)}
	fill := func(rows string) {
		t.Helper()
		if err := exec(t.Context(), db, rows); err != nil {
			t.Fatal(err)
		}
	}
	for _, rows := range rowsByVersion {
		if err := m.Steps(1); err != nil {
			t.Fatal(err)
		}
		fill(rows)
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
		fill(rows)
		if got := contentsOf(t, db); got != contents[i+1] {
			t.Fatalf("upgraded to version %d again:\n%s\nwant:\n%s", i+1, got, contents[i+1])
		}
	}
}

func TestOpen_KeepsFirstReleaseData(t *testing.T) {
	useTestMigrations(t)
	url := postgresserver.EmptyDatabase(t)
	db := connect(t, url)
	if err := migrator(t, db).Migrate(1); err != nil {
		t.Fatal(err)
	}
	if err := exec(t.Context(), db, initialRows); err != nil {
		t.Fatal(err)
	}
	if err := openAt(t, url).View(t.Context(), func(tx ports.Tx) error {
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
	VALUES ('019a0000-0000-7000-0000-000000000001', '\x01', 'ada@example.org', '2026-03-01', 'countess@example.org', decode(repeat('00', 32), 'hex'), 1, '2026-03-02', 'Ada', '2026-03-03', '2026-03-01');
	INSERT INTO passkeys (credential_id, user_id, name, status, rp_id, public_key, algorithm, aaguid, attachment, transports,
		flags, sign_count, clone_warning, extensions, created_at, last_used_at)
	VALUES ('\xff', '019a0000-0000-7000-0000-000000000001', '', 'active', 'example.org', '\x01', -7, decode(repeat('00', 16), 'hex'), '', '["usb"]',
		5, 1, false, '{}', '2026-03-01', '2026-03-02');
	INSERT INTO passkey_attestations (credential_id, attestation_type, attestation_format, attestation_object, authenticator_data,
		client_data_json)
	VALUES ('\xff', 'none', 'none', '\x01', '\x01', '\x01');
	INSERT INTO sessions (id, user_id, credential_id, transport, token_digest, previous_token_digest, rotated_at, assurance,
		amr, device_name, device_user_agent, device_ip, created_at, auth_time, last_seen_at, idle_ends_at, expires_at, revoked_at)
	VALUES ('019a0000-0000-7000-0000-000000000002', '019a0000-0000-7000-0000-000000000001', '\xff', 'cookie', decode(repeat('00', 32), 'hex'), NULL, NULL, 'passkey', '["hwk"]', '', '', '', '2026-03-01', '2026-03-01', '2026-03-01', '2026-03-02', '2026-03-03', '2026-03-02'),
		('019a0000-0000-7000-0000-000000000005', '019a0000-0000-7000-0000-000000000001', '\xff', 'bearer', 'thirty-two bytes of a new digest'::bytea, decode(repeat('00', 32), 'hex'), '2026-03-02', 'passkey', '[]', '',
			'', '', '2026-03-01', '2026-03-01', '2026-03-01', '2026-03-02', '2026-03-03', NULL),
		('019a0000-0000-7000-0000-00000000000a', '019a0000-0000-7000-0000-000000000001', '\xff', 'cookie', 'the digest of a recovery session'::bytea, NULL, NULL, 'recovery', '["otp"]', '',
			'', '', '2026-03-01', '2026-03-01', '2026-03-01', '2026-03-02', '2026-03-03', NULL);
	INSERT INTO totps (user_id, secret, confirmed_at, last_step, pending_secret, pending_at)
	VALUES ('019a0000-0000-7000-0000-000000000001', '\x01', '2026-03-01', 2, '\x02', '2026-03-03');
	INSERT INTO backup_code_sets (user_id, created_at) VALUES ('019a0000-0000-7000-0000-000000000001', '2026-03-01');
	INSERT INTO backup_codes (digest, user_id) VALUES (decode(repeat('00', 32), 'hex'), '019a0000-0000-7000-0000-000000000001');
	INSERT INTO recovery_grants (user_id, token_digest, nonce, backup_code_digest, factors, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000001', decode(repeat('00', 32), 'hex'), '\x01', decode(repeat('00', 32), 'hex'), '["backup_code"]', '2026-03-01', '2026-03-02');
	INSERT INTO recovery_lockouts (subject, failures, locked_until, updated_at) VALUES (decode(repeat('00', 32), 'hex'), 5, '2026-03-02', '2026-03-01');
	INSERT INTO webauthn_challenges (id, purpose, binding, ceremony_state, pending_user_id, pending_user_handle, pending_email,
		created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000003', 'signup', decode(repeat('00', 32), 'hex'), '\x01', '019a0000-0000-7000-0000-000000000004', '\x02', 'ben@example.org', '2026-03-01', '2026-03-02');
	INSERT INTO webauthn_challenges (id, purpose, session_id, recovery_grant, ceremony_state, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000006', 'step-up', '019a0000-0000-7000-0000-000000000002', NULL, '\x01', '2026-03-01', '2026-03-02'),
		('019a0000-0000-7000-0000-000000000007', 'step-up', '019a0000-0000-7000-0000-000000000005', NULL, '\x01', '2026-03-01', '2026-03-02'),
		('019a0000-0000-7000-0000-00000000000b', 'recovery', NULL, decode(repeat('00', 32), 'hex'), '\x01', '2026-03-01', '2026-03-02'),
		('019a0000-0000-7000-0000-00000000000c', 'step-up', '019a0000-0000-7000-0000-00000000000a', NULL, '\x01', '2026-03-01', '2026-03-02');
	INSERT INTO events (id, kind, at, actor, user_id, session_id) VALUES ('019a0000-0000-7000-0000-000000000008', 'signed_in', '2026-03-01', 'user', '019a0000-0000-7000-0000-000000000001', '019a0000-0000-7000-0000-000000000005');
	INSERT INTO events (id, kind, at, actor) VALUES ('019a0000-0000-7000-0000-000000000009', 'signed_out', '2026-03-01', 'user');
	INSERT INTO signing_keys (id, algorithm, encrypted_key, created_at, signs_from) VALUES ('kid', 'ES256', '\x01', '2026-03-01', '2026-03-01');
	INSERT INTO outbox_emails (id, user_id, recipient, kind, happened_at, actor, passkey_name, device_name, ip, code, attempts,
		due_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-00000000000d', '019a0000-0000-7000-0000-000000000001', 'countess@example.org', 'email_code', '2026-03-01', NULL, NULL, NULL, NULL, '\x01', 0, '2026-03-01', '2026-03-02'),
		('019a0000-0000-7000-0000-00000000000e', '019a0000-0000-7000-0000-000000000001', 'ada@example.org', 'passkey_removed', '2026-03-01', 'operator', 'Phone', 'Firefox', '192.0.2.1', NULL, 1, '2026-03-01', '2026-03-02'),
		('019a0000-0000-7000-0000-00000000000f', NULL, 'cem@example.org', 'account_deleted', '2026-03-01', 'user', NULL, NULL, NULL, NULL, 0, '2026-03-01', '2026-03-02');
	INSERT INTO job_leases (name, due_at) VALUES ('delete_expired', '2026-03-01');
	INSERT INTO rate_buckets (subject, interval_us, fill_time_us, full_at) VALUES (decode(repeat('00', 16), 'hex'), 1, 1, '2026-05-01')`,

	`INSERT INTO labels (id, user_id, text) VALUES (1, '019a0000-0000-7000-0000-000000000001', 'first'), (2, '019a0000-0000-7000-0000-000000000001', 'second');
	INSERT INTO webauthn_challenges (id, purpose, ceremony_state, label_id, created_at, expires_at)
	VALUES ('019a0000-0000-7000-0000-000000000010', 'login', '\x01', 1, '2026-03-01', '2026-03-02')`,

	`UPDATE users SET title = 'Countess'`,

	``, // drops an empty table
}

var initialRows = rowsByVersion[0]

// useTestMigrations makes the adapter use the migrations of testdata, after that of this release, until the test ends.
func useTestMigrations(t *testing.T) {
	t.Helper()
	all := fstest.MapFS{}
	for _, folder := range []fs.FS{migrations.Postgres(), os.DirFS("testdata/migrations")} {
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
func migrator(t *testing.T, db *pgx.Conn) *migrate.Migrate {
	t.Helper()
	files, err := iofs.New(SchemaFiles, ".")
	if err != nil {
		t.Fatal(err)
	}
	driver, err := connectDriver(context.Background(), db.Config(), 9999)
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", files, "postgres", driver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// contentsOf returns the whole database as text: its schema, and every row of every table.
func contentsOf(t *testing.T, db *pgx.Conn) string {
	t.Helper()
	const ownTables = "FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'schema%'"
	var contents strings.Builder
	for _, query := range []string{
		"SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) " + ownTables + " ORDER BY 1",
		"SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'schema%' ORDER BY 1",
		"SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'schema%' ORDER BY 1",
	} {
		for _, line := range queryColumn(t, db, query) {
			fmt.Fprintln(&contents, line)
		}
	}
	for _, table := range queryColumn(t, db, "SELECT DISTINCT table_name::text "+ownTables+" ORDER BY 1") {
		fields := queryColumn(t, db, "SELECT column_name::text "+ownTables+" AND table_name = '"+table+"' ORDER BY 1")
		for _, row := range queryColumn(t, db, fmt.Sprintf("SELECT concat_ws(' ', %s) FROM %s ORDER BY 1", strings.Join(fields, ", "), table)) {
			fmt.Fprintln(&contents, table, row)
		}
	}
	return contents.String()
}

func queryColumn(t *testing.T, db *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), query, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v in %s", err, query)
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

func newDatabase(t *testing.T) *pgx.Conn {
	t.Helper()
	return connect(t, postgresserver.EmptyDatabase(t))
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// wantUpgrade fails the test unless the upgrade's error contains the reason; "" means no error.
func wantUpgrade(t *testing.T, db *pgx.Conn, files fs.FS, reason string) {
	t.Helper()
	_, err := upgrade(t.Context(), db.Config(), files)
	if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
		t.Fatalf("upgrade: got error %v, want %q", err, reason)
	}
}

func wantState(t *testing.T, db *pgx.Conn, want string) {
	t.Helper()
	const query = `SELECT 'version ' || COALESCE((SELECT max(version) FROM schema_migrations), -1) || ', tables '
		|| COALESCE((SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema%'), '')`
	if got := queryColumn(t, db, query)[0]; got != want {
		t.Fatalf("the database has %s; want %s", got, want)
	}
}
