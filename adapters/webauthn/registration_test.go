package webauthn

import (
	"bytes"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Requirement: WebAuthn-7.1-20, FIDO-Attestation-Resp-4
func TestVerify_AllAlgorithmsAndAttestations(t *testing.T) {
	rp := newRelyingParty(t)
	kinds := map[string][]authenticator.Option{
		"synced":                      nil,
		"device-bound":                {authenticator.DeviceBound()},
		"synced, self-attested":       {authenticator.SelfAttested()},
		"device-bound, self-attested": {authenticator.DeviceBound(), authenticator.SelfAttested()},
	}
	algorithms := map[string]authenticator.Algorithm{"ES256": authenticator.ES256, "EdDSA": authenticator.EdDSA, "RS256": authenticator.RS256}
	for algorithmName, algorithm := range algorithms {
		for kindName, options := range kinds {
			t.Run(algorithmName+", "+kindName, func(t *testing.T) {
				ada := register(t, rp, authenticator.New(origin, append(options, authenticator.WithAlgorithms(algorithm))...))
				if got := ada.credential.State().Algorithm; got != int64(algorithm) {
					t.Errorf("algorithm %d", got)
				}
				ceremony, answer := answerAuthentication(t, rp, nil, ada.device)
				if _, err := rp.VerifyAuthentication(ceremony.State, answer, ada.user, ada.credential); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// changeCOSEKey changes members of the new passkey's key: 1 kty, 3 alg, -1 crv or n, -2 x or e, -3 y. A nil value removes one.
func changeCOSEKey(changes map[int]any) authenticator.Variation {
	return authenticator.ForgeCOSEKey(func(key map[int]any) {
		for label, value := range changes {
			if value == nil {
				delete(key, label)
			} else {
				key[label] = value
			}
		}
	})
}

// rsaKey replaces the key with an RSA key of a given size, and sets its algorithm.
func rsaKey(bits int, algorithm int) authenticator.Variation {
	return changeCOSEKey(map[int]any{1: 3, 3: algorithm, -1: modulus(bits).Bytes(), -2: []byte{1, 0, 1}, -3: nil})
}

var rewriteData = authenticator.ForgeAuthenticatorData

func appendData(b byte) authenticator.Variation {
	return rewriteData(func(data []byte) []byte { return append(data, b) })
}

func truncateData(length int) authenticator.Variation {
	return rewriteData(func(data []byte) []byte { return data[:length] })
}

// Cases of: TestRegistrationRules
func registrationRules() []rule {
	const (
		up, uv, be, bs = authenticator.UserPresent, authenticator.UserVerified, authenticator.BackupEligible, authenticator.BackedUp
		at, ed         = authenticator.AttestedCredentialData, authenticator.ExtensionData
		none           = authenticator.Flags(0)
		malf           = domain.ReasonMalformed
		alg            = domain.ReasonAlgorithmNotAllowed
		att            = domain.ReasonAttestationRejected
	)
	off := make([]byte, 32)
	return slices.Concat(clientDataRules(protocol.CreateCeremony, protocol.AssertCeremony), publicKeyRules(), []rule{
		// Requirement: WebAuthn-7.1-14
		{"another RP id", authenticator.ForgeRPID("evil.example"), domain.ReasonRPIDMismatch, nil},
		{"the origin as RP id", authenticator.ForgeRPID(origin), domain.ReasonRPIDMismatch, nil},
		{"no user presence", authenticator.ForgeFlags(none, up), domain.ReasonUserPresenceMissing, nil},
		{"no user verification", authenticator.ForgeFlags(none, uv), domain.ReasonUserVerificationMissing, nil},
		// Requirement: WebAuthn-7.1-17
		{"BS without BE", authenticator.ForgeFlags(bs, be), domain.ReasonBackupStateInvalid, authenticator.ForgeFlags(be, bs)},

		{"authenticator data too short", truncateData(36), malf, nil},
		{"no attested data", truncateData(37), malf, nil},
		{"cut within the credential id", truncateData(60), malf, nil},
		{"trailing bytes", appendData(0), malf, nil},
		{"AT not set", authenticator.ForgeFlags(none, at), malf, nil},
		{"AT not set and no attested data", rewriteData(func(data []byte) []byte { data[32] &^= byte(at); return data[:37] }), malf, nil},
		{"ED set without extensions", authenticator.ForgeFlags(ed, none), malf, rewriteData(func(data []byte) []byte { data[32] |= byte(ed); return append(data, 0xa0) })},
		{"extensions without ED", appendData(0xa0), malf, nil},

		{"a credential id of no bytes", authenticator.ForgeCredentialID([]byte{}), malf, authenticator.ForgeCredentialID([]byte{7})},
		// Requirement: WebAuthn-7.1-25
		{"a credential id of 1024 bytes", authenticator.ForgeCredentialID(make([]byte, 1024)), malf, authenticator.ForgeCredentialID(make([]byte, 1023))},
		{"another id in the answer", authenticator.ForgeAnswerID([]byte("another")), malf, nil},

		// Requirement: WebAuthn-7.1-20
		{"ES384, not offered", changeCOSEKey(map[int]any{3: -35}), alg, nil},
		{"Ed448, not offered", changeCOSEKey(map[int]any{3: -53}), alg, nil},
		{"no algorithm", changeCOSEKey(map[int]any{3: nil}), alg, nil},
		// Requirement: WebAuthn-7.1-20
		{"RSA key with ES256", rsaKey(2048, -7), malf, rsaKey(2048, -257)},
		{"RSA key of 2047 bits", rsaKey(2047, -257), alg, nil},
		{"RSA key of 4097 bits", rsaKey(4097, -257), alg, rsaKey(4096, -257)},
		{"EC key with EdDSA", changeCOSEKey(map[int]any{3: -8}), malf, nil},
		{"EC key with RS256", changeCOSEKey(map[int]any{3: -257}), malf, nil},
		{"EC key with key type OKP", changeCOSEKey(map[int]any{1: 1}), malf, nil},
		{"EC point off the curve", changeCOSEKey(map[int]any{-2: off}), malf, nil},
		{"EC key on another curve", changeCOSEKey(map[int]any{-1: 2}), malf, nil},
		{"EC key without y", changeCOSEKey(map[int]any{-3: nil}), malf, nil},
		{"algorithm as a string", changeCOSEKey(map[int]any{3: "ES256"}), malf, nil},

		// Requirement: WebAuthn-7.1-21
		{"none with a statement", authenticator.ForgeAttestation("none", map[string]any{"sig": []byte{1}}), att, authenticator.ForgeAttestation("none", map[string]any{})},
		{"an unknown format", authenticator.ForgeAttestation("keylodge", map[string]any{}), att, nil},
		{"no format", authenticator.ForgeAttestation("", map[string]any{}), att, nil},
		// Requirement: WebAuthn-7.1-21
		{"the format in upper case", authenticator.ForgeAttestation("None", map[string]any{}), att, nil},
		{"packed without a statement", authenticator.ForgeAttestation("packed", map[string]any{}), att, nil},
		// Requirement: FIDO-Attestation-Resp-4
		{"packed with an invalid signature", authenticator.ForgeAttestation("packed", map[string]any{"alg": -7, "sig": []byte{1}}), att, nil},
		{"packed with an empty chain", authenticator.ForgeAttestation("packed", map[string]any{"alg": -7, "sig": []byte{1}, "x5c": []any{}}), att, nil},
		{"packed by ECDAA", authenticator.ForgeAttestation("packed", map[string]any{"alg": -7, "sig": []byte{1}, "ecdaaKeyId": []byte{1}}), att, nil},
	})
}

// Requirement: FIDO-Attestation-Resp-1
func TestRegistrationRules(t *testing.T) {
	rp := newRelyingParty(t)
	verify := func(t *testing.T, variation authenticator.Variation) error {
		device := authenticator.New(origin, authenticator.WithAlgorithms(authenticator.ES256))
		ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), device, variation)
		_, err := rp.VerifyRegistration(ceremony.State, answer)
		return err
	}
	for _, r := range registrationRules() {
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

// Requirement: WebAuthn-7.1-21, FIDO-Attestation-Resp-4
func TestVerifyRegistration_RejectsBadSelfAttestation(t *testing.T) {
	rp := newRelyingParty(t)
	device := authenticator.New(origin, authenticator.SelfAttested())
	corrupt := func(signature []byte) []byte { return bytes.Repeat([]byte{0x30}, len(signature)) }
	ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), device, authenticator.ForgeSignature(corrupt))
	_, err := rp.VerifyRegistration(ceremony.State, answer)
	wantReason(t, err, domain.ReasonAttestationRejected)
}

// The library rejects another id, too, for the same reason; this package does not depend on it.
// Requirement: FIDO-Attestation-Resp-1
func TestVerifyRegistration_CredentialIDMatches(t *testing.T) {
	rp := newRelyingParty(t)
	for name, c := range map[string]struct {
		variation authenticator.Variation
		want      domain.Reason
	}{
		"its own id":           {unmodified(), ""},
		"another passkey's id": {authenticator.ForgeAnswerID([]byte("another")), domain.ReasonMalformed},
	} {
		ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), authenticator.New(origin), c.variation)
		session, err := decodeSession(ceremony.State)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseRegistration(answer, clientData{})
		if err != nil {
			t.Fatal(err)
		}
		if got := domain.ReasonOf(rp.checkNewCredential(parsed, session)); got != c.want {
			t.Errorf("%s: reason %q, want %q", name, got, c.want)
		}
	}
}

// Requirement: FIDO-Attestation-Resp-1
func TestVerifyRegistration_RejectsMalformed(t *testing.T) {
	rp := newRelyingParty(t)
	for _, c := range []struct {
		name     string
		rejected func(*ports.RegistrationAnswer)
		accepted func(*ports.RegistrationAnswer)
	}{
		{
			"no id", func(a *ports.RegistrationAnswer) { a.ID = nil },
			func(a *ports.RegistrationAnswer) { a.Attachment, a.Transports = "unheard-of", []string{"unheard-of"} },
		},
		{"no attestation object", func(a *ports.RegistrationAnswer) { a.AttestationObject = nil }, nil},
		{"bytes after the attestation object", func(a *ports.RegistrationAnswer) { a.AttestationObject = append(a.AttestationObject, 0) }, nil},
		{"half an attestation object", func(a *ports.RegistrationAnswer) { a.AttestationObject = a.AttestationObject[:80] }, nil},
		{"an attestation object that is a list", func(a *ports.RegistrationAnswer) { a.AttestationObject = []byte{0x80} }, nil},
		{"an empty attestation object", func(a *ports.RegistrationAnswer) { a.AttestationObject = []byte{0xa0} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			verify := func(edit func(*ports.RegistrationAnswer)) error {
				ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), authenticator.New(origin))
				if edit != nil {
					edit(&answer)
				}
				_, err := rp.VerifyRegistration(ceremony.State, answer)
				return err
			}
			wantReason(t, verify(c.rejected), domain.ReasonMalformed)
			if err := verify(c.accepted); err != nil {
				t.Errorf("the control is rejected: %v", err)
			}
		})
	}
}

// Valid extension outputs are stored; invalid ones cause no rejection.
func TestVerifyRegistration_extensionOutputs(t *testing.T) {
	rp := newRelyingParty(t)
	for outputs, stored := range map[string]string{
		``:                                `{}`,
		`null`:                            `{}`,
		`[]`:                              `{}`,
		`{}`:                              `{}`,
		`{"credProps":null}`:              `{}`,
		`{"credProps":true}`:              `{}`,
		`{"credProps":"rk"}`:              `{}`,
		`{"credProps":[]}`:                `{}`,
		`{"credProps":{}}`:                `{}`,
		`{"credProps":{"rk":null}}`:       `{}`,
		`{"credProps":{"rk":"true"}}`:     `{}`,
		`{"credProps":{"rk":true}}`:       `{"rk":true}`,
		`{"credProps":{"rk":false}}`:      `{"rk":false}`,
		`{"credProps":{"rk":true,"x":1}}`: `{"rk":true}`,
		`{"appid":true,"appidExclude":7,"credProps":{"rk":true}}`:                                                                                  `{"rk":true}`,
		`{"prf":{"enabled":true,"results":{"first":{}}},"hmacCreateSecret":true,"largeBlob":{"supported":false},"uvm":[[2,4,2]],"minPinLength":4}`: `{}`,
	} {
		ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), authenticator.New(origin))
		answer.Extensions = []byte(outputs)
		registration, err := rp.VerifyRegistration(ceremony.State, answer)
		if err != nil || string(registration.Extensions) != stored {
			t.Errorf("%s: stored %s, %v; want %s", outputs, registration.Extensions, err, stored)
		}
	}
}

// Authenticator extension outputs must be a CBOR map with text keys; their values are not checked.
func TestVerify_AuthenticatorExtensionOutputs(t *testing.T) {
	rp := newRelyingParty(t)
	ada := register(t, rp, authenticator.New(origin))
	for name, c := range map[string]struct {
		encoded string
		reason  domain.Reason
	}{
		"none":                       {"\xa0", ""},
		"credProtect":                {"\xa1\x6bcredProtect\x02", ""},
		"credProtect as text":        {"\xa1\x6bcredProtect\x61x", ""},
		"credProtect of no policy":   {"\xa1\x6bcredProtect\x09", ""},
		"hmac-secret as a map":       {"\xa1\x6bhmac-secret\xa1\x01\x02", ""},
		"uvm":                        {"\xa1\x63uvm\x81\x83\x02\x04\x02", ""},
		"minPinLength as text":       {"\xa1\x6cminPinLength\x61x", ""},
		"an unknown extension":       {"\xa1\x63foo\xa1\x01\x02", ""},
		"not a number":               {"\xa1\x63foo\xf9\x7e\x00", ""},
		"undefined":                  {"\xa1\x63foo\xf7", ""},
		"a number as key":            {"\xa1\x01\x02", domain.ReasonMalformed},
		"a duplicate key":            {"\xa2\x63foo\x01\x63foo\x02", domain.ReasonMalformed},
		"a list":                     {"\x80", domain.ReasonMalformed},
		"a map of indefinite length": {"\xbf\xff", domain.ReasonMalformed},
	} {
		extended := rewriteData(func(data []byte) []byte {
			data[32] |= byte(authenticator.ExtensionData)
			return append(data, c.encoded...)
		})
		ceremony, registrationAnswer := answerRegistration(t, rp, newPendingUser(t, "ben@example.org", "Ben"), authenticator.New(origin), extended)
		_, registrationErr := rp.VerifyRegistration(ceremony.State, registrationAnswer)
		ceremony, authenticationAnswer := answerAuthentication(t, rp, nil, ada.device, extended)
		_, authenticationErr := rp.VerifyAuthentication(ceremony.State, authenticationAnswer, ada.user, ada.credential)
		if domain.ReasonOf(registrationErr) != c.reason || domain.ReasonOf(authenticationErr) != c.reason || (c.reason == "") != (registrationErr == nil) || (c.reason == "") != (authenticationErr == nil) {
			t.Errorf("%s: registration %v, authentication %v, want reason %q", name, registrationErr, authenticationErr, c.reason)
		}
	}
}
