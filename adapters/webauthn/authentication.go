package webauthn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BeginAuthentication treats passkeys and decoys in the same way. It does not use the library's BeginLogin, which requires a user, and
// fails for one without passkeys.
func (rp *RelyingParty) BeginAuthentication(allowed []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	assertion, session, err := rp.library.BeginDiscoverableLogin(webauthn.WithAllowedCredentials(descriptorsOf(allowed)))
	if err != nil {
		return ports.CeremonyOptions{}, fmt.Errorf("beginning an authentication: %w", err)
	}
	assertion.Response.RelyingPartyID, session.RelyingPartyID = rp.id, rp.id
	return encodeCeremony(assertion.Response, session)
}

// VerifyAuthentication implements the steps of WebAuthn Level 3, section 7.2, that the port documents.
func (rp *RelyingParty) VerifyAuthentication(
	ceremony []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	session, err := rp.resume(ceremony)
	if err != nil {
		return domain.Assertion{}, err
	}
	if len(session.UserID) != 0 {
		return domain.Assertion{}, errors.New("the ceremony state is not of an authentication")
	}
	record := recordOf(credential.State())
	data, err := checkClientData(answer.ClientDataJSON, protocol.AssertCeremony, session.Challenge, rp.origins)
	if err != nil {
		return domain.Assertion{}, err
	}
	parsed, err := parseAuthentication(answer, data)
	if err != nil {
		return domain.Assertion{}, err
	}
	if err := checkAuthenticatorData(parsed.Response.AuthenticatorData, rp.id); err != nil {
		return domain.Assertion{}, err
	}
	if err := checkIdentity(answer, session.AllowedCredentialIDs, owner.Handle(), credential.ID()); err != nil {
		return domain.Assertion{}, err
	}
	if err := rp.validate(session, parsed, owner.Handle(), record); err != nil {
		return domain.Assertion{}, err
	}
	signed := parsed.Response.AuthenticatorData
	assertion := domain.Assertion{Flags: domain.AuthenticatorFlags(signed.Flags), SignCount: signed.Counter, HasAttestedData: signed.Flags.HasAttestedCredentialData()}
	if assertion.HasAttestedData {
		return assertion, checkAttestedData(signed.AttData, record)
	}
	return assertion, nil
}

// checkAttestedData accepts attested credential data in an assertion only if it is that of the passkey. Authenticators must not send it
// (section 6.1), but some did, and section 7.2 ignores it. It is checked after the signature, so that an invalid signature is always
// rejected as such.
func checkAttestedData(attested protocol.AttestedCredentialData, record webauthn.Credential) error {
	if !bytes.Equal(attested.CredentialID, record.ID) || !bytes.Equal(attested.CredentialPublicKey, record.PublicKey) {
		return domain.Reject(domain.ReasonMalformed, "authenticator data attests another credential than the one that signed")
	}
	return nil
}

func parseAuthentication(answer ports.AuthenticationAnswer, data clientData) (*protocol.ParsedCredentialAssertionData, error) {
	id, err := domain.NewCredentialID(answer.ID)
	if err != nil {
		return nil, err
	}
	checked, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding client data: %w", err)
	}
	// The extension results of the client are ignored (section 7.2, step 23): none were requested, they are not signed, and some password
	// managers send them anyway. So the library never receives an "appid", and never accepts its hash instead of the RP id's.
	parsed, err := protocol.CredentialAssertionResponse{
		PublicKeyCredential: protocol.PublicKeyCredential{
			Credential:              protocol.Credential{ID: id.String(), Type: string(protocol.PublicKeyCredentialType)},
			RawID:                   answer.ID,
			AuthenticatorAttachment: answer.Attachment,
		},
		AssertionResponse: protocol.AuthenticatorAssertionResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: checked},
			AuthenticatorData:     answer.AuthenticatorData,
			Signature:             answer.Signature,
			UserHandle:            answer.UserHandle,
		},
	}.Parse()
	if err != nil {
		return nil, rejectionOf(err)
	}
	parsed.Raw.AssertionResponse.ClientDataJSON = answer.ClientDataJSON // the signed bytes
	return parsed, nil
}

// checkIdentity checks that the answer is from a requested credential and names its owner (section 7.2, steps 5 and 6). A list of
// decoys matches no passkey. Without a list the user handle is required, since only it identifies the user.
func checkIdentity(answer ports.AuthenticationAnswer, allowed [][]byte, owner domain.UserHandle, credential domain.CredentialID) error {
	used := func(id []byte) bool { return bytes.Equal(id, answer.ID) }
	switch {
	case !used(credential.Bytes()):
		return domain.Reject(domain.ReasonUserHandleMismatch, "the id of the answer is not that of the credential")
	case len(allowed) > 0 && !slices.ContainsFunc(allowed, used):
		return domain.Reject(domain.ReasonUserHandleMismatch, "the credential is not one of the requested ones")
	case len(allowed) == 0 && len(answer.UserHandle) == 0:
		return domain.Reject(domain.ReasonUserHandleMismatch, "neither a user handle nor a list of credentials identifies the user")
	case len(answer.UserHandle) > 0 && domain.UserHandle(answer.UserHandle) != owner:
		return domain.Reject(domain.ReasonUserHandleMismatch, "the user handle is not that of the owner of the credential")
	}
	return nil
}

// validate lets the library verify the signature and repeat the other checks.
//
// Two of its checks are disabled, because domain.Credential.RecordUse decides them by policy. The library would reject a changed BE flag,
// so the record gets the current flag; and it reports a counter that did not increase in the credential that it returns, which is
// ignored.
func (rp *RelyingParty) validate(
	session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData, owner domain.UserHandle, record webauthn.Credential,
) error {
	record.Flags.BackupEligible = parsed.Response.AuthenticatorData.Flags.HasBackupEligible()
	user := libraryUser{handle: owner.Bytes(), credentials: []webauthn.Credential{record}}

	var err error
	if len(session.AllowedCredentialIDs) > 0 {
		// The library requires a user who owns every allowed credential. checkIdentity has found the used one in the list.
		session.AllowedCredentialIDs = [][]byte{record.ID}
		session.UserID = user.handle
		_, err = rp.library.ValidateLogin(user, session, parsed)
	} else {
		byHandle := func(_, _ []byte) (webauthn.User, error) { return user, nil }
		_, _, err = rp.library.ValidatePasskeyLogin(byHandle, session, parsed)
	}
	if err != nil {
		return rejectionOf(err)
	}
	return nil
}
