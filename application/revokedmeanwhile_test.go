package application_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// userUseCases are the use cases of a signed-in user that write. Each function prepares a use case and returns its execution.
var userUseCases = map[string]func(*fixture) (execute func() error){
	"change the account": func(f *fixture) func() error {
		return func() error {
			patch := account.Patch{DisplayName: new(domain.DisplayName("Countess"))}
			_, err := f.accountService().Change(f.t.Context(), f.ada, patch)
			return err
		}
	},
	"delete the account": func(f *fixture) func() error {
		return func() error {
			return f.accountService().Delete(f.t.Context(), f.ada)
		}
	},
	"add a passkey": func(f *fixture) func() error {
		begun, err := f.beginAddPasskey()
		if err != nil {
			f.t.Fatal(err)
		}
		f.device = authenticator.New(origin)
		input := passkeys.FinishAddInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options)}
		return func() error {
			finish := &passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), Audit: f.auditLog, Limit: 20}
			_, err := finish.FinishAdd(f.t.Context(), f.ada, input)
			return err
		}
	},
	"rename a passkey": func(f *fixture) func() error {
		return func() error {
			_, err := (&passkeys.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog}).Rename(f.t.Context(), f.ada, "second", "the blue one")
			return err
		}
	},
	"remove a passkey": func(f *fixture) func() error {
		return func() error {
			_, err := (&passkeys.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog, StepUp: stepUp}).Remove(f.t.Context(), f.ada, "second")
			return err
		}
	},
	"step up": func(f *fixture) func() error {
		begun, err := f.beginStepUp()
		if err != nil {
			f.t.Fatal(err)
		}
		input := stepup.FinishInput{ChallengeID: begun.ChallengeID, Credential: f.getAssertion(begun.Options)}
		return func() error {
			finish := &stepup.Service{
				Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Random: rand.Reader, Issuer: f.issuer(), Challenges: f.challenges(), Audit: f.auditLog,
				PasskeyUsage: &ceremony.PasskeyUsage{Audit: f.auditLog},
			}
			_, err := finish.Finish(f.t.Context(), f.ada, input)
			return err
		}
	},
	"revoke a session": func(f *fixture) func() error {
		return func() error {
			return (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Audit: f.auditLog}).Revoke(f.t.Context(), f.ada, f.otherSession)
		}
	},
	"revoke all other sessions": func(f *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Audit: f.auditLog}).RevokeOthers(f.t.Context(), f.ada)
			return err
		}
	},
	"sign out": func(f *fixture) func() error {
		return func() error {
			return (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Audit: f.auditLog}).SignOut(f.t.Context(), f.ada)
		}
	},
}

// If the session ends or the account is disabled between the authentication of a request and its write, the use case writes nothing.
// Requirement: ASVS-7.4.2, ASVS-2.3.3
func TestUserUseCases_RequireAnActiveSession(t *testing.T) {
	revoked := func(f *fixture) {
		f.update(func(tx ports.Tx) error {
			session := domain.RestoreSession(f.ada.Session.State())
			session.Revoke(noon)
			return tx.Sessions.Save(t.Context(), session)
		})
	}
	idle := func(f *fixture) { f.clock.now = noon.Add(lifetime.IdleTTL) }
	disabled := func(f *fixture) {
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
		others    map[string]error // instead of want, by use case
	}{
		"session revoked":  {revoked, domain.ErrSessionRevoked, map[string]error{"sign out": nil}},
		"session expired":  {idle, domain.ErrSessionExpired, map[string]error{"sign out": nil}},
		"account disabled": {disabled, domain.ErrUserDisabled, nil},
		"account deleted": {deleted, domain.ErrSessionRevoked, map[string]error{
			"sign out": nil, "add a passkey": domain.ErrChallengeNotFound, "step up": domain.ErrChallengeNotFound, "confirm TOTP": domain.ErrInvalidCode,
		}},
		"no change": {nil, nil, nil},
	} {
		for useCase, prepare := range userUseCases {
			t.Run(name+"/"+useCase, func(t *testing.T) {
				f := newFixture(t)
				execute := prepare(f)
				if c.meanwhile != nil {
					c.meanwhile(f)
				}
				want, special := c.others[useCase]
				if !special {
					want = c.want
				}
				before := f.dump()
				if err := execute(); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if changed := f.dump().changedFields(before); (changed == nil) != (c.meanwhile != nil) {
					t.Errorf("changed %q", changed)
				}
			})
		}
	}
}

// A user who was deleted meanwhile gets the error that the session has ended, not an internal one.
func TestBegin_RequiresAnExistingAccount(t *testing.T) {
	for name, begin := range map[string]func(*fixture) (ceremony.Begun, error){
		"add a passkey": (*fixture).beginAddPasskey, "step up": (*fixture).beginStepUp,
	} {
		f := newFixture(t)
		f.update(func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), f.ada.User.ID()) })
		if _, err := begin(f); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
