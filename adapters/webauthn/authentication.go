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

// BeginAuthentication never looks at whose passkeys it is asked for, so that real ones and decoys take the same path.
// The library's BeginLogin would want a user, and fail for one who has no passkeys.
func (rp *RelyingParty) BeginAuthentication(allowed []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	assertion, session, err := rp.library.BeginDiscoverableLogin(webauthn.WithAllowedCredentials(descriptorsOf(allowed)))
	if err != nil {
		return ports.CeremonyOptions{}, fmt.Errorf("beginning an authentication: %w", err)
	}
	return encodeCeremony(assertion.Response, session)
}

// VerifyAuthentication follows WebAuthn Level 3, section 7.2, as far as the port promises.
func (rp *RelyingParty) VerifyAuthentication(
	ceremony []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	session, err := rp.resume(ceremony)
	if err != nil {
		return domain.Assertion{}, err
	}
	if len(session.UserID) != 0 {
		return domain.Assertion{}, errors.New("the ceremony state is not that of an authentication")
	}
	record, err := recordOf(credential.State())
	if err != nil {
		return domain.Assertion{}, err
	}
	said, err := checkClientData(answer.ClientDataJSON, protocol.AssertCeremony, session.Challenge, rp.origins)
	if err != nil {
		return domain.Assertion{}, err
	}
	parsed, err := parseAuthentication(answer, said)
	if err != nil {
		return domain.Assertion{}, err
	}
	if err := checkAuthenticatorData(parsed.Response.AuthenticatorData, session.GetRelyingPartyID(rp.library.Config.RPID)); err != nil {
		return domain.Assertion{}, err
	}
	if err := checkIdentity(answer, session.AllowedCredentialIDs, owner.Handle(), credential.ID()); err != nil {
		return domain.Assertion{}, err
	}
	if err := rp.validate(session, parsed, owner.Handle(), record); err != nil {
		return domain.Assertion{}, err
	}
	data := parsed.Response.AuthenticatorData
	assertion := domain.Assertion{Flags: domain.AuthenticatorFlags(data.Flags), SignCount: data.Counter, HasAttestedData: data.Flags.HasAttestedCredentialData()}
	if assertion.HasAttestedData {
		return assertion, checkAttestedData(data.AttData, record)
	}
	return assertion, nil
}

// checkAttestedData holds attested credential data at a sign-in to the passkey. Authenticators must not send them (section 6.1), some
// did, and no step of section 7.2 looks at them: they are taken if they say what is known already. It comes after the signature, so
// that an answer without a good one is refused for that, whatever it attests.
func checkAttestedData(attested protocol.AttestedCredentialData, record webauthn.Credential) error {
	if !bytes.Equal(attested.CredentialID, record.ID) || !bytes.Equal(attested.CredentialPublicKey, record.PublicKey) {
		return domain.Reject(domain.ReasonMalformed, "authenticator data that attests another credential than the one that signed")
	}
	return nil
}

func parseAuthentication(answer ports.AuthenticationAnswer, said clientData) (*protocol.ParsedCredentialAssertionData, error) {
	id, err := domain.NewCredentialID(answer.ID)
	if err != nil {
		return nil, err
	}
	checked, err := json.Marshal(said)
	if err != nil {
		return nil, fmt.Errorf("encoding client data: %w", err)
	}
	// The client's extension results stay out (section 7.2, step 23): nothing was asked, they are unsigned, and some password managers
	// send them all the same. The library therefore never hears of an "appid", and the hash of one is never the RP id's.
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
	parsed.Raw.AssertionResponse.ClientDataJSON = answer.ClientDataJSON // what was signed
	return parsed, nil
}

// checkIdentity holds the answer to the credential that was asked for and to its owner (section 7.2, steps 5 and 6). A
// list of decoys matches nothing, so that nobody signs in by one. Without a list the user handle is all that names
// the user, and may not be missing.
func checkIdentity(answer ports.AuthenticationAnswer, allowed [][]byte, owner domain.UserHandle, credential domain.CredentialID) error {
	used := func(id []byte) bool { return bytes.Equal(id, answer.ID) }
	switch {
	case !used(credential.Bytes()):
		return domain.Reject(domain.ReasonUserHandleMismatch, "the answer names another credential than the one it is checked against")
	case len(allowed) > 0 && !slices.ContainsFunc(allowed, used):
		return domain.Reject(domain.ReasonUserHandleMismatch, "the credential is not among those asked for")
	case len(allowed) == 0 && len(answer.UserHandle) == 0:
		return domain.Reject(domain.ReasonUserHandleMismatch, "no user handle, and no list of credentials that would name the user")
	case len(answer.UserHandle) > 0 && domain.UserHandle(answer.UserHandle) != owner:
		return domain.Reject(domain.ReasonUserHandleMismatch, "the user handle is not that of the credential's owner")
	}
	return nil
}

// validate has the library verify the signature, and all the rest once more.
//
// Two of its judgements are left out. It would refuse a changed BE flag, so the record is given the flag as it is now;
// and it reports a counter that failed to advance by a mark on the credential it returns, which is not read. Both are
// policy, decided by domain.Credential.RecordUse.
func (rp *RelyingParty) validate(
	session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData, owner domain.UserHandle, record webauthn.Credential,
) error {
	record.Flags.BackupEligible = parsed.Response.AuthenticatorData.Flags.HasBackupEligible()
	user := libraryUser{handle: owner.Bytes(), credentials: []webauthn.Credential{record}}

	var err error
	if len(session.AllowedCredentialIDs) > 0 {
		// The library wants a user who owns every allowed credential. One was used, checkIdentity found it in the list,
		// and the rest of the list says nothing about it.
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
