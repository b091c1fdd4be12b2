package ports

import (
	"encoding/json"

	"github.com/keylodge/keylodge/domain"
)

// RelyingParty makes the options of a ceremony and verifies its answer (WebAuthn Level 3, section 7). It keeps nothing
// between the two calls and judges one policy only, which authenticators may make passkeys (domain.AuthenticatorPolicy): that a
// challenge is answered once and in time, who owns a credential, and what counters and backup flags mean, is decided by its
// callers.
type RelyingParty interface {
	// BeginRegistration asks for a new passkey of the given user, on none of the authenticators that hold one of those
	// excluded.
	BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (CeremonyOptions, error)

	// VerifyRegistration returns what the answer proves, or a *domain.Rejection.
	VerifyRegistration(ceremony []byte, answer RegistrationAnswer) (domain.Registration, error)

	// BeginAuthentication asks for one of the given passkeys, or, with none, for any that its holder chooses.
	BeginAuthentication(allowed []domain.CredentialDescriptor) (CeremonyOptions, error)

	// VerifyAuthentication checks the answer against the credential that it names and the credential's owner. It
	// returns what the answer proves, or a *domain.Rejection.
	VerifyAuthentication(ceremony []byte, answer AuthenticationAnswer, owner *domain.User, credential *domain.Credential) (domain.Assertion, error)

	// RejectUnknown judges an answer that names a credential that is not stored. It returns domain.ErrPasskeyUnknown if the
	// ceremony asked for any passkey and the credential is no decoy. Otherwise it returns the *domain.Rejection that
	// VerifyAuthentication returns for a stored credential and an answer by another key, after the same work.
	RejectUnknown(ceremony []byte, answer AuthenticationAnswer, decoy bool) error
}

// CeremonyOptions is what starts one.
type CeremonyOptions struct {
	// Options go to the client as they are: the JSON form of PublicKeyCredentialCreationOptions or
	// PublicKeyCredentialRequestOptions (sections 5.1.8 and 5.1.9).
	Options json.RawMessage
	// State comes back to the relying party with the answer. It stays on the server, unchanged.
	State []byte
}

// RegistrationAnswer is the client's RegistrationResponseJSON (section 5.1), its base64url undone.
type RegistrationAnswer struct {
	ID                []byte
	ClientDataJSON    []byte
	AttestationObject []byte
	Transports        []string
	Attachment        string          // "" if absent
	Extensions        json.RawMessage // clientExtensionResults; nil if absent
}

// AuthenticationAnswer is the client's AuthenticationResponseJSON (section 5.1), its base64url undone.
type AuthenticationAnswer struct {
	ID                []byte
	ClientDataJSON    []byte
	AuthenticatorData []byte
	Signature         []byte
	UserHandle        []byte          // nil if absent
	Attachment        string          // "" if absent
	Extensions        json.RawMessage // clientExtensionResults; nil if absent
}
