package webauthn

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/acceptance/authenticator"
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

func makerAndBatch(t testing.TB) (*authenticator.Vendor, *authenticator.Batch) {
	t.Helper()
	maker, err := authenticator.NewVendor("Lodge Keys")
	batch, batchErr := must(t, maker, err).Batch(testModel, authenticator.ES256, nil)
	return maker, must(t, batch, batchErr)
}

func TestReadMetadata(t *testing.T) {
	maker, _ := makerAndBatch(t)
	service := newMetadataService(t)
	due := time.Now().AddDate(0, 1, 0).UTC().Truncate(24 * time.Hour)
	unreadable := authenticator.Model{AAGUID: [16]byte{9}, LastChange: "yesterday"}
	blob, err := service.BLOB(due, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}}, unreadable)
	got, err := ReadMetadata(append(must(t, blob, err), '\n'), service.Root(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != 7 || got.Models != 1 || got.Unreadable != 1 || !got.NextUpdate.Equal(due) || !got.Contains(testModel) || got.Contains(domain.AAGUID{9}) || got.Contains(domain.AAGUID{}) {
		t.Errorf("%+v", got)
	}
	if got.Outdated(due.Add(24*time.Hour)) || !got.Outdated(due.Add(25*time.Hour)) {
		t.Error("it is old on another day than the one after that of its next update")
	}
}

// Old metadata are better than a server that does not start: the chain is checked as of when they were in force.
func TestReadMetadata_AcceptsOutdated(t *testing.T) {
	maker, _ := makerAndBatch(t)
	service := newMetadataService(t)
	blob, err := service.BLOB(time.Now(), authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}})
	later := time.Now().AddDate(2, 0, 0) // when the signer's certificate has expired
	got, err := ReadMetadata(must(t, blob, err), service.Root(), later)
	if err != nil || !got.Outdated(later) {
		t.Errorf("%+v, %v", got, err)
	}
	early, err := service.BLOB(time.Now().AddDate(2, 0, 0), authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}})
	if _, err := ReadMetadata(must(t, early, err), service.Root(), later.AddDate(-1, 0, 0)); err == nil {
		t.Error("metadata of a signer whose certificate has expired since, and whose next update is due later, were read")
	}
}

func TestReadMetadata_RejectsForged(t *testing.T) {
	maker, _ := makerAndBatch(t)
	service, stranger := newMetadataService(t), newMetadataService(t)
	model := authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}}
	due := time.Now().AddDate(0, 1, 0)
	sign := func(by *authenticator.MetadataService, header, payload any) []byte {
		blob, err := by.Sign(header, payload)
		return must(t, blob, err)
	}
	honest, err := service.BLOB(due, model)
	honest = must(t, honest, err)
	foreign, err := stranger.BLOB(due, model)
	foreign = must(t, foreign, err)
	parts, foreignParts := strings.Split(string(honest), "."), strings.Split(string(foreign), ".")
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
		"by somebody else":             {foreign, service.Root(), "unknown authority"},
		"under the FIDO Alliance's":    {honest, nil, "unknown authority"},
		"with another payload":         {join(parts[0], foreignParts[1]+"A", parts[2]), service.Root(), ""},
		"with another signature":       {join(parts[0], parts[1], foreignParts[2]), service.Root(), "signature is invalid"},
		"without a signature":          {join(parts[0], parts[1], ""), service.Root(), "signature is invalid"},
		"of the algorithm none":        {join(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)), parts[1], ""), service.Root(), "signing method none"},
		"of the algorithm HS256":       {sign(service, map[string]any{"alg": "HS256"}, payload), service.Root(), "signing method HS256"},
		"without certificates":         {sign(service, map[string]any{"alg": "ES256"}, payload), service.Root(), "no certificate"},
		"with certificates elsewhere":  {sign(service, map[string]any{"alg": "ES256", "x5u": "https://example.org"}, payload), service.Root(), "no certificate"},
		"with no certificate in x5c":   {sign(service, map[string]any{"alg": "ES256", "x5c": []any{7}}, payload), service.Root(), "reading a certificate"},
		"with no base64 in x5c":        {sign(service, map[string]any{"alg": "ES256", "x5c": []any{"*"}}, payload), service.Root(), "decoding a certificate"},
		"with the root as its signer":  {sign(service, map[string]any{"alg": "ES256", "x5c": []any{root}}, payload), service.Root(), "signature is invalid"},
		"that know no model":           {empty, service.Root(), "no model"},
		"in two parts":                 {join(parts[0], parts[1]), service.Root(), "three parts"},
		"that are a web page":          {[]byte("<html>...</html>"), service.Root(), ""},
		"that are nothing":             {nil, service.Root(), "three parts"},
		"that are no base64":           {join(parts[0], "*", parts[2]), service.Root(), "base64url"},
		"that are no JSON":             {join(parts[0], "AAAA", parts[2]), service.Root(), "cannot be read"},
		"without a day of next update": {sign(service, map[string]any{"alg": "ES256"}, map[string]any{}), service.Root(), "next update"},
	} {
		if got, err := ReadMetadata(c.blob, c.root, time.Now()); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("metadata %s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestNew_AttestationRequiresMetadata(t *testing.T) {
	config := Config{RPID: rpID, RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute, Authenticators: domain.AuthenticatorPolicy{Attested: true}}
	if _, err := New(config); err == nil {
		t.Error("attestation is required, and there is nothing to judge it by")
	}
}

// Attestation is asked for only if something depends on it.
func TestBeginRegistration_AttestationConveyance(t *testing.T) {
	maker, _ := makerAndBatch(t)
	for want, policies := range map[string][]domain.AuthenticatorPolicy{
		"none":   {{}},
		"direct": {{Attested: true}, {Allowed: []domain.AAGUID{{1}}}, {Denied: []domain.AAGUID{{1}}}},
	} {
		for _, policy := range policies {
			rp, err := New(Config{
				RPID: rpID, RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute, Authenticators: policy,
				Metadata: newTestMetadata(t, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}}),
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

// What storage keeps of a passkey is enough to judge it again when the metadata have changed.
func TestRecordOf_ReverifiesAgainstMetadata(t *testing.T) {
	maker, batch := makerAndBatch(t)
	ada := register(t, newRelyingParty(t), authenticator.New(origin, authenticator.WithAAGUID(testModel), authenticator.Attested(batch)))
	for name, c := range map[string]struct {
		statuses []string
		want     bool
	}{"as they were": {nil, true}, "revoked": {[]string{"FIDO_CERTIFIED_L1", "REVOKED"}, false}} {
		record, err := recordOf(ada.credential.State())
		if err != nil {
			t.Fatal(err)
		}
		metadata := newTestMetadata(t, authenticator.Model{AAGUID: testModel, Vendors: []*authenticator.Vendor{maker}, Statuses: c.statuses})
		if metadata.Compromised(testModel) == c.want || metadata.Compromised(domain.AAGUID{1}) {
			t.Errorf("%s: broken %t", name, metadata.Compromised(testModel))
		}
		err = record.Verify(metadata.provider, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := ada.credential.State().Attestation; a.Type != "basic_full" || a.Format != "packed" {
		t.Errorf("kept as %s, %s", a.Type, a.Format)
	}
}
