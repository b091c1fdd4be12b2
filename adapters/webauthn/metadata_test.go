package webauthn

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

var testModel = [16]byte{0x4b, 1, 2, 3}

func must[T any](t testing.TB, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func newMetadataService(t testing.TB) *authenticator.MetadataService {
	t.Helper()
	service, err := authenticator.NewMetadataService()
	return must(t, service, err)
}

func newTestMetadata(t testing.TB, models ...authenticator.Model) *Metadata {
	t.Helper()
	service := newMetadataService(t)
	blob, err := service.BLOB(time.Now().AddDate(0, 1, 0), models...)
	metadata, err := ReadMetadata(must(t, blob, err), service.Root(), time.Now())
	return must(t, metadata, err)
}

func vendorAndBatch(t testing.TB) (*authenticator.Vendor, *authenticator.Batch) {
	t.Helper()
	vendor, err := authenticator.NewVendor("Test Keys")
	batch, batchErr := must(t, vendor, err).Batch(testModel, authenticator.ES256, nil)
	return vendor, must(t, batch, batchErr)
}

func TestReadMetadata(t *testing.T) {
	vendor, _ := vendorAndBatch(t)
	service := newMetadataService(t)
	due := time.Now().AddDate(0, 1, 0).UTC().Truncate(24 * time.Hour)
	unreadable := authenticator.Model{AAGUID: [16]byte{9}, LastChange: "yesterday"}
	blob, err := service.BLOB(due, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}}, unreadable)
	got, err := ReadMetadata(append(must(t, blob, err), '\n'), service.Root(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != 7 || got.Models != 1 || got.Unreadable != 1 || !got.NextUpdate.Equal(due) || !got.Contains(testModel) || got.Contains(domain.AAGUID{9}) || got.Contains(domain.AAGUID{}) {
		t.Errorf("%+v", got)
	}
	if got.Outdated(due.Add(24*time.Hour)) || !got.Outdated(due.Add(25*time.Hour)) {
		t.Error("it is not outdated one day after its next update")
	}
}

// Outdated metadata is accepted, so that the server starts: the chain is verified at the day of the next update.
func TestReadMetadata_AcceptsOutdated(t *testing.T) {
	vendor, _ := vendorAndBatch(t)
	service := newMetadataService(t)
	blob, err := service.BLOB(time.Now(), authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}})
	later := time.Now().AddDate(2, 0, 0) // when the signer's certificate has expired
	got, err := ReadMetadata(must(t, blob, err), service.Root(), later)
	if err != nil || !got.Outdated(later) {
		t.Errorf("%+v, %v", got, err)
	}
	early, err := service.BLOB(time.Now().AddDate(2, 0, 0), authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}})
	if _, err := ReadMetadata(must(t, early, err), service.Root(), later.AddDate(-1, 0, 0)); err == nil {
		t.Error("accepted metadata that is current, but whose signer's certificate has expired")
	}
}

func TestReadMetadata_RejectsForged(t *testing.T) {
	vendor, _ := vendorAndBatch(t)
	service, other := newMetadataService(t), newMetadataService(t)
	model := authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}}
	due := time.Now().AddDate(0, 1, 0)
	sign := func(s *authenticator.MetadataService, header, payload any) []byte {
		blob, err := s.Sign(header, payload)
		return must(t, blob, err)
	}
	valid, err := service.BLOB(due, model)
	valid = must(t, valid, err)
	untrusted, err := other.BLOB(due, model)
	untrusted = must(t, untrusted, err)
	parts, untrustedParts := strings.Split(string(valid), "."), strings.Split(string(untrusted), ".")
	join := func(parts ...string) []byte { return []byte(strings.Join(parts, ".")) }
	empty, err := service.BLOB(due)
	empty = must(t, empty, err)
	payload := map[string]any{"no": 7, "nextUpdate": "2099-01-01", "entries": []any{}}
	root := base64.StdEncoding.EncodeToString(service.Root().Raw)
	for name, c := range map[string]struct {
		blob []byte
		root *x509.Certificate
		want string
	}{
		"by another service":            {untrusted, service.Root(), "unknown authority"},
		"with the FIDO Alliance's root": {valid, nil, "unknown authority"},
		"with another payload":          {join(parts[0], untrustedParts[1]+"A", parts[2]), service.Root(), ""},
		"with another signature":        {join(parts[0], parts[1], untrustedParts[2]), service.Root(), "signature is invalid"},
		"without a signature":           {join(parts[0], parts[1], ""), service.Root(), "signature is invalid"},
		"of the algorithm none":         {join(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)), parts[1], ""), service.Root(), "signing method none"},
		"of the algorithm HS256":        {sign(service, map[string]any{"alg": "HS256"}, payload), service.Root(), "signing method HS256"},
		"without certificates":          {sign(service, map[string]any{"alg": "ES256"}, payload), service.Root(), "no certificate"},
		"with the URL of certificates":  {sign(service, map[string]any{"alg": "ES256", "x5u": "https://example.org"}, payload), service.Root(), "no certificate"},
		"with an invalid certificate":   {sign(service, map[string]any{"alg": "ES256", "x5c": []any{7}}, payload), service.Root(), "parsing a certificate"},
		"with invalid base64 in x5c":    {sign(service, map[string]any{"alg": "ES256", "x5c": []any{"*"}}, payload), service.Root(), "decoding a certificate"},
		"with the root as its signer":   {sign(service, map[string]any{"alg": "ES256", "x5c": []any{root}}, payload), service.Root(), "signature is invalid"},
		"without a model":               {empty, service.Root(), "no model"},
		"in two parts":                  {join(parts[0], parts[1]), service.Root(), "three parts"},
		"that is a web page":            {[]byte("<html>...</html>"), service.Root(), ""},
		"that is empty":                 {nil, service.Root(), "three parts"},
		"with an invalid payload":       {join(parts[0], "*", parts[2]), service.Root(), "base64url"},
		"with a payload of zeros":       {join(parts[0], "AAAA", parts[2]), service.Root(), "not valid JSON"},
		"without the next update":       {sign(service, map[string]any{"alg": "ES256"}, map[string]any{}), service.Root(), "next update"},
	} {
		if got, err := ReadMetadata(c.blob, c.root, time.Now()); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("metadata %s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestNew_AttestationRequiresMetadata(t *testing.T) {
	config := Config{RPID: rpID, RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute, Authenticators: domain.AuthenticatorPolicy{Attested: true}}
	if _, err := New(config); err == nil {
		t.Error("accepted a required attestation without metadata")
	}
}

// Attestation is requested only if the policy requires it.
func TestBeginRegistration_AttestationConveyance(t *testing.T) {
	vendor, _ := vendorAndBatch(t)
	for want, policies := range map[string][]domain.AuthenticatorPolicy{
		"none":   {{}},
		"direct": {{Attested: true}, {Allowed: []domain.AAGUID{{1}}}, {Denied: []domain.AAGUID{{1}}}},
	} {
		for _, policy := range policies {
			rp, err := New(Config{
				RPID: rpID, RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute, Authenticators: policy,
				Metadata: newTestMetadata(t, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}}),
			})
			if err != nil {
				t.Fatal(err)
			}
			ceremony, err := rp.BeginRegistration(newPendingUser(t, "ada@example.org", "Ada").Entity(), nil)
			if err != nil || !bytes.Contains(ceremony.Options, []byte(`"attestation":"`+want+`"`)) {
				t.Errorf("%+v: %s, %v", policy, ceremony.Options, err)
			}
		}
	}
}

// A stored passkey can be verified again when the metadata has changed.
func TestRecordOf_ReverifiesAgainstMetadata(t *testing.T) {
	vendor, batch := vendorAndBatch(t)
	ada := register(t, newRelyingParty(t), authenticator.New(origin, authenticator.WithAAGUID(testModel), authenticator.Attested(batch)))
	for name, c := range map[string]struct {
		statuses []string
		want     bool
	}{"unchanged": {nil, true}, "revoked": {[]string{"FIDO_CERTIFIED_L1", "REVOKED"}, false}} {
		record := completeRecordOf(t, ada.credential, ada.attestation)
		metadata := newTestMetadata(t, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{vendor}, Statuses: c.statuses})
		if metadata.Compromised(testModel) == c.want || metadata.Compromised(domain.AAGUID{1}) {
			t.Errorf("%s: compromised %t", name, metadata.Compromised(testModel))
		}
		err := record.Verify(metadata.provider, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := ada.attestation; a.Type != "basic_full" || a.Format != "packed" {
		t.Errorf("stored as %s, %s", a.Type, a.Format)
	}
}
