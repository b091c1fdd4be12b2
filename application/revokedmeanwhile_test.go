package application_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// userUseCases are all that somebody who is signed in can change. Each is prepared while all is well.
var userUseCases = map[string]func(*fixture) (does func() error){
	"change the account": func(h *fixture) func() error {
		return func() error {
			wish := account.Patch{DisplayName: new(domain.DisplayName("Countess"))}
			_, err := h.accountService().Change(h.t.Context(), h.ada, wish)
			return err
		}
	},
	"delete the account": func(h *fixture) func() error {
		return func() error {
			return h.accountService().Delete(h.t.Context(), h.ada)
		}
	},
	"add a passkey": func(h *fixture) func() error {
		started, err := h.beginAddPasskey()
		if err != nil {
			h.t.Fatal(err)
		}
		h.device = authenticator.New(origin)
		answer := passkeys.FinishAddInput{ChallengeID: started.ChallengeID, Credential: h.createCredential(started.Options)}
		return func() error {
			finish := &passkeys.Service{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Challenges: h.challenges(), Audit: h.auditLog, Limit: 20}
			_, err := finish.FinishAdd(h.t.Context(), h.ada, answer)
			return err
		}
	},
	"rename a passkey": func(h *fixture) func() error {
		return func() error {
			_, err := (&passkeys.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).Rename(h.t.Context(), h.ada, "second", "the blue one")
			return err
		}
	},
	"remove a passkey": func(h *fixture) func() error {
		return func() error {
			_, err := (&passkeys.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog, StepUp: stepUp}).Remove(h.t.Context(), h.ada, "second")
			return err
		}
	},
	"step up": func(h *fixture) func() error {
		started, err := h.beginStepUp()
		if err != nil {
			h.t.Fatal(err)
		}
		answer := stepup.FinishInput{ChallengeID: started.ChallengeID, Credential: h.getAssertion(started.Options)}
		return func() error {
			finish := &stepup.Service{
				Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Random: rand.Reader, Issuer: h.issuer(), Challenges: h.challenges(), Audit: h.auditLog,
				PasskeyUsage: &ceremony.PasskeyUsage{Audit: h.auditLog},
			}
			_, err := finish.Finish(h.t.Context(), h.ada, answer)
			return err
		}
	},
	"end a session": func(h *fixture) func() error {
		return func() error {
			return (&sessions.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).Revoke(h.t.Context(), h.ada, h.otherSession)
		}
	},
	"end all other sessions": func(h *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).RevokeOthers(h.t.Context(), h.ada)
			return err
		}
	},
	"sign out": func(h *fixture) func() error {
		return func() error {
			return (&sessions.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).SignOut(h.t.Context(), h.ada)
		}
	},
}

// Between the look that let Ada in and the write that she wants, her session ends or her account is shut. Then she changes
// nothing any more.
func TestUserUseCases_RequireAnActiveSession(t *testing.T) {
	ended := func(f *fixture) {
		f.update(func(tx ports.Tx) error {
			session := domain.RestoreSession(f.ada.Session.State())
			session.Revoke(noon)
			return tx.Sessions.Save(t.Context(), session)
		})
	}
	idle := func(f *fixture) { f.clock.now = noon.Add(lifetime.IdleTTL) }
	shut := func(f *fixture) {
		f.update(func(tx ports.Tx) error {
			user := domain.RestoreUser(f.ada.User.State())
			user.Disable(noon)
			return tx.Users.Save(t.Context(), user)
		})
	}
	deleted := func(f *fixture) {
		f.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), f.ada.User.ID()) })
	}
	for name, c := range map[string]struct {
		meanwhile func(*fixture)
		want      error
		instead   map[string]error // of want
	}{
		"the session was ended":   {ended, domain.ErrSessionRevoked, map[string]error{"sign out": nil}},
		"the session has expired": {idle, domain.ErrSessionExpired, map[string]error{"sign out": nil}},
		"the account was shut":    {shut, domain.ErrUserDisabled, nil},
		"the account was deleted": {deleted, domain.ErrSessionRevoked, map[string]error{
			"sign out": nil, "add a passkey": domain.ErrChallengeNotFound, "step up": domain.ErrChallengeNotFound, "confirm an app": domain.ErrInvalidCode,
		}},
		"nothing, so they change it": {nil, nil, nil},
	} {
		for deed, prepare := range userUseCases {
			t.Run(name+"/"+deed, func(t *testing.T) {
				f := newFixture(t)
				execute := prepare(f)
				if c.meanwhile != nil {
					c.meanwhile(f)
				}
				want, special := c.instead[deed]
				if !special {
					want = c.want
				}
				before := f.dump()
				if err := execute(); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if changed := f.dump().changedFields(before); (changed == nil) != (c.meanwhile != nil) {
					t.Errorf("changed are %q", changed)
				}
			})
		}
	}
}

// Whoever is out by then hears that, and not of a fault.
func TestBegin_RequiresAnExistingAccount(t *testing.T) {
	for name, begins := range map[string]func(*fixture) (ceremony.Begun, error){
		"to add a passkey": (*fixture).beginAddPasskey, "to step up": (*fixture).beginStepUp,
	} {
		f := newFixture(t)
		f.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), f.ada.User.ID()) })
		if _, err := begins(f); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
