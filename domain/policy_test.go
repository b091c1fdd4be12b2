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

func TestRegistrationPolicy_RequireOpen(t *testing.T) {
	for policy, want := range map[domain.RegistrationPolicy]error{
		domain.RegistrationOpen: nil, domain.RegistrationClosed: domain.ErrRegistrationClosed, "": domain.ErrRegistrationClosed,
	} {
		if err := policy.RequireOpen(); !errors.Is(err, want) || policy.Open() != (want == nil) {
			t.Errorf("%q: open %t, %v, want %v", policy, policy.Open(), err, want)
		}
	}
}
