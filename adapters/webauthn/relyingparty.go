// Package webauthn is the relying party of the WebAuthn ceremonies, over github.com/go-webauthn/webauthn.
//
// Every answer is verified twice: first by this package, rule by rule, so that each rejection has its exact [domain.Reason]; then by the
// library, which does the cryptography and repeats the other checks. Neither is sufficient alone: the library reports most rejections
// as the same error, and accepts some answers that the specification rejects (see checkClientData and checkPublicKey).
package webauthn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Config configures the relying party.
type Config struct {
	RPID    string        // a domain, without scheme and port
	RPName  string        // for display
	Origins []string      // the allowed origins, compared byte for byte
	Timeout time.Duration // of the client's dialog; the domain decides when a challenge expires

	Authenticators domain.AuthenticatorPolicy
	Metadata       *Metadata // required for Authenticators.Attested, else nil
}

// RelyingParty implements ports.RelyingParty. It is stateless and safe for concurrent use.
type RelyingParty struct {
	id       string
	library  *webauthn.WebAuthn
	origins  []string
	policy   domain.AuthenticatorPolicy
	metadata *Metadata

	dummyUser       *domain.User // see RejectUnknown
	dummyCredential *domain.Credential
}

var _ ports.RelyingParty = (*RelyingParty)(nil)

// New returns an error for a configuration with which no ceremony can succeed.
func New(config Config) (*RelyingParty, error) {
	switch {
	case config.RPID == "":
		return nil, errors.New("the relying party has no id")
	case config.RPName == "":
		return nil, errors.New("the relying party has no name")
	case config.Timeout < time.Millisecond:
		return nil, fmt.Errorf("invalid ceremony timeout %s: want at least 1 ms", config.Timeout)
	}
	if config.Authenticators.Attested && config.Metadata == nil {
		return nil, errors.New("attestation is required, but there is no metadata to verify it with")
	}
	for _, origin := range config.Origins {
		if err := checkOrigin(origin); err != nil {
			return nil, err
		}
	}
	// Enforce is false, so that SessionData.Expires stays zero: the library would compare it with the system clock, but the domain decides
	// about expiry by the injected clock (domain.Challenge.Redeem).
	timeout := webauthn.TimeoutConfig{Timeout: config.Timeout, TimeoutUVD: config.Timeout}
	conveyance := protocol.PreferNoAttestation
	if config.Authenticators.RequiresAttestation() {
		conveyance = protocol.PreferDirectAttestation
	}
	library, err := webauthn.New(&webauthn.Config{
		RPID:                  libraryRPID(config.RPID),
		RPDisplayName:         config.RPName,
		RPOrigins:             slices.Clone(config.Origins),
		AttestationPreference: conveyance,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the relying party: %w", err)
	}
	dummyUser, dummyCredential, err := newDummy()
	if err != nil {
		return nil, fmt.Errorf("creating the dummy credential: %w", err)
	}
	return &RelyingParty{id: config.RPID, library: library, origins: library.Config.RPOrigins, dummyUser: dummyUser, dummyCredential: dummyCredential, policy: config.Authenticators, metadata: config.Metadata}, nil
}

// libraryRPID returns the RP id in the library's configuration: the library (0.18) rejects a name of one label, as hosts on intranets
// have. Options and sessions get the actual id.
func libraryRPID(id string) string {
	if strings.Contains(id, ".") {
		return id
	}
	return id + ".localhost"
}

// checkOrigin rejects a web origin that is not spelled as browsers send it, since origins are compared byte for byte. Origins of other
// schemes (android:apk-key-hash:…) have no canonical form.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return fmt.Errorf("parsing an allowed origin: %w", err)
	}
	defaultPort, web := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if web && (u.Host == "" || u.Port() == defaultPort || origin != u.Scheme+"://"+strings.ToLower(u.Host)) {
		return fmt.Errorf("invalid origin %q: want scheme, lower-case host and non-default port, for example https://id.example.org", origin)
	}
	return nil
}

// credentialParameters returns the algorithms of new passkeys in order of preference. ES256 is first because secure hardware supports it;
// RS256 is for older Windows machines. -53 (Ed448) must not be added: the library registers it, but cannot verify it.
func credentialParameters() []protocol.CredentialParameter {
	return []protocol.CredentialParameter{
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
	}
}

// libraryUser implements webauthn.User.
type libraryUser struct {
	handle            []byte
	name, displayName string
	credentials       []webauthn.Credential
}

func (u libraryUser) WebAuthnID() []byte                         { return u.handle }
func (u libraryUser) WebAuthnName() string                       { return u.name }
func (u libraryUser) WebAuthnDisplayName() string                { return u.displayName }
func (u libraryUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// encodeCeremony encodes the options and the complete session of the library, with which the answer is verified.
func encodeCeremony(options any, session *webauthn.SessionData) (ports.CeremonyOptions, error) {
	encodedOptions, err := json.Marshal(options)
	if err != nil {
		return ports.CeremonyOptions{}, fmt.Errorf("encoding ceremony options: %w", err)
	}
	state, err := json.Marshal(session)
	if err != nil {
		return ports.CeremonyOptions{}, fmt.Errorf("encoding ceremony state: %w", err)
	}
	return ports.CeremonyOptions{Options: encodedOptions, State: state}, nil
}

// resume returns the library's session of a ceremony. It returns a *domain.Rejection if the ceremony began with another RP id, before a
// restart with other settings: a passkey of that RP id must neither be registered nor sign in.
func (rp *RelyingParty) resume(state []byte) (webauthn.SessionData, error) {
	session, err := decodeSession(state)
	if err != nil {
		return session, err
	}
	if session.GetRelyingPartyID(rp.id) != rp.id {
		return session, domain.Reject(domain.ReasonRPIDMismatch, "the ceremony began with the RP id "+quote(session.RelyingPartyID))
	}
	return session, nil
}

func decodeSession(state []byte) (webauthn.SessionData, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return webauthn.SessionData{}, fmt.Errorf("decoding ceremony state: %w", err)
	}
	return session, nil
}
