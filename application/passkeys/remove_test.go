package passkeys_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestRemove_OwnPasskeysOnly(t *testing.T) {
	for name, c := range map[string]struct {
		id   domain.CredentialID
		want error
		left []domain.CredentialID
	}{
		"one of hers":          {"another", nil, []domain.CredentialID{"Ada", "suspended"}},
		"the one she is in by": {"Ada", nil, []domain.CredentialID{"another", "suspended"}},
		"a suspended one":      {"suspended", nil, []domain.CredentialID{"Ada", "another"}},
		"somebody else's":      {"Ben", domain.ErrPasskeyNotFound, []domain.CredentialID{"Ada", "another", "suspended"}},
		"nobody's":             {"nobody", domain.ErrPasskeyNotFound, []domain.CredentialID{"Ada", "another", "suspended"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada, ben := l.addUser("Ada"), l.addUser("Ben")
			ada.addPasskey("another", domain.CredentialActive)
			ada.addPasskey("suspended", domain.CredentialSuspended)
			removed, err := l.remove(ada.Principal, c.id)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if got := ada.passkeyIDs(); !slices.Equal(got, c.left) || len(ben.passkeyIDs()) != 1 {
				t.Errorf("Ada has %q, Ben %q", got, ben.passkeyIDs())
			}
			if err != nil {
				if len(ada.entries())+len(ben.entries()) > 0 || removed.AcceptedCredentials != nil {
					t.Errorf("removed %+v, logged %+v, %+v", removed, ada.entries(), ben.entries())
				}
				return
			}
			if got := credentialIDs(removed.AcceptedCredentials); !slices.Equal(got, c.left) || removed.User.ID() != ada.user.ID() {
				t.Errorf("accepted %q of %+v", got, removed.User)
			}
			log := ada.entries()
			if len(log) != 1 || log[0].Kind != domain.EventPasskeyRemoved || log[0].CredentialID != c.id || log[0].PasskeyName != domain.PasskeyName(c.id+"'s key") ||
				log[0].SessionID != ada.Session.ID() || log[0].IP != "127.0.0.1" {
				t.Errorf("logged %+v", log)
			}
		})
	}
}

func TestRemove_LastPasskey(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	if _, err := l.remove(ada.Principal, "Ada"); !errors.Is(err, domain.ErrLastPasskey) {
		t.Errorf("the only one: %v", err)
	}
	ada.addPasskey("suspended", domain.CredentialSuspended)
	if _, err := l.remove(ada.Principal, "Ada"); !errors.Is(err, domain.ErrLastPasskey) {
		t.Errorf("the only one that opens the account: %v", err)
	}
	if len(ada.passkeyIDs()) != 2 || len(ada.entries()) != 0 {
		t.Errorf("left %q, logged %+v", ada.passkeyIDs(), ada.entries())
	}
}

func TestRemove_LastTwoConcurrently(t *testing.T) {
	for range 50 {
		l := newFixture(t)
		ada := l.addUser("Ada")
		ada.addPasskey("another", domain.CredentialActive)
		results := make([]error, 2)
		var removing sync.WaitGroup
		for i, id := range []domain.CredentialID{"Ada", "another"} {
			removing.Go(func() { _, results[i] = l.remove(ada.Principal, id) })
		}
		removing.Wait()
		if (results[0] == nil) == (results[1] == nil) || !errors.Is(errors.Join(results...), domain.ErrLastPasskey) || len(ada.passkeyIDs()) != 1 {
			t.Fatalf("got %v and %v; left %q", results[0], results[1], ada.passkeyIDs())
		}
	}
}

// What the caller knew of the session when they were let in may be out of date, both ways.
func TestRemove_RequiresStoredRecentAuth(t *testing.T) {
	stale, fresh := noon.Add(-time.Hour), noon
	for name, c := range map[string]struct {
		known, stored time.Time
		want          error
	}{
		"fresh":                         {fresh, fresh, nil},
		"stale":                         {stale, stale, domain.ErrStepUpRequired},
		"stepped up meanwhile":          {stale, fresh, domain.ErrStepUpRequired}, // which replaced what this caller holds
		"only the caller says so":       {fresh, stale, domain.ErrStepUpRequired},
		"as old as may be":              {noon.Add(-time.Duration(stepUp)), noon.Add(-time.Duration(stepUp)), nil},
		"a moment older":                {noon.Add(-time.Duration(stepUp) - time.Microsecond), noon.Add(-time.Duration(stepUp) - time.Microsecond), domain.ErrStepUpRequired},
		"by a recovery that has no key": {fresh, time.Time{}, domain.ErrStepUpRequired},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada := l.addUser("Ada")
			ada.addPasskey("another", domain.CredentialActive)
			at := func(authTime time.Time) *domain.Session {
				is := ada.Session.State()
				is.AuthTime = authTime
				if authTime.IsZero() {
					is.AuthTime, is.Assurance = fresh, "recovery"
				}
				return domain.RestoreSession(is)
			}
			l.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), at(c.stored)) })
			actor := ada.Principal
			actor.Session = at(c.known)
			actor.AuthContext = actor.Session.AuthContext()
			if _, err := l.remove(actor, "another"); !errors.Is(err, c.want) || (len(ada.passkeyIDs()) == 1) != (c.want == nil) {
				t.Errorf("got %v, left %q; want %v", err, ada.passkeyIDs(), c.want)
			}
		})
	}
}

// Whoever removes the passkey of a lost device wants nobody to stay signed in on it.
func TestRemove_RevokesSessionsOfPasskey(t *testing.T) {
	l := newFixture(t)
	ada, ben := l.addUser("Ada"), l.addUser("Ben")
	lost := ada.addPasskey("lost", domain.CredentialActive)
	browsers := ada.signIn(lost)
	program, _ := domain.OpenBearerSession(lost, domain.Device{}, lifetime, domain.RefreshKeys{make([]byte, 32)}, noon, rand.Reader)
	l.update(func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), program) })
	other := ada.signIn(ada.addPasskey("another", domain.CredentialActive))
	if _, err := l.remove(ada.Principal, "lost"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id   domain.SessionID
		want error
	}{
		"a browser that it opened": {browsers.Session.ID(), domain.ErrSessionRevoked},
		"a program that it opened": {program.ID(), domain.ErrSessionRevoked},
		"one by another passkey":   {other.Session.ID(), nil},
		"her own":                  {ada.Session.ID(), nil},
		"Ben's":                    {ben.Session.ID(), nil},
	} {
		if err := l.sessionErr(c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := ada.kindsAndReasons(); !slices.Equal(got, []string{"passkey_removed", "session_revoked passkey_removed", "session_revoked passkey_removed"}) {
		t.Errorf("logged %q", got)
	}
	for _, e := range ada.entries() {
		ended := map[domain.SessionID]bool{browsers.Session.ID(): true, program.ID(): true}
		if e.CredentialID != "lost" || e.Kind == domain.EventSessionRevoked && !ended[e.SessionID] || e.Kind == domain.EventPasskeyRemoved && e.SessionID != ada.Session.ID() {
			t.Errorf("logged %+v", e)
		}
	}
}

func TestRemove_KeepsCurrentSession(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	ada.addPasskey("another", domain.CredentialActive)
	var twin identity.Principal
	l.update(func(tx ports.Tx) error {
		key, err := tx.Credentials.ByID(t.Context(), "Ada")
		if err != nil {
			return err
		}
		session, _ := domain.OpenSession(key, domain.Device{}, lifetime, noon, rand.Reader)
		twin = identity.Principal{User: ada.user, Session: session, AuthContext: session.AuthContext()}
		return tx.Sessions.Add(t.Context(), session)
	})
	if _, err := l.remove(ada.Principal, "Ada"); err != nil {
		t.Fatal(err)
	}
	if err := l.sessionErr(ada.Session.ID()); err != nil {
		t.Errorf("the session that asked: %v", err)
	}
	if err := l.sessionErr(twin.Session.ID()); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("another one by the same passkey: %v", err)
	}
}

func (l *fixture) sessionErr(id domain.SessionID) (over error) {
	l.t.Helper()
	l.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(l.t.Context(), id)
		if err == nil {
			over = s.RequireActive(l.now)
		}
		return err
	})
	return over
}
