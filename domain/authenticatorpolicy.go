package domain

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// AAGUID identifies a model of authenticators (WebAuthn Level 3, section 6.5.1). Zero identifies none. Unless the passkey is
// attested, the client states it without proof.
type AAGUID [16]byte

// ParseAAGUID parses the text form of a UUID, in upper or lower case.
func ParseAAGUID(s string) (AAGUID, error) {
	var aaguid AAGUID
	groups := strings.Split(s, "-")
	lengths := make([]int, len(groups))
	for i, group := range groups {
		lengths[i] = len(group)
	}
	raw, err := hex.DecodeString(strings.Join(groups, ""))
	if err != nil || !slices.Equal(lengths, []int{8, 4, 4, 4, 12}) {
		return aaguid, fmt.Errorf("%q is not an AAGUID", s)
	}
	return AAGUID(raw), nil
}

func (a AAGUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", a[:4], a[4:6], a[6:8], a[8:10], a[10:])
}

// AuthenticatorPolicy says which authenticators may register passkeys: at sign-up, in an account, and after a recovery. The
// zero value allows all. It applies to registrations only: a user whose only passkey it rejected later could not sign in to
// add another one.
type AuthenticatorPolicy struct {
	// Attested requires an attestation by a manufacturer in the metadata of the FIDO Alliance.
	Attested bool
	Allowed  []AAGUID // only these, unless empty
	Denied   []AAGUID // never these, even if allowed
}

// RequiresAttestation reports whether the policy depends on the authenticator's model. Clients hide the model unless the server
// requests an attestation.
func (p AuthenticatorPolicy) RequiresAttestation() bool {
	return p.Attested || len(p.Allowed) > 0 || len(p.Denied) > 0
}

// Allows reports whether Check accepts the model.
func (p AuthenticatorPolicy) Allows(aaguid AAGUID, attested bool) bool {
	return p.Check(aaguid, attested) == nil
}

// Check returns a *Rejection if a passkey of the model may not be registered. Attested is true if the attestation was verified
// against the manufacturer's certificates. The zero AAGUID never matches Allowed: every authenticator can report it.
func (p AuthenticatorPolicy) Check(aaguid AAGUID, attested bool) error {
	switch {
	case slices.Contains(p.Denied, aaguid):
		return RejectAuthenticator("AAGUID " + aaguid.String() + " is denied")
	case len(p.Allowed) > 0 && (aaguid == AAGUID{} || !slices.Contains(p.Allowed, aaguid)):
		return RejectAuthenticator("AAGUID " + aaguid.String() + " is not in the list of allowed ones")
	case p.Attested && (aaguid == AAGUID{} || !attested):
		return RejectAuthenticator("AAGUID " + aaguid.String() + " has no attestation by its manufacturer")
	}
	return nil
}

// RejectAuthenticator returns the rejection of a passkey because of its authenticator. The client learns that another
// authenticator is needed; only the log has the detail.
func RejectAuthenticator(detail string) *Rejection {
	return &Rejection{Reason: ReasonAttestationRejected, Detail: detail, err: ErrAuthenticatorNotAccepted}
}
