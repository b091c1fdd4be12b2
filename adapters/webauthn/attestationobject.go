package webauthn

import (
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"github.com/keylodge/keylodge/domain"
)

// Major types of CBOR (RFC 8949, section 3.1): the three high bits of an item's first byte.
const (
	cborBytes byte = 2
	cborText  byte = 3
	cborList  byte = 4
	cborMap   byte = 5
)

var attestationObjectMembers = map[string]byte{"fmt": cborText, "attStmt": cborMap, "authData": cborBytes}

// checkAttestationObject checks the form of an attestation object (WebAuthn Level 3, section 6.5.4): one CBOR map with the three
// members, each of its type. Other members are ignored.
//
// The library (0.18) accepts "Fmt" in place of a missing "fmt" (and treats both together as a duplicate), and treats a missing or null
// statement as an empty one, which the format "none" requires.
func checkAttestationObject(raw []byte) error {
	var members map[string]webauthncbor.RawMessage
	if err := webauthncbor.Unmarshal(raw, &members); err != nil {
		return domain.Reject(domain.ReasonMalformed, "attestation object: "+quote(err.Error()))
	}
	for name, want := range attestationObjectMembers {
		item, present := members[name]
		switch {
		case !present || len(item) == 0:
			return domain.Reject(domain.ReasonMalformed, "attestation object without "+name)
		case name == "attStmt" && item[0]>>5 == cborList: // the format "compound" (section 8.9), whose verification checks it
		case item[0]>>5 != want:
			return domain.Reject(domain.ReasonMalformed, "attestation object with a wrong type of "+name)
		}
	}
	return nil
}

// checkStatement checks the syntax of an attestation statement (sections 8.2 and 8.6), which lists all members.
//
// The library reads only members of the expected type: it treats a statement whose x5c is not a list as a self attestation. For
// "fido-u2f" it accepts every AAGUID, although such keys have none (section 6.1.2) and the signature does not cover it.
func checkStatement(object protocol.AttestationObject) error {
	var known []string
	switch protocol.AttestationFormat(object.Format) {
	case protocol.AttestationFormatPacked:
		known = []string{"alg", "sig", "x5c"}
	case protocol.AttestationFormatFIDOUniversalSecondFactor:
		known = []string{"sig", "x5c"}
		if aaguid := domain.AAGUID(object.AuthData.AttData.AAGUID); aaguid != (domain.AAGUID{}) {
			return domain.Reject(domain.ReasonAttestationRejected, "fido-u2f with AAGUID "+aaguid.String())
		}
	default:
		return nil
	}
	for name, value := range object.AttStatement {
		if !slices.Contains(known, name) {
			return domain.Reject(domain.ReasonAttestationRejected, object.Format+" with a member "+quote(name))
		}
		if _, isList := value.([]any); name == "x5c" && !isList {
			return domain.Reject(domain.ReasonAttestationRejected, object.Format+" with x5c that is not a list")
		}
	}
	return nil
}
