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
		if err := policy.RequireEnabled(); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", policy, err, want)
		}
	}
}
