package webauthn

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// checkAuthenticatorData holds parsed authenticator data to its relying party and to the domain's rule about flags. Its
// layout was checked by the library's parser, which takes neither too few bytes nor too many.
func checkAuthenticatorData(data protocol.AuthenticatorData, rpID string) error {
	if want := sha256.Sum256([]byte(rpID)); !bytes.Equal(data.RPIDHash, want[:]) {
		return domain.Reject(domain.ReasonRPIDMismatch, fmt.Sprintf("authenticator data for the RP id with hash %x", data.RPIDHash))
	}
	return domain.AuthenticatorFlags(data.Flags).Verify()
}
