package domain_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestPlanSignIn(t *testing.T) {
	immediate, autofill, prompt, phone, key, recovery := domain.WayImmediate, domain.WayAutofill, domain.WayPrompt, domain.WayPhone, domain.WaySecurityKey, domain.WayRecovery
	for name, c := range map[string]struct {
		capabilities domain.ClientCapabilities
		namesAccount bool
		recovery     domain.RecoveryPolicy
		want         []domain.SignInWay
	}{
		"a browser that says nothing": {nil, false, domain.RecoveryAny, []domain.SignInWay{prompt, phone, key, recovery}},
		"all capabilities":            {domain.ClientCapabilities{"immediateGet": true, "conditionalGet": true, "hybridTransport": true}, false, domain.RecoveryAny, domain.SignInWays},
		"no capability":               {domain.ClientCapabilities{"immediateGet": false, "conditionalGet": false, "hybridTransport": false}, false, domain.RecoveryBoth, []domain.SignInWay{prompt, key, recovery}},
		"autofill alone":              {domain.ClientCapabilities{"conditionalGet": true}, false, domain.RecoveryAny, []domain.SignInWay{autofill, prompt, phone, key, recovery}},
		"a named account":             {domain.ClientCapabilities{"immediateGet": true, "conditionalGet": true}, true, domain.RecoveryAny, []domain.SignInWay{prompt, phone, key, recovery}},
		"no recovery":                 {domain.ClientCapabilities{"immediateGet": true}, false, domain.RecoveryOff, []domain.SignInWay{immediate, prompt, phone, key}},
	} {
		if got := domain.PlanSignIn(c.capabilities, c.namesAccount, c.recovery); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestParseSignInStep(t *testing.T) {
	if got, err := domain.ParseSignInStep("steps", "phone", "no_passkey"); err != nil || got != (domain.SignInStep{Way: domain.WayPhone, Outcome: domain.OutcomeNoPasskey}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, c := range [][3]string{{"", "done", "steps.way"}, {"Phone", "done", "steps.way"}, {"phone", "", "steps.outcome"}, {"phone", "begun", "steps.outcome"}, {"phone", "succeeded", "steps.outcome"}} {
		var invalid *domain.InvalidInput
		if _, err := domain.ParseSignInStep("steps", c[0], c[1]); !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != c[2] {
			t.Errorf("%q: got %v", c, err)
		}
	}
}
