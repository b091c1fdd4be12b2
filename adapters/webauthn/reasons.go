package webauthn

import (
	"errors"
	"strconv"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// rejectionOf converts an error of the library to a domain.Rejection, by its type. This package has checked the rules with reasons of
// their own before, so that any other error is a malformed answer.
//
// The detail does not contain protocol.Error.DevInfo, which may have the expected challenge.
func rejectionOf(err error) error {
	var protocolErr *protocol.Error
	if !errors.As(err, &protocolErr) {
		return domain.Reject(domain.ReasonMalformed, quote(err.Error()))
	}
	reason := domain.ReasonMalformed
	switch protocolErr.Type {
	case protocol.ErrAssertionSignature.Type:
		reason = domain.ReasonSignatureInvalid
	case protocol.ErrAttestation.Type,
		protocol.ErrAttestationFormat.Type, // ErrInvalidAttestation has it, too
		protocol.ErrAttestationCertificate.Type,
		protocol.ErrMetadata.Type,
		protocol.ErrNotSpecImplemented.Type: // an attestation format that the library cannot verify
		reason = domain.ReasonAttestationRejected
	}
	return domain.Reject(reason, protocolErr.Type+": "+quote(protocolErr.Details))
}

const maxQuotedSize = 200 // in bytes

// quoteEnd is quote, but keeps the end of a long text.
func quoteEnd(text string) string {
	if len(text) > maxQuotedSize {
		return "…" + strconv.Quote(text[len(text)-maxQuotedSize:])
	}
	return strconv.Quote(text)
}

// quote escapes and shortens text from a client for one line of a log.
func quote(text string) string {
	if len(text) > maxQuotedSize {
		return strconv.Quote(text[:maxQuotedSize]) + "…"
	}
	return strconv.Quote(text)
}
