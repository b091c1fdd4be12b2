package webauthn

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// checkAuthenticatorData checks the RP id hash and the flags of authenticator data. The library's parser has checked its layout and
// length.
func checkAuthenticatorData(data protocol.AuthenticatorData, rpID string) error {
	if want := sha256.Sum256([]byte(rpID)); !bytes.Equal(data.RPIDHash, want[:]) {
		return domain.Reject(domain.ReasonRPIDMismatch, fmt.Sprintf("authenticator data for the RP id with hash %x", data.RPIDHash))
	}
	return domain.AuthenticatorFlags(data.Flags).Verify()
}
