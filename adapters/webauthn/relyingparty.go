// Package webauthn is the relying party of the WebAuthn ceremonies, over github.com/go-webauthn/webauthn.
//
// Every answer is judged twice. First by this package, strictly and rule by rule, so that each refusal has its exact
// [domain.Reason]; then by the library, which does the cryptography and repeats the rest. Neither is enough alone: the
// library reports most refusals as one and the same error, and lets some answers pass that the specification does not
// (see checkClientData and checkPublicKey).
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

// Config says who the relying party is.
type Config struct {
	RPID    string        // a domain, without scheme and port
	RPName  string        // for people
	Origins []string      // where ceremonies may happen; an answer's origin equals one of these byte for byte
	Timeout time.Duration // how long a client is told to wait for its user; when a challenge expires is not decided here

	Authenticators domain.AuthenticatorPolicy
	Metadata       *Metadata // what Authenticators.Attested is judged by; nil without it
}

// RelyingParty implements ports.RelyingParty. It keeps no state and may be used from any number of goroutines.
type RelyingParty struct {
	library  *webauthn.WebAuthn
	origins  []string
	policy   domain.AuthenticatorPolicy
	metadata *Metadata

	dummyUser       *domain.User // see RejectUnknown
	dummyCredential *domain.Credential
}

var _ ports.RelyingParty = (*RelyingParty)(nil)

// New returns an error for a configuration under which no ceremony could succeed.
func New(config Config) (*RelyingParty, error) {
	switch {
	case config.RPID == "":
		return nil, errors.New("the relying party has no id")
	case config.RPName == "":
		return nil, errors.New("the relying party has no name")
	case config.Timeout < time.Millisecond:
		return nil, fmt.Errorf("a ceremony timeout of %s", config.Timeout)
	}
	if config.Authenticators.Attested && config.Metadata == nil {
		return nil, errors.New("attestation is required, and there are no metadata to judge it by")
	}
	for _, origin := range config.Origins {
		if err := checkOrigin(origin); err != nil {
			return nil, err
		}
	}
	// Enforce stays false, so that SessionData.Expires stays zero: the library would compare it with the system's
	// clock, while expiry is the domain's decision (domain.Challenge.Redeem), on the clock that was injected.
	timeout := webauthn.TimeoutConfig{Timeout: config.Timeout, TimeoutUVD: config.Timeout}
	conveyance := protocol.PreferNoAttestation
	if config.Authenticators.RequiresAttestation() {
		conveyance = protocol.PreferDirectAttestation
	}
	library, err := webauthn.New(&webauthn.Config{
		RPID:                  config.RPID,
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
	nobody, nobodys, err := newDummy()
	if err != nil {
		return nil, fmt.Errorf("making the passkey that is nobody's: %w", err)
	}
	return &RelyingParty{library: library, origins: library.Config.RPOrigins, dummyUser: nobody, dummyCredential: nobodys, policy: config.Authenticators, metadata: config.Metadata}, nil
}

// checkOrigin refuses a web origin that no browser would ever send in that spelling, since origins are compared byte
// for byte. Other schemes (android:apk-key-hash:…) have no canonical form to hold them to.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return fmt.Errorf("parsing an allowed origin: %w", err)
	}
	defaultPort, web := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if web && (u.Host == "" || u.Port() == defaultPort || origin != u.Scheme+"://"+strings.ToLower(u.Host)) {
		return fmt.Errorf("%q is not an origin as browsers write it: scheme, lower-case host, port unless it is the default, nothing after", origin)
	}
	return nil
}

// credentialParameters are the algorithms that a new passkey may use, most wanted first. ES256 leads because it is what secure
// hardware does; RS256 is for older Windows machines. Never -53 (Ed448): the library would register it and could not
// verify it afterwards.
func credentialParameters() []protocol.CredentialParameter {
	return []protocol.CredentialParameter{
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
	}
}

// libraryUser is the library's view of a user.
type libraryUser struct {
	handle            []byte
	name, displayName string
	credentials       []webauthn.Credential
}

func (a libraryUser) WebAuthnID() []byte                         { return a.handle }
func (a libraryUser) WebAuthnName() string                       { return a.name }
func (a libraryUser) WebAuthnDisplayName() string                { return a.displayName }
func (a libraryUser) WebAuthnCredentials() []webauthn.Credential { return a.credentials }

// encodeCeremony packs what the library made. The session is kept whole: an answer is judged by everything that was asked.
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

// resume returns the session of a ceremony that this relying party began. It returns a *domain.Rejection if that was under
// another RP id, before a restart with other settings: a passkey of a former RP id neither joins nor opens anything.
func (rp *RelyingParty) resume(state []byte) (webauthn.SessionData, error) {
	session, err := decodeSession(state)
	if err != nil {
		return session, err
	}
	if rpID := rp.library.Config.RPID; session.GetRelyingPartyID(rpID) != rpID {
		return session, domain.Reject(domain.ReasonRPIDMismatch, "the ceremony began under the RP id "+quote(session.RelyingPartyID))
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
