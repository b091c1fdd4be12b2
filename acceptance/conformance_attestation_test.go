package acceptance

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// testModelAAGUID is the AAGUID of a fictitious security key.
var testModelAAGUID = [16]byte{0x4b, 0x65, 0x79, 0x6c, 0x6f, 0x64, 0x67, 0x65, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x6b, 0x31}

func newVendor(t testing.TB, name string) *authenticator.Vendor {
	t.Helper()
	vendor, err := authenticator.NewVendor(name)
	if err != nil {
		t.Fatal(err)
	}
	return vendor
}

func newBatch(t testing.TB, vendor *authenticator.Vendor, model [16]byte, change func(*x509.Certificate)) *authenticator.Batch {
	t.Helper()
	batch, err := vendor.Batch(model, authenticator.ES256, change)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// changeStatement changes members of the attestation statement. A nil value removes the member.
func changeStatement(changes map[string]any) authenticator.Variation {
	return authenticator.ForgeStatement(func(honest map[string]any) {
		for name, value := range changes {
			if value == nil {
				delete(honest, name)
			} else {
				honest[name] = value
			}
		}
	})
}

func invalidAttestationStatements(t *testing.T) []invalidCase {
	t.Helper()
	vendor := newVendor(t, "Example Keys")
	return append(invalidFormats(), append(invalidPackedFull(t, vendor), append(invalidPackedSelf(), invalidU2F(t, vendor)...)...)...)
}

func rejectedAttestation(step, name string, device []authenticator.Option, forge authenticator.Variation) invalidCase {
	tc := invalidCase{step: step, name: name, device: device, reason: domain.ReasonAttestationRejected}
	if forge != nil {
		tc.forge = []authenticator.Variation{forge}
	}
	return tc
}

func attestedOtherClientData(step string, device []authenticator.Option) invalidCase {
	tc := rejectedAttestation(step, "sig for other clientDataJSON", device, nil)
	tc.edit = func(credential, _ map[string]any) {
		response := credential["response"].(map[string]any)
		data := decode64(response["clientDataJSON"].(string))
		response["clientDataJSON"] = authenticator.Base64URL(append([]byte(" "), data...)).String()
	}
	return tc
}

func invalidFormats() []invalidCase {
	none := func(name string, format string, statement map[string]any) invalidCase {
		return rejectedAttestation("Resp-7", name, es256Only, authenticator.ForgeAttestation(format, statement))
	}
	return []invalidCase{
		none("none with a statement", "none", map[string]any{"sig": []byte{1}}),
		none("an unknown format", "keylodge", map[string]any{}),
		none("an empty format", "", map[string]any{}),
		none("None", "None", map[string]any{}),
		none("none with a space", "none ", map[string]any{}),
		none("PACKED", "PACKED", map[string]any{"alg": -7, "sig": []byte{1}}),
		none("tpm without a statement", "tpm", map[string]any{}),
		none("android-key without a statement", "android-key", map[string]any{}),
		none("android-safetynet without a statement", "android-safetynet", map[string]any{}),
		none("apple without a statement", "apple", map[string]any{}),
	}
}

func invalidPackedFull(t *testing.T, vendor *authenticator.Vendor) []invalidCase {
	t.Helper()
	const step = "Resp-5"
	batch := newBatch(t, vendor, testModelAAGUID, nil)
	by := func(b *authenticator.Batch) []authenticator.Option {
		return attestedDevice(b, testModelAAGUID)
	}
	honest := by(batch)
	stated := func(name string, changes map[string]any) invalidCase {
		return rejectedAttestation(step, name, honest, changeStatement(changes))
	}
	// The device has the invalid certificate; the control case is a device with a valid one.
	certified := func(name string, change func(*x509.Certificate)) invalidCase {
		tc := rejectedAttestation(step, name, honest, nil)
		tc.otherDevice = by(newBatch(t, vendor, testModelAAGUID, change))
		return tc
	}
	chained := func(name string, rewrite func([][]byte) [][]byte) invalidCase {
		tc := rejectedAttestation(step, name, honest, nil)
		tc.otherDevice = by(batch.WithChain(rewrite))
		return tc
	}
	subject := func(change func(*pkix.Name)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { change(&c.Subject) }
	}
	root := vendor.Root().Raw
	other := newBatch(t, vendor, testModelAAGUID, nil)
	return []invalidCase{
		stated("no alg", map[string]any{"alg": nil}),
		stated("alg a string", map[string]any{"alg": "ES256"}),
		stated("another alg", map[string]any{"alg": -257}),
		stated("an unknown alg", map[string]any{"alg": -999}),
		stated("no sig", map[string]any{"sig": nil}),
		stated("sig a string", map[string]any{"sig": "sig"}),
		stated("sig empty", map[string]any{"sig": []byte{}}),
		stated("sig an array", map[string]any{"sig": []int{1}}),
		rejectedAttestation(step, "sig with a bit changed", honest, authenticator.ForgeSignature(flipLastBit)),
		rejectedAttestation(step, "sig with an extra byte", honest, authenticator.ForgeSignature(func(s []byte) []byte { return append(bytes.Clone(s), 0) })),
		attestedOtherClientData(step, honest),
		stated("an unknown member", map[string]any{"ver": "2.0"}),
		stated("no x5c", map[string]any{"x5c": nil}),
		stated("x5c empty", map[string]any{"x5c": []any{}}),
		stated("x5c a byte string", map[string]any{"x5c": root}),
		stated("x5c a string", map[string]any{"x5c": "x5c"}),
		stated("x5c a map", map[string]any{"x5c": map[string]any{}}),
		stated("x5c of strings", map[string]any{"x5c": []string{"certificate"}}),
		stated("x5c of an empty byte string", map[string]any{"x5c": [][]byte{{}}}),
		stated("x5c of a byte string that is not a certificate", map[string]any{"x5c": [][]byte{[]byte("certificate")}}),
		stated("ecdaaKeyId instead of x5c", map[string]any{"x5c": nil, "ecdaaKeyId": []byte{1}}),
		chained("the root before the batch's certificate", func(own [][]byte) [][]byte { return [][]byte{root, own[0]} }),
		chained("the root alone", func([][]byte) [][]byte { return [][]byte{root} }),
		chained("another batch's certificate", func([][]byte) [][]byte { return chainOf(other) }),
		chained("bytes after the certificate", func(own [][]byte) [][]byte { return [][]byte{append(bytes.Clone(own[0]), 0)} }),
		chained("a second certificate that is invalid", func(own [][]byte) [][]byte { return [][]byte{own[0], []byte("certificate")} }),
		chained("a certificate of version 2", func(own [][]byte) [][]byte {
			return [][]byte{replaceOnce(own[0], "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x01")}
		}),
		certified("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		certified("not valid yet", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }),
		certified("a CA certificate", func(c *x509.Certificate) { c.IsCA = true }),
		certified("without a country", subject(func(n *pkix.Name) { n.Country = nil })),
		certified("with an invalid country", subject(func(n *pkix.Name) { n.Country = []string{"se"} })),
		certified("without an organization", subject(func(n *pkix.Name) { n.Organization = nil })),
		certified("without an organizational unit", subject(func(n *pkix.Name) { n.OrganizationalUnit = nil })),
		certified("with another organizational unit", subject(func(n *pkix.Name) { n.OrganizationalUnit = []string{"Authenticator attestation"} })),
		certified("without a common name", subject(func(n *pkix.Name) { n.CommonName = "" })),
		certified("with another AAGUID", func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{aaguidExtension(t, [16]byte{1})} }),
		certified("with a critical AAGUID extension", func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true }),
		certified("with an AAGUID that is not an OCTET STRING", func(c *x509.Certificate) { c.ExtraExtensions[0].Value = testModelAAGUID[:] }),
	}
}

func chainOf(b *authenticator.Batch) (chain [][]byte) {
	b.WithChain(func(own [][]byte) [][]byte { chain = own; return own })
	return chain
}

func aaguidExtension(t *testing.T, model [16]byte) pkix.Extension {
	t.Helper()
	extension, err := authenticator.AAGUIDExtension(model)
	if err != nil {
		t.Fatal(err)
	}
	return extension
}

func invalidPackedSelf() []invalidCase {
	const step = "Resp-6"
	device := slices.Concat(es256Only, []authenticator.Option{authenticator.SelfAttested()})
	stated := func(name string, changes map[string]any) invalidCase {
		return rejectedAttestation(step, name, device, changeStatement(changes))
	}
	return []invalidCase{
		stated("no alg", map[string]any{"alg": nil}),
		stated("alg a string", map[string]any{"alg": "ES256"}),
		stated("another alg than the key's", map[string]any{"alg": -257}),
		stated("no sig", map[string]any{"sig": nil}),
		stated("sig a number", map[string]any{"sig": 1}),
		stated("sig empty", map[string]any{"sig": []byte{}}),
		stated("x5c empty", map[string]any{"x5c": []any{}}),
		stated("x5c a string", map[string]any{"x5c": "x5c"}),
		stated("an additional ecdaaKeyId", map[string]any{"ecdaaKeyId": []byte{1}}),
		stated("ecdaaKeyId a string", map[string]any{"ecdaaKeyId": "1"}),
		rejectedAttestation(step, "sig with a bit changed", device, authenticator.ForgeSignature(flipLastBit)),
		attestedOtherClientData(step, device),
		stated("an unknown member", map[string]any{"ver": "2.0"}),
		rejectedAttestation(step, "sig for other authData", device, authenticator.ForgeAttestationObject(func(object map[string]any) {
			data := bytes.Clone(object["authData"].([]byte))
			data[36]++ // the counter
			object["authData"] = data
		})),
	}
}

func invalidU2F(t *testing.T, vendor *authenticator.Vendor) []invalidCase {
	t.Helper()
	const step = "Resp-8"
	batch := newBatch(t, vendor, [16]byte{}, nil)
	device := []authenticator.Option{authenticator.AttestedU2F(batch)}
	stated := func(name string, changes map[string]any) invalidCase {
		return rejectedAttestation(step, name, device, changeStatement(changes))
	}
	shown := func(name string, b *authenticator.Batch, more ...authenticator.Option) invalidCase {
		tc := rejectedAttestation(step, name, device, nil)
		tc.otherDevice = append([]authenticator.Option{authenticator.AttestedU2F(b)}, more...)
		return tc
	}
	onP384, err := vendor.BatchOfP384()
	if err != nil {
		t.Fatal(err)
	}
	ofRSA, err := vendor.Batch([16]byte{}, authenticator.RS256, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := vendor.Root().Raw
	unverified := rejectedAttestation(step, "UV not set, as by every U2F device", device, authenticator.ForgeFlags(0, userVerified))
	unverified.code, unverified.reason = "user_verification_required", domain.ReasonUserVerificationMissing
	return []invalidCase{
		unverified,
		stated("no sig", map[string]any{"sig": nil}),
		stated("sig a string", map[string]any{"sig": "sig"}),
		stated("sig empty", map[string]any{"sig": []byte{}}),
		stated("no x5c", map[string]any{"x5c": nil}),
		stated("x5c a byte string", map[string]any{"x5c": root}),
		stated("x5c empty", map[string]any{"x5c": []any{}}),
		stated("x5c of a byte string that is not a certificate", map[string]any{"x5c": [][]byte{{1}}}),
		stated("x5c of a string", map[string]any{"x5c": []string{"certificate"}}),
		rejectedAttestation(step, "sig with a bit changed", device, authenticator.ForgeSignature(flipLastBit)),
		attestedOtherClientData(step, device),
		shown("an AAGUID that is not zero", batch, authenticator.WithAAGUID(testModelAAGUID)),
		shown("two certificates", batch.WithChain(func(own [][]byte) [][]byte { return [][]byte{own[0], root} })),
		shown("a certificate on P-384", onP384),
		shown("a certificate with an RSA key", ofRSA),
		shown("an expired certificate", newBatch(t, vendor, [16]byte{}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })),
	}
}
