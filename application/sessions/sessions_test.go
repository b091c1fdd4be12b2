package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
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

// hookedStore is a store that counts its units of work that write, and may lose them. What happens in between comes before the
// next one.
type hookedStore struct {
	ports.Store
	writes       int
	unavailable  bool
	beforeUpdate func()
}

func (w *hookedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if between := w.beforeUpdate; between != nil {
		w.beforeUpdate = nil
		between()
	}
	if w.unavailable {
		return domain.ErrUnavailable
	}
	w.writes++
	return w.Store.Update(ctx, fn)
}

// fixture is everything around sessions, over a store in memory.
type fixture struct {
	t          *testing.T
	store      *hookedStore
	signingKey ports.TokenKey
	issuer     *signingkeys.Issuer
	auditLog   *audit.Log
	service    *sessions.Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	keys := jwt.New()
	signing, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	store := &hookedStore{Store: sqlitestore.New(t)}
	h := &fixture{
		t: t, store: store, signingKey: signing, auditLog: &audit.Log{Random: rand.Reader, Devices: deviceNames{}},
		issuer: &signingkeys.Issuer{
			SigningKeys: &signingkeys.Service{Store: store, TokenKeys: keys, Clock: clock(noon), External: signingkeys.ExternalKeys{signing}}, Random: rand.Reader,
			Policy:      domain.AccessPolicy{Issuer: issuerURL, Audience: serviceAudience, TTL: 5 * time.Minute},
			RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
		},
	}
	h.service = &sessions.Service{Store: store, Issuer: h.issuer, Audit: h.auditLog, Lifetime: lifetime}
	return h
}

// at sets the time of the service to noon plus after.
func (h *fixture) at(after time.Duration) *sessions.Service {
	h.service.Clock = clock(noon.Add(after))
	return h.service
}

func (h *fixture) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// person is somebody with an account and a passkey.
type person struct {
	*fixture
	user *domain.User
	key  *domain.Credential
}

func (h *fixture) addUser(name string) *person {
	h.t.Helper()
	applicant := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	key, err := domain.NewCredential(applicant.UserID, "a key", sqlitestore.Registration(domain.CredentialID(name)), noon)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &person{h, applicant.ToUser(noon), key}
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(h.t.Context(), p.user), tx.Credentials.Add(h.t.Context(), key))
	})
	return p
}

// signIn opens the session of a browser, so long after noon.
func (p *person) signIn(after time.Duration) (identity.Principal, domain.SessionToken) {
	p.t.Helper()
	session, token := domain.OpenSession(p.key, domain.Device{}, lifetime, noon.Add(after), rand.Reader)
	return p.addSession(session), token
}

// signInBearer opens the session of a program.
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

func (h *fixture) revokeSession(session *domain.Session) {
	h.t.Helper()
	session.Revoke(noon)
	h.update(func(tx ports.Tx) error { return tx.Sessions.Save(h.t.Context(), session) })
}

// entries are the person's log, newest first.
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

// storedSession is as the store has it.
func (h *fixture) storedSession(id domain.SessionID) (is domain.SessionState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(h.t.Context(), id)
		if err == nil {
			is = s.State()
		}
		return err
	})
	return is
}

// sessionErr says how a session in the store has ended; nil if it lasts.
func (h *fixture) sessionErr(id domain.SessionID, after time.Duration) error {
	return domain.RestoreSession(h.storedSession(id)).RequireActive(noon.Add(after))
}

func (h *fixture) authenticate(proof sessions.PresentedToken, after time.Duration) (identity.Principal, error) {
	h.t.Helper()
	return h.at(after).Authenticate(h.t.Context(), proof, identity.Client{IP: "203.0.113.9", RequestID: "request-18"})
}

func (h *fixture) signOut(actor identity.Principal, after time.Duration) error {
	h.t.Helper()
	return h.at(after).SignOut(h.t.Context(), actor)
}

// flushLastSeen has what was noted written, and returns of how many sessions.
func (h *fixture) flushLastSeen() int {
	h.t.Helper()
	n, err := h.at(0).WriteLastSeen(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestAuthenticate_WritesUseOnceAMinute(t *testing.T) {
	h := newFixture(t)
	_, token := h.addUser("Ada").signIn(0)
	for after, writes := range []int{0, 0, 1, 1, 2} {
		current, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, time.Duration(after)*30*time.Second)
		h.flushLastSeen()
		if err != nil || h.store.writes != writes {
			t.Errorf("after %d half minutes: %d writes, %v; want %d", after, h.store.writes, err, writes)
		}
		seen := noon.Add(time.Duration(writes) * time.Minute)
		for _, is := range []domain.SessionState{current.Session.State(), h.storedSession(current.Session.ID())} {
			if !is.LastSeenAt.Equal(seen) || !is.IdleEndsAt.Equal(seen.Add(lifetime.IdleTTL)) {
				t.Errorf("after %d half minutes: last seen at %s, idle until %s", after, is.LastSeenAt, is.IdleEndsAt)
			}
		}
	}
}

func TestAuthenticate_ExpiredSession(t *testing.T) {
	h := newFixture(t)
	_, token := h.addUser("Ada").signIn(0)
	if current, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, time.Hour); !errors.Is(err, domain.ErrSessionExpired) || current.Session != nil {
		t.Errorf("got %+v, %v", current, err)
	}
	if n := h.flushLastSeen(); n != 0 {
		t.Error("somebody who was refused was noted")
	}
}

func TestAuthenticate_Cookie(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	actor, token := ada.signIn(0)
	_, bens := h.addUser("Ben").signIn(0)
	got, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != actor.Session.ID() {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := (identity.Client{IP: "203.0.113.9", RequestID: "request-18"}); got.Client != want || got.Session.State().Device.IP != "203.0.113.9" {
		t.Errorf("they come as %+v, seen from %s", got.Client, got.Session.State().Device.IP)
	}
	ada.disable()
	if got, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 3*time.Minute); !errors.Is(err, domain.ErrUserDisabled) || got.Session != nil {
		t.Errorf("with a shut account: %+v, %v", got, err)
	}
	ada.remove()
	if got, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 3*time.Minute); !errors.Is(err, domain.ErrUnauthenticated) || got.Session != nil {
		t.Errorf("without an account: %+v, %v", got, err)
	}
	if _, err := h.authenticate(sessions.PresentedToken{SessionToken: bens}, 3*time.Minute); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestSignOut_Idempotent(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	actor, token := ada.signIn(0)
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	gone, _ := newFixture(t).addUser("Ben").signIn(0)
	for name, actor := range map[string]identity.Principal{"one whose session is gone": gone, "one whose session has expired": expired} {
		if err := h.signOut(actor, 0); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for range 2 {
		if err := h.signOut(actor, 0); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if _, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("afterwards: %v", err)
	}
	log := ada.entries()
	if len(log) != 1 || log[0].Kind != domain.EventSignedOut || log[0].SessionID != actor.Session.ID() || log[0].IP != "127.0.0.1" {
		t.Errorf("logged %+v", log)
	}
	if err := h.sessionErr(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the one that had expired: %v", err)
	}
}

func TestSignOut_StoreError(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	h.store.unavailable = true
	if err := h.signOut(actor, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// failingSessionsStore is a store that cannot look sessions up.
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
