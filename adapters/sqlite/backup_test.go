package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

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
