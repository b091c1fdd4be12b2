package domain

import (
	"errors"
	"strings"
	"testing"
)

func TestParseAAGUID(t *testing.T) {
	const written = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"
	for _, s := range []string{written, strings.ToUpper(written)} {
		if got, err := ParseAAGUID(s); err != nil || got.String() != written || got[0] != 0xea || got[15] != 0xd4 {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "ea9b8d66", strings.ReplaceAll(written, "-", ""), written + "-", written[:35], written + "0", "{" + written + "}", "xa9b8d66-4d01-1d21-3ce4-b6b48cb575d4", "ea9b8d664-d01-1d21-3ce4-b6b48cb575d4"} {
		if got, err := ParseAAGUID(s); err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q: %s, %v", s, got, err)
		}
	}
}

// Requirement: WebAuthn-7.1-21
func TestAuthenticatorPolicy_Check(t *testing.T) {
	a, b, zero := AAGUID{1}, AAGUID{2}, AAGUID{}
	for name, c := range map[string]struct {
		policy           AuthenticatorPolicy
		allows, attested []AAGUID // without and with an attestation
		requires         bool
	}{
		"any":                          {AuthenticatorPolicy{}, []AAGUID{a, b, zero}, []AAGUID{a, b, zero}, false},
		"attested":                     {AuthenticatorPolicy{Attested: true}, nil, []AAGUID{a, b}, true},
		"one allowed":                  {AuthenticatorPolicy{Allowed: []AAGUID{a}}, []AAGUID{a}, []AAGUID{a}, true},
		"zero allowed":                 {AuthenticatorPolicy{Allowed: []AAGUID{zero}}, nil, nil, true},
		"one denied":                   {AuthenticatorPolicy{Denied: []AAGUID{a}}, []AAGUID{b, zero}, []AAGUID{b, zero}, true},
		"zero denied":                  {AuthenticatorPolicy{Denied: []AAGUID{zero}}, []AAGUID{a, b}, []AAGUID{a, b}, true},
		"one allowed and denied":       {AuthenticatorPolicy{Allowed: []AAGUID{a, b}, Denied: []AAGUID{a}}, []AAGUID{b}, []AAGUID{b}, true},
		"one allowed and all attested": {AuthenticatorPolicy{Attested: true, Allowed: []AAGUID{a}}, nil, []AAGUID{a}, true},
	} {
		if c.policy.RequiresAttestation() != c.requires {
			t.Errorf("%s: requires an attestation: %t", name, c.policy.RequiresAttestation())
		}
		for _, model := range []AAGUID{a, b, zero} {
			for attested, allowed := range map[bool][]AAGUID{false: c.allows, true: c.attested} {
				err := c.policy.Check(model, attested)
				want := false
				for _, m := range allowed {
					want = want || m == model
				}
				switch {
				case (err == nil) != want, c.policy.Allows(model, attested) != want:
					t.Errorf("%s, %s, attested %t: %v", name, model, attested, err)
				case err != nil && (ReasonOf(err) != ReasonAttestationRejected || !errors.Is(err, ErrAuthenticatorNotAccepted) || !strings.Contains(err.Error(), model.String())):
					t.Errorf("%s, %s: %v", name, model, err)
				}
			}
		}
	}
	if ErrAuthenticatorNotAccepted.Code != ErrPasskeyRejected.Code {
		t.Error("the code reveals that the authenticator was the reason")
	}
}
