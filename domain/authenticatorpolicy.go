package domain

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// AAGUID names a model of authenticators (WebAuthn Level 3, section 6.5.1). Zero names none. Unless the passkey is attested, it
// is what a client says and nobody vouches for.
type AAGUID [16]byte

// ParseAAGUID reads the written form of a UUID, in either case.
func ParseAAGUID(s string) (AAGUID, error) {
	var aaguid AAGUID
	groups := strings.Split(s, "-")
	lengths := make([]int, len(groups))
	for i, group := range groups {
		lengths[i] = len(group)
	}
	raw, err := hex.DecodeString(strings.Join(groups, ""))
	if err != nil || !slices.Equal(lengths, []int{8, 4, 4, 4, 12}) {
		return aaguid, fmt.Errorf("%q is no AAGUID", s)
	}
	return AAGUID(raw), nil
}

func (a AAGUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", a[:4], a[4:6], a[6:8], a[8:10], a[10:])
}

// AuthenticatorPolicy says which authenticators may make passkeys here, whether at sign-up, beside others or at a recovery. The
// zero value takes all. It is asked when a passkey joins and never again: whom it would keep out afterwards could not come
// in to add another one.
type AuthenticatorPolicy struct {
	// Attested wants the passkey's model vouched for by its maker, whom the metadata of the FIDO Alliance knows.
	Attested bool
	Allowed  []AAGUID // if there are any, only these
	Denied   []AAGUID // never these, also if they are allowed
}

// RequiresAttestation says whether it matters which model an authenticator is, so that clients have to be asked for an attestation: they hide
// it otherwise.
func (p AuthenticatorPolicy) RequiresAttestation() bool {
	return p.Attested || len(p.Allowed) > 0 || len(p.Denied) > 0
}

// Allows reports whether a passkey of the model may be registered. See Check.
func (p AuthenticatorPolicy) Allows(model AAGUID, attested bool) bool {
	return p.Check(model, attested) == nil
}

// Check returns a *Rejection if a passkey of the model may not be registered. Attested is true if the attestation was verified
// against the manufacturer's certificates. The zero AAGUID never matches Allowed: every authenticator can report it.
func (p AuthenticatorPolicy) Check(model AAGUID, attested bool) error {
	switch {
	case slices.Contains(p.Denied, model):
		return RejectAuthenticator("AAGUID " + model.String() + " is denied")
	case len(p.Allowed) > 0 && (model == AAGUID{} || !slices.Contains(p.Allowed, model)):
		return RejectAuthenticator("AAGUID " + model.String() + " is not among those allowed")
	case p.Attested && (model == AAGUID{} || !attested):
		return RejectAuthenticator("AAGUID " + model.String() + " without a maker's attestation")
	}
	return nil
}

// RejectAuthenticator refuses a passkey because of the authenticator that made it. Its caller hears that another one is needed;
// which rule it was stands in the detail.
func RejectAuthenticator(detail string) *Rejection {
	return &Rejection{Reason: ReasonAttestationRejected, Detail: detail, err: ErrAuthenticatorNotAccepted}
}
