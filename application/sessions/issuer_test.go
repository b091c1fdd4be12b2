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

// kindsAndReasons are the kinds and reasons of a log's entries, sorted.
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

// Otherwise a planted token would live on beside the session that should have replaced it.
func TestSessionIssuer_StoreFailsWhenReplacedSessionCannotBeRevoked(t *testing.T) {
	token, err := domain.ParseSessionToken("kls_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	grant := sessions.SignIn{Session: domain.RestoreSession(domain.SessionState{})}
	err = (&sessions.SessionIssuer{}).Store(t.Context(), ports.Tx{Sessions: failingSessions{}}, &grant, identity.Client{SessionToken: token}, domain.EventSignedIn, noon)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Names come from what is kept of a User-Agent, which is short and printable, not from all that a client may send.
func TestSessionIssuer_NamesDeviceByStoredUserAgent(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	door := &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Audit: ada.auditLog}
	grant, err := door.New(t.Context(), ada.user, ada.key, identity.Client{UserAgent: "curl\x00" + strings.Repeat("x", 1000), IP: "127.0.0.1"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if device := grant.Session.State().Device; device.Name != device.UserAgent || !strings.HasPrefix(device.Name, "curlx") || device.IP != "127.0.0.1" {
		t.Errorf("%+v", device)
	}
}

func (p *person) issue(visitor identity.Client, how domain.EventKind, at time.Time) sessions.SignIn {
	p.t.Helper()
	door := &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Audit: p.auditLog, Lifetime: lifetime}
	grant, err := door.New(p.t.Context(), p.user, p.key, visitor, at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.update(func(tx ports.Tx) error { return door.Store(p.t.Context(), tx, &grant, visitor, how, at) })
	return grant
}

func TestSessionIssuer_StoreRecordsEvent(t *testing.T) {
	ada := newFixture(t).addUser("Ada")
	grant := ada.issue(identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}, domain.EventSignedUp, noon)
	log := ada.entries()
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
	if opened := ada.storedSession(grant.Session.ID()); opened.Token != grant.Token.Digest() {
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
	h := newFixture(t)
	ada, ben := h.addUser("Ada"), h.addUser("Ben")
	bens, planted := ben.openSession(noon)
	adas := ada.issue(identity.Client{SessionToken: planted}, domain.EventSignedIn, noon)
	if err := ben.sessionErr(bens.ID(), 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the one that was there: %v", err)
	}
	if err := ada.sessionErr(adas.Session.ID(), 0); err != nil {
		t.Errorf("the one in its place: %v", err)
	}
	if log := ben.entries(); len(log) != 1 || log[0].Kind != domain.EventSessionRevoked || log[0].Reason != "signed_in" || log[0].SessionID != bens.ID() {
		t.Errorf("the log of whoever was in it: %+v", log)
	}
	if log := kindsAndReasons(ada.entries()); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("the log of whoever is in now: %q", log)
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
		t.Errorf("the one that had expired: %v", err)
	}
	if at := ada.storedSession(revoked.ID()).RevokedAt; !at.Equal(noon.Add(-time.Second)) {
		t.Errorf("the one that was revoked: at %s", at)
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
	looked := 0
	ada.update(func(tx ports.Tx) error {
		keep := func(*domain.Session) bool { looked++; return looked <= 250 } // and it would not end otherwise
		ended, err := sessions.RevokeSessions(t.Context(), tx, ada.auditLog, ada.user.ID(), keep, identity.Client{}, domain.EventState{}, noon)
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
func TestRevokeSessionsExceptKept(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		h := newFixture(t)
		ada, ben := h.addUser("Ada"), h.addUser("Ben")
		bens, _ := ben.openSession(noon)
		over, _ := ada.openSession(noon.Add(-2 * time.Hour))
		own, _ := ada.openSession(noon)
		for range n {
			ada.openSession(noon)
		}
		ended := 0
		ada.update(func(tx ports.Tx) (err error) {
			e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: "reason"}
			keep := func(s *domain.Session) bool { return s.ID() == own.ID() }
			ended, err = sessions.RevokeSessions(t.Context(), tx, ada.auditLog, ada.user.ID(), keep, identity.Client{IP: "127.0.0.1"}, e, noon)
			return err
		})
		if log := ada.entries(); ended != n || len(log) != n {
			t.Errorf("of %d other sessions %d were ended and %d logged", n, ended, len(log))
		}
		seen := map[domain.SessionID]bool{}
		for _, e := range ada.entries() {
			seen[e.SessionID] = true
			if e.Kind != domain.EventSessionRevoked || e.Reason != "reason" || e.IP != "127.0.0.1" || e.UserID != ada.user.ID() {
				t.Errorf("logged %+v", e)
			}
			if err := ada.sessionErr(e.SessionID, 0); !errors.Is(err, domain.ErrSessionRevoked) {
				t.Errorf("one that ended: %v", err)
			}
		}
		if len(seen) != n || seen[own.ID()] || seen[over.ID()] || seen[bens.ID()] {
			t.Errorf("%d different sessions were ended, of %d; the kept one %t, the one that was over %t, Ben's %t",
				len(seen), n, seen[own.ID()], seen[over.ID()], seen[bens.ID()])
		}
		if err := errors.Join(ada.sessionErr(own.ID(), 0), ben.sessionErr(bens.ID(), 0)); err != nil {
			t.Errorf("the kept ones: %v", err)
		}
	}
}

// openSession stores the session of a browser, signed in at the given time.
func (p *person) openSession(at time.Time) (*domain.Session, domain.SessionToken) {
	p.t.Helper()
	principal, token := p.signIn(at.Sub(noon))
	return principal.Session, token
}
