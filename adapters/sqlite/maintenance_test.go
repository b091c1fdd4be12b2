package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// newFilledFile creates a database with rows in all tables and returns its path.
func newFilledFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keylodge.db")
	fill(t, path)
	return path
}

func fill(t *testing.T, path string) {
	t.Helper()
	if err := prepareFiles(path); err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := useWAL(db); err != nil {
		t.Fatal(err)
	}
	m := migrator(t, db)
	for _, rows := range rowsByVersion {
		if err := m.Steps(1); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err, closeErr := m.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
}

// fileContents returns contentsOf an existing file.
func fileContents(t *testing.T, path string) string {
	t.Helper()
	db, err := openMode("rw", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return contentsOf(t, db)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var known *domain.Error
	if !errors.As(err, &known) || known.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// wantFiles fails the test unless the folder contains exactly these files.
func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("the folder has %v, want %v", names, want)
	}
}

// population adds users to a store until it is stopped, and counts the acknowledged ones.
type population struct {
	store        *Store
	cancel       context.CancelFunc
	workers      sync.WaitGroup
	attempted    atomic.Int64
	acknowledged atomic.Int64
}

func populate(t *testing.T, store *Store) *population {
	ctx, stop := context.WithCancel(t.Context())
	p := &population{store: store, cancel: stop}
	for range 8 {
		p.workers.Go(func() {
			for ctx.Err() == nil {
				now := time.Now().UTC().Truncate(time.Microsecond)
				pending := domain.NewPendingUser(domain.Email(fmt.Sprintf("ada%d@example.org", p.attempted.Add(1))), "Ada", now, rand.Reader)
				err := store.Update(ctx, func(tx ports.Tx) error { return tx.Users.Add(ctx, pending.ToUser(now)) })
				switch {
				case err == nil:
					p.acknowledged.Add(1)
				case !errors.Is(err, context.Canceled):
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(p.stop)
	return p
}

func (p *population) stop() {
	p.cancel()
	p.workers.Wait()
}

// A backup contains all users that were acknowledged before it began, and it ends while more are added.
func TestSave_ContainsAcknowledgedWrites(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "keylodge.db")
	store := openAt(t, path)
	execSQL(t, path, largeRows) // before the users: on a slow disk this statement holds the lock for longer than busy_timeout
	p := populate(t, store)
	for p.acknowledged.Load() < 500 {
		if t.Failed() {
			t.FailNow()
		}
		time.Sleep(time.Millisecond)
	}
	for n := range 5 {
		file := filepath.Join(t.TempDir(), "keylodge.backup")
		before := p.acknowledged.Load()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		saved, err := NewFile(path).Save(ctx, file, false, dbadmin.CheckOptions{Full: true})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		after := p.attempted.Load()
		if saved.Users < before || saved.Users > after {
			t.Errorf("backup %d has %d users; %d were acknowledged before it, %d attempted until its end", n, saved.Users, before, after)
		}
		info, err := os.Stat(file)
		if err != nil || info.Size() != saved.Bytes || info.Mode().Perm() != 0o600 || saved.Pages == 0 {
			t.Errorf("%+v, %v, %v", saved, info, err)
		}
		wantFiles(t, filepath.Dir(file), "keylodge.backup")
		var users int64
		db, err := openMode("ro", file)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRow("SELECT count(*) FROM users").Scan(&users); err != nil || users != saved.Users {
			t.Errorf("it reports %d users and has %d, %v", saved.Users, users, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if p.acknowledged.Load() == 0 {
		t.Error("no user was added")
	}
}

// Another process writes between any two steps of the copy. The copy is of one moment all the same, and it ends.
func TestSave_ConsistentSnapshot(t *testing.T) {
	s := openNew(t)
	path := pathOf(t, s)
	execSQL(t, path, largeRows)
	source, err := NewFile(path).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	d, err := newTempFile(filepath.Join(t.TempDir(), "backup"))
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	ctx := &errHook{Context: t.Context(), hook: func() error {
		if steps++; steps > 100 {
			return errors.New("the copy restarts after each write")
		}
		add(t, s, steps)
		return nil
	}}
	if err := source.copyTo(ctx, d.path, nil); err != nil {
		t.Fatal(err)
	}
	if steps < 3 {
		t.Fatalf("the copy took %d steps, so the test proves nothing", steps)
	}
	if n := queryValue(t, d.path, "SELECT count(*) FROM webauthn_challenges"); n != "0" {
		t.Errorf("the copy has %s challenges that were written during it", n)
	}
}

// errHook is a context whose Err calls a function.
type errHook struct {
	context.Context
	hook func() error
}

func (c *errHook) Err() error { return c.hook() }

// largeRows are more rows than one step copies.
const largeRows = `INSERT INTO signing_keys (id, algorithm, encrypted_key, created_at, signs_from)
	SELECT value, 'ES256', randomblob(1000000), 1, 1 FROM generate_series(1, 20)`

func TestSave_OverwritesOnlyIfReplace(t *testing.T) {
	path := newFilledFile(t)
	folder := filepath.Dir(path)
	file := filepath.Join(folder, "backup")
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := NewFile(path).Save(t.Context(), file, false, dbadmin.CheckOptions{Full: true})
	wantCode(t, err, "file_exists")
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("the file was replaced")
	}
	// Another process may create the file during the backup.
	d, err := newTempFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, d.publish(file, false), "file_exists")
	d.discard()
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("a file created during the backup was replaced")
	}
	if _, err := NewFile(path).Save(t.Context(), file, true, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	wantFiles(t, folder, "backup", "keylodge.db")
	for _, target := range []string{path, folder} {
		_, err := NewFile(path).Save(t.Context(), target, true, dbadmin.CheckOptions{Full: true})
		wantCode(t, err, "invalid_file")
	}
}

func TestSave_CancelledLeavesNoFile(t *testing.T) {
	path := newFilledFile(t)
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewFile(path).Save(ctx, filepath.Join(folder, "backup"), false, dbadmin.CheckOptions{Full: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	source, err := NewFile(path).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	d, err := newTempFile(filepath.Join(folder, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	// This context ends after the copy has begun.
	if err := source.copyTo(&errHook{t.Context(), func() error { return context.Canceled }}, d.path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.discard()
	wantFiles(t, folder)
}

// A check that is not full ends after its timeout and reports that it is incomplete.
func TestCheckIntegrity_Timeout(t *testing.T) {
	path := newFilledFile(t)
	db, err := connectTo(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx      context.Context
		full     bool
		timeout  time.Duration
		complete bool
		want     error
	}{
		"before the timeout":   {t.Context(), false, time.Minute, true, nil},
		"after the timeout":    {t.Context(), false, 0, false, nil},
		"full":                 {t.Context(), true, 0, true, nil},
		"cancelled":            {cancelled, false, time.Minute, false, context.Canceled},
		"cancelled full check": {cancelled, true, time.Minute, false, context.Canceled},
	} {
		complete, err := db.checkIntegrity(c.ctx, dbadmin.CheckOptions{Full: c.full}, c.timeout)
		if complete != c.complete || !errors.Is(err, c.want) {
			t.Errorf("%s: %t, %v; want %t, %v", name, complete, err, c.complete, c.want)
		}
	}
}

func TestSave_reportsProgress(t *testing.T) {
	var seen []dbadmin.Progress
	check := dbadmin.CheckOptions{Progress: func(p dbadmin.Progress) { seen = append(seen, p) }}
	saved, err := NewFile(newFilledFile(t)).Save(t.Context(), filepath.Join(t.TempDir(), "backup"), false, check)
	if err != nil || saved.Unchecked {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	complete := dbadmin.Progress{Stage: dbadmin.StageCopying, Done: saved.Pages, Total: saved.Pages}
	if !slices.Contains(seen, complete) || seen[len(seen)-1] != (dbadmin.Progress{Stage: dbadmin.StageChecking, Done: 1, Total: 1}) {
		t.Errorf("reported %+v, want %+v in it", seen, complete)
	}
}

func TestSave_RejectsInvalidDatabases(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		code    string
	}{
		"no file":                    {func(*testing.T, string) {}, "no_database"},
		"an empty file":              {func(t *testing.T, path string) { write(t, path, "") }, "no_database"},
		"another program's database": {func(t *testing.T, path string) { execSQL(t, path, "CREATE TABLE users (id)") }, "not_a_keylodge_database"},
		"another program's schema_migrations": {func(t *testing.T, path string) {
			execSQL(t, path, "CREATE TABLE schema_migrations (version, dirty); INSERT INTO schema_migrations VALUES (1, 0)")
		}, "not_a_keylodge_database"},
		"an incompatible schema": {func(t *testing.T, path string) {
			fill(t, path)
			execSQL(t, path, setIncompatibleVersion)
		}, "newer_release"},
		"an incomplete upgrade": {func(t *testing.T, path string) {
			fill(t, path)
			execSQL(t, path, "UPDATE schema_migrations SET dirty = 1")
		}, "not_a_keylodge_database"},
		"a damaged index": {func(t *testing.T, path string) { fill(t, path); damage(t, path) }, "database_damaged"},
		"a reference to a missing row": {func(t *testing.T, path string) {
			fill(t, path)
			execSQL(t, path, "PRAGMA foreign_keys = OFF; DELETE FROM users")
		}, "database_damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keylodge.db")
			c.prepare(t, path)
			folder := t.TempDir()
			_, err := NewFile(path).Save(t.Context(), filepath.Join(folder, "backup"), false, dbadmin.CheckOptions{Full: true})
			wantCode(t, err, c.code)
			wantFiles(t, folder)
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func execSQL(t *testing.T, path, statements string) {
	t.Helper()
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites an index.
func damage(t *testing.T, path string) {
	t.Helper()
	page, err := strconv.Atoi(queryValue(t, path, "SELECT rootpage FROM sqlite_schema WHERE name = 'events_at_idx'"))
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	overwrite(t, path, int64(page-1)*pageSize, strings.Repeat("x", pageSize))
}

func TestRestore_RestoresAllContents(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	f := NewFile(path)
	saved, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true})
	if err != nil {
		t.Fatal(err)
	}
	want := fileContents(t, path)
	execSQL(t, path, "DELETE FROM totps; UPDATE users SET email = 'mallory@example.org'")
	current := fileContents(t, path)
	if err := os.Chmod(path, 0o640); err != nil { // Commit must keep the operator's mode
		t.Fatal(err)
	}

	r, err := f.PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Backup(); got.Users != saved.Users || got.Passkeys != 1 || got.Schema != saved.Schema || len(got.SigningKeys) != 1 || got.LatestEvent.IsZero() {
		t.Errorf("the backup has %+v", got)
	}
	if inventory, err := r.Current(t.Context()); err != nil || inventory == nil || inventory.Users != 1 {
		t.Errorf("Current: %+v, %v", inventory, err)
	}
	if got := fileContents(t, path); got != current {
		t.Error("PrepareRestore has changed the database")
	}
	kept, err := r.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil {
		t.Error(err)
	}
	if got := fileContents(t, path); got != want {
		t.Errorf("restored:\n%s\nwant:\n%s", got, want)
	}
	if got := fileContents(t, kept); got != current {
		t.Errorf("the saved copy has\n%s\nwant\n%s", got, current)
	}
	if !strings.HasPrefix(kept, path+".before-restore-") {
		t.Errorf("the saved copy is %s", kept)
	}
	for file, mode := range map[string]fs.FileMode{path: 0o640, kept: 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	wantFiles(t, filepath.Dir(path), "keylodge.db", filepath.Base(kept))
	wantFiles(t, filepath.Dir(backup), "backup")
	openAt(t, path)
}

// The saved copy contains what was in the write-ahead log only.
func TestRestore_KeepsUncheckpointedWAL(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(path).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	live := openAt(t, path)
	add(t, live, 1)
	crashed := filepath.Join(t.TempDir(), "keylodge.db")
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		write(t, crashed+suffix, string(text))
	}
	r, err := NewFile(crashed).PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := r.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const query = "SELECT count(*) FROM webauthn_challenges WHERE id = '"
	if n := queryValue(t, kept, query+numberedID(1).String()+"'"); n != "1" {
		t.Error("the saved copy lacks what was in the log only")
	}
	if n := queryValue(t, crashed, query+numberedID(1).String()+"'"); n != "0" {
		t.Error("the log was applied to the restored database")
	}
}

func TestRestore_WithoutDatabase(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(newFilledFile(t)).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(t *testing.T, path string){
		"no file":       func(*testing.T, string) {},
		"an empty file": func(t *testing.T, path string) { write(t, path, "") },
		// The log of a deleted database would be applied to the new one.
		"the log of another database": func(t *testing.T, path string) {
			other := openNew(t)
			add(t, other, 1)
			log, err := filepath.Glob(filepath.Join(filepath.Dir(pathOf(t, other)), "*-wal"))
			if err != nil || len(log) != 1 {
				t.Fatal(log, err)
			}
			text, err := os.ReadFile(log[0])
			if err != nil {
				t.Fatal(err)
			}
			write(t, path+"-wal", string(text))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keylodge.db")
			prepare(t, path)
			r, err := NewFile(path).PrepareRestore(t.Context(), backup)
			if err != nil {
				t.Fatal(err)
			}
			if current, err := r.Current(t.Context()); current != nil || err != nil {
				t.Errorf("Current: %+v, %v", current, err)
			}
			if kept, err := r.Commit(t.Context()); kept != "" || err != nil {
				t.Errorf("saved copy %q, %v", kept, err)
			}
			if users := queryValue(t, path, "SELECT email FROM users"); users != "ada@example.org" {
				t.Errorf("the restored user is %s", users)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}

func TestRestore_KeepsUnreadableDatabase(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(newFilledFile(t)).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	for name, breakFile := range map[string]func(t *testing.T, path string){
		"the header":              func(t *testing.T, path string) { overwrite(t, path, 0, "Dear diary, ") },
		"all but the first bytes": func(t *testing.T, path string) { overwrite(t, path, 16, strings.Repeat("x", 8000)) },
		"an index":                damage,
	} {
		t.Run(name, func(t *testing.T) {
			path := newFilledFile(t)
			breakFile(t, path)
			broken, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewFile(path).PrepareRestore(t.Context(), backup)
			if err != nil {
				t.Fatal(err)
			}
			if current, err := r.Current(t.Context()); current == nil || err != nil {
				t.Errorf("Current: %+v, %v", current, err)
			}
			kept, err := r.Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(kept); err != nil || len(text) != len(broken) || name != "an index" && !bytes.Equal(text, broken) {
				t.Errorf("the saved copy has %d bytes of %d, %v", len(text), len(broken), err)
			}
			if users := queryValue(t, path, "SELECT email FROM users"); users != "ada@example.org" {
				t.Errorf("the restored user is %s", users)
			}
			wantFiles(t, filepath.Dir(path), "keylodge.db", filepath.Base(kept))
		})
	}
}

func overwrite(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPrepare_RejectsInvalidBackups(t *testing.T) {
	path := newFilledFile(t)
	complete := filepath.Join(t.TempDir(), "complete")
	if _, err := NewFile(path).Save(t.Context(), complete, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, file string)
		code    string
	}{
		"no file":               {func(*testing.T, string) {}, "not_a_backup"},
		"an empty file":         {func(t *testing.T, file string) { write(t, file, "") }, "not_a_backup"},
		"a text file":           {func(t *testing.T, file string) { write(t, file, "Dear Ada, "+strings.Repeat("x", 4096)) }, "database_damaged"},
		"the first half":        {func(t *testing.T, file string) { write(t, file, string(text[:len(text)/2])) }, "database_damaged"},
		"without the last page": {func(t *testing.T, file string) { write(t, file, string(text[:len(text)-4096])) }, "database_damaged"},
		"a damaged index":       {func(t *testing.T, file string) { write(t, file, string(text)); damage(t, file) }, "database_damaged"},
		"another program's":     {func(t *testing.T, file string) { execSQL(t, file, "CREATE TABLE notes (text)") }, "not_a_keylodge_database"},
		"without a table":       {func(t *testing.T, file string) { write(t, file, string(text)); execSQL(t, file, "DROP TABLE totps") }, "not_a_keylodge_database"},
		"an incompatible schema": {func(t *testing.T, file string) {
			write(t, file, string(text))
			execSQL(t, file, setIncompatibleVersion)
		}, "newer_release"},
		"a database in use": {func(t *testing.T, file string) { write(t, file, string(text)); write(t, file+"-wal", "x") }, "not_a_backup"},
		"a directory": {func(t *testing.T, file string) {
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not_a_backup"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFilledFile(t)
			before := fileContents(t, path)
			file := filepath.Join(t.TempDir(), "backup")
			c.prepare(t, file)
			_, err := NewFile(path).PrepareRestore(t.Context(), file)
			wantCode(t, err, c.code)
			if got := fileContents(t, path); got != before {
				t.Error("the database was changed")
			}
			wantFiles(t, filepath.Dir(path), "keylodge.db")
		})
	}
	_, err = NewFile(path).PrepareRestore(t.Context(), path)
	wantCode(t, err, "not_a_backup")
}

func TestRestore_OlderSchemaVersion(t *testing.T) {
	useTestMigrations(t)
	for version := range rowsByVersion {
		old := filepath.Join(t.TempDir(), "keylodge.db")
		db, err := openDatabase(old)
		if err != nil {
			t.Fatal(err)
		}
		m := migrator(t, db)
		if err := m.Steps(1 + version); err != nil {
			t.Fatal(err)
		}
		if err, closeErr := m.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		backup := filepath.Join(t.TempDir(), "backup")
		saved, err := NewFile(old).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "keylodge.db")
		r, err := NewFile(path).PrepareRestore(t.Context(), backup)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		status, err := NewFile(path).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		newest, err := sqlstore.ToRevert(status)
		if err != nil || newest.Version != saved.Schema {
			t.Errorf("the schema is at %+v, want %d, %v", newest, saved.Schema, err)
		}
		openAt(t, path) // upgrades the schema
	}
}

// Restore and Down are rejected while any process has the database open, even an idle server or a shell that only reads.
func TestRestoreAndDown_RejectDatabaseInUse(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	f := NewFile(path)
	if _, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	wantInUse := func(t *testing.T) {
		t.Helper()
		r, err := f.PrepareRestore(t.Context(), backup)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Commit(t.Context())
		wantCode(t, err, "database_in_use")
		if err := r.Discard(); err != nil {
			t.Error(err)
		}
		_, err = f.DryRunDown(t.Context())
		wantCode(t, err, "database_in_use")
		_, err = f.Down(t.Context())
		wantCode(t, err, "database_in_use")
		if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*restore*")); len(files) > 0 {
			t.Errorf("remaining files: %v", files)
		}
	}
	t.Run("a server", func(t *testing.T) {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		wantInUse(t)
		add(t, s, 1) // the server still works
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a reader in another process", func(t *testing.T) {
		shell, err := exec.LookPath("sqlite3")
		if err != nil {
			require.Missing(t, require.Tools)
		}
		reader := exec.Command(shell, path)
		in, err := reader.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := reader.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write([]byte("SELECT count(*) FROM passkeys;\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		wantInUse(t)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := reader.Wait(); err != nil {
			t.Error(err)
		}
	})
	r, err := f.PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context()); err != nil {
		t.Errorf("after the others have closed the database: %v", err)
	}
}

// A server that starts during a restore waits and then opens the restored database.
func TestOpen_WaitsForRestore(t *testing.T) {
	path := newFilledFile(t)
	f := NewFile(path)
	db, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	execSQL(t, path, "UPDATE users SET email = 'mallory@example.org'")
	if err := db.lockExclusively(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	var s *Store
	go func() {
		var err error
		s, err = Open(path)
		started <- err
	}()
	select {
	case err := <-started:
		t.Fatalf("Open did not wait: %v", err)
	case <-time.After(200 * time.Millisecond): // time to reach the lock; the test also passes if Open has not reached it
	}
	if err := db.restoreFrom(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Users.ByEmail(t.Context(), "ada@example.org")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// queryValue returns the first value of a query on a file.
func queryValue(t *testing.T, path, query string) string {
	t.Helper()
	db, err := openMode("rw", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return queryColumn(t, db, query)[0]
}

func pathOf(t *testing.T, s *Store) string {
	t.Helper()
	return queryColumn(t, s.db, "SELECT file FROM pragma_database_list")[0]
}

func TestSchema_StatusUpDown(t *testing.T) {
	useTestMigrations(t)
	path := newFilledFile(t)
	f := NewFile(path)
	all, err := sqlstore.Migrations(SchemaFiles)
	if err != nil || len(all) != len(rowsByVersion) {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	wantState := func(applied int) {
		t.Helper()
		status, err := f.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range status {
			if m.Version != all[i].Version || m.Name == "" || m.Applied != (i < applied) {
				t.Errorf("with %d applied: %+v", applied, m)
			}
		}
	}
	wantState(len(all))
	for applied := len(all); applied > 0; applied-- {
		before := fileContents(t, path)
		dryRun, err := f.DryRunDown(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := fileContents(t, path); got != before {
			t.Fatal("the dry run has changed the database")
		}
		wantState(applied)
		loss, err := f.Down(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(dryRun) != fmt.Sprint(loss) || loss.Migration.Version != all[applied-1].Version {
			t.Errorf("dry run %+v, lost %+v", dryRun, loss)
		}
		switch loss.Migration.Name {
		case "labels":
			if loss.Rows["labels"] != 2 || loss.Rows["webauthn_challenges"] != 1 || loss.Rows["users"] != 0 ||
				!slices.Contains(loss.Tables, "labels") || !slices.Contains(loss.Columns, "webauthn_challenges.label_id") || slices.Contains(loss.Tables, "users") {
				t.Errorf("lost: %+v", loss)
			}
		case "user_titles":
			if len(loss.Rows)+len(loss.Tables) > 0 || !slices.Equal(loss.Columns, []string{"users.title"}) {
				t.Errorf("lost: %+v", loss)
			}
		}
		wantState(applied - 1)
		if applied == 1 {
			continue
		}
		if mode := queryValue(t, path, "PRAGMA journal_mode"); mode != "wal" {
			t.Errorf("the journal mode is %s", mode)
		}
	}
	_, err = f.Down(t.Context())
	wantCode(t, err, "nothing_to_undo")
	_, err = f.Save(t.Context(), filepath.Join(t.TempDir(), "backup"), false, dbadmin.CheckOptions{})
	wantCode(t, err, "not_a_keylodge_database")
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	if done, err := f.Up(t.Context()); err != nil || len(done) != len(all) {
		t.Errorf("up again: %+v, %v", done, err)
	}
}

func TestUp_AppliesPendingMigrations(t *testing.T) {
	useTestMigrations(t)
	path := newFilledFile(t)
	f := NewFile(path)
	for range 2 {
		if _, err := f.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	done, err := f.Up(t.Context())
	if err != nil || len(done) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err = f.Up(t.Context()); err != nil || len(done) != 0 {
		t.Errorf("Up again: %+v, %v", done, err)
	}
	execSQL(t, path, setIncompatibleVersion)
	for _, do := range []func(context.Context) ([]dbadmin.Migration, error){f.Up, f.Status} {
		_, err := do(t.Context())
		wantCode(t, err, "newer_release")
	}
	empty := NewFile(filepath.Join(t.TempDir(), "keylodge.db"))
	_, err = empty.Up(t.Context())
	wantCode(t, err, "no_database")
	status, err := empty.Status(t.Context())
	if err != nil || len(status) == 0 || status[0].Applied {
		t.Errorf("Status of a missing database: %+v, %v", status, err)
	}
}
