package webauthn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FuzzClientData checks that a second strict parser accepts what checkClientData accepts.
// Requirement: WebAuthn-7.1-7
func FuzzClientData(f *testing.F) {
	const challenge = "AAAAAAAAAAAAAAAAAAAAAA"
	valid := `{"type":"webauthn.get","challenge":"` + challenge + `","origin":"` + origin + `","crossOrigin":false}`
	for _, seed := range []string{
		valid, strings.Replace(valid, "false", "true", 1), strings.Replace(valid, "false", "null", 1), strings.Replace(valid, `"type"`, `"Type"`, 1),
		strings.Replace(valid, "{", `{"origin":"x",`, 1), strings.Replace(valid, "{", `{"ORIGIN":"x",`, 1), strings.Replace(valid, "{", "{\"a\":\"\xff\",", 1),
		strings.Replace(valid, `"type"`, `"\u0074ype"`, 1), strings.Replace(valid, "{", `{"\u0074ype":"webauthn.create",`, 1), strings.Replace(valid, "https:", `https\u003a`, 1),
		strings.Replace(valid, "{", `{"topOrigin":null,`, 1), strings.Replace(valid, "{", `{"cro\u017fOrigin":true,`, 1), strings.Replace(valid, "{", `{"to\u212aenBinding":{},`, 1),
		strings.Replace(valid, "keylodge", "KEYLODGE", 1), strings.Replace(valid, origin, origin+"/", 1), strings.Replace(valid, "{", `{"a":"\ud800",`, 1),
		"\ufeff" + valid, valid + "x", valid + valid, "null", "{}", `{"a":` + strings.Repeat("[", 20_000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := checkClientData(raw, protocol.AssertCeremony, challenge, []string{origin})
		var rejection *domain.Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Fatalf("%q: %v is not a rejection", raw, err)
		}
		if err == nil {
			wantStrictClientData(t, raw, "webauthn.get", challenge)
		}
	})
}

// wantStrictClientData parses client data token by token: one object in valid UTF-8, no duplicate names, no name that differs from a
// known one only in case, and the right values.
func wantStrictClientData(t *testing.T, raw []byte, ceremony, challenge string) {
	rpOrigins := []string{origin, anotherOrigin, appOrigin}
	t.Helper()
	fail := func(reason string) { t.Helper(); t.Fatalf("accepted with %s: %q", reason, raw) }
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) || !json.Valid(raw) {
		fail("invalid JSON or UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		fail("no object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			fail(err.Error())
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			fail(err.Error())
		}
		if _, duplicate := members[name.(string)]; duplicate {
			fail("a duplicate member")
		}
		members[name.(string)] = value
		for _, known := range []string{"type", "challenge", "origin", "crossOrigin", "topOrigin"} {
			if name != known && strings.EqualFold(name.(string), known) {
				fail("a variant of " + known)
			}
		}
	}
	for name, want := range map[string]string{"type": ceremony, "challenge": challenge, "origin": ""} {
		var got *string
		if err := json.Unmarshal(members[name], &got); err != nil || got == nil || *got != want && (name != "origin" || !slices.Contains(rpOrigins, *got)) {
			fail("another " + name)
		}
	}
	if crossOrigin, present := members["crossOrigin"]; present && string(crossOrigin) != "false" && string(crossOrigin) != "null" {
		fail("crossOrigin")
	}
	if topOrigin, present := members["topOrigin"]; present && string(topOrigin) != "null" {
		fail("topOrigin")
	}
}

func FuzzVerifyAuthentication(f *testing.F) {
	rp := newRelyingParty(f)
	// One user and one credential id in every process; only the key differs.
	pendingUser := domain.NewPendingUser("ada@example.org", "Ada", now, bytes.NewReader(make([]byte, 64)))
	device := authenticator.New(origin)
	ceremony, registrationAnswer := answerRegistration(f, rp, pendingUser, device, authenticator.ForgeCredentialID([]byte("one passkey")))
	registration, err := rp.VerifyRegistration(ceremony.State, registrationAnswer)
	if err != nil {
		f.Fatal(err)
	}
	user := pendingUser.ToUser(now)
	credential, err := domain.NewCredential(user.ID(), "", registration, now)
	if err != nil {
		f.Fatal(err)
	}
	begun, err := rp.BeginAuthentication(nil)
	if err != nil {
		f.Fatal(err)
	}
	begun = withFixedChallenge(f, begun)
	response, err := device.Get(begun.Options)
	if err != nil {
		f.Fatal(err)
	}
	r := response.Response
	extended := append(bytes.Clone(r.AuthenticatorData), 0xa0)
	extended[32] |= byte(authenticator.ExtensionData)
	f.Add([]byte(response.ID), []byte(r.ClientDataJSON), []byte(r.AuthenticatorData), []byte(r.Signature), []byte(r.UserHandle))
	f.Add([]byte(response.ID), []byte(r.ClientDataJSON), extended, []byte(r.Signature), []byte(r.UserHandle))
	for _, r := range authenticationRules() {
		if response, err := device.Get(begun.Options, r.invalid); err == nil {
			r := response.Response
			f.Add([]byte(response.ID), []byte(r.ClientDataJSON), []byte(r.AuthenticatorData), []byte(r.Signature), []byte(r.UserHandle))
		}
	}
	f.Fuzz(func(t *testing.T, id, clientDataJSON, authenticatorData, signature, userHandle []byte) {
		_, err := rp.VerifyAuthentication(begun.State, ports.AuthenticationAnswer{
			ID: id, ClientDataJSON: clientDataJSON, AuthenticatorData: authenticatorData, Signature: signature, UserHandle: userHandle,
		}, user, credential)
		var rejection *domain.Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Fatalf("%v is not a rejection", err)
		}
		signed := bytes.Equal(authenticatorData, r.AuthenticatorData) && bytes.Equal(clientDataJSON, r.ClientDataJSON)
		if err == nil && !signed {
			t.Fatalf("accepted unsigned data: %x, %q", authenticatorData, clientDataJSON)
		}
		if err == nil && (!bytes.Equal(id, response.ID) || !bytes.Equal(userHandle, r.UserHandle)) {
			t.Fatalf("accepted for another passkey, %x, or another user, %x", id, userHandle)
		}
	})
}

func FuzzVerifyRegistration(f *testing.F) {
	rp := newRelyingParty(f)
	ceremony, err := rp.BeginRegistration(newPendingUser(f, "ada@example.org", "Ada").Entity(), nil)
	if err != nil {
		f.Fatal(err)
	}
	ceremony = withFixedChallenge(f, ceremony)
	session, err := decodeSession(ceremony.State)
	if err != nil {
		f.Fatal(err)
	}
	challenge := session.Challenge
	for _, options := range [][]authenticator.Option{nil, {authenticator.SelfAttested()}, {authenticator.WithAlgorithms(authenticator.EdDSA)}} {
		response, err := authenticator.New(origin, options...).Create(ceremony.Options)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(response.ID), []byte(response.Response.ClientDataJSON), []byte(response.Response.AttestationObject), []byte(`{"credProps":{"rk":true}}`))
	}
	for _, r := range registrationRules() { // one seed for each rule
		if r.invalid == nil {
			continue
		}
		if response, err := authenticator.New(origin).Create(ceremony.Options, r.invalid); err == nil {
			f.Add([]byte(response.ID), []byte(response.Response.ClientDataJSON), []byte(response.Response.AttestationObject), []byte(`{}`))
		}
	}
	f.Fuzz(func(t *testing.T, id, clientDataJSON, attestationObject, extensions []byte) {
		answer := ports.RegistrationAnswer{ID: id, ClientDataJSON: clientDataJSON, AttestationObject: attestationObject, Extensions: extensions}
		registration, err := rp.VerifyRegistration(ceremony.State, answer)
		var rejection *domain.Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Fatalf("%v is not a rejection", err)
		}
		if err == nil {
			wantStrictClientData(t, clientDataJSON, "webauthn.create", challenge)
			wantSameCredential(t, registration, id, attestationObject)
		}
	})
}

// wantSameCredential finds the registered credential in the bytes of the attestation object: authenticator data with the hash of the RP
// id, the flags of a present and verified user, and the credential id (WebAuthn Level 3, section 6.1).
func wantSameCredential(t *testing.T, registration domain.Registration, id, attestationObject []byte) {
	t.Helper()
	hash := sha256.Sum256([]byte(rpID))
	for rest := attestationObject; ; rest = rest[1:] {
		at := bytes.Index(rest, hash[:])
		if at < 0 {
			t.Fatalf("accepted without authenticator data of this RP id: %x", attestationObject)
		}
		if rest = rest[at:]; len(rest) < 55+len(id) {
			continue
		}
		flags, attestedID := rest[32], rest[55:55+len(id)]
		if byte(registration.Flags) == flags && flags&0b1000101 == 0b1000101 && flags&0b11000 != 0b10000 &&
			int(binary.BigEndian.Uint16(rest[53:])) == len(id) && bytes.Equal(attestedID, id) && registration.CredentialID == domain.CredentialID(id) {
			return
		}
	}
}

// withFixedChallenge replaces the random challenge with a constant one, so that an input found by one process is valid in another.
func withFixedChallenge(t testing.TB, ceremony ports.CeremonyOptions) ports.CeremonyOptions {
	t.Helper()
	session, err := decodeSession(ceremony.State)
	if err != nil {
		t.Fatal(err)
	}
	fixed := []byte(strings.Repeat("A", len(session.Challenge)))
	return ports.CeremonyOptions{
		Options: bytes.ReplaceAll(ceremony.Options, []byte(session.Challenge), fixed),
		State:   bytes.ReplaceAll(ceremony.State, []byte(session.Challenge), fixed),
	}
}
