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

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
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

// expectedReasons has the expected reason of each vector by section. An empty reason means that it is accepted; any other reason follows
// from docs/ceremonies.md. The keys of all vectors with an offered algorithm are valid.
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
	"16.12": {domain.ReasonUserVerificationMissing, domain.ReasonSignatureInvalid, false},   // Ed448 is not implemented
	"16.13": {domain.ReasonAttestationRejected, "", true},                                   // the root is not that of a TPM vendor
	"16.14": {domain.ReasonAttestationRejected, domain.ReasonUserVerificationMissing, true}, // nor that of Google
	"16.15": {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
	"16.16": {domain.ReasonUserVerificationMissing, domain.ReasonUserVerificationMissing, true},
}

// Requirement: WebAuthn-7.1-20, WebAuthn-7.2-21
func TestSpecificationVectors(t *testing.T) {
	rp, err := New(Config{RPID: "example.org", RPName: "Example", Origins: []string{"https://example.org"}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	pendingUser := newPendingUser(t, "ada@example.org", "Ada")
	ada := pendingUser.ToUser(now)
	vectors, _ := readVectors(t)
	if len(vectors) != len(expectedReasons) {
		t.Errorf("%d vectors, but %d expected reasons", len(vectors), len(expectedReasons))
	}
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			want, known := expectedReasons[v.Section]
			if !known {
				t.Fatal("no expected reason")
			}
			_, err = rp.VerifyRegistration(v.registration(t, rp))
			if got := domain.ReasonOf(err); got != want.registration || (err == nil) != (want.registration == "") {
				t.Errorf("registration: %v, want reason %q", err, want.registration)
			}

			// The passkey is read from the attestation object, even if the registration is rejected.
			attested := v.attestedData(t).AuthData
			if _, err := checkPublicKey(attested.AttData.CredentialPublicKey, credentialParameters()); want.offered != (err == nil) {
				t.Errorf("public key: %v", err)
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
				t.Errorf("authentication: %v, want reason %q", err, want.authentication)
			}

			// The signature is valid, even if the sign-in is rejected for its flags or its frame.
			if want.authentication != domain.ReasonSignatureInvalid {
				if valid, err := checkSignature(attested.AttData.CredentialPublicKey, answer); err != nil || !valid {
					t.Errorf("valid signature: %t, %v", valid, err)
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

// vendorFormats has the formats for which go-webauthn accepts statements of known vendors only, and its error for a statement of the
// attestation CA of section 16.1.
var vendorFormats = map[protocol.AttestationFormat]string{
	protocol.AttestationFormatTPM:        "Invalid TPM manufacturer",
	protocol.AttestationFormatAndroidKey: "x5c cert chain",
	protocol.AttestationFormatApple:      "x5c cert chain",
}

// The vectors with a policy that requires attestation, and metadata with the attestation CA of section 16.1 for each model.
// Requirement: WebAuthn-7.1-21
func TestSpecificationVectors_attested(t *testing.T) {
	vectors, root := readVectors(t)
	otherVendor, _ := vendorAndBatch(t)
	certified := 0
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			object := v.attestedData(t)
			rp, untrusting := v.attestedBy(t, authenticator.VendorOf(root)), v.attestedBy(t, otherVendor)
			want := expectedReasons[v.Section].registration
			chain, _ := object.AttStatement["x5c"].([]any)
			if want == "" && len(chain) == 0 {
				want = domain.ReasonAttestationRejected // a self attestation
			}
			state, answer := v.registration(t, rp)
			_, err := rp.VerifyRegistration(state, answer)
			if got := domain.ReasonOf(err); got != want || (err == nil) != (want == "") {
				t.Errorf("registration: %v, want reason %q", err, want)
			}
			if want == "" {
				v.changeBytes(t, rp)
				state, answer := v.registration(t, untrusting)
				if _, err := untrusting.VerifyRegistration(state, answer); !errors.Is(err, domain.ErrAuthenticatorNotAccepted) {
					t.Errorf("registration with metadata of another vendor: %v", err)
				}
			}
			if len(chain) == 0 {
				return
			}
			certified++

			// The statement alone, even if the registration is rejected for another reason.
			hash := sha256.Sum256(v.Registration.ClientDataJSON)
			err = object.VerifyAttestation(hash[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
			detail := vendorFormats[protocol.AttestationFormat(object.Format)]
			if (err == nil) != (detail == "") || err != nil && !strings.Contains(rejectionOf(err).Error(), detail) {
				t.Errorf("statement: %v, want %q", rejectionOf(err), detail)
			}
			kind := object.Type
			if kind == "" {
				kind = attestationTypes[object.Format]
			}
			if err := rp.checkAuthenticator(object, kind); err != nil {
				t.Errorf("certificate chain: %v", err)
			}
			if err := untrusting.checkAuthenticator(object, kind); !errors.Is(err, domain.ErrAuthenticatorNotAccepted) {
				t.Errorf("certificate chain with metadata of another vendor: %v", err)
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

// attestationTypes are those of the formats in vendorFormats (FIDO Registry of Predefined Values, section 3.7).
var attestationTypes = map[string]string{"tpm": "attca", "android-key": "basic_full", "apple": "anonca"}

// attestedBy returns a relying party that requires attestation, and has metadata of the vector's model only.
func (v vector) attestedBy(t *testing.T, vendor *authenticator.Vendor) *RelyingParty {
	t.Helper()
	rp, err := New(Config{
		RPID: "example.org", RPName: "Example", Origins: []string{"https://example.org"}, Timeout: time.Minute,
		Authenticators: domain.AuthenticatorPolicy{Attested: true},
		Metadata: newTestMetadata(t, authenticator.Model{
			AAGUID: [16]byte(v.attestedData(t).AuthData.AttData.AAGUID), Vendors: []*authenticator.Vendor{vendor}, Types: []string{"basic_full", "attca", "anonca"},
		}),
	})
	return must(t, rp, err)
}

// changeBytes registers the vector with one byte of the answer changed, for every 31st byte, because checking an RSA key takes time.
func (v vector) changeBytes(t *testing.T, rp *RelyingParty) {
	t.Helper()
	state, answer := v.registration(t, rp)
	requireRejection := func(name string, i int, answer ports.RegistrationAnswer) {
		if _, err := rp.VerifyRegistration(state, answer); domain.ReasonOf(err) == "" {
			t.Errorf("with byte %d of %s changed: %v", i, name, err)
		}
	}
	for i := 0; i < len(answer.AttestationObject); i += 31 {
		changedAnswer := answer
		changedAnswer.AttestationObject = changed(answer.AttestationObject, i)
		requireRejection("the attestation object", i, changedAnswer)
	}
	for i := 0; i < len(answer.ClientDataJSON); i += 31 {
		changedAnswer := answer
		changedAnswer.ClientDataJSON = changed(answer.ClientDataJSON, i)
		requireRejection("the client data", i, changedAnswer)
	}
}

func changed(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// withChallenge replaces the random challenge with that of a vector.
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

// checkSignature does steps 20 and 21 of section 7.2 only.
func checkSignature(publicKey []byte, answer ports.AuthenticationAnswer) (bool, error) {
	key, err := webauthncose.ParsePublicKey(publicKey)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(answer.ClientDataJSON)
	return webauthncose.VerifySignature(key, slices.Concat(answer.AuthenticatorData, hash[:]), answer.Signature)
}
