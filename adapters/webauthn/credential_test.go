package webauthn

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// The stored parts restore the complete record of the library, so that a stored passkey can be verified again.
func TestRecordOf_RoundTrip(t *testing.T) {
	rp := newRelyingParty(t)
	model := [16]byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4}
	extended := rewriteData(func(data []byte) []byte {
		data[32] |= byte(authenticator.ExtensionData)
		return append(data, []byte("\xa1\x6bcredProtect\x02")...)
	})
	for name, c := range map[string]struct {
		options   []authenticator.Option
		variation authenticator.Variation
		extension string
	}{
		"synced":        {[]authenticator.Option{authenticator.WithAAGUID(model)}, unmodified(), `"rk":true`},
		"device-bound":  {[]authenticator.Option{authenticator.DeviceBound()}, unmodified(), `"rk":true`},
		"self-attested": {[]authenticator.Option{authenticator.SelfAttested()}, unmodified(), `"rk":true`},
		"EdDSA":         {[]authenticator.Option{authenticator.WithAlgorithms(authenticator.EdDSA)}, unmodified(), `"rk":true`},
		"RS256":         {[]authenticator.Option{authenticator.WithAlgorithms(authenticator.RS256)}, unmodified(), `"rk":true`},
		"credProtect":   {nil, extended, `"credProtect":"userVerificationOptionalWithCredentialIDList"`},
		"no credProps":  {nil, authenticator.ForgeCredProps(nil), `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			ceremony, answer := answerRegistration(t, rp, newPendingUser(t, "ada@example.org", "Ada"), authenticator.New(origin, c.options...), c.variation)
			session, err := decodeSession(ceremony.State)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := parseRegistration(answer, clientData{"webauthn.create", session.Challenge, origin})
			if err != nil {
				t.Fatal(err)
			}
			if err := rp.checkNewCredential(parsed, session); err != nil {
				t.Fatal(err)
			}
			want, err := rp.library.CreateCredential(libraryUser{handle: session.UserID}, session, parsed)
			if err != nil {
				t.Fatal(err)
			}

			registration, err := rp.VerifyRegistration(ceremony.State, answer)
			if err != nil {
				t.Fatal(err)
			}
			credential, err := domain.NewCredential(domain.UserID{}, "", registration, now)
			if err != nil {
				t.Fatal(err)
			}
			got := completeRecordOf(t, credential, registration.Attestation)
			if !reflect.DeepEqual(got, *want) {
				t.Errorf("got  %+v\nwant %+v", got, *want)
			}
			if !slices.Equal(registration.Transports, answer.Transports) || registration.Attachment != answer.Attachment {
				t.Errorf("transports %q, attachment %q; want %q, %q", registration.Transports, registration.Attachment, answer.Transports, answer.Attachment)
			}
			if registration.RPID != rpID || !bytes.Contains(registration.Attestation.AuthenticatorData, registration.PublicKey) {
				t.Errorf("registration %+v", registration)
			}
			if !strings.Contains(string(registration.Extensions), c.extension) {
				t.Errorf("extensions %s", registration.Extensions)
			}
		})
	}
}

func TestRecordOf_KeepsCloneWarning(t *testing.T) {
	ada := register(t, newRelyingParty(t), authenticator.New(origin))
	state := ada.credential.State()
	for _, warning := range []bool{true, false} {
		state.CloneWarning = warning
		if record := recordOf(state); record.Authenticator.CloneWarning != warning {
			t.Errorf("stored %t, got %t", warning, record.Authenticator.CloneWarning)
		}
	}
}

// completeRecordOf restores the library's record of a passkey. The hash of the client data is computed, not stored.
func completeRecordOf(t *testing.T, credential *domain.Credential, a domain.Attestation) webauthn.Credential {
	t.Helper()
	s := credential.State()
	record := recordOf(s)
	if err := json.Unmarshal(s.Extensions, &record.Extensions); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(a.ClientDataJSON)
	record.AttestationType, record.AttestationFormat = a.Type, a.Format
	record.Attestation = webauthn.CredentialAttestation{
		ClientDataJSON: a.ClientDataJSON, ClientDataHash: hash[:], AuthenticatorData: a.AuthenticatorData,
		PublicKeyAlgorithm: s.Algorithm, Object: a.Object,
	}
	return record
}
