package acceptance

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func attestedDevice(b *authenticator.Batch, model [16]byte) []authenticator.Option {
	return append(slices.Clone(es256Only), authenticator.WithAAGUID(model), authenticator.Attested(b))
}

func newMetadata(t testing.TB, models ...authenticator.Model) *webauthn.Metadata {
	t.Helper()
	service, err := authenticator.NewMetadataService()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := service.BLOB(time.Now().AddDate(0, 1, 0), models...)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := webauthn.ReadMetadata(blob, service.Root(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return metadata
}

// deniedDevice is a registration with a device that the policy denies. The control case uses an accepted device.
func deniedDevice(name string, device, accepted []authenticator.Option) invalidCase {
	return invalidCase{step: "policy", name: name, device: accepted, otherDevice: device, reason: domain.ReasonAttestationRejected}
}

func modelAAGUID(n byte) [16]byte { return [16]byte{0x4b, 15: n} }

// revokedStatuses are the metadata statuses that deny a model.
var revokedStatuses = []string{"REVOKED", "ATTESTATION_KEY_COMPROMISE", "USER_VERIFICATION_BYPASS", "USER_KEY_REMOTE_COMPROMISE", "USER_KEY_PHYSICAL_COMPROMISE"}

// attestationPolicyCases returns the cases that a policy with required attestation rejects, the policy, and the models in its
// metadata.
func attestationPolicyCases(t *testing.T) ([]invalidCase, domain.AuthenticatorPolicy, []authenticator.Model) {
	t.Helper()
	vendor, otherVendor := newVendor(t, "Example Keys"), newVendor(t, "Example Keys")
	accepted := attestedDevice(newBatch(t, vendor, modelAAGUID(1), nil), modelAAGUID(1))
	models := []authenticator.Model{
		{AAGUID: modelAAGUID(1), Vendors: []*authenticator.Vendor{newVendor(t, "Other Keys"), vendor}},
		{AAGUID: modelAAGUID(2), Vendors: []*authenticator.Vendor{vendor}},
		{AAGUID: modelAAGUID(3), Vendors: []*authenticator.Vendor{vendor}, Types: []string{"basic_surrogate"}},
		{AAGUID: modelAAGUID(4)},
		{AAGUID: modelAAGUID(5), Vendors: []*authenticator.Vendor{vendor}},
	}
	table := []invalidCase{
		deniedDevice("no attestation", slices.Concat(es256Only, []authenticator.Option{authenticator.WithAAGUID(modelAAGUID(1))}), accepted),
		deniedDevice("no attestation and no AAGUID", es256Only, accepted),
		deniedDevice("self attestation", slices.Concat(es256Only, []authenticator.Option{authenticator.WithAAGUID(modelAAGUID(1)), authenticator.SelfAttested()}), accepted),
		deniedDevice("self attestation of a model with self attestation only", slices.Concat(es256Only, []authenticator.Option{authenticator.WithAAGUID(modelAAGUID(3)), authenticator.SelfAttested()}), accepted),
		deniedDevice("certificates of a model without certificates", attestedDevice(newBatch(t, vendor, modelAAGUID(3), nil), modelAAGUID(3)), accepted),
		deniedDevice("another vendor of the same name", attestedDevice(newBatch(t, otherVendor, modelAAGUID(1), nil), modelAAGUID(1)), accepted),
		deniedDevice("another vendor, followed by the real vendor's certificate", attestedDevice(newBatch(t, otherVendor, modelAAGUID(1), nil).WithChain(func(own [][]byte) [][]byte {
			return [][]byte{own[0], vendor.Root().Raw}
		}), modelAAGUID(1)), accepted),
		deniedDevice("a model without metadata", attestedDevice(newBatch(t, vendor, modelAAGUID(9), nil), modelAAGUID(9)), accepted),
		deniedDevice("a model whose metadata have no vendor certificate", attestedDevice(newBatch(t, vendor, modelAAGUID(4), nil), modelAAGUID(4)), accepted),
		deniedDevice("a model that is not in the list of allowed models", attestedDevice(newBatch(t, vendor, modelAAGUID(2), nil), modelAAGUID(2)), accepted),
		deniedDevice("a denied model", attestedDevice(newBatch(t, vendor, modelAAGUID(5), nil), modelAAGUID(5)), accepted),
		deniedDevice("certificates without an AAGUID", attestedDevice(newBatch(t, vendor, [16]byte{}, nil), [16]byte{}), accepted),
		deniedDevice("fido-u2f", []authenticator.Option{authenticator.AttestedU2F(newBatch(t, vendor, [16]byte{}, nil))}, accepted),
	}
	allowed := []domain.AAGUID{modelAAGUID(1), modelAAGUID(3), modelAAGUID(4), modelAAGUID(5), modelAAGUID(9)}
	for i, status := range revokedStatuses {
		id := modelAAGUID(byte(16 + i))
		allowed = append(allowed, id)
		models = append(models, authenticator.Model{AAGUID: id, Vendors: []*authenticator.Vendor{vendor}, Statuses: []string{"FIDO_CERTIFIED_L1", status}})
		table = append(table, deniedDevice(status, attestedDevice(newBatch(t, vendor, id, nil), id), accepted))
	}
	return table, domain.AuthenticatorPolicy{Attested: true, Allowed: allowed, Denied: []domain.AAGUID{modelAAGUID(5)}}, models
}

// Requirement: WebAuthn-7.1-21
func TestPolicy_AttestationRequired(t *testing.T) {
	t.Parallel()
	table, policy, models := attestationPolicyCases(t)
	accepted := table[0].device
	s := inspectedServers()["SQLite"](t, func(c *config.Config) {
		c.Authenticators, c.Metadata = policy, newMetadata(t, models...)
	})
	for _, tc := range table {
		t.Run(tc.name, func(t *testing.T) { s.check(t, tc, s.registration(t, tc)) })
	}
	for _, text := range append([]string{
		"is denied", "is not in the list of allowed ones", "with attestation", "AAGUID " + domain.AAGUID(modelAAGUID(1)).String(), "no registered metadata", "signed by unknown authority",
	}, revokedStatuses...) {
		if !strings.Contains(s.log.text(), text) {
			t.Errorf("the log does not have %q", text)
		}
	}
	t.Run("a forged statement has the same reason", func(t *testing.T) {
		tc := rejectedAttestation("policy", "an invalid signature", accepted, authenticator.ForgeSignature(flipLastBit))
		s.check(t, tc, s.registration(t, tc))
	})
	t.Run("the response says whether another authenticator helps", func(t *testing.T) {
		for _, c := range []struct {
			device []authenticator.Option
			forge  authenticator.Variation
			helped bool
		}{{es256Only, nil, true}, {accepted, authenticator.ForgeSignature(flipLastBit), false}} {
			start := s.registration(t, invalidCase{device: c.device})
			begun := start.begin()
			var forge []authenticator.Variation
			if c.forge != nil {
				forge = append(forge, c.forge)
			}
			body := encode(t, map[string]any{"challenge_id": begun.challengeID, "credential": start.response(begun, forge...)})
			// This request does not use the cookie jar of the api, so it needs the binding cookie.
			var cookies []string
			for _, cookie := range start.api.Cookies() {
				cookies = append(cookies, cookie.String())
			}
			p := s.send(t, http.MethodPost, "/v1/signup/verify", string(body), "Cookie", strings.Join(cookies, "; ")).problem(t)
			if p.Code != "passkey_rejected" || p.Title != domain.ErrPasskeyRejected.Message || (p.Detail == domain.ErrAuthenticatorNotAccepted.Message) != c.helped {
				t.Errorf("helped %t: %+v", c.helped, p)
			}
		}
	})
}

// Requirement: WebAuthn-7.1-21
func TestPolicy_AAGUIDListsWithoutAttestation(t *testing.T) {
	t.Parallel()
	named := func(id [16]byte) []authenticator.Option {
		return slices.Concat(es256Only, []authenticator.Option{authenticator.WithAAGUID(id)})
	}
	for name, c := range map[string]struct {
		policy domain.AuthenticatorPolicy
		table  []invalidCase
	}{
		"allowed": {domain.AuthenticatorPolicy{Allowed: []domain.AAGUID{modelAAGUID(1)}}, []invalidCase{
			deniedDevice("another model", named(modelAAGUID(2)), named(modelAAGUID(1))),
			deniedDevice("no AAGUID", es256Only, named(modelAAGUID(1))),
		}},
		"denied": {domain.AuthenticatorPolicy{Denied: []domain.AAGUID{modelAAGUID(1)}}, []invalidCase{
			deniedDevice("a denied model", named(modelAAGUID(1)), named(modelAAGUID(2))),
			deniedDevice("a denied model, self-attested", append(named(modelAAGUID(1)), authenticator.SelfAttested()), es256Only),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := inspectedServers()["SQLite"](t, func(cfg *config.Config) { cfg.Authenticators = c.policy })
			for _, tc := range c.table {
				t.Run(tc.name, func(t *testing.T) { s.check(t, tc, s.registration(t, tc)) })
			}
		})
	}
}

// claimsModel forges the AAGUID of the authenticator.
func claimsModel(id [16]byte) forgery {
	return forgery{forge: authenticator.ForgeAuthenticatorData(func(data []byte) []byte {
		copy(data[37:53], id[:])
		return data
	})}
}

// An authenticator policy applies to registrations only: registered passkeys can still sign in.
func TestPolicy_ExistingPasskeysStillSignIn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keylodge.db")
	var device *authenticator.Authenticator
	var secret *masterkey.Key
	vendor := newVendor(t, "Example Keys")
	t.Run("before", func(t *testing.T) {
		s := startServer(t, newClock(), func(c *config.Config) { c.Database, secret = config.SQLite(path), c.Secret })
		device = authenticator.New(s.origin)
		api := s.newAPI(t)
		begun := api.beginSignUp(profile{name: "Ada"}).must(t)
		credential, err := device.Create(begun.options)
		if err != nil {
			t.Fatal(err)
		}
		api.finishSignUp(begun.challengeID, credential).must(t)
	})
	s := startServer(t, newClock(), func(c *config.Config) {
		c.Database, c.Secret = config.SQLite(path), secret
		c.Authenticators = domain.AuthenticatorPolicy{Attested: true, Allowed: []domain.AAGUID{modelAAGUID(1)}, Denied: []domain.AAGUID{{}}}
		c.Metadata = newMetadata(t, authenticator.Model{AAGUID: modelAAGUID(1), Vendors: []*authenticator.Vendor{vendor}})
	})
	api := s.newAPI(t)
	begun := api.beginSignIn("").must(t)
	response, err := device.Get(begun.options, authenticator.ForgeOrigin(s.origin))
	if err != nil {
		t.Fatal(err)
	}
	if user := api.finishSignIn(begun.challengeID, response).must(t); user.name != "Ada" {
		t.Errorf("signed in as %+v, want Ada", user)
	}
	begun = api.beginAddPasskey().must(t)
	if !bytes.Contains(begun.options, []byte(`"attestation":"direct"`)) {
		t.Fatalf("options %s, want attestation direct", begun.options)
	}
	credential, err := authenticator.New(s.origin).Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	if rejected := api.finishAddPasskey(begun.challengeID, "", credential); rejected != (rejection{"passkey_rejected", domain.ReasonAttestationRejected}) {
		t.Errorf("registering another passkey of the same model: %+v", rejected)
	}
}

// Every offered algorithm with every verified attestation format, although the options request no attestation.
// Requirement: WebAuthn-7.1-20, FIDO-Attestation-Resp-4
func TestConformance_EveryAlgorithmAndAttestation(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	vendor := newVendor(t, "Example Keys")
	by := func(algorithm authenticator.Algorithm, id [16]byte, change func(*x509.Certificate)) *authenticator.Batch {
		batch, err := vendor.Batch(id, algorithm, change)
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	attestations := map[string][]authenticator.Option{
		"none":                     nil,
		"packed self":              {authenticator.SelfAttested()},
		"packed full by ES256":     {authenticator.WithAAGUID(testModelAAGUID), authenticator.Attested(by(authenticator.ES256, testModelAAGUID, nil))},
		"packed full by RS256":     {authenticator.WithAAGUID(testModelAAGUID), authenticator.Attested(by(authenticator.RS256, testModelAAGUID, nil))},
		"packed full by EdDSA":     {authenticator.WithAAGUID(testModelAAGUID), authenticator.Attested(by(authenticator.EdDSA, testModelAAGUID, nil))},
		"packed full, whole chain": {authenticator.Attested(by(authenticator.ES256, [16]byte{}, nil).WithChain(func(own [][]byte) [][]byte { return [][]byte{own[0], vendor.Root().Raw} }))},
	}
	kinds := map[string][]authenticator.Option{"fido-u2f": {authenticator.AttestedU2F(by(authenticator.ES256, [16]byte{}, nil))}}
	for algorithm, of := range map[string]authenticator.Algorithm{"ES256": authenticator.ES256, "RS256": authenticator.RS256, "EdDSA": authenticator.EdDSA} {
		for attestation, options := range attestations {
			kinds[algorithm+", "+attestation] = slices.Concat([]authenticator.Option{authenticator.WithAlgorithms(of), authenticator.DeviceBound()}, options)
		}
	}
	for name, options := range kinds {
		t.Run(name, func(t *testing.T) {
			device, api := authenticator.New(s.origin, options...), s.newAPI(t)
			begun := api.beginSignUp(profile{}).must(t)
			if !bytes.Contains(begun.options, []byte(`"attestation":"none"`)) {
				t.Errorf("options %s", begun.options)
			}
			credential, err := device.Create(begun.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := api.finishSignUp(begun.challengeID, credential); !got.ok() {
				t.Fatalf("rejected: %+v; the log: %s", got.rejection, s.log.text())
			}
			begun = api.beginSignIn("").must(t)
			response, err := device.Get(begun.options)
			if err != nil {
				t.Fatal(err)
			}
			api.finishSignIn(begun.challengeID, response).must(t)
		})
	}
}
