package ports

import (
	"encoding/json"

	"github.com/keylodge/keylodge/domain"
)

// RelyingParty creates the options of a ceremony and verifies its response (WebAuthn Level 3, section 7). It stores no state
// between the two calls. Of the policies it applies domain.AuthenticatorPolicy only. Its callers check that a challenge is used
// once and in time, who owns a credential, and the signature counter and backup flags.
type RelyingParty interface {
	// BeginRegistration returns the options for a new passkey of the user. Authenticators that hold an excluded passkey reject
	// them.
	BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (CeremonyOptions, error)

	// VerifyRegistration returns the verified registration, or a *domain.Rejection.
	VerifyRegistration(ceremony []byte, answer RegistrationAnswer) (domain.Registration, error)

	// BeginAuthentication returns the options for one of the allowed passkeys, or for any discoverable one if none is given.
	BeginAuthentication(allowed []domain.CredentialDescriptor) (CeremonyOptions, error)

	// VerifyAuthentication verifies the response with the credential that it names and the credential's owner. It returns the
	// verified assertion, or a *domain.Rejection.
	VerifyAuthentication(ceremony []byte, answer AuthenticationAnswer, owner *domain.User, credential *domain.Credential) (domain.Assertion, error)

	// RejectUnknown returns the error for a response with a credential that is not stored: domain.ErrPasskeyUnknown if the
	// options allowed any passkey and the credential is not a decoy; otherwise, after the same work, the *domain.Rejection that
	// VerifyAuthentication returns for a stored credential and a signature of another key.
	RejectUnknown(ceremony []byte, answer AuthenticationAnswer, decoy bool) error
}

// CeremonyOptions are the options of a ceremony, with its state.
type CeremonyOptions struct {
	// Options is sent to the client unchanged: the JSON form of PublicKeyCredentialCreationOptions or
	// PublicKeyCredentialRequestOptions (sections 5.1.8 and 5.1.9).
	Options json.RawMessage
	// State is passed to the method that verifies the response. It is stored on the server.
	State []byte
}

// RegistrationAnswer is the client's RegistrationResponseJSON (section 5.1), decoded from base64url.
type RegistrationAnswer struct {
	ID                []byte
	ClientDataJSON    []byte
	AttestationObject []byte
	Transports        []string
	Attachment        string          // "" if absent
	Extensions        json.RawMessage // clientExtensionResults; nil if absent
}

// AuthenticationAnswer is the client's AuthenticationResponseJSON (section 5.1), decoded from base64url.
type AuthenticationAnswer struct {
	ID                []byte
	ClientDataJSON    []byte
	AuthenticatorData []byte
	Signature         []byte
	UserHandle        []byte          // nil if absent
	Attachment        string          // "" if absent
	Extensions        json.RawMessage // clientExtensionResults; nil if absent
}
