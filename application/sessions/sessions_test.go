package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

const (
	issuerURL       = "https://keylodge.example"
	serviceAudience = "https://api.example"
)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

type deviceNames struct{}

func (deviceNames) NameOf(userAgent string) string { return userAgent }

// hookedStore counts its updates, runs beforeUpdate once before the next one, and fails them while unavailable is set.
type hookedStore struct {
	ports.Store
	writes       int
	otherCommits uint64 // of the fixture, which is another process for the cache
	unavailable  bool
	beforeUpdate func()
}

func (s *hookedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if hook := s.beforeUpdate; hook != nil {
		s.beforeUpdate = nil
		hook()
	}
	if s.unavailable {
		return domain.ErrUnavailable
	}
	s.writes++
	return s.Store.Update(ctx, fn)
}

func (s *hookedStore) OtherCommits() (number uint64, known bool) { return s.otherCommits, true }

type fixture struct {
	t          testing.TB
	store      *hookedStore
	signingKey ports.TokenKey
	issuer     *signingkeys.Issuer
	auditLog   *audit.Log
	service    *sessions.Service
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	keys := jwt.New()
	signing, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	store := &hookedStore{Store: sqlitestore.New(t)}
	f := &fixture{
		t: t, store: store, signingKey: signing, auditLog: &audit.Log{Random: rand.Reader, Devices: deviceNames{}},
		issuer: &signingkeys.Issuer{
			SigningKeys: &signingkeys.Service{Store: store, TokenKeys: keys, Clock: clock(noon), External: signingkeys.ExternalKeys{signing}}, Random: rand.Reader,
			Policy:      domain.AccessPolicy{Issuer: issuerURL, Audience: serviceAudience, TTL: 5 * time.Minute},
			RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
		},
	}
	f.service = &sessions.Service{Store: sessioncache.New(store), Issuer: f.issuer, Audit: f.auditLog, Lifetime: lifetime}
	return f
}

// at sets the time of the service to noon plus after.
func (f *fixture) at(after time.Duration) *sessions.Service {
	f.service.Clock = clock(noon.Add(after))
	return f.service
}

func (f *fixture) update(fn func(ports.Tx) error) {
	f.t.Helper()
	f.store.otherCommits++
	if err := f.store.Store.Update(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// person is a user with a passkey.
type person struct {
	*fixture
	user *domain.User
	key  *domain.Credential
}

func (f *fixture) addUser(name string) *person {
	f.t.Helper()
	applicant := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	key, err := domain.NewCredential(applicant.UserID, "a key", sqlitestore.Registration(domain.CredentialID(name)), noon)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &person{f, applicant.ToUser(noon), key}
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(f.t.Context(), p.user), tx.Credentials.Add(f.t.Context(), key, sqlitestore.Attestation()))
	})
	return p
}

// signIn stores a session of a browser, opened at noon plus after.
func (p *person) signIn(after time.Duration) (identity.Principal, domain.SessionToken) {
	p.t.Helper()
	session, token := domain.OpenSession(p.key, domain.Device{}, lifetime, noon.Add(after), rand.Reader)
	return p.addSession(session), token
}

// signInBearer stores a session by bearer tokens, opened at noon plus after.
func (p *person) signInBearer(after time.Duration) (identity.Principal, domain.RefreshToken) {
	p.t.Helper()
	session, token := domain.OpenBearerSession(p.key, domain.Device{}, lifetime, p.issuer.RefreshKeys, noon.Add(after), rand.Reader)
	return p.addSession(session), token
}

func (p *person) addSession(session *domain.Session) identity.Principal {
	p.t.Helper()
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return identity.Principal{User: p.user, Session: session, AuthContext: session.AuthContext(), Client: identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}}
}

func (p *person) disable() {
	p.t.Helper()
	p.user.Disable(noon)
	p.update(func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), p.user) })
}

func (p *person) remove() {
	p.t.Helper()
	p.update(func(tx ports.Tx) error { return tx.Users.Remove(p.t.Context(), p.user.ID()) })
}

func (f *fixture) revokeSession(session *domain.Session) {
	f.t.Helper()
	session.Revoke(noon)
	f.update(func(tx ports.Tx) error { return tx.Sessions.Save(f.t.Context(), session) })
}

// entries returns the events of the user, newest first.
func (p *person) entries() (list []domain.EventState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			list = append(list, e.State())
		}
		return err
	})
	return list
}

func (f *fixture) storedSession(id domain.SessionID) (state domain.SessionState) {
	f.t.Helper()
	f.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(f.t.Context(), id)
		if err == nil {
			state = s.State()
		}
		return err
	})
	return state
}

// sessionErr returns the error of using a stored session at noon plus after.
func (f *fixture) sessionErr(id domain.SessionID, after time.Duration) error {
	return domain.RestoreSession(f.storedSession(id)).RequireActive(noon.Add(after))
}

func (f *fixture) authenticate(token sessions.PresentedToken, after time.Duration) (identity.Principal, error) {
	f.t.Helper()
	return f.at(after).Authenticate(f.t.Context(), token, identity.Client{IP: "203.0.113.9", RequestID: "request-18"})
}

func (f *fixture) signOut(principal identity.Principal, after time.Duration) error {
	f.t.Helper()
	return f.at(after).SignOut(f.t.Context(), principal)
}

// flushLastSeen writes the recorded uses and returns the number of sessions.
func (f *fixture) flushLastSeen() int {
	f.t.Helper()
	n, err := f.at(0).WriteLastSeen(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestAuthenticate_WritesUseOnceAMinute(t *testing.T) {
	f := newFixture(t)
	_, token := f.addUser("Ada").signIn(0)
	for after, writes := range []int{0, 0, 1, 1, 2} {
		current, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, time.Duration(after)*30*time.Second)
		f.flushLastSeen()
		if err != nil || f.store.writes != writes {
			t.Errorf("after %d half minutes: %d writes, %v; want %d", after, f.store.writes, err, writes)
		}
		seen := noon.Add(time.Duration(writes) * time.Minute)
		for _, state := range []domain.SessionState{current.Session.State(), f.storedSession(current.Session.ID())} {
			if !state.LastSeenAt.Equal(seen) || !state.IdleEndsAt.Equal(seen.Add(lifetime.IdleTTL)) {
				t.Errorf("after %d half minutes: last seen at %s, idle end %s", after, state.LastSeenAt, state.IdleEndsAt)
			}
		}
	}
}

// Requirement: ASVS-7.2.1
func TestAuthenticate_ExpiredSession(t *testing.T) {
	f := newFixture(t)
	_, token := f.addUser("Ada").signIn(0)
	if current, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, time.Hour); !errors.Is(err, domain.ErrSessionExpired) || current.Session != nil {
		t.Errorf("got %+v, %v", current, err)
	}
	if n := f.flushLastSeen(); n != 0 {
		t.Error("the use of an expired session was recorded")
	}
}

// Requirement: ASVS-7.4.2
func TestAuthenticate_Cookie(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	principal, token := ada.signIn(0)
	_, bens := f.addUser("Ben").signIn(0)
	got, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != principal.Session.ID() {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := (identity.Client{IP: "203.0.113.9", RequestID: "request-18"}); got.Client != want || got.Session.State().Device.IP != "203.0.113.9" {
		t.Errorf("client %+v, IP of the session %s", got.Client, got.Session.State().Device.IP)
	}
	ada.disable()
	if got, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 3*time.Minute); !errors.Is(err, domain.ErrUserDisabled) || got.Session != nil {
		t.Errorf("disabled account: %+v, %v", got, err)
	}
	ada.remove()
	if got, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 3*time.Minute); !errors.Is(err, domain.ErrUnauthenticated) || got.Session != nil {
		t.Errorf("deleted account: %+v, %v", got, err)
	}
	if _, err := f.authenticate(sessions.PresentedToken{SessionToken: bens}, 3*time.Minute); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// Requirement: ASVS-7.4.1
func TestSignOut_Idempotent(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	principal, token := ada.signIn(0)
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	gone, _ := newFixture(t).addUser("Ben").signIn(0)
	for name, principal := range map[string]identity.Principal{"no session": gone, "expired session": expired} {
		if err := f.signOut(principal, 0); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for range 2 {
		if err := f.signOut(principal, 0); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if _, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("authentication after signing out: %v", err)
	}
	log := ada.entries()
	if len(log) != 1 || log[0].Kind != domain.EventSignedOut || log[0].SessionID != principal.Session.ID() || log[0].IP != "127.0.0.1" {
		t.Errorf("logged %+v", log)
	}
	if err := f.sessionErr(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the expired session: %v", err)
	}
}

func TestSignOut_StoreError(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	f.store.unavailable = true
	if err := f.signOut(principal, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// failingSessionsStore is a store whose lookups of sessions fail.
type failingSessionsStore struct{ ports.Store }

type failingSessions struct{ ports.Sessions }

func (b failingSessionsStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.View(ctx, func(tx ports.Tx) error {
		tx.Sessions = failingSessions{}
		return fn(tx)
	})
}

func (b failingSessionsStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = failingSessions{}
		return fn(tx)
	})
}

func (failingSessions) ByID(context.Context, domain.SessionID) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

func (failingSessions) ByIDWithUser(context.Context, domain.SessionID) (*domain.Session, *domain.User, error) {
	return nil, nil, domain.ErrUnavailable
}
