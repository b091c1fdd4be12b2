package application_test

import (
	"crypto/rand"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: 3 * time.Minute}
)

const (
	origin = "http://localhost:8080"
	stepUp = domain.StepUpTTL(10 * time.Minute)
)

// clock stands still until it is told to go on.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

type names struct{}

func (names) NameOf(string) string { return "" }

// house is where Ada has just signed in, twice, by one of her two passkeys.
type house struct {
	t            *testing.T
	store        ports.Store
	relyingParty ports.RelyingParty
	clock        *clock
	log          *access.SecurityLog
	device       *authenticator.Authenticator
	ada          access.Actor
	other        domain.SessionID
}

func newHouse(t *testing.T) *house {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, store: memory.New(), relyingParty: relyingParty, clock: &clock{noon}, device: authenticator.New(origin),
		log: &access.SecurityLog{Random: rand.Reader, Devices: names{}},
	}
	applicant, err := domain.NewApplicant("ada@example.org", "Ada", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := relyingParty.BeginRegistration(applicant.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	registration, err := relyingParty.VerifyRegistration(begun.State, h.creates(begun.Options))
	if err != nil {
		t.Fatal(err)
	}
	key, err := domain.NewCredential(applicant.UserID, "", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	second, err := domain.NewCredential(applicant.UserID, "", domain.Registration{CredentialID: "second", Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		t.Fatal(err)
	}
	h.ada.User = applicant.Admit(noon)
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), h.ada.User), tx.Credentials.Add(t.Context(), key), tx.Credentials.Add(t.Context(), second))
	})
	h.ada.Session = h.opens(key)
	h.other = h.opens(key).ID()
	return h
}

func (h *house) opens(by *domain.Credential) *domain.Session {
	h.t.Helper()
	session, _, err := domain.OpenSession(by, domain.Device{}, lifetime, noon, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
	return session
}

func (h *house) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) creates(options []byte) ports.RegistrationAnswer {
	h.t.Helper()
	made, err := h.device.Create(options)
	if err != nil {
		h.t.Fatal(err)
	}
	return ports.RegistrationAnswer{ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject}
}

func (h *house) desk() *ceremony.Desk {
	return &ceremony.Desk{Store: h.store, Clock: h.clock, Random: rand.Reader, TTL: ceremony.TTL(time.Hour)}
}

func (h *house) beginsToAdd() (ceremony.Started, error) {
	begin := &passkeys.BeginAdd{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), StepUp: stepUp, Limit: 20}
	return begin.Execute(h.t.Context(), h.ada, domain.Binding{})
}

func (h *house) beginsToStepUp() (ceremony.Started, error) {
	begin := &stepup.Begin{Store: h.store, RelyingParty: h.relyingParty, Desk: h.desk()}
	return begin.Execute(h.t.Context(), h.ada, domain.Binding{})
}

// deeds are all that somebody who is signed in can change. Each is prepared while all is well.
var deeds = map[string]func(*house) (does func() error){
	"change the account": func(h *house) func() error {
		return func() error {
			wish := account.Wish{DisplayName: new(domain.DisplayName("Countess"))}
			_, err := (&account.Change{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.ada, wish)
			return err
		}
	},
	"delete the account": func(h *house) func() error {
		return func() error {
			return (&account.Delete{Store: h.store, Clock: h.clock, Log: h.log, StepUp: stepUp}).Execute(h.t.Context(), h.ada)
		}
	},
	"add a passkey": func(h *house) func() error {
		started, err := h.beginsToAdd()
		if err != nil {
			h.t.Fatal(err)
		}
		h.device = authenticator.New(origin)
		answer := passkeys.Answer{ChallengeID: started.ChallengeID, Credential: h.creates(started.Options)}
		return func() error {
			finish := &passkeys.FinishAdd{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Log: h.log, Limit: 20}
			_, err := finish.Execute(h.t.Context(), h.ada, answer)
			return err
		}
	},
	"rename a passkey": func(h *house) func() error {
		return func() error {
			_, err := (&passkeys.Rename{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.ada, "second", "the blue one")
			return err
		}
	},
	"remove a passkey": func(h *house) func() error {
		return func() error {
			_, err := (&passkeys.Remove{Store: h.store, Clock: h.clock, Log: h.log, StepUp: stepUp}).Execute(h.t.Context(), h.ada, "second")
			return err
		}
	},
	"step up": func(h *house) func() error {
		started, err := h.beginsToStepUp()
		if err != nil {
			h.t.Fatal(err)
		}
		made, err := h.device.Get(started.Options)
		if err != nil {
			h.t.Fatal(err)
		}
		answer := stepup.Answer{ChallengeID: started.ChallengeID, Credential: ports.AuthenticationAnswer{
			ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
			Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
		}}
		return func() error {
			finish := &stepup.Finish{
				Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Log: h.log, Examiner: &access.Examiner{Log: h.log},
			}
			_, err := finish.Execute(h.t.Context(), h.ada, answer)
			return err
		}
	},
	"end a session": func(h *house) func() error {
		return func() error {
			return (&sessions.Revoke{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.ada, h.other)
		}
	},
	"end all other sessions": func(h *house) func() error {
		return func() error {
			_, err := (&sessions.RevokeOthers{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.ada)
			return err
		}
	},
	"sign out": func(h *house) func() error {
		return func() error {
			return (&sessions.SignOut{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.ada)
		}
	},
}

// kept is all that the store keeps of Ada, but for refused attempts in her log.
type kept struct {
	user     *domain.UserSnapshot
	passkeys []domain.CredentialSnapshot
	sessions []domain.SessionSnapshot
	log      []domain.EventSnapshot
}

func (h *house) keeps() (k kept) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		if user, err := tx.Users.ByID(h.t.Context(), h.ada.User.ID()); err == nil {
			k.user = new(user.Snapshot())
		}
		owned, err := tx.Credentials.OfUser(h.t.Context(), h.ada.User.ID())
		if err != nil {
			return err
		}
		for _, c := range owned {
			k.passkeys = append(k.passkeys, c.Snapshot())
		}
		for _, id := range []domain.SessionID{h.ada.Session.ID(), h.other} {
			if session, err := tx.Sessions.ByID(h.t.Context(), id); err == nil {
				k.sessions = append(k.sessions, session.Snapshot())
			}
		}
		for _, whose := range []domain.UserID{h.ada.User.ID(), {}} {
			events, err := tx.Events.OfUser(h.t.Context(), whose, domain.EventID{}, 100)
			if err != nil {
				return err
			}
			for _, e := range events {
				if e.Kind() != domain.EventStepUpRefused && e.Kind() != domain.EventPasskeyAddRefused {
					k.log = append(k.log, e.Snapshot())
				}
			}
		}
		return nil
	})
	return k
}

// Between the look that let Ada in and the write that she wants, her session ends or her account is shut. Then she changes
// nothing any more.
func TestNobodyChangesAnythingOnceTheyAreOut(t *testing.T) {
	ended := func(h *house) {
		h.update(func(tx ports.Tx) error {
			session := domain.RestoreSession(h.ada.Session.Snapshot())
			session.Revoke(noon)
			return tx.Sessions.Save(t.Context(), session)
		})
	}
	idle := func(h *house) { h.clock.now = noon.Add(lifetime.IdleTTL) }
	shut := func(h *house) {
		h.update(func(tx ports.Tx) error {
			user := domain.RestoreUser(h.ada.User.Snapshot())
			user.Disable(noon)
			return tx.Users.Save(t.Context(), user)
		})
	}
	deleted := func(h *house) {
		h.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), h.ada.User.ID()) })
	}
	for name, c := range map[string]struct {
		meanwhile func(*house)
		want      error
		instead   map[string]error // of want
	}{
		"the session was ended":      {ended, domain.ErrSessionRevoked, map[string]error{"sign out": nil}},
		"the session has expired":    {idle, domain.ErrSessionExpired, map[string]error{"sign out": nil}},
		"the account was shut":       {shut, domain.ErrUserDisabled, nil},
		"the account was deleted":    {deleted, domain.ErrSessionRevoked, map[string]error{"sign out": nil, "add a passkey": domain.ErrChallengeNotFound, "step up": domain.ErrChallengeNotFound}},
		"nothing, so they change it": {nil, nil, nil},
	} {
		for deed, prepare := range deeds {
			t.Run(name+"/"+deed, func(t *testing.T) {
				h := newHouse(t)
				does := prepare(h)
				if c.meanwhile != nil {
					c.meanwhile(h)
				}
				want, special := c.instead[deed]
				if !special {
					want = c.want
				}
				before := h.keeps()
				if err := does(); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if after := h.keeps(); reflect.DeepEqual(before, after) != (c.meanwhile != nil) {
					t.Errorf("before %+v\nafter  %+v", before, after)
				}
			})
		}
	}
}

// Whoever is out by then hears that, and not of a fault.
func TestNobodyBeginsAnythingOnceTheirAccountIsDeleted(t *testing.T) {
	for name, begins := range map[string]func(*house) (ceremony.Started, error){
		"to add a passkey": (*house).beginsToAdd, "to step up": (*house).beginsToStepUp,
	} {
		h := newHouse(t)
		h.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), h.ada.User.ID()) })
		if _, err := begins(h); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
