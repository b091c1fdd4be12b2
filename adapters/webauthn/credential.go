package webauthn

import (
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/domain"
)

// registrationOf returns the parts of the library's record from which it can be restored.
func registrationOf(record *webauthn.Credential, rpID string) (domain.Registration, error) {
	extensions, err := json.Marshal(record.Extensions)
	if err != nil {
		return domain.Registration{}, fmt.Errorf("encoding extension results: %w", err)
	}
	registration := domain.Registration{
		CredentialID: domain.CredentialID(record.ID),
		RPID:         rpID,
		PublicKey:    record.PublicKey,
		Algorithm:    record.Attestation.PublicKeyAlgorithm,
		Attachment:   string(record.Authenticator.Attachment),
		Flags:        domain.AuthenticatorFlags(record.Flags.ProtocolValue()),
		SignCount:    record.Authenticator.SignCount,
		Attestation: domain.Attestation{
			Type:              record.AttestationType,
			Format:            record.AttestationFormat,
			Object:            record.Attestation.Object,
			AuthenticatorData: record.Attestation.AuthenticatorData,
			ClientDataJSON:    record.Attestation.ClientDataJSON,
		},
		Extensions: extensions,
	}
	copy(registration.AAGUID[:], record.Authenticator.AAGUID)
	for _, transport := range record.Transport {
		registration.Transports = append(registration.Transports, string(transport))
	}
	return registration, nil
}

// recordOf restores what an authentication needs of the library's record of a passkey: all but the attestation and the extension
// results.
func recordOf(s domain.CredentialState) webauthn.Credential {
	return webauthn.Credential{
		ID:        s.ID.Bytes(),
		PublicKey: s.PublicKey,
		Transport: transportsOf(s.Transports),
		Flags:     webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(s.Flags)),
		Authenticator: webauthn.Authenticator{
			AAGUID:       s.AAGUID[:],
			SignCount:    s.SignCount,
			CloneWarning: s.CloneWarning,
			Attachment:   protocol.AuthenticatorAttachment(s.Attachment),
		},
	}
}

func descriptorsOf(allowed []domain.CredentialDescriptor) []protocol.CredentialDescriptor {
	descriptors := make([]protocol.CredentialDescriptor, len(allowed))
	for i, d := range allowed {
		descriptors[i] = protocol.CredentialDescriptor{
			Type:         protocol.PublicKeyCredentialType,
			CredentialID: d.ID.Bytes(),
			Transport:    transportsOf(d.Transports),
		}
	}
	return descriptors
}

func transportsOf(names []string) []protocol.AuthenticatorTransport {
	var transports []protocol.AuthenticatorTransport
	for _, name := range names {
		transports = append(transports, protocol.AuthenticatorTransport(name))
	}
	return transports
}
