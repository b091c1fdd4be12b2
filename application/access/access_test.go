package access_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

const deviceBound = domain.AuthenticatorFlags(1<<0 | 1<<2)

// echoDeviceNames names a device by all that it is told of it.
type echoDeviceNames struct{}

func (echoDeviceNames) NameOf(userAgent string) string { return userAgent }

func newAuditLog() *access.AuditLog {
	return &access.AuditLog{Random: rand.Reader, Devices: echoDeviceNames{}}
}

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
	key, err := domain.NewCredential(applicant.UserID, "a key", domain.Registration{CredentialID: domain.CredentialID(name), Flags: deviceBound, SignCount: 7}, noon)
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

// storedSession is one of theirs, as the store has it.
func (p *person) storedSession(id domain.SessionID) (s *domain.Session) {
	p.t.Helper()
	p.update(func(tx ports.Tx) (err error) {
		s, err = tx.Sessions.ByID(p.t.Context(), id)
		return err
	})
	return s
}

// log is the person's, newest first.
func (p *person) log() (entries []domain.EventState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			entries = append(entries, e.State())
		}
		return err
	})
	return entries
}

// kindsAndReasons are the kinds and reasons of a log's entries, sorted.
func kindsAndReasons(entries []domain.EventState) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = strings.TrimSpace(string(e.Kind) + " " + e.Reason)
	}
	slices.Sort(list)
	return list
}

// failingSessions are sessions that cannot be looked up.
type failingSessions struct{ ports.Sessions }

func (failingSessions) ByToken(context.Context, domain.TokenDigest) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

func (failingSessions) ByID(context.Context, domain.SessionID) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

// Otherwise a planted token would live on beside the session that should have replaced it.
func TestSessionIssuer_StoreFailsWhenReplacedSessionCannotBeRevoked(t *testing.T) {
	token, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	grant := access.SignIn{Session: domain.RestoreSession(domain.SessionState{})}
	err = (&access.SessionIssuer{}).Store(t.Context(), ports.Tx{Sessions: failingSessions{}}, &grant, access.Client{SessionToken: token}, domain.EventSignedIn, noon)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Names come from what is kept of a User-Agent, which is short and printable, not from all that a client may send.
func TestSessionIssuer_NamesDeviceByStoredUserAgent(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	door := &access.SessionIssuer{Random: rand.Reader, Audit: newAuditLog()}
	grant, err := door.New(t.Context(), ada.user, ada.key, access.Client{UserAgent: "curl\x00" + strings.Repeat("x", 1000), IP: "127.0.0.1"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if device := grant.Session.State().Device; device.Name != device.UserAgent || !strings.HasPrefix(device.Name, "curlx") || device.IP != "127.0.0.1" {
		t.Errorf("%+v", device)
	}
}

func (p *person) signIn(visitor access.Client, how domain.EventKind, at time.Time) access.SignIn {
	p.t.Helper()
	door := &access.SessionIssuer{Random: rand.Reader, Audit: newAuditLog(), Lifetime: lifetime}
	grant, err := door.New(p.t.Context(), p.user, p.key, visitor, at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.update(func(tx ports.Tx) error { return door.Store(p.t.Context(), tx, &grant, visitor, how, at) })
	return grant
}

func TestSessionIssuer_StoreRecordsEvent(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	grant := ada.signIn(access.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}, domain.EventSignedUp, noon)
	log := ada.log()
	if len(log) != 1 {
		t.Fatalf("logged %+v", log)
	}
	want := domain.EventState{
		ID: log[0].ID, UserID: ada.user.ID(), Kind: domain.EventSignedUp, At: noon, Actor: domain.ActorUser, SessionID: grant.Session.ID(),
		CredentialID: ada.key.ID(), PasskeyName: "a key", DeviceName: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17",
	}
	if got := log[0]; got.Changed != nil || !equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if grant.User != ada.user || grant.Credential != ada.key || grant.Tokens != nil || len(grant.AcceptedCredentials) != 1 || grant.AcceptedCredentials[0].ID() != ada.key.ID() {
		t.Errorf("granted %+v", grant)
	}
	if opened := ada.storedSession(grant.Session.ID()); opened.State().Token != grant.Token.Digest() {
		t.Error("the token does not open the session")
	}
}

func equal(a, b domain.EventState) bool {
	a.Changed, b.Changed = nil, nil
	return a.ID == b.ID && a.UserID == b.UserID && a.Kind == b.Kind && a.At.Equal(b.At) && a.Actor == b.Actor && a.SessionID == b.SessionID &&
		a.CredentialID == b.CredentialID && a.PasskeyName == b.PasskeyName && a.DeviceName == b.DeviceName && a.IP == b.IP &&
		a.Reason == b.Reason && a.RequestID == b.RequestID
}

// Whoever planted a session in this browser before is out of it, and whoever was in it finds out.
func TestSessionIssuer_RevokesReplacedSession(t *testing.T) {
	store := memory.New()
	ada, ben := newPerson(t, store, "Ada"), newPerson(t, store, "Ben")
	bens, planted := ben.addSession(noon)
	adas := ada.signIn(access.Client{SessionToken: planted}, domain.EventSignedIn, noon)
	if err := ben.storedSession(bens.ID()).RequireActive(noon); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the one that was there: %v", err)
	}
	if err := ada.storedSession(adas.Session.ID()).RequireActive(noon); err != nil {
		t.Errorf("the one in its place: %v", err)
	}
	if log := ben.log(); len(log) != 1 || log[0].Kind != domain.EventSessionRevoked || log[0].Reason != "signed_in" || log[0].SessionID != bens.ID() {
		t.Errorf("the log of whoever was in it: %+v", log)
	}
	if log := kindsAndReasons(ada.log()); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("the log of whoever is in now: %q", log)
	}
}

func TestSessionIssuer_LeavesEndedSessionsUnchanged(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	expired, expiredToken := ada.addSession(noon.Add(-2 * time.Hour))
	revoked, revokedToken := ada.addSession(noon.Add(-time.Minute))
	revoked.Revoke(noon.Add(-time.Second))
	ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), revoked) })
	unknown, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []domain.SessionToken{expiredToken, revokedToken, unknown, {}} {
		ada.signIn(access.Client{SessionToken: token}, domain.EventSignedIn, noon)
	}
	if err := ada.storedSession(expired.ID()).RequireActive(noon); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the one that had expired: %v", err)
	}
	if at := ada.storedSession(revoked.ID()).State().RevokedAt; !at.Equal(noon.Add(-time.Second)) {
		t.Errorf("the one that was revoked: at %s", at)
	}
	if log := kindsAndReasons(ada.log()); !slices.Equal(log, []string{"signed_in", "signed_in", "signed_in", "signed_in"}) {
		t.Errorf("logged %q", log)
	}
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
			ada := newPerson(t, memory.New(), "Ada")
			session, _ := ada.addSession(noon)
			let := access.Principal{User: domain.RestoreUser(ada.user.State()), Session: domain.RestoreSession(session.State()), Client: access.Client{IP: "127.0.0.1"}}
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
	ada := newPerson(t, memory.New(), "Ada")
	session, _ := ada.addSession(noon)
	let := access.Principal{User: ada.user, Session: session, AuthContext: session.AuthContext()}
	if _, err := let.Reload(t.Context(), ports.Tx{Sessions: failingSessions{}}, noon); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPrincipal_ChallengeContext(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	session, _ := ada.addSession(noon)
	browser := domain.BindTo(domain.NewSecret("Ada's browser"))
	if got := (access.Principal{Session: session}).ChallengeContext(browser); got != (domain.ChallengeContext{Browser: browser, SessionID: session.ID()}) {
		t.Errorf("got %+v", got)
	}
}

func TestAuditLog_RevokeSessionsReadsKeptSessionsOnce(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	for range 250 {
		ada.addSession(noon)
	}
	looked := 0
	ada.update(func(tx ports.Tx) error {
		keep := func(*domain.Session) bool { looked++; return looked <= 250 } // and it would not end otherwise
		ended, err := newAuditLog().RevokeSessions(t.Context(), tx, ada.user.ID(), keep, access.Client{}, domain.EventState{}, noon)
		if ended != 0 {
			t.Errorf("%d were ended", ended)
		}
		return err
	})
	if looked != 250 {
		t.Errorf("%d looks at 250 sessions", looked)
	}
}

// There may be more sessions than fit in one look.
func TestAuditLog_RevokeSessionsExceptKept(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		store := memory.New()
		ada, ben := newPerson(t, store, "Ada"), newPerson(t, store, "Ben")
		bens, _ := ben.addSession(noon)
		over, _ := ada.addSession(noon.Add(-2 * time.Hour))
		own, _ := ada.addSession(noon)
		for range n {
			ada.addSession(noon)
		}
		ended := 0
		ada.update(func(tx ports.Tx) (err error) {
			e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: "reason"}
			keep := func(s *domain.Session) bool { return s.ID() == own.ID() }
			ended, err = newAuditLog().RevokeSessions(t.Context(), tx, ada.user.ID(), keep, access.Client{IP: "127.0.0.1"}, e, noon)
			return err
		})
		if log := ada.log(); ended != n || len(log) != n {
			t.Errorf("of %d other sessions %d were ended and %d logged", n, ended, len(log))
		}
		seen := map[domain.SessionID]bool{}
		for _, e := range ada.log() {
			seen[e.SessionID] = true
			if e.Kind != domain.EventSessionRevoked || e.Reason != "reason" || e.IP != "127.0.0.1" || e.UserID != ada.user.ID() {
				t.Errorf("logged %+v", e)
			}
			if err := ada.storedSession(e.SessionID).RequireActive(noon); !errors.Is(err, domain.ErrSessionRevoked) {
				t.Errorf("one that ended: %v", err)
			}
		}
		if len(seen) != n || seen[own.ID()] || seen[over.ID()] || seen[bens.ID()] {
			t.Errorf("%d different sessions were ended, of %d; the kept one %t, the one that was over %t, Ben's %t",
				len(seen), n, seen[own.ID()], seen[over.ID()], seen[bens.ID()])
		}
		if err := errors.Join(ada.storedSession(own.ID()).RequireActive(noon), ben.storedSession(bens.ID()).RequireActive(noon)); err != nil {
			t.Errorf("the kept ones: %v", err)
		}
	}
}
