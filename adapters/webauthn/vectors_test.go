package webauthn

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vector is a section of WebAuthn Level 3, section 16: a registration, and a sign-in with its passkey.
type vector struct {
	Section      string `json:"section"`
	Title        string `json:"title"`
	Registration struct {
		Challenge         hexBytes `json:"challenge"`
		CredentialID      hexBytes `json:"credential_id"`
		ClientDataJSON    hexBytes `json:"clientDataJSON"`
		AttestationObject hexBytes `json:"attestationObject"`
	} `json:"registration"`
	Authentication struct {
		Challenge         hexBytes `json:"challenge"`
		AuthenticatorData hexBytes `json:"authenticatorData"`
		ClientDataJSON    hexBytes `json:"clientDataJSON"`
		Signature         hexBytes `json:"signature"`
	} `json:"authentication"`
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/w3c/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

// verdicts are what becomes of each vector here, by its section. An empty reason is an acceptance; any other is a decision of
// docs/ceremonies.md. The keys of all those vectors whose algorithm is offered are good ones.
var verdicts = map[string]struct {
	registration, authentication domain.Reason
	offered                      bool
}{
	"16.2":  {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
	"16.3":  {"", domain.ReasonUserVerificationMissing, true},
	"16.4":  {domain.ReasonCrossOrigin, domain.ReasonCrossOrigin, true},
	"16.5":  {domain.ReasonCrossOrigin, domain.ReasonCrossOrigin, true},
	"16.6":  {domain.ReasonUserVerificationMissing, "", true},
	"16.7":  {"", "", true},
	"16.8":  {domain.ReasonUserVerificationMissing, "", false}, // ES384
	"16.9":  {domain.ReasonAlgorithmNotAllowed, domain.ReasonUserVerificationMissing, false},
	"16.10": {"", domain.ReasonUserVerificationMissing, true},
	"16.11": {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
	"16.12": {domain.ReasonUserVerificationMissing, domain.ReasonSignatureInvalid, false},   // Ed448, which is not implemented
	"16.13": {domain.ReasonAttestationRejected, "", true},                                   // the root is not one of the makers of TPMs
	"16.14": {domain.ReasonAttestationRejected, domain.ReasonUserVerificationMissing, true}, // nor Google's
	"16.15": {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
	"16.16": {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
}

func TestVectorsOfTheSpecification(t *testing.T) {
	rp, err := New(Config{RPID: "example.org", RPName: "Example", Origins: []string{"https://example.org"}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	applicant := newApplicant(t, "ada@example.org", "Ada")
	ada := applicant.Admit(now)
	vectors := readVectors(t)
	if len(vectors) != len(verdicts) {
		t.Errorf("%d vectors, and %d verdicts", len(vectors), len(verdicts))
	}
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			want, known := verdicts[v.Section]
			if !known {
				t.Fatal("there is no verdict")
			}
			begun, err := rp.BeginRegistration(applicant.Entity(), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rp.VerifyRegistration(withChallenge(t, begun, v.Registration.Challenge), ports.RegistrationAnswer{
				ID: v.Registration.CredentialID, ClientDataJSON: v.Registration.ClientDataJSON, AttestationObject: v.Registration.AttestationObject,
			})
			if got := domain.ReasonOf(err); got != want.registration || (err == nil) != (want.registration == "") {
				t.Errorf("the registration: %v, want reason %q", err, want.registration)
			}

			// The passkey is taken from the attestation object, whatever became of it.
			attested := v.attested(t)
			if _, err := checkPublicKey(attested.AttData.CredentialPublicKey, offered()); want.offered != (err == nil) {
				t.Errorf("the key: %v", err)
			}
			passkey := domain.RestoreCredential(domain.CredentialSnapshot{
				ID: domain.CredentialID(v.Registration.CredentialID), UserID: ada.ID(), PublicKey: attested.AttData.CredentialPublicKey, Status: domain.CredentialActive,
			})
			begun, err = rp.BeginAuthentication([]domain.CredentialDescriptor{passkey.Descriptor()})
			if err != nil {
				t.Fatal(err)
			}
			answer := ports.AuthenticationAnswer{
				ID: v.Registration.CredentialID, ClientDataJSON: v.Authentication.ClientDataJSON,
				AuthenticatorData: v.Authentication.AuthenticatorData, Signature: v.Authentication.Signature,
			}
			_, err = rp.VerifyAuthentication(withChallenge(t, begun, v.Authentication.Challenge), answer, ada, passkey)
			if got := domain.ReasonOf(err); got != want.authentication || (err == nil) != (want.authentication == "") {
				t.Errorf("the authentication: %v, want reason %q", err, want.authentication)
			}

			// A sign-in that is declined for its flags or its frame would pass without them: its signature is good.
			if want.authentication != domain.ReasonSignatureInvalid {
				if valid, err := verifies(attested.AttData.CredentialPublicKey, answer); err != nil || !valid {
					t.Errorf("the signature is valid: %t, %v", valid, err)
				}
			}
		})
	}
}

// withChallenge puts a vector's challenge in the place of the one that was drawn.
func withChallenge(t *testing.T, begun ports.Ceremony, challenge []byte) []byte {
	t.Helper()
	session, err := restore(begun.State)
	if err != nil {
		t.Fatal(err)
	}
	session.Challenge = base64.RawURLEncoding.EncodeToString(challenge)
	state, err := json.Marshal(session)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (v vector) attested(t *testing.T) protocol.AuthenticatorData {
	t.Helper()
	parsed, err := (&protocol.AuthenticatorAttestationResponse{
		AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: []byte(v.Registration.ClientDataJSON)},
		AttestationObject:     []byte(v.Registration.AttestationObject),
	}).Parse()
	if err != nil {
		t.Fatal(err)
	}
	return parsed.AttestationObject.AuthData
}

// verifies is section 7.2, steps 20 and 21, alone.
func verifies(publicKey []byte, answer ports.AuthenticationAnswer) (bool, error) {
	key, err := webauthncose.ParsePublicKey(publicKey)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(answer.ClientDataJSON)
	return webauthncose.VerifySignature(key, slices.Concat(answer.AuthenticatorData, hash[:]), answer.Signature)
}
