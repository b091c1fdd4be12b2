package authenticator

import (
	"encoding/base64"
	"fmt"
)

const publicKeyType = "public-key"

// Base64URL is binary data that is unpadded base64url in JSON.
type Base64URL []byte

func (b Base64URL) String() string { return base64.RawURLEncoding.EncodeToString(b) }

func (b Base64URL) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b *Base64URL) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("decoding base64url: %w", err)
	}
	*b = raw
	return nil
}

// RegistrationResponse is RegistrationResponseJSON (WebAuthn Level 3, section 5.1).
type RegistrationResponse struct {
	ID                      Base64URL              `json:"id"`
	RawID                   Base64URL              `json:"rawId"`
	Type                    string                 `json:"type"`
	AuthenticatorAttachment string                 `json:"authenticatorAttachment"`
	ClientExtensionResults  ClientExtensionResults `json:"clientExtensionResults"`
	Response                AttestationResponse    `json:"response"`
}

// AttestationResponse is AuthenticatorAttestationResponseJSON.
type AttestationResponse struct {
	ClientDataJSON     Base64URL `json:"clientDataJSON"`
	AttestationObject  Base64URL `json:"attestationObject"`
	AuthenticatorData  Base64URL `json:"authenticatorData"`
	Transports         []string  `json:"transports"`
	PublicKey          Base64URL `json:"publicKey"` // DER, SubjectPublicKeyInfo
	PublicKeyAlgorithm Algorithm `json:"publicKeyAlgorithm"`
}

// AuthenticationResponse is AuthenticationResponseJSON (section 5.1).
type AuthenticationResponse struct {
	ID                      Base64URL              `json:"id"`
	RawID                   Base64URL              `json:"rawId"`
	Type                    string                 `json:"type"`
	AuthenticatorAttachment string                 `json:"authenticatorAttachment"`
	ClientExtensionResults  ClientExtensionResults `json:"clientExtensionResults"`
	Response                AssertionResponse      `json:"response"`
}

// AssertionResponse is AuthenticatorAssertionResponseJSON.
type AssertionResponse struct {
	ClientDataJSON    Base64URL `json:"clientDataJSON"`
	AuthenticatorData Base64URL `json:"authenticatorData"`
	Signature         Base64URL `json:"signature"`
	UserHandle        Base64URL `json:"userHandle,omitempty"`
}

// ClientExtensionResults are the outputs of the requested extensions that this client supports.
type ClientExtensionResults struct {
	CredProps *CredProps `json:"credProps,omitempty"`
}

// CredProps is the output of the credential properties extension (section 10.1.3).
type CredProps struct {
	RK bool `json:"rk"`
}

type creationOptions struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID Base64URL `json:"id"`
	} `json:"user"`
	Challenge          Base64URL              `json:"challenge"`
	PubKeyCredParams   []credentialParameters `json:"pubKeyCredParams"`
	ExcludeCredentials []credentialDescriptor `json:"excludeCredentials"`
	Extensions         struct {
		CredProps bool `json:"credProps"`
	} `json:"extensions"`
}

type requestOptions struct {
	RPID             string                 `json:"rpId"`
	Challenge        Base64URL              `json:"challenge"`
	AllowCredentials []credentialDescriptor `json:"allowCredentials"`
}

type credentialParameters struct {
	Type      string    `json:"type"`
	Algorithm Algorithm `json:"alg"`
}

type credentialDescriptor struct {
	Type string    `json:"type"`
	ID   Base64URL `json:"id"`
}
