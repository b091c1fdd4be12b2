package webauthn

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	rpID          = "keylodge.example"
	origin        = "https://keylodge.example"
	anotherOrigin = "https://id.keylodge.example:8443"
	appOrigin     = "android:apk-key-hash:3hFrYGs2ubJsfFWPhZ1BTEGmtHUtGjPbp0fKTKGOkEo"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newRelyingParty(t testing.TB) *RelyingParty {
	t.Helper()
	rp, err := New(Config{RPID: rpID, RPName: "Keylodge", Origins: []string{origin, anotherOrigin, appOrigin}, Timeout: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func newPendingUser(t testing.TB, email domain.Email, name domain.DisplayName) *domain.PendingUser {
	t.Helper()
	return domain.NewPendingUser(email, name, now, rand.Reader)
}

// testPasskey is a user with a registered passkey on a device.
type testPasskey struct {
	user        *domain.User
	device      *authenticator.Authenticator
	credential  *domain.Credential
	attestation domain.Attestation
}

func register(t testing.TB, rp *RelyingParty, device *authenticator.Authenticator) testPasskey {
	t.Helper()
	pendingUser := newPendingUser(t, "ada@example.org", "Ada")
	ceremony, answer := answerRegistration(t, rp, pendingUser, device)
	registration, err := rp.VerifyRegistration(ceremony.State, answer)
	if err != nil {
		t.Fatal(err)
	}
	user := pendingUser.ToUser(now)
	credential, err := domain.NewCredential(user.ID(), "", registration, now)
	if err != nil {
		t.Fatal(err)
	}
	return testPasskey{user, device, credential, registration.Attestation}
}

func answerRegistration(
	t testing.TB, rp *RelyingParty, pendingUser *domain.PendingUser, device *authenticator.Authenticator, variations ...authenticator.Variation,
) (ports.CeremonyOptions, ports.RegistrationAnswer) {
	t.Helper()
	ceremony, err := rp.BeginRegistration(pendingUser.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := device.Create(ceremony.Options, variations...)
	if err != nil {
		t.Fatal(err)
	}
	extensions, err := json.Marshal(response.ClientExtensionResults)
	if err != nil {
		t.Fatal(err)
	}
	return ceremony, ports.RegistrationAnswer{
		ID:                response.ID,
		ClientDataJSON:    response.Response.ClientDataJSON,
		AttestationObject: response.Response.AttestationObject,
		Transports:        response.Response.Transports,
		Attachment:        response.AuthenticatorAttachment,
		Extensions:        extensions,
	}
}

func answerAuthentication(
	t testing.TB, rp *RelyingParty, allowed []domain.CredentialDescriptor, device *authenticator.Authenticator, variations ...authenticator.Variation,
) (ports.CeremonyOptions, ports.AuthenticationAnswer) {
	t.Helper()
	ceremony, err := rp.BeginAuthentication(allowed)
	if err != nil {
		t.Fatal(err)
	}
	response, err := device.Get(ceremony.Options, variations...)
	if err != nil {
		t.Fatal(err)
	}
	return ceremony, ports.AuthenticationAnswer{
		ID:                response.ID,
		ClientDataJSON:    response.Response.ClientDataJSON,
		AuthenticatorData: response.Response.AuthenticatorData,
		Signature:         response.Response.Signature,
		UserHandle:        response.Response.UserHandle,
		Attachment:        response.AuthenticatorAttachment,
	}
}

func wantReason(t testing.TB, err error, want domain.Reason) {
	t.Helper()
	if got := domain.ReasonOf(err); err == nil || got != want {
		t.Errorf("reason %q (%v), want %q", got, err, want)
	}
}

func TestNew_RejectsInvalidConfig(t *testing.T) {
	valid := Config{RPID: rpID, RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute}
	for name, change := range map[string]func(*Config){
		"no RP id":                 func(c *Config) { c.RPID = "" },
		"an RP id that is a URL":   func(c *Config) { c.RPID = origin },
		"an RP id that is an IP":   func(c *Config) { c.RPID = "192.0.2.1" },
		"no name":                  func(c *Config) { c.RPName = "" },
		"no timeout":               func(c *Config) { c.Timeout = 0 },
		"no origins":               func(c *Config) { c.Origins = nil },
		"an invalid origin":        func(c *Config) { c.Origins = []string{"https://a b"} },
		"an origin with a path":    func(c *Config) { c.Origins = []string{origin + "/"} },
		"an origin without a host": func(c *Config) { c.Origins = []string{"https://"} },
		"an origin in upper case":  func(c *Config) { c.Origins = []string{"https://Keylodge.example"} },
		"an origin's default port": func(c *Config) { c.Origins = []string{"https://keylodge.example:443"} },
		"an invalid second origin": func(c *Config) { c.Origins = append(c.Origins, "http://localhost:80") },
	} {
		t.Run(name, func(t *testing.T) {
			config := valid
			change(&config)
			if _, err := New(config); err == nil {
				t.Error("New accepts the configuration")
			}
		})
	}
	for _, o := range []string{origin, anotherOrigin, appOrigin, "http://localhost:8080", "http://localhost", "ios:bundle-id:org.example"} {
		config := valid
		config.Origins = []string{o}
		if _, err := New(config); err != nil {
			t.Errorf("origin %s: %v", o, err)
		}
	}
}

// The library rejects an RP id of one label. Browsers accept it on a host of that name, as intranets have.
func TestVerify_RPIDOfOneLabel(t *testing.T) {
	rp, err := New(Config{RPID: "myserver", RPName: "Keylodge", Origins: []string{"https://myserver:8443"}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ada := register(t, rp, authenticator.New("https://myserver:8443"))
	if ada.credential.State().RPID != "myserver" {
		t.Errorf("the passkey is of %q", ada.credential.State().RPID)
	}
	ceremony, answer := answerAuthentication(t, rp, nil, ada.device)
	if _, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil {
		t.Error(err)
	}
	ceremony, answer = answerAuthentication(t, rp, nil, ada.device, authenticator.ForgeRPID("myserver.localhost"))
	_, err = rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
	wantReason(t, err, domain.ReasonRPIDMismatch)
	if _, err := New(Config{RPID: "my server", RPName: "Keylodge", Origins: []string{"https://myserver"}, Timeout: time.Minute}); err == nil {
		t.Error("New accepts a space in the RP id")
	}
}

// Requirement: WebAuthn-14.6.1, FIDO-Req-1, ASVS-6.7.2
func TestRegistrationOptions(t *testing.T) {
	rp := newRelyingParty(t)
	pendingUser := newPendingUser(t, "ada@example.org", "")
	ceremony, err := rp.BeginRegistration(pendingUser.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := withoutChallenge(t, ceremony.Options)
	wantJSON(t, got, `{
		"rp": {"id": "keylodge.example", "name": "Keylodge"},
		"user": {"id": "`+pendingUser.Handle.String()+`", "name": "ada@example.org", "displayName": "ada@example.org"},
		"pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -8}, {"type": "public-key", "alg": -257}],
		"timeout": 300000,
		"authenticatorSelection": {"residentKey": "required", "requireResidentKey": true, "userVerification": "required"},
		"attestation": "none",
		"extensions": {"credProps": true}
	}`)

	named, err := rp.BeginRegistration(newPendingUser(t, "ada@example.org", "Ada").Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if user := withoutChallenge(t, named.Options)["user"].(map[string]any); user["displayName"] != "Ada" || user["name"] != "ada@example.org" {
		t.Errorf("user %v", user)
	}
}

// Requirement: FIDO-Req-1, ASVS-6.7.2
func TestAuthenticationOptions(t *testing.T) {
	rp := newRelyingParty(t)
	usernameless, err := rp.BeginAuthentication(nil)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, withoutChallenge(t, usernameless.Options), `{"rpId": "keylodge.example", "timeout": 300000, "userVerification": "required"}`)

	listed, err := rp.BeginAuthentication([]domain.CredentialDescriptor{{ID: "\x01\x02", Transports: []string{"internal"}}, {ID: "\xff"}})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, withoutChallenge(t, listed.Options), `{"rpId": "keylodge.example", "timeout": 300000, "userVerification": "required",
		"allowCredentials": [{"type": "public-key", "id": "AQI", "transports": ["internal"]}, {"type": "public-key", "id": "_w"}]}`)
}

// withoutChallenge checks and removes the challenge, the only random member.
func withoutChallenge(t *testing.T, options json.RawMessage) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	text, _ := members["challenge"].(string)
	if challenge, err := base64.RawURLEncoding.DecodeString(text); err != nil || len(challenge) != 32 {
		t.Errorf("challenge %q: %d bytes, %v", text, len(challenge), err)
	}
	delete(members, "challenge")
	return members
}

func wantJSON(t *testing.T, got map[string]any, want string) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(want), &members); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, members) {
		t.Errorf("got  %v\nwant %v", got, members)
	}
}

func TestEncodeCeremony_StateIsWholeSession(t *testing.T) {
	rp := newRelyingParty(t)
	pendingUser := newPendingUser(t, "ada@example.org", "Ada")
	creation, session, err := rp.library.BeginRegistration(libraryUser{handle: pendingUser.Handle.Bytes(), name: "a", displayName: "a"},
		webauthn.WithCredentialParameters(credentialParameters()), webauthn.WithExtensions(webauthn.WithExtensionCredProps()))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := encodeCeremony(creation.Response, session)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := decodeSession(encoded.State)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(restored, *session) {
		t.Errorf("restored %+v\nwant     %+v", restored, *session)
	}
	if !session.Expires.IsZero() {
		t.Error("the library would check the expiry by the system clock")
	}

	ceremony, err := rp.BeginRegistration(pendingUser.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := decodeSession(ceremony.State)
	if err != nil {
		t.Fatal(err)
	}
	own.Challenge = session.Challenge
	if !reflect.DeepEqual(own, *session) {
		t.Errorf("the state of a ceremony is %+v\nwant %+v", own, *session)
	}
}

func TestVerify_WrongStateIsNoRejection(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	registration, registrationAnswer := answerRegistration(t, rp, newPendingUser(t, "ben@example.org", "Ben"), ada.device)
	authentication, authenticationAnswer := answerAuthentication(t, rp, nil, ada.device, authenticator.Choose(ada.user.Handle().Bytes()))

	for name, state := range map[string][]byte{"invalid": []byte("{"), "missing": nil, "of an authentication": authentication.State} {
		_, err := rp.VerifyRegistration(state, registrationAnswer)
		wantInternalError(t, "registration, state "+name, err)
	}
	for name, state := range map[string][]byte{"invalid": []byte("{"), "missing": nil, "of a registration": registration.State} {
		_, err := rp.VerifyAuthentication(state, authenticationAnswer, ada.user, ada.credential)
		wantInternalError(t, "authentication, state "+name, err)
	}
}

func wantInternalError(t *testing.T, name string, err error) {
	t.Helper()
	var rejection *domain.Rejection
	if err == nil || errors.As(err, &rejection) {
		t.Errorf("%s: %v, want an error that is not a rejection", name, err)
	}
}

func TestRejectionOf_LibraryErrors(t *testing.T) {
	const secret = "the expected challenge"
	for want, kinds := range map[domain.Reason][]*protocol.Error{
		domain.ReasonSignatureInvalid: {protocol.ErrAssertionSignature},
		domain.ReasonAttestationRejected: {
			protocol.ErrAttestation, protocol.ErrAttestationFormat, protocol.ErrInvalidAttestation,
			protocol.ErrAttestationCertificate, protocol.ErrMetadata, protocol.ErrNotSpecImplemented,
		},
		domain.ReasonMalformed: {protocol.ErrParsingData, protocol.ErrBadRequest, protocol.ErrVerification},
	} {
		for _, kind := range kinds {
			for _, details := range []string{"", strings.Repeat("d", 1000)} {
				err := rejectionOf(kind.WithDetails(details).WithInfo(secret))
				wantReason(t, err, want)
				if text := err.Error(); strings.Contains(text, secret) || len(text) > 300 {
					t.Errorf("%s: the detail is %q", kind.Type, text)
				}
			}
		}
	}
	wantReason(t, rejectionOf(errors.New("another error")), domain.ReasonMalformed)
}
