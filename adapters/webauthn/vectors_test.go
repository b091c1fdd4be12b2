package webauthn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/keylodge/keylodge/acceptance/authenticator"
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

// readVectors returns the vectors, and the certificate of the attestation CA of section 16.1.
func readVectors(t *testing.T) ([]vector, *x509.Certificate) {
	t.Helper()
	raw, err := os.ReadFile("testdata/w3c/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		AttestationCA hexBytes `json:"attestation_ca_cert"`
		Vectors       []vector `json:"vectors"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(file.AttestationCA)
	return file.Vectors, must(t, root, err)
}

// expectedReasons are what becomes of each vector here, by its section. An empty reason is an acceptance; any other is a decision of
// docs/ceremonies.md. The keys of all those vectors whose algorithm is offered are good ones.
var expectedReasons = map[string]struct {
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

func TestSpecificationVectors(t *testing.T) {
	rp, err := New(Config{RPID: "example.org", RPName: "Example", Origins: []string{"https://example.org"}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	applicant := newPendingUser(t, "ada@example.org", "Ada")
	ada := applicant.ToUser(now)
	vectors, _ := readVectors(t)
	if len(vectors) != len(expectedReasons) {
		t.Errorf("%d vectors, and %d verdicts", len(vectors), len(expectedReasons))
	}
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			want, known := expectedReasons[v.Section]
			if !known {
				t.Fatal("there is no verdict")
			}
			_, err = rp.VerifyRegistration(v.registration(t, rp))
			if got := domain.ReasonOf(err); got != want.registration || (err == nil) != (want.registration == "") {
				t.Errorf("the registration: %v, want reason %q", err, want.registration)
			}

			// The passkey is taken from the attestation object, whatever became of it.
			attested := v.attestedData(t).AuthData
			if _, err := checkPublicKey(attested.AttData.CredentialPublicKey, credentialParameters()); want.offered != (err == nil) {
				t.Errorf("the key: %v", err)
			}
			passkey := domain.RestoreCredential(domain.CredentialState{
				ID: domain.CredentialID(v.Registration.CredentialID), UserID: ada.ID(), PublicKey: attested.AttData.CredentialPublicKey, Status: domain.CredentialActive,
			})
			begun, err := rp.BeginAuthentication([]domain.CredentialDescriptor{passkey.Descriptor()})
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
				if valid, err := checkSignature(attested.AttData.CredentialPublicKey, answer); err != nil || !valid {
					t.Errorf("the signature is valid: %t, %v", valid, err)
				}
			}
		})
	}
}

// registration returns a ceremony with the vector's challenge, and the answer to it.
func (v vector) registration(t *testing.T, rp *RelyingParty) ([]byte, ports.RegistrationAnswer) {
	t.Helper()
	begun, err := rp.BeginRegistration(newPendingUser(t, "ada@example.org", "Ada").Entity(), nil)
	return withChallenge(t, must(t, begun, err), v.Registration.Challenge), ports.RegistrationAnswer{
		ID: v.Registration.CredentialID, ClientDataJSON: v.Registration.ClientDataJSON, AttestationObject: v.Registration.AttestationObject,
	}
}

// foreignRoots are the formats whose statements go-webauthn accepts from listed makers only, and what it says of a statement by the
// attestation CA of section 16.1.
var foreignRoots = map[protocol.AttestationFormat]string{
	protocol.AttestationFormatTPM:        "Invalid TPM manufacturer",
	protocol.AttestationFormatAndroidKey: "x5c cert chain",
	protocol.AttestationFormatApple:      "x5c cert chain",
}

// The vectors under the policy that requires attestation, where the metadata name the attestation CA of section 16.1 for each model.
func TestVectorsOfTheSpecification_attested(t *testing.T) {
	vectors, root := readVectors(t)
	stranger, _ := makerAndBatch(t)
	certified := 0
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			object := v.attestedData(t)
			rp, distrustful := v.attestedBy(t, authenticator.VendorOf(root)), v.attestedBy(t, stranger)
			want := expectedReasons[v.Section].registration
			chain, _ := object.AttStatement["x5c"].([]any)
			if want == "" && len(chain) == 0 {
				want = domain.ReasonAttestationRejected // a self attestation
			}
			state, answer := v.registration(t, rp)
			_, err := rp.VerifyRegistration(state, answer)
			if got := domain.ReasonOf(err); got != want || (err == nil) != (want == "") {
				t.Errorf("the registration: %v, want reason %q", err, want)
			}
			if want == "" {
				v.changeBytes(t, rp)
				state, answer := v.registration(t, distrustful)
				if _, err := distrustful.VerifyRegistration(state, answer); !errors.Is(err, domain.ErrAuthenticatorNotAccepted) {
					t.Errorf("the registration where another maker is trusted: %v", err)
				}
			}
			if len(chain) == 0 {
				return
			}
			certified++

			// The statement by itself, also where the registration is rejected for another reason.
			hash := sha256.Sum256(v.Registration.ClientDataJSON)
			err = object.VerifyAttestation(hash[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
			detail := foreignRoots[protocol.AttestationFormat(object.Format)]
			if (err == nil) != (detail == "") || err != nil && !strings.Contains(rejectionOf(err).Error(), detail) {
				t.Errorf("the statement: %v, want %q", rejectionOf(err), detail)
			}
			kind := object.Type
			if kind == "" {
				kind = attestationTypes[object.Format]
			}
			if err := rp.checkAuthenticator(object, kind); err != nil {
				t.Errorf("the chain: %v", err)
			}
			if err := distrustful.checkAuthenticator(object, kind); !errors.Is(err, domain.ErrAuthenticatorNotAccepted) {
				t.Errorf("the chain where another maker is trusted: %v", err)
			}
			certificate, _ := chain[0].([]byte)
			for i := 0; i < len(certificate); i += 7 {
				object.AttStatement["x5c"] = []any{changed(certificate, i)}
				if err := rp.checkAuthenticator(object, kind); !errors.Is(err, domain.ErrAuthenticatorNotAccepted) {
					t.Errorf("with byte %d of the certificate changed: %v", i, err)
				}
			}
		})
	}
	if certified != 10 {
		t.Errorf("%d vectors have certificates, want 10: 16.7 to 16.16", certified)
	}
}

// attestationTypes are those of the formats in foreignRoots (FIDO Registry of Predefined Values, section 3.7).
var attestationTypes = map[string]string{"tpm": "attca", "android-key": "basic_full", "apple": "anonca"}

// attestedBy is a relying party that requires attestation, and has metadata of the vector's model alone.
func (v vector) attestedBy(t *testing.T, maker *authenticator.Vendor) *RelyingParty {
	t.Helper()
	rp, err := New(Config{
		RPID: "example.org", RPName: "Example", Origins: []string{"https://example.org"}, Timeout: time.Minute,
		Authenticators: domain.AuthenticatorPolicy{Attested: true},
		Metadata: newTestMetadata(t, authenticator.Model{
			AAGUID: [16]byte(v.attestedData(t).AuthData.AttData.AAGUID), Vendors: []*authenticator.Vendor{maker}, Types: []string{"basic_full", "attca", "anonca"},
		}),
	})
	return must(t, rp, err)
}

// changeBytes registers the vector with one byte of the answer changed, every 31st in turn: checking an RSA key takes its time.
func (v vector) changeBytes(t *testing.T, rp *RelyingParty) {
	t.Helper()
	state, answer := v.registration(t, rp)
	reject := func(what string, i int, answer ports.RegistrationAnswer) {
		if _, err := rp.VerifyRegistration(state, answer); domain.ReasonOf(err) == "" {
			t.Errorf("with byte %d of %s changed: %v", i, what, err)
		}
	}
	for i := 0; i < len(answer.AttestationObject); i += 31 {
		with := answer
		with.AttestationObject = changed(answer.AttestationObject, i)
		reject("the attestation object", i, with)
	}
	for i := 0; i < len(answer.ClientDataJSON); i += 31 {
		with := answer
		with.ClientDataJSON = changed(answer.ClientDataJSON, i)
		reject("the client data", i, with)
	}
}

func changed(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// withChallenge puts a vector's challenge in the place of the one that was drawn.
func withChallenge(t *testing.T, begun ports.CeremonyOptions, challenge []byte) []byte {
	t.Helper()
	session, err := decodeSession(begun.State)
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

func (v vector) attestedData(t *testing.T) protocol.AttestationObject {
	t.Helper()
	parsed, err := (&protocol.AuthenticatorAttestationResponse{
		AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: []byte(v.Registration.ClientDataJSON)},
		AttestationObject:     []byte(v.Registration.AttestationObject),
	}).Parse()
	if err != nil {
		t.Fatal(err)
	}
	return parsed.AttestationObject
}

// checkSignature is section 7.2, steps 20 and 21, alone.
func checkSignature(publicKey []byte, answer ports.AuthenticationAnswer) (bool, error) {
	key, err := webauthncose.ParsePublicKey(publicKey)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(answer.ClientDataJSON)
	return webauthncose.VerifySignature(key, slices.Concat(answer.AuthenticatorData, hash[:]), answer.Signature)
}
