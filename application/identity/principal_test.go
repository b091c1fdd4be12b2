package identity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

// person is somebody with an account and a security key that has counted to 7.
type person struct {
	t     *testing.T
	store ports.Store
	user  *domain.User
	key   *domain.Credential
}

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	applicant, err := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	registration := sqlitestore.Registration(domain.CredentialID(name))
	registration.SignCount = 7
	key, err := domain.NewCredential(applicant.UserID, "a key", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t, store, applicant.ToUser(noon), key}
	p.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), p.user), tx.Credentials.Add(t.Context(), p.key))
	})
	return p
}

func (p *person) update(fn func(ports.Tx) error) {
	p.t.Helper()
	if err := p.store.Update(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// addSession opens a session at the given time, with the token of its browser.
func (p *person) addSession(at time.Time) (*domain.Session, domain.SessionToken) {
	p.t.Helper()
	session, token, err := domain.OpenSession(p.key, domain.Device{}, lifetime, at, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return session, token
}

// failingSessions are sessions that cannot be looked up.
type failingSessions struct{ ports.Sessions }

func (failingSessions) ByID(context.Context, domain.SessionID) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

// Between the look that let somebody in and the write that they want, anything may happen.
func TestPrincipal_Reload(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(ada *person, session *domain.Session)
		after     time.Duration
		want      error
	}{
		"nothing happened": {func(*person, *domain.Session) {}, 0, nil},
		"the session ended": {func(ada *person, s *domain.Session) {
			s.Revoke(noon)
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), s) })
		}, 0, domain.ErrSessionRevoked},
		"somebody stepped up in it": {func(ada *person, s *domain.Session) {
			carrier, err := s.NewSecret(nil, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			s.StepUp(ada.key, carrier, noon)
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), s) })
		}, 0, domain.ErrUnauthenticated},
		"it was idle for too long": {func(*person, *domain.Session) {}, time.Hour, domain.ErrSessionExpired},
		"the account was shut": {func(ada *person, _ *domain.Session) {
			ada.user.Disable(noon)
			ada.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), ada.user) })
		}, 0, domain.ErrUserDisabled},
		"the account was deleted": {func(ada *person, _ *domain.Session) {
			ada.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.user.ID()) })
		}, 0, domain.ErrSessionRevoked},
		"they took another name": {func(ada *person, _ *domain.Session) {
			ada.user.Rename("Countess")
			ada.update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), ada.user) })
		}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ada := newPerson(t, sqlitestore.New(t), "Ada")
			session, _ := ada.addSession(noon)
			let := identity.Principal{User: domain.RestoreUser(ada.user.State()), Session: domain.RestoreSession(session.State()), Client: identity.Client{IP: "127.0.0.1"}}
			c.meanwhile(ada, session)
			err := ada.store.View(t.Context(), func(tx ports.Tx) error {
				confirmed, err := let.Reload(t.Context(), tx, noon.Add(c.after))
				if err == nil && (confirmed.User.State() != ada.user.State() || confirmed.Session.ID() != session.ID() || confirmed.Client != let.Client) {
					t.Errorf("confirmed %+v", confirmed)
				}
				return err
			})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestPrincipal_ReloadStoreError(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	session, _ := ada.addSession(noon)
	let := identity.Principal{User: ada.user, Session: session, AuthContext: session.AuthContext()}
	if _, err := let.Reload(t.Context(), ports.Tx{Sessions: failingSessions{}}, noon); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPrincipal_ChallengeContext(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	session, _ := ada.addSession(noon)
	browser := domain.BindTo(domain.NewSecret("Ada's browser"))
	if got := (identity.Principal{Session: session}).ChallengeContext(browser); got != (domain.ChallengeContext{Browser: browser, SessionID: session.ID()}) {
		t.Errorf("got %+v", got)
	}
}
