package sessioncache_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

// hookedStore counts its Views, and calls a function of the test once after the next View has read, or before the next Update returns.
type hookedStore struct {
	ports.Store
	views        int
	afterRead    func()
	beforeReturn func(committed error) error
	otherCommits uint64
	unknown      bool
}

func (s *hookedStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	s.views++
	return s.Store.View(ctx, func(tx ports.Tx) error {
		err := fn(tx)
		if hook := s.afterRead; hook != nil {
			s.afterRead = nil
			hook()
		}
		return err
	})
}

func (s *hookedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	if hook := s.beforeReturn; hook != nil {
		s.beforeReturn = nil
		return hook(err)
	}
	return err
}

func (s *hookedStore) OtherCommits() (number uint64, known bool) { return s.otherCommits, !s.unknown }

// fixture is a cache and Ada's session. The database is a file, because a read and a write run at the same time.
type fixture struct {
	*testing.T
	inner *hookedStore
	cache *sessioncache.Store
	ada   *domain.User
	id    domain.SessionID
	token domain.TokenDigest
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, inner: &hookedStore{Store: sqlitestore.NewInBubble(t)}, ada: domain.NewPendingUser("", "Ada", noon, rand.Reader).ToUser(noon)}
	f.cache = sessioncache.New(f.inner)
	key, err := domain.NewCredential(f.ada.ID(), "", sqlitestore.Registration("key"), noon)
	if err != nil {
		t.Fatal(err)
	}
	session, secret := domain.OpenSession(key, domain.Device{}, lifetime, noon, rand.Reader)
	f.id, f.token = session.ID(), secret.Digest()
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), f.ada), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()), tx.Sessions.Add(t.Context(), session))
	})
	return f
}

func (f *fixture) update(fn func(ports.Tx) error) {
	f.Helper()
	if err := f.cache.Update(f.Context(), fn); err != nil {
		f.Fatal(err)
	}
}

// find returns the session that the cache returns at noon plus after, and whether it read the database.
func (f *fixture) find(after time.Duration) (session *domain.Session, read bool) {
	f.Helper()
	views := f.inner.views
	session, user, err := f.cache.ByToken(f.Context(), f.token, noon.Add(after))
	if err != nil || session.ID() != f.id || user.ID() != f.ada.ID() {
		f.Fatalf("got %v, %v, %v", session, user, err)
	}
	return session, f.inner.views > views
}

func (f *fixture) requireCached() {
	f.Helper()
	if session, read := f.find(0); read || !session.Active(noon) {
		f.Fatalf("read the database: %t, active: %t; want a session from the cache", read, session.Active(noon))
	}
}

func (f *fixture) requireRevoked() {
	f.Helper()
	if session, _ := f.find(0); session.Active(noon) {
		f.Fatal("the session is active after its revocation")
	}
}

// revoke is an fn of an Update that revokes the session.
func (f *fixture) revoke(tx ports.Tx) error {
	session, err := tx.Sessions.ByID(f.Context(), f.id)
	if err != nil {
		return err
	}
	session.Revoke(noon)
	return tx.Sessions.Save(f.Context(), session)
}

func TestStore_ReadsOnce(t *testing.T) {
	f := newFixture(t)
	if _, read := f.find(0); !read {
		t.Fatal("found a session before any read")
	}
	f.requireCached()
	f.update(func(tx ports.Tx) error { return tx.Lockouts.Clear(t.Context(), domain.LockoutSubject{}) })
	f.requireCached()
}

// A caller may change what it gets.
func TestStore_ReturnsCopies(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		session, user, err := f.cache.ByToken(t.Context(), f.token, noon)
		if err != nil || !session.Active(noon) || user.Disabled() {
			t.Fatalf("got %+v, %+v, %v", session, user, err)
		}
		session.Revoke(noon)
		user.Disable(noon)
	}
}

func TestStore_Update_InvalidatesBeforeItReturns(t *testing.T) {
	changes := map[string]func(f *fixture) func(ports.Tx) error{
		"Sessions.Save": func(f *fixture) func(ports.Tx) error { return f.revoke },
		"Users.Save": func(f *fixture) func(ports.Tx) error {
			return func(tx ports.Tx) error {
				f.ada.Rename("Ada L.")
				return tx.Users.Save(f.Context(), f.ada)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.find(0)
			f.requireCached()
			f.update(change(f))
			if _, read := f.find(0); !read {
				t.Error("the cache returned the session after the change")
			}
		})
	}
}

func TestStore_Update_CommitWithErrorInvalidates(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	rejected := errors.New("rejected")
	err := f.cache.Update(t.Context(), func(tx ports.Tx) error {
		if err := f.revoke(tx); err != nil {
			return err
		}
		return ports.CommitWith(rejected)
	})
	if !errors.Is(err, rejected) {
		t.Fatal(err)
	}
	f.requireRevoked()
}

func TestStore_RemovedUserIsUnauthenticated(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	f.requireCached()
	f.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), f.ada.ID()) })
	if _, _, err := f.cache.ByToken(t.Context(), f.token, noon); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestStore_RollbackInvalidatesNothing(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	failed := errors.New("failed")
	err := f.cache.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(f.revoke(tx), failed) })
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = f.cache.Update(t.Context(), func(tx ports.Tx) error { _ = f.revoke(tx); panic("failed") })
	}()
	f.requireCached()
}

// The outcome of a commit is unknown if the connection is lost while it runs.
func TestStore_UnknownCommitInvalidates(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	f.inner.beforeReturn = func(error) error { return domain.ErrUnavailable }
	if err := f.cache.Update(t.Context(), f.revoke); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatal(err)
	}
	f.requireRevoked()
}

// A read begins before a change, and ends after the change is committed and its Update has returned.
func TestStore_ReadBeforeAChangeIsNotKept(t *testing.T) {
	f := newFixture(t)
	f.inner.afterRead = func() { f.update(f.revoke) }
	if session, _ := f.find(0); !session.Active(noon) {
		t.Fatal("the read began after the change")
	}
	f.requireRevoked()
}

// A read begins before a change, and ends while the change is committed and its Update has not returned.
func TestStore_ReadDuringAChangeIsNotUsedAfterIt(t *testing.T) {
	f := newFixture(t)
	read, committed, stored, updated := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan error, 1)
	f.inner.beforeReturn = func(err error) error {
		close(committed)
		<-stored
		return err
	}
	f.inner.afterRead = func() {
		close(read)
		<-committed
	}
	go func() {
		<-read
		updated <- f.cache.Update(t.Context(), f.revoke)
	}()
	if session, _ := f.find(0); !session.Active(noon) {
		t.Fatal("the read began after the change")
	}
	close(stored)
	if err := <-updated; err != nil {
		t.Fatal(err)
	}
	f.requireRevoked()
}

func TestStore_OtherProcesses(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	f.requireCached()
	f.inner.unknown = true // beside the number of the entry
	if _, read := f.find(0); !read {
		t.Error("the cache returned the session, and the commits of other processes are unknown")
	}
	f.inner.unknown = false
	f.inner.otherCommits++
	if _, read := f.find(0); !read {
		t.Error("the cache returned the session after a commit of another process")
	}
	f.requireCached()
	f.inner.otherCommits++
	f.inner.unknown = true
	for range 2 {
		if _, read := f.find(0); !read {
			t.Error("the cache returned the session, and the commits of other processes are unknown")
		}
	}
	f.inner.unknown = false
	if _, read := f.find(0); !read {
		t.Error("the cache kept a session that was read while the commits of other processes were unknown")
	}

	f.inner.otherCommits++
	f.inner.afterRead = func() { f.inner.otherCommits++ }
	f.find(0)
	if _, read := f.find(0); !read {
		t.Error("the cache kept a session that was read before a commit of another process")
	}
}

func TestStore_EntriesExpire(t *testing.T) {
	f := newFixture(t)
	f.find(0)
	for _, c := range []struct {
		after time.Duration
		read  bool
	}{{time.Second - 1, false}, {time.Second, true}, {0, true}, {time.Second - 1, false}} {
		if _, read := f.find(c.after); read != c.read {
			t.Errorf("after %s: read %t, want %t", c.after, read, c.read)
		}
	}
}

// Sessions that have ended and tokens that are unknown are read each time, and take no place in the cache.
func TestStore_KeepsActiveSessionsOnly(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		if _, read := f.find(lifetime.IdleTTL); !read {
			t.Error("the cache returned an expired session")
		}
	}
	f.ada.Disable(noon)
	f.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), f.ada) })
	for range 2 {
		if _, read := f.find(0); !read {
			t.Error("the cache returned a session of a disabled user")
		}
	}
	f.ada.Enable()
	f.update(func(tx ports.Tx) error { return errors.Join(tx.Users.Save(t.Context(), f.ada), f.revoke(tx)) })
	for range 2 {
		if _, read := f.find(0); !read {
			t.Error("the cache returned a revoked session")
		}
		views := f.inner.views
		if _, _, err := f.cache.ByToken(t.Context(), domain.TokenDigest{1}, noon); !errors.Is(err, domain.ErrUnauthenticated) || f.inner.views != views+1 {
			t.Errorf("an unknown token: %v after %d reads", err, f.inner.views-views)
		}
	}
}

// Another node may have stepped up the session of a new access token, so the session is read for each token.
func TestStore_ByID_IsKeptByToken(t *testing.T) {
	f := newFixture(t)
	for i, token := range []domain.TokenDigest{{1}, {1}, {2}, {2}} {
		views := f.inner.views
		if _, _, err := f.cache.ByID(t.Context(), f.id, token, noon); err != nil {
			t.Fatal(err)
		}
		if read := f.inner.views > views; read != (i%2 == 0) {
			t.Errorf("request %d: read %t", i, read)
		}
	}
	views := f.inner.views
	if _, _, err := f.cache.ByID(t.Context(), domain.SessionID{}, domain.TokenDigest{3}, noon); !errors.Is(err, domain.ErrSessionNotFound) || f.inner.views == views {
		t.Errorf("an unknown session: %v", err)
	}
}
