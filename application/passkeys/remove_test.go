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
		id        domain.CredentialID
		want      error
		remaining []domain.CredentialID
	}{
		"own passkey":            {"another", nil, []domain.CredentialID{"Ada", "suspended"}},
		"passkey of the session": {"Ada", nil, []domain.CredentialID{"another", "suspended"}},
		"suspended passkey":      {"suspended", nil, []domain.CredentialID{"Ada", "another"}},
		"another user's":         {"Ben", domain.ErrPasskeyNotFound, []domain.CredentialID{"Ada", "another", "suspended"}},
		"unknown":                {"unknown", domain.ErrPasskeyNotFound, []domain.CredentialID{"Ada", "another", "suspended"}},
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
			if got := ada.passkeyIDs(); !slices.Equal(got, c.remaining) || len(ben.passkeyIDs()) != 1 {
				t.Errorf("Ada has %q, Ben %q", got, ben.passkeyIDs())
			}
			if err != nil {
				if len(ada.entries())+len(ben.entries()) > 0 || removed.AcceptedCredentials != nil {
					t.Errorf("removed %+v, logged %+v, %+v", removed, ada.entries(), ben.entries())
				}
				return
			}
			if got := credentialIDs(removed.AcceptedCredentials); !slices.Equal(got, c.remaining) || removed.User.ID() != ada.user.ID() {
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
		t.Errorf("the only passkey: %v", err)
	}
	ada.addPasskey("suspended", domain.CredentialSuspended)
	if _, err := l.remove(ada.Principal, "Ada"); !errors.Is(err, domain.ErrLastPasskey) {
		t.Errorf("the only active passkey: %v", err)
	}
	if len(ada.passkeyIDs()) != 2 || len(ada.entries()) != 0 {
		t.Errorf("stored %q, logged %+v", ada.passkeyIDs(), ada.entries())
	}
}

// Requirement: WebAuthn-13.4.6
func TestRemove_LastTwoConcurrently(t *testing.T) {
	for range 50 {
		l := newFixture(t)
		ada := l.addUser("Ada")
		ada.addPasskey("another", domain.CredentialActive)
		results := make([]error, 2)
		var removals sync.WaitGroup
		for i, id := range []domain.CredentialID{"Ada", "another"} {
			removals.Go(func() { _, results[i] = l.remove(ada.Principal, id) })
		}
		removals.Wait()
		if (results[0] == nil) == (results[1] == nil) || !errors.Is(errors.Join(results...), domain.ErrLastPasskey) || len(ada.passkeyIDs()) != 1 {
			t.Fatalf("got %v and %v; stored %q", results[0], results[1], ada.passkeyIDs())
		}
	}
}

// The session may have changed since the request was authenticated.
// Requirement: ASVS-7.5.1
func TestRemove_RequiresStoredRecentAuth(t *testing.T) {
	stale, fresh := noon.Add(-time.Hour), noon
	for name, c := range map[string]struct {
		authenticated, stored time.Time
		want                  error
	}{
		"fresh":                   {fresh, fresh, nil},
		"stale":                   {stale, stale, domain.ErrStepUpRequired},
		"stepped up meanwhile":    {stale, fresh, domain.ErrStepUpRequired}, // the step-up replaced the presented token
		"stored session is stale": {fresh, stale, domain.ErrStepUpRequired},
		"maximum age":             {noon.Add(-time.Duration(stepUp)), noon.Add(-time.Duration(stepUp)), nil},
		"older than the maximum":  {noon.Add(-time.Duration(stepUp) - time.Microsecond), noon.Add(-time.Duration(stepUp) - time.Microsecond), domain.ErrStepUpRequired},
		"opened by recovery":      {fresh, time.Time{}, domain.ErrStepUpRequired},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada := l.addUser("Ada")
			ada.addPasskey("another", domain.CredentialActive)
			at := func(authTime time.Time) *domain.Session {
				s := ada.Session.State()
				s.AuthTime = authTime
				if authTime.IsZero() {
					s.AuthTime, s.Assurance = fresh, "recovery"
				}
				return domain.RestoreSession(s)
			}
			l.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), at(c.stored)) })
			principal := ada.Principal
			principal.Session = at(c.authenticated)
			principal.AuthContext = principal.Session.AuthContext()
			if _, err := l.remove(principal, "another"); !errors.Is(err, c.want) || (len(ada.passkeyIDs()) == 1) != (c.want == nil) {
				t.Errorf("got %v, stored %q; want %v", err, ada.passkeyIDs(), c.want)
			}
		})
	}
}

// The removal of a lost device's passkey must sign that device out.
// Requirement: ASVS-7.4.3
func TestRemove_RevokesSessionsOfPasskey(t *testing.T) {
	l := newFixture(t)
	ada, ben := l.addUser("Ada"), l.addUser("Ben")
	lost := ada.addPasskey("lost", domain.CredentialActive)
	browserSession := ada.signIn(lost)
	appSession, _ := domain.OpenBearerSession(lost, domain.Device{}, lifetime, domain.KeyRing[domain.RefreshToken]{make([]byte, 32)}, noon, rand.Reader)
	l.update(func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), appSession) })
	other := ada.signIn(ada.addPasskey("another", domain.CredentialActive))
	if _, err := l.remove(ada.Principal, "lost"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id   domain.SessionID
		want error
	}{
		"browser session of the passkey": {browserSession.Session.ID(), domain.ErrSessionRevoked},
		"app session of the passkey":     {appSession.ID(), domain.ErrSessionRevoked},
		"session of another passkey":     {other.Session.ID(), nil},
		"the current session":            {ada.Session.ID(), nil},
		"another user's session":         {ben.Session.ID(), nil},
	} {
		if err := l.sessionErr(c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := ada.kindsAndReasons(); !slices.Equal(got, []string{"passkey_removed", "session_revoked passkey_removed", "session_revoked passkey_removed"}) {
		t.Errorf("logged %q", got)
	}
	for _, e := range ada.entries() {
		revoked := map[domain.SessionID]bool{browserSession.Session.ID(): true, appSession.ID(): true}
		if e.CredentialID != "lost" || e.Kind == domain.EventSessionRevoked && !revoked[e.SessionID] || e.Kind == domain.EventPasskeyRemoved && e.SessionID != ada.Session.ID() {
			t.Errorf("logged %+v", e)
		}
	}
}

func TestRemove_KeepsCurrentSession(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	ada.addPasskey("another", domain.CredentialActive)
	var other identity.Principal
	l.update(func(tx ports.Tx) error {
		key, err := tx.Credentials.ByID(t.Context(), "Ada")
		if err != nil {
			return err
		}
		session, _ := domain.OpenSession(key, domain.Device{}, lifetime, noon, rand.Reader)
		other = identity.Principal{User: ada.user, Session: session, AuthContext: session.AuthContext()}
		return tx.Sessions.Add(t.Context(), session)
	})
	if _, err := l.remove(ada.Principal, "Ada"); err != nil {
		t.Fatal(err)
	}
	if err := l.sessionErr(ada.Session.ID()); err != nil {
		t.Errorf("the current session: %v", err)
	}
	if err := l.sessionErr(other.Session.ID()); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("another session of the same passkey: %v", err)
	}
}

func (l *fixture) sessionErr(id domain.SessionID) (sessionErr error) {
	l.t.Helper()
	l.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(l.t.Context(), id)
		if err == nil {
			sessionErr = s.RequireActive(l.now)
		}
		return err
	})
	return sessionErr
}
