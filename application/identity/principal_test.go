package identity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

type person struct{ *sqlitestore.Account }

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	return &person{sqlitestore.NewAccount(t, store, name, noon)}
}

// addSession opens a session at the given time, with the token of its browser.
func (p *person) addSession(at time.Time) (*domain.Session, domain.SessionToken) {
	p.T.Helper()
	session, token := domain.OpenSession(p.Key, domain.Device{}, lifetime, at, rand.Reader)
	p.Update(func(tx ports.Tx) error { return tx.Sessions.Add(p.T.Context(), session) })
	return session, token
}

// failingSessions fails to look up sessions.
type failingSessions struct{ ports.Sessions }

func (failingSessions) ByIDWithUser(context.Context, domain.SessionID) (*domain.Session, *domain.User, error) {
	return nil, nil, domain.ErrUnavailable
}

// The session or the account may change between the authentication of a request and its write.
func TestPrincipal_Reload(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(ada *person, session *domain.Session)
		after     time.Duration
		want      error
	}{
		"no change": {func(*person, *domain.Session) {}, 0, nil},
		"session revoked": {func(ada *person, s *domain.Session) {
			s.Revoke(noon)
			ada.Update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), s) })
		}, 0, domain.ErrSessionRevoked},
		// Requirement: ASVS-7.2.4
		"session stepped up": {func(ada *person, s *domain.Session) {
			carrier := s.NewSecret(nil, rand.Reader)
			s.StepUp(ada.Key, carrier, noon)
			ada.Update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), s) })
		}, 0, domain.ErrUnauthenticated},
		"session idle for too long": {func(*person, *domain.Session) {}, time.Hour, domain.ErrSessionExpired},
		"account disabled": {func(ada *person, _ *domain.Session) {
			ada.User.Disable(noon)
			ada.Update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), ada.User) })
		}, 0, domain.ErrUserDisabled},
		"account deleted": {func(ada *person, _ *domain.Session) {
			ada.Update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.User.ID()) })
		}, 0, domain.ErrSessionRevoked},
		"account renamed": {func(ada *person, _ *domain.Session) {
			ada.User.Rename("Countess")
			ada.Update(func(tx ports.Tx) error { return tx.Users.Save(t.Context(), ada.User) })
		}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ada := newPerson(t, sqlitestore.New(t), "Ada")
			session, _ := ada.addSession(noon)
			principal := identity.Principal{User: domain.RestoreUser(ada.User.State()), Session: domain.RestoreSession(session.State()), Client: identity.Client{IP: "127.0.0.1"}}
			c.meanwhile(ada, session)
			err := ada.Store.View(t.Context(), func(tx ports.Tx) error {
				reloaded, err := principal.Reload(t.Context(), tx, noon.Add(c.after))
				if err == nil && (!reflect.DeepEqual(reloaded.User.State(), ada.User.State()) || reloaded.Session.ID() != session.ID() || reloaded.Client != principal.Client) {
					t.Errorf("reloaded %+v", reloaded)
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
	principal := identity.Principal{User: ada.User, Session: session, AuthContext: session.AuthContext()}
	if _, err := principal.Reload(t.Context(), ports.Tx{Sessions: failingSessions{}}, noon); !errors.Is(err, domain.ErrUnavailable) {
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
