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

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FuzzClientData: what the check accepts, a second, strict reading accepts too.
func FuzzClientData(f *testing.F) {
	const challenge = "AAAAAAAAAAAAAAAAAAAAAA"
	good := `{"type":"webauthn.get","challenge":"` + challenge + `","origin":"` + origin + `","crossOrigin":false}`
	for _, seed := range []string{
		good, strings.Replace(good, "false", "true", 1), strings.Replace(good, "false", "null", 1), strings.Replace(good, `"type"`, `"Type"`, 1),
		strings.Replace(good, "{", `{"origin":"x",`, 1), strings.Replace(good, "{", `{"ORIGIN":"x",`, 1), strings.Replace(good, "{", "{\"a\":\"\xff\",", 1),
		strings.Replace(good, `"type"`, `"\u0074ype"`, 1), strings.Replace(good, "{", `{"\u0074ype":"webauthn.create",`, 1), strings.Replace(good, "https:", `https\u003a`, 1),
		strings.Replace(good, "{", `{"topOrigin":null,`, 1), strings.Replace(good, "{", `{"cro\u017fOrigin":true,`, 1), strings.Replace(good, "{", `{"to\u212aenBinding":{},`, 1),
		strings.Replace(good, "keylodge", "KEYLODGE", 1), strings.Replace(good, origin, origin+"/", 1), strings.Replace(good, "{", `{"a":"\ud800",`, 1),
		"\ufeff" + good, good + "x", good + good, "null", "{}", `{"a":` + strings.Repeat("[", 20_000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := checkClientData(raw, protocol.AssertCeremony, challenge, []string{origin})
		var rejection *domain.Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Fatalf("%q: %v is no rejection", raw, err)
		}
		if err == nil {
			wantStrictClientData(t, raw, "webauthn.get", challenge)
		}
	})
}

// wantStrictClientData reads client data token by token: one object of valid UTF-8, one member of each name, none that differs
// from a known one by letter case alone, and the values that are right.
func wantStrictClientData(t *testing.T, raw []byte, ceremony, challenge string) {
	rpOrigins := []string{origin, anotherOrigin, appOrigin}
	t.Helper()
	refuse := func(why string) { t.Helper(); t.Fatalf("accepted with %s: %q", why, raw) }
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) || !json.Valid(raw) {
		refuse("something that is not JSON in UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		refuse("no object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			refuse(err.Error())
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			refuse(err.Error())
		}
		if _, twice := members[name.(string)]; twice {
			refuse("two members of one name")
		}
		members[name.(string)] = value
		for _, known := range []string{"type", "challenge", "origin", "crossOrigin", "topOrigin"} {
			if name != known && strings.EqualFold(name.(string), known) {
				refuse("a member that is nearly " + known)
			}
		}
	}
	for name, want := range map[string]string{"type": ceremony, "challenge": challenge, "origin": ""} {
		var got *string
		if err := json.Unmarshal(members[name], &got); err != nil || got == nil || *got != want && (name != "origin" || !slices.Contains(rpOrigins, *got)) {
			refuse("another " + name)
		}
	}
	if crossOrigin, there := members["crossOrigin"]; there && string(crossOrigin) != "false" && string(crossOrigin) != "null" {
		refuse("crossOrigin")
	}
	if topOrigin, there := members["topOrigin"]; there && string(topOrigin) != "null" {
		refuse("topOrigin")
	}
}

func FuzzVerifyAuthentication(f *testing.F) {
	rp := newRelyingParty(f)
	// One user and one credential id in every process; only the key differs.
	applicant := domain.NewPendingUser("ada@example.org", "Ada", now, bytes.NewReader(make([]byte, 64)))
	device := authenticator.New(origin)
	ceremony, registrationAnswer := answerRegistration(f, rp, applicant, device, authenticator.ForgeCredentialID([]byte("one passkey")))
	registration, err := rp.VerifyRegistration(ceremony.State, registrationAnswer)
	if err != nil {
		f.Fatal(err)
	}
	user := applicant.ToUser(now)
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
			t.Fatalf("%v is no rejection", err)
		}
		signed := bytes.Equal(authenticatorData, r.AuthenticatorData) && bytes.Equal(clientDataJSON, r.ClientDataJSON)
		if err == nil && !signed {
			t.Fatalf("accepted what nobody signed: %x, %q", authenticatorData, clientDataJSON)
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
	for _, r := range registrationRules() { // one more for each way in which an answer was ever found to be wrong
		if r.invalid == nil {
			continue
		}
		if response, err := authenticator.New(origin).Create(ceremony.Options, r.invalid); err == nil {
			f.Add([]byte(response.ID), []byte(response.Response.ClientDataJSON), []byte(response.Response.AttestationObject), []byte(`{}`))
		}
	}
	f.Fuzz(func(t *testing.T, id, clientDataJSON, attestationObject, extensions []byte) {
		answer := ports.RegistrationAnswer{ID: id, ClientDataJSON: clientDataJSON, AttestationObject: attestationObject, Extensions: extensions}
		made, err := rp.VerifyRegistration(ceremony.State, answer)
		var rejection *domain.Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Fatalf("%v is no rejection", err)
		}
		if err == nil {
			wantStrictClientData(t, clientDataJSON, "webauthn.create", challenge)
			wantSameCredential(t, made, id, attestationObject)
		}
	})
}

// wantSameCredential finds in the attestation object, byte for byte, what the passkey is kept as: authenticator data of this RP
// id, with its user present and verified, and the credential id at its place (WebAuthn Level 3, section 6.1).
func wantSameCredential(t *testing.T, made domain.Registration, id, attestationObject []byte) {
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
		flags, named := rest[32], rest[55:55+len(id)]
		if byte(made.Flags) == flags && flags&0b1000101 == 0b1000101 && flags&0b11000 != 0b10000 &&
			int(binary.BigEndian.Uint16(rest[53:])) == len(id) && bytes.Equal(named, id) && made.CredentialID == domain.CredentialID(id) {
			return
		}
	}
}

// withFixedChallenge makes the challenge the same in every process, else no input would come past the check of it in
// another process than the one that found it.
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
