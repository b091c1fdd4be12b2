package webauthn

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Cases of: TestAuthenticationRules
func authenticationRules() []rule {
	const (
		up, uv, be, bs = authenticator.UserPresent, authenticator.UserVerified, authenticator.BackupEligible, authenticator.BackedUp
		ed             = authenticator.ExtensionData
		none           = authenticator.Flags(0)
		malf           = domain.ReasonMalformed
		sig            = domain.ReasonSignatureInvalid
		handle         = domain.ReasonUserHandleMismatch
	)
	return append(clientDataRules(protocol.AssertCeremony, protocol.CreateCeremony), []rule{
		// Requirement: WebAuthn-7.1-14
		{"another RP id", authenticator.ForgeRPID("evil.example"), domain.ReasonRPIDMismatch, nil},
		// Requirement: WebAuthn-7.1-15
		{"no user presence", authenticator.ForgeFlags(none, up), domain.ReasonUserPresenceMissing, nil},
		// Requirement: WebAuthn-7.1-16
		{"no user verification", authenticator.ForgeFlags(none, uv), domain.ReasonUserVerificationMissing, nil},
		{"BS without BE", authenticator.ForgeFlags(bs, be), domain.ReasonBackupStateInvalid, authenticator.ForgeFlags(be, bs)},

		{"authenticator data too short", truncateData(36), malf, nil},
		{"no authenticator data", truncateData(0), malf, nil},
		{"trailing bytes", appendData(0), malf, nil},
		{"ED set without extensions", authenticator.ForgeFlags(ed, none), malf, rewriteData(func(data []byte) []byte { data[32] |= byte(ed); return append(data, 0xa0) })},
		{"AT set without attested data", authenticator.ForgeFlags(authenticator.AttestedCredentialData, none), malf, nil},

		// Requirement: WebAuthn-7.2-21
		{"a signature with a bit changed", authenticator.ForgeSignature(func(s []byte) []byte { s[len(s)-1] ^= 1; return s }), sig, nil},
		{"a signature with a byte more", authenticator.ForgeSignature(func(s []byte) []byte { return append(s, 0) }), sig, nil},
		{"no signature", authenticator.ForgeSignature(func([]byte) []byte { return nil }), sig, nil},

		// Requirement: WebAuthn-7.2-5
		{"another user's handle", authenticator.ForgeUserHandle(bytes.Repeat([]byte{1}, 32)), handle, nil},
		// Requirement: WebAuthn-7.2-5
		{"no user handle", authenticator.ForgeUserHandle(nil), handle, nil},
		{"an empty user handle", authenticator.ForgeUserHandle([]byte{}), handle, nil},
		{"another credential's id", authenticator.ForgeAnswerID([]byte("another")), handle, nil},
		{"a credential id of 1024 bytes", authenticator.ForgeAnswerID(make([]byte, 1024)), malf, nil},
		{"no credential id", authenticator.ForgeAnswerID([]byte{}), malf, nil},
	}...)
}

// Requirement: FIDO-Assertion-Resp-1
func TestAuthenticationRules(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	verify := func(t *testing.T, variation authenticator.Variation) error {
		ceremony, answer := answerAuthentication(t, rp, nil, ada.device, variation)
		_, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
		return err
	}
	for _, r := range authenticationRules() {
		t.Run(r.name, func(t *testing.T) {
			wantReason(t, verify(t, r.invalid), r.reason)
			if r.control == nil {
				r.control = unmodified()
			}
			if err := verify(t, r.control); err != nil {
				t.Errorf("the control is rejected: %v", err)
			}
		})
	}
}

// Requirement: WebAuthn-7.2-21
func TestVerifyAuthentication_RejectsOtherKey(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	ben := register(t, rp, authenticator.New(origin))

	ceremony, answer := answerAuthentication(t, rp, nil, ben.device,
		authenticator.ForgeAnswerID(ada.credential.ID().Bytes()), authenticator.ForgeUserHandle(ada.user.Handle().Bytes()))
	_, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
	wantReason(t, err, domain.ReasonSignatureInvalid)
}

// Requirement: WebAuthn-7.1-8
func TestVerifyAuthentication_RejectsOtherChallenge(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	_, answer := answerAuthentication(t, rp, nil, ada.device)
	later, err := rp.BeginAuthentication(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rp.VerifyAuthentication(later.State, answer, ada.user, ada.credential)
	wantReason(t, err, domain.ReasonChallengeMismatch)

	session, restoreErr := decodeSession(later.State)
	if restoreErr != nil {
		t.Fatal(restoreErr)
	}
	if bytes.Contains([]byte(err.Error()), []byte(session.Challenge)) {
		t.Errorf("the detail contains the expected challenge: %v", err)
	}
}

// Requirement: WebAuthn-7.1-14
func TestRelyingParty_RejectsCeremoniesOfAnotherRPID(t *testing.T) {
	before := newRelyingParty(t)
	after, err := New(Config{RPID: "id.keylodge.example", RPName: "Keylodge", Origins: []string{origin, anotherOrigin}, Timeout: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ada := register(t, before, authenticator.New(origin))
	registration, registrationAnswer := answerRegistration(t, before, newPendingUser(t, "", "Ben"), authenticator.New(origin))
	_, err = after.VerifyRegistration(registration.State, registrationAnswer)
	wantReason(t, err, domain.ReasonRPIDMismatch)

	authentication, answer := answerAuthentication(t, before, nil, ada.device)
	_, err = after.VerifyAuthentication(authentication.State, answer, ada.user, ada.credential)
	wantReason(t, err, domain.ReasonRPIDMismatch)
	for _, decoy := range []bool{false, true} {
		wantReason(t, after.RejectUnknown(authentication.State, answer, decoy), domain.ReasonRPIDMismatch)
	}
	if _, err := before.VerifyAuthentication(authentication.State, answer, ada.user, ada.credential); err != nil {
		t.Errorf("with the RP id of the ceremony: %v", err)
	}
}

// Requirement: WebAuthn-7.2-5
func TestVerifyAuthentication_AllowCredentials(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	ben := register(t, rp, authenticator.New(origin))
	another := domain.CredentialDescriptor{ID: "a passkey of Ada's on another device"}

	// The authenticators answer options without the list, as a client that ignores it would.
	verify := func(t *testing.T, owner testPasskey, allowed []domain.CredentialDescriptor, variations ...authenticator.Variation) error {
		t.Helper()
		listed, err := rp.BeginAuthentication(allowed)
		if err != nil {
			t.Fatal(err)
		}
		listed = withFixedChallenge(t, listed)
		unlisted, err := rp.BeginAuthentication(nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := owner.device.Get(withFixedChallenge(t, unlisted).Options, variations...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rp.VerifyAuthentication(listed.State, ports.AuthenticationAnswer{
			ID: response.ID, ClientDataJSON: response.Response.ClientDataJSON, AuthenticatorData: response.Response.AuthenticatorData,
			Signature: response.Response.Signature, UserHandle: response.Response.UserHandle,
		}, owner.user, owner.credential)
		return err
	}
	list := []domain.CredentialDescriptor{another, ada.credential.Descriptor()}

	if err := verify(t, ada, list); err != nil {
		t.Errorf("one of several listed passkeys: %v", err)
	}
	if err := verify(t, ada, list, authenticator.ForgeUserHandle(nil)); err != nil {
		t.Errorf("a listed passkey needs no user handle: %v", err)
	}
	wantReason(t, verify(t, ada, list, authenticator.ForgeUserHandle(ben.user.Handle().Bytes())), domain.ReasonUserHandleMismatch)
	wantReason(t, verify(t, ben, list), domain.ReasonUserHandleMismatch)
	wantReason(t, verify(t, ada, []domain.CredentialDescriptor{another}), domain.ReasonUserHandleMismatch)
	wantReason(t, verify(t, ada, domain.Decoys{Keys: [][]byte{[]byte("key")}}.Descriptors("ben@example.org")), domain.ReasonUserHandleMismatch)
}

// The domain decides about counters and backup eligibility; the adapter only reports them.
func TestVerifyAuthentication_ReportsCounterAndFlags(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin, authenticator.DeviceBound()))
	if got := ada.credential.State().SignCount; got != 1 {
		t.Fatalf("counter %d after registration, want 1", got)
	}
	const uvup = authenticator.UserPresent | authenticator.UserVerified
	for _, c := range []struct {
		name      string
		variation authenticator.Variation
		want      domain.Assertion
	}{
		{"a counter that increases", unmodified(), domain.Assertion{Flags: domain.AuthenticatorFlags(uvup), SignCount: 2}},
		{"the same counter", authenticator.ForgeSignCount(1), domain.Assertion{Flags: domain.AuthenticatorFlags(uvup), SignCount: 1}},
		{"a counter that decreases", authenticator.ForgeSignCount(0), domain.Assertion{Flags: domain.AuthenticatorFlags(uvup), SignCount: 0}},
		{
			"BE and BS newly set", authenticator.ForgeFlags(authenticator.BackupEligible|authenticator.BackedUp, 0),
			domain.Assertion{Flags: domain.AuthenticatorFlags(uvup | authenticator.BackupEligible | authenticator.BackedUp), SignCount: 5},
		},
	} {
		ceremony, answer := answerAuthentication(t, rp, nil, ada.device, c.variation)
		got, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestVerifyAuthentication_IgnoresUnrequestedExtensions(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	ceremony, answer := answerAuthentication(t, rp, nil, ada.device)
	answer.Extensions = []byte(`{"appid":true,"credProps":{"rk":true},"unheard-of":null}`)
	if _, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil {
		t.Error(err)
	}
}

// withAttestedData adds attested credential data, as some authenticators did until 2019.
func withAttestedData(id, publicKey []byte) authenticator.Variation {
	return rewriteData(func(data []byte) []byte {
		data[32] |= byte(authenticator.AttestedCredentialData)
		data = binary.BigEndian.AppendUint16(append(data, make([]byte, 16)...), uint16(len(id)))
		return slices.Concat(data, id, publicKey)
	})
}

// Requirement: WebAuthn-7.2-21
func TestVerifyAuthentication_attestedCredentialData(t *testing.T) {
	rp := newRelyingParty(t)
	ada, ben := register(t, rp, authenticator.New(origin)), register(t, rp, authenticator.New(origin))
	adas, bens := ada.credential.State(), ben.credential.State()
	corrupt := func(signature []byte) []byte { return bytes.Repeat([]byte{0x30}, len(signature)) }
	for name, c := range map[string]struct {
		variations []authenticator.Variation
		reason     domain.Reason
	}{
		"that of the passkey":            {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), adas.PublicKey)}, ""},
		"another id":                     {[]authenticator.Variation{withAttestedData(bens.ID.Bytes(), adas.PublicKey)}, domain.ReasonMalformed},
		"another key":                    {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), bens.PublicKey)}, domain.ReasonMalformed},
		"no key":                         {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), []byte{0xa1, 1, 2})}, domain.ReasonMalformed},
		"a trailing byte":                {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), append(bytes.Clone(adas.PublicKey), 0))}, domain.ReasonMalformed},
		"an id longer than the data":     {[]authenticator.Variation{withAttestedData(make([]byte, 1024), nil)}, domain.ReasonMalformed},
		"an invalid signature":           {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), adas.PublicKey), authenticator.ForgeSignature(corrupt)}, domain.ReasonSignatureInvalid},
		"another key, invalid signature": {[]authenticator.Variation{withAttestedData(adas.ID.Bytes(), bens.PublicKey), authenticator.ForgeSignature(corrupt)}, domain.ReasonSignatureInvalid},
	} {
		ceremony, answer := answerAuthentication(t, rp, nil, ada.device, c.variations...)
		assertion, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
		if domain.ReasonOf(err) != c.reason || (c.reason == "") != (err == nil) || c.reason == "" && !assertion.HasAttestedData {
			t.Errorf("%s: attested %t, %v; want reason %q", name, assertion.HasAttestedData, err, c.reason)
		}
	}
	ceremony, answer := answerAuthentication(t, rp, nil, ada.device)
	if assertion, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil || assertion.HasAttestedData {
		t.Errorf("an ordinary assertion: attested %t, %v", assertion.HasAttestedData, err)
	}
}

// The hash of an AppID is not accepted as that of the RP id, even if the client reports the appid extension.
// Requirement: WebAuthn-7.1-14
func TestVerifyAuthentication_appID(t *testing.T) {
	rp := newRelyingParty(t)
	vendor, err := authenticator.NewVendor("Test Keys")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := vendor.Batch([16]byte{}, authenticator.ES256, nil)
	if err != nil {
		t.Fatal(err)
	}
	for format, options := range map[string][]authenticator.Option{"none": nil, "fido-u2f": {authenticator.AttestedU2F(batch)}} {
		ada := register(t, rp, authenticator.New(origin, options...))
		for _, appID := range []string{origin, origin + "/app-id.json"} {
			ceremony, answer := answerAuthentication(t, rp, nil, ada.device, authenticator.ForgeRPID(appID))
			answer.Extensions = []byte(`{"appid":true}`)
			_, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential)
			if domain.ReasonOf(err) != domain.ReasonRPIDMismatch {
				t.Errorf("%s, %s: %v", format, appID, err)
			}
		}
		ceremony, answer := answerAuthentication(t, rp, nil, ada.device)
		answer.Extensions = []byte(`{"appid":true}`)
		if _, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil {
			t.Errorf("%s: unrequested appid output: %v", format, err)
		}
	}
}

func BenchmarkVerifyAuthentication(b *testing.B) {
	rp := newRelyingParty(b)
	ada := register(b, rp, authenticator.New(origin, authenticator.WithAlgorithms(authenticator.ES256)))
	ceremony, answer := answerAuthentication(b, rp, nil, ada.device)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil {
			b.Fatal(err)
		}
	}
}
