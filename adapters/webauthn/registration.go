package webauthn

import (
	"encoding/json"
	"errors"
	"fmt"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BeginRegistration requests a discoverable credential with user verification, and attestation only if the policy requires it, because
// clients may ask the user for consent then.
func (rp *RelyingParty) BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	creation, session, err := rp.library.BeginRegistration(libraryUser{handle: user.Handle.Bytes(), name: user.Name, displayName: user.DisplayName},
		webauthn.WithCredentialParameters(credentialParameters()),
		webauthn.WithExclusions(descriptorsOf(excluded)),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()),
	)
	if err != nil {
		return ports.CeremonyOptions{}, fmt.Errorf("beginning a registration: %w", err)
	}
	creation.Response.RelyingParty.ID, session.RelyingPartyID = rp.id, rp.id
	return encodeCeremony(creation.Response, session)
}

// VerifyRegistration implements the steps of WebAuthn Level 3, section 7.1, that the port documents.
func (rp *RelyingParty) VerifyRegistration(ceremony []byte, answer ports.RegistrationAnswer) (domain.Registration, error) {
	session, err := rp.resume(ceremony)
	if err != nil {
		return domain.Registration{}, err
	}
	if len(session.UserID) == 0 {
		return domain.Registration{}, errors.New("the ceremony state is not of a registration")
	}
	data, err := checkClientData(answer.ClientDataJSON, protocol.CreateCeremony, session.Challenge, rp.origins)
	if err != nil {
		return domain.Registration{}, err
	}
	parsed, err := parseRegistration(answer, data)
	if err != nil {
		return domain.Registration{}, err
	}
	if err := rp.checkNewCredential(parsed, session); err != nil {
		return domain.Registration{}, err
	}
	credential, err := rp.library.CreateCredential(libraryUser{handle: session.UserID}, session, parsed)
	if err != nil {
		return domain.Registration{}, rejectionOf(err)
	}
	if err := rp.checkAuthenticator(parsed.Response.AttestationObject, credential.AttestationType); err != nil {
		return domain.Registration{}, err
	}
	return registrationOf(credential, rp.id)
}

func parseRegistration(answer ports.RegistrationAnswer, data clientData) (*protocol.ParsedCredentialCreationData, error) {
	id, err := domain.NewCredentialID(answer.ID)
	if err != nil {
		return nil, err
	}
	if err := checkAttestationObject(answer.AttestationObject); err != nil {
		return nil, err
	}
	checked, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding client data: %w", err)
	}
	parsed, err := protocol.CredentialCreationResponse{
		PublicKeyCredential: protocol.PublicKeyCredential{
			Credential:              protocol.Credential{ID: id.String(), Type: string(protocol.PublicKeyCredentialType)},
			RawID:                   answer.ID,
			ClientExtensionResults:  protocol.AuthenticationExtensionsClientOutputs{CredProps: credPropsOf(answer.Extensions)},
			AuthenticatorAttachment: answer.Attachment,
		},
		AttestationResponse: protocol.AuthenticatorAttestationResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: checked},
			Transports:            answer.Transports,
			AttestationObject:     answer.AttestationObject,
		},
	}.Parse()
	if err != nil {
		return nil, rejectionOf(err)
	}
	parsed.Raw.AttestationResponse.ClientDataJSON = answer.ClientDataJSON // the signed bytes
	return parsed, nil
}

// credPropsOf returns whether the client says that the passkey is discoverable (section 10.1.3), the only client extension output that is
// stored, or nil. It is not signed, so neither it nor any other output causes a rejection (section 7.1, step 28).
func credPropsOf(extensions []byte) *protocol.CredentialPropertiesOutput {
	var outputs struct {
		CredProps jsontext.Value `json:"credProps"`
	}
	var credProps struct {
		RK *bool `json:"rk"`
	}
	if strictjson.Unmarshal(extensions, &outputs) != nil || strictjson.Unmarshal(outputs.CredProps, &credProps) != nil || credProps.RK == nil {
		return nil
	}
	return &protocol.CredentialPropertiesOutput{RK: credProps.RK}
}

func (rp *RelyingParty) checkNewCredential(parsed *protocol.ParsedCredentialCreationData, session webauthn.SessionData) error {
	object := parsed.Response.AttestationObject
	if err := checkAuthenticatorData(object.AuthData, rp.id); err != nil {
		return err
	}
	algorithm, err := checkPublicKey(object.AuthData.AttData.CredentialPublicKey, session.CredParams)
	if err != nil {
		return err
	}
	if err := checkEncodedKey(object); err != nil {
		return err
	}
	if attested := domain.CredentialID(object.AuthData.AttData.CredentialID); attested != domain.CredentialID(parsed.RawID) {
		return domain.Reject(domain.ReasonMalformed, "the id of the answer is not that of the attested credential: "+quote(attested.String()))
	}
	if err := checkStatement(object); err != nil {
		return err
	}
	// Clients repeat these two outside the attestation object, where they are not signed. The values of the object are stored.
	parsed.Raw.AttestationResponse.AuthenticatorData = object.RawAuthData
	parsed.Raw.AttestationResponse.PublicKeyAlgorithm = algorithm
	return nil
}
