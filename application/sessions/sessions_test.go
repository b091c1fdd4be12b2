package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

const (
	issuer   = "https://keylodge.example"
	services = "https://api.example"
)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

type names struct{}

func (names) NameOf(userAgent string) string { return userAgent }

// watched is a store that counts its units of work that write, and may lose them. What happens in between comes before the
// next one.
type watched struct {
	ports.Store
	writes  int
	lost    bool
	between func()
}

func (w *watched) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if between := w.between; between != nil {
		w.between = nil
		between()
	}
	if w.lost {
		return domain.ErrUnavailable
	}
	w.writes++
	return w.Store.Update(ctx, fn)
}

// house is everything around sessions, over a store in memory.
type house struct {
	t        *testing.T
	store    *watched
	signing  ports.TokenKey
	issuer   *tokens.Issuer
	lastSeen *sessions.LastSeen
	log      *access.SecurityLog
}

func newHouse(t *testing.T) *house {
	t.Helper()
	keys := jwt.New()
	signing, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	store := &watched{Store: memory.New()}
	return &house{
		t: t, store: store, signing: signing, lastSeen: sessions.NewLastSeen(store, clock(noon), lifetime), log: &access.SecurityLog{Random: rand.Reader, Devices: names{}},
		issuer: &tokens.Issuer{
			Keyring: tokens.NewKeyring(store, keys, nil, clock(noon), domain.KeyRotation{}, tokens.Brought{signing}), Keys: keys, Random: rand.Reader,
			Policy:      domain.AccessPolicy{Issuer: issuer, Audience: services, TTL: 5 * time.Minute},
			RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
		},
	}
}

func (h *house) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// person is somebody with an account and a passkey.
type person struct {
	*house
	user *domain.User
	key  *domain.Credential
}

func (h *house) moves(name string) *person {
	h.t.Helper()
	applicant, err := domain.NewApplicant("", domain.DisplayName(name), noon, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	key, err := domain.NewCredential(applicant.UserID, "", domain.Registration{CredentialID: domain.CredentialID(name), Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &person{h, applicant.Admit(noon), key}
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(h.t.Context(), p.user), tx.Credentials.Add(h.t.Context(), key))
	})
	return p
}

// signsIn opens the session of a browser, so long after noon.
func (p *person) signsIn(after time.Duration) (access.Actor, domain.SessionToken) {
	p.t.Helper()
	session, token, err := domain.OpenSession(p.key, domain.Device{}, lifetime, noon.Add(after), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.keeps(session), token
}

// connects opens the session of a program.
func (p *person) connects(after time.Duration) (access.Actor, domain.RefreshToken) {
	p.t.Helper()
	session, token, err := domain.OpenBearerSession(p.key, domain.Device{}, lifetime, p.issuer.RefreshKeys, noon.Add(after), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.keeps(session), token
}

func (p *person) keeps(session *domain.Session) access.Actor {
	p.t.Helper()
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return access.Actor{User: p.user, Session: session, Proof: session.Proof(), Visitor: access.Visitor{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}}
}

func (p *person) isDisabled() {
	p.t.Helper()
	p.user.Disable(noon)
	p.update(func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), p.user) })
}

func (p *person) isDeleted() {
	p.t.Helper()
	p.update(func(tx ports.Tx) error { return tx.Users.Remove(p.t.Context(), p.user.ID()) })
}

func (h *house) ends(session *domain.Session) {
	h.t.Helper()
	session.Revoke(noon)
	h.update(func(tx ports.Tx) error { return tx.Sessions.Save(h.t.Context(), session) })
}

// entries are the person's log, newest first.
func (p *person) entries() (list []domain.EventSnapshot) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.OfUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			list = append(list, e.Snapshot())
		}
		return err
	})
	return list
}

// session is as the store has it.
func (h *house) session(id domain.SessionID) (is domain.SessionSnapshot) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(h.t.Context(), id)
		if err == nil {
			is = s.Snapshot()
		}
		return err
	})
	return is
}

// isOver says how a session in the store has ended; nil if it lasts.
func (h *house) isOver(id domain.SessionID, after time.Duration) error {
	return domain.RestoreSession(h.session(id)).Usable(noon.Add(after))
}

func (h *house) authenticate(proof sessions.Proof, after time.Duration) (access.Actor, error) {
	h.t.Helper()
	authenticate := &sessions.Authenticate{Store: h.store, Clock: clock(noon.Add(after)), Issuer: h.issuer, LastSeen: h.lastSeen, Lifetime: lifetime}
	return authenticate.Execute(h.t.Context(), proof, access.Visitor{IP: "203.0.113.9", RequestID: "request-18"})
}

func (h *house) signOut(actor access.Actor, after time.Duration) error {
	h.t.Helper()
	return (&sessions.SignOut{Store: h.store, Clock: clock(noon.Add(after)), Log: h.log}).Execute(h.t.Context(), actor)
}

// writesDown has what was noted written, and returns of how many sessions.
func (h *house) writesDown() int {
	h.t.Helper()
	n, err := h.lastSeen.Execute(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestAUseIsWrittenOnceAMinute(t *testing.T) {
	h := newHouse(t)
	_, token := h.moves("Ada").signsIn(0)
	for after, writes := range []int{0, 0, 1, 1, 2} {
		current, err := h.authenticate(sessions.Proof{Session: token}, time.Duration(after)*30*time.Second)
		h.writesDown()
		if err != nil || h.store.writes != writes {
			t.Errorf("after %d half minutes: %d writes, %v; want %d", after, h.store.writes, err, writes)
		}
		seen := noon.Add(time.Duration(writes) * time.Minute)
		for _, is := range []domain.SessionSnapshot{current.Session.Snapshot(), h.session(current.Session.ID())} {
			if !is.LastSeenAt.Equal(seen) || !is.IdleEndsAt.Equal(seen.Add(lifetime.IdleTTL)) {
				t.Errorf("after %d half minutes: last seen at %s, idle until %s", after, is.LastSeenAt, is.IdleEndsAt)
			}
		}
	}
}

func TestNobodyIsTakenForTheHolderOfASessionThatEnded(t *testing.T) {
	h := newHouse(t)
	_, token := h.moves("Ada").signsIn(0)
	if current, err := h.authenticate(sessions.Proof{Session: token}, time.Hour); !errors.Is(err, domain.ErrSessionExpired) || current.Session != nil {
		t.Errorf("got %+v, %v", current, err)
	}
	if n := h.writesDown(); n != 0 {
		t.Error("somebody who was refused was noted")
	}
}

func TestACallerIsKnownByTheirCookie(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada")
	actor, token := ada.signsIn(0)
	_, bens := h.moves("Ben").signsIn(0)
	got, err := h.authenticate(sessions.Proof{Session: token}, 2*time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != actor.Session.ID() {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := (access.Visitor{IP: "203.0.113.9", RequestID: "request-18"}); got.Visitor != want || got.Session.Snapshot().Device.IP != "203.0.113.9" {
		t.Errorf("they come as %+v, seen from %s", got.Visitor, got.Session.Snapshot().Device.IP)
	}
	ada.isDisabled()
	if got, err := h.authenticate(sessions.Proof{Session: token}, 3*time.Minute); !errors.Is(err, domain.ErrUserDisabled) || got.Session != nil {
		t.Errorf("with a shut account: %+v, %v", got, err)
	}
	ada.isDeleted()
	if got, err := h.authenticate(sessions.Proof{Session: token}, 3*time.Minute); !errors.Is(err, domain.ErrUnauthenticated) || got.Session != nil {
		t.Errorf("without an account: %+v, %v", got, err)
	}
	if _, err := h.authenticate(sessions.Proof{Session: bens}, 3*time.Minute); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestWhoeverWantsToBeSignedOutIs(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada")
	actor, token := ada.signsIn(0)
	expired, _ := ada.signsIn(-lifetime.IdleTTL)
	gone, _ := newHouse(t).moves("Ben").signsIn(0)
	for name, actor := range map[string]access.Actor{"one whose session is gone": gone, "one whose session has expired": expired} {
		if err := h.signOut(actor, 0); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for range 2 {
		if err := h.signOut(actor, 0); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if _, err := h.authenticate(sessions.Proof{Session: token}, 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("afterwards: %v", err)
	}
	log := ada.entries()
	if len(log) != 1 || log[0].Kind != domain.EventSignedOut || log[0].SessionID != actor.Session.ID() || log[0].IP != "127.0.0.1" {
		t.Errorf("logged %+v", log)
	}
	if err := h.isOver(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the one that had expired: %v", err)
	}
}

func TestWhoeverCouldNotBeSignedOutHearsOfIt(t *testing.T) {
	h := newHouse(t)
	actor, _ := h.moves("Ada").signsIn(0)
	h.store.lost = true
	if err := h.signOut(actor, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// blind is a store that cannot look sessions up.
type blind struct{ ports.Store }

type blindSessions struct{ ports.Sessions }

func (b blind) View(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.View(ctx, func(tx ports.Tx) error {
		tx.Sessions = blindSessions{}
		return fn(tx)
	})
}

func (b blind) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = blindSessions{}
		return fn(tx)
	})
}

func (blindSessions) ByID(context.Context, domain.SessionID) (*domain.Session, error) {
	return nil, domain.ErrUnavailable
}
