package domain_test

import (
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestRecoveryPolicy_RequireEnabled(t *testing.T) {
	for policy, want := range map[domain.RecoveryPolicy]error{
		domain.RecoveryAny: nil, domain.RecoveryBoth: nil, domain.RecoveryOff: domain.ErrRecoveryOff,
	} {
		if err := policy.RequireEnabled(); !errors.Is(err, want) || policy.Enabled() != (want == nil) {
			t.Errorf("%s: enabled %t, %v, want %v", policy, policy.Enabled(), err, want)
		}
	}
}

func TestRegistrationPolicy_RequireSignUp(t *testing.T) {
	for policy, want := range map[domain.RegistrationPolicy]struct{ plain, invited, invites error }{
		domain.RegistrationOpen:   {},
		domain.RegistrationInvite: {plain: domain.ErrInviteRequired},
		domain.RegistrationClosed: {domain.ErrRegistrationClosed, domain.ErrRegistrationClosed, domain.ErrInvitesNotAccepted},
		"":                        {domain.ErrRegistrationClosed, domain.ErrRegistrationClosed, domain.ErrInvitesNotAccepted},
	} {
		plain, invited, invites := policy.RequireSignUp(false), policy.RequireSignUp(true), policy.RequireInvites()
		if !errors.Is(plain, want.plain) || !errors.Is(invited, want.invited) || !errors.Is(invites, want.invites) {
			t.Errorf("%q: without an invite %v, with one %v, creating one %v", policy, plain, invited, invites)
		}
	}
}
