package webauthn

import (
	"errors"
	"strconv"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// rejectionOf turns a refusal of the library's into a domain.Rejection, by the error's type. Whatever this package has
// checked before never comes to this with a reason of its own, so that what remains is an answer out of shape.
//
// The detail leaves out protocol.Error.DevInfo, which may hold the expected challenge.
func rejectionOf(err error) error {
	var refusal *protocol.Error
	if !errors.As(err, &refusal) {
		return domain.Reject(domain.ReasonMalformed, quote(err.Error()))
	}
	reason := domain.ReasonMalformed
	switch refusal.Type {
	case protocol.ErrAssertionSignature.Type:
		reason = domain.ReasonSignatureInvalid
	case protocol.ErrAttestation.Type,
		protocol.ErrAttestationFormat.Type, // also that of ErrInvalidAttestation
		protocol.ErrAttestationCertificate.Type,
		protocol.ErrMetadata.Type,
		protocol.ErrNotSpecImplemented.Type: // an attestation format that the library knows and cannot verify
		reason = domain.ReasonAttestationRejected
	}
	return domain.Reject(reason, refusal.Type+": "+quote(refusal.Details))
}

const maxQuoted = 200 // bytes

// quoteEnd is quote for text that says what matters at its end.
func quoteEnd(text string) string {
	if len(text) > maxQuoted {
		return "…" + strconv.Quote(text[len(text)-maxQuoted:])
	}
	return strconv.Quote(text)
}

// quote makes text that a client had a hand in fit for one line of a log.
func quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "…"
	}
	return strconv.Quote(text)
}
