package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// kindsAndReasons returns the kinds and reasons of events, sorted.
func kindsAndReasons(entries []domain.EventState) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = strings.TrimSpace(string(e.Kind) + " " + e.Reason)
	}
	slices.Sort(list)
	return list
}

func (failingSessions) ByToken(context.Context, domain.TokenDigest) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}

// Otherwise a session token that an attacker planted in the browser would stay valid beside the new session.
func TestSessionIssuer_StoreFailsWhenReplacedSessionCannotBeRevoked(t *testing.T) {
	token, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	signIn := sessions.SignIn{Session: domain.RestoreSession(domain.SessionState{})}
	err = (&sessions.SessionIssuer{}).Store(t.Context(), ports.Tx{Sessions: failingSessions{}}, &signIn, identity.Client{SessionToken: token}, domain.EventSignedIn, noon)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// The name of a device derives from the stored User-Agent, which is truncated and printable, not from the received one.
func TestSessionIssuer_NamesDeviceByStoredUserAgent(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	issuer := &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Audit: ada.auditLog}
	signIn, err := issuer.New(t.Context(), ada.user, ada.key, identity.Client{UserAgent: "curl\x00" + strings.Repeat("x", 1000), IP: "127.0.0.1"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if device := signIn.Session.State().Device; device.Name != device.UserAgent || !strings.HasPrefix(device.Name, "curlx") || device.IP != "127.0.0.1" {
		t.Errorf("%+v", device)
	}
}

func (p *person) issue(client identity.Client, kind domain.EventKind, at time.Time) sessions.SignIn {
	p.t.Helper()
	issuer := &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Audit: p.auditLog, Lifetime: lifetime}
	signIn, err := issuer.New(p.t.Context(), p.user, p.key, client, at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.update(func(tx ports.Tx) error { return issuer.Store(p.t.Context(), tx, &signIn, client, kind, at) })
	return signIn
}

func TestSessionIssuer_StoreRecordsEvent(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	signIn := ada.issue(identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}, domain.EventSignedUp, noon)
	log := ada.entries()
	if len(log) != 1 {
		t.Fatalf("logged %+v", log)
	}
	want := domain.EventState{
		ID: log[0].ID, UserID: ada.user.ID(), Kind: domain.EventSignedUp, At: noon, Actor: domain.ActorUser, SessionID: signIn.Session.ID(),
		CredentialID: ada.key.ID(), PasskeyName: "a key", DeviceName: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17",
	}
	if got := log[0]; got.Changed != nil || !equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if signIn.User != ada.user || signIn.Credential != ada.key || signIn.Tokens != nil {
		t.Errorf("issued %+v", signIn)
	}
	if opened := ada.storedSession(signIn.Session.ID()); opened.Token != signIn.Token.Digest() {
		t.Error("the stored session has another token")
	}
}

func equal(a, b domain.EventState) bool {
	a.Changed, b.Changed = nil, nil
	return a.ID == b.ID && a.UserID == b.UserID && a.Kind == b.Kind && a.At.Equal(b.At) && a.Actor == b.Actor && a.SessionID == b.SessionID &&
		a.CredentialID == b.CredentialID && a.PasskeyName == b.PasskeyName && a.DeviceName == b.DeviceName && a.IP == b.IP &&
		a.Reason == b.Reason && a.RequestID == b.RequestID
}

// A session that an attacker planted in the browser is revoked, and its user is informed.
func TestSessionIssuer_RevokesReplacedSession(t *testing.T) {
	f := newFixture(t)
	ada, ben := f.addUser("Ada"), f.addUser("Ben")
	bens, token := ben.openSession(noon)
	adas := ada.issue(identity.Client{SessionToken: token}, domain.EventSignedIn, noon)
	if err := ben.sessionErr(bens.ID(), 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the replaced session: %v", err)
	}
	if err := ada.sessionErr(adas.Session.ID(), 0); err != nil {
		t.Errorf("the new session: %v", err)
	}
	if log := ben.entries(); len(log) != 1 || log[0].Kind != domain.EventSessionRevoked || log[0].Reason != "signed_in" || log[0].SessionID != bens.ID() {
		t.Errorf("events of the replaced user: %+v", log)
	}
	if log := kindsAndReasons(ada.entries()); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("events of the new user: %q", log)
	}
}

func TestSessionIssuer_LeavesEndedSessionsUnchanged(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	expired, expiredToken := ada.openSession(noon.Add(-2 * time.Hour))
	revoked, revokedToken := ada.openSession(noon.Add(-time.Minute))
	revoked.Revoke(noon.Add(-time.Second))
	ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), revoked) })
	unknown, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []domain.SessionToken{expiredToken, revokedToken, unknown, {}} {
		ada.issue(identity.Client{SessionToken: token}, domain.EventSignedIn, noon)
	}
	if err := ada.sessionErr(expired.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the expired session: %v", err)
	}
	if at := ada.storedSession(revoked.ID()).RevokedAt; !at.Equal(noon.Add(-time.Second)) {
		t.Errorf("the revoked session: revoked at %s", at)
	}
	if log := kindsAndReasons(ada.entries()); !slices.Equal(log, []string{"signed_in", "signed_in", "signed_in", "signed_in"}) {
		t.Errorf("logged %q", log)
	}
}

func TestRevokeSessionsReadsKeptSessionsOnce(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	for range 250 {
		ada.openSession(noon)
	}
	calls := 0
	ada.update(func(tx ports.Tx) error {
		keep := func(*domain.Session) bool { calls++; return calls <= 250 } // else a repeated page would not end
		revoked, err := sessions.RevokeSessions(t.Context(), tx, ada.auditLog, ada.user.ID(), keep, identity.Client{}, domain.EventState{}, noon)
		if revoked != 0 {
			t.Errorf("%d sessions were revoked", revoked)
		}
		return err
	})
	if calls != 250 {
		t.Errorf("keep was called %d times for 250 sessions", calls)
	}
}

// More sessions than fit in one page are revoked too.
func TestRevokeSessionsExceptKept(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		f := newFixture(t)
		ada, ben := f.addUser("Ada"), f.addUser("Ben")
		bens, _ := ben.openSession(noon)
		expired, _ := ada.openSession(noon.Add(-2 * time.Hour))
		kept, _ := ada.openSession(noon)
		for range n {
			ada.openSession(noon)
		}
		revoked := 0
		ada.update(func(tx ports.Tx) (err error) {
			e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: "reason"}
			keep := func(s *domain.Session) bool { return s.ID() == kept.ID() }
			revoked, err = sessions.RevokeSessions(t.Context(), tx, ada.auditLog, ada.user.ID(), keep, identity.Client{IP: "127.0.0.1"}, e, noon)
			return err
		})
		if log := ada.entries(); revoked != n || len(log) != n {
			t.Errorf("of %d other sessions, %d were revoked and %d recorded", n, revoked, len(log))
		}
		seen := map[domain.SessionID]bool{}
		for _, e := range ada.entries() {
			seen[e.SessionID] = true
			if e.Kind != domain.EventSessionRevoked || e.Reason != "reason" || e.IP != "127.0.0.1" || e.UserID != ada.user.ID() {
				t.Errorf("logged %+v", e)
			}
			if err := ada.sessionErr(e.SessionID, 0); !errors.Is(err, domain.ErrSessionRevoked) {
				t.Errorf("a revoked session: %v", err)
			}
		}
		if len(seen) != n || seen[kept.ID()] || seen[expired.ID()] || seen[bens.ID()] {
			t.Errorf("%d different sessions were revoked, want %d; the kept one %t, the expired one %t, Ben's %t",
				len(seen), n, seen[kept.ID()], seen[expired.ID()], seen[bens.ID()])
		}
		if err := errors.Join(ada.sessionErr(kept.ID(), 0), ben.sessionErr(bens.ID(), 0)); err != nil {
			t.Errorf("the kept sessions: %v", err)
		}
	}
}

// openSession stores a session of a browser, opened at the given time.
func (p *person) openSession(at time.Time) (*domain.Session, domain.SessionToken) {
	p.t.Helper()
	principal, token := p.signIn(at.Sub(noon))
	return principal.Session, token
}
