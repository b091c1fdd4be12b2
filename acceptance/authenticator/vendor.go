package authenticator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// Vendor makes authenticators and vouches for them: a certificate authority like those that stand in the FIDO Metadata
// Service.
type Vendor struct {
	root *x509.Certificate
	key  crypto.Signer
}

// Batch is what the authenticators of one batch share: the attestation key, and the certificate that their maker gave it
// (FIDO calls that basic attestation).
type Batch struct {
	key       crypto.Signer
	algorithm Algorithm
	chain     [][]byte // DER, the batch's own certificate first
}

// NewVendor founds one.
func NewVendor(name string) (*Vendor, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a maker's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certifying a maker: %w", err)
	}
	root, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a maker's certificate: %w", err)
	}
	return &Vendor{root, key}, nil
}

// MakerOf is a maker of which only the certificate is known: it makes no batches.
func MakerOf(root *x509.Certificate) *Vendor { return &Vendor{root: root} }

// Root is the certificate that the maker's batches are traced to.
func (m *Vendor) Root() *x509.Certificate { return m.root }

// Batch makes one of the given model with a key of the given algorithm. Its certificate is as WebAuthn Level 3, section
// 8.2.1, wants it, unless change changes it before it is signed.
func (m *Vendor) Batch(model [16]byte, algorithm Algorithm, change func(*x509.Certificate)) (*Batch, error) {
	key, err := generateKey(algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating an attestation key: %w", err)
	}
	return m.batch(model, algorithm, key, change)
}

// BatchOfP384 has a key that the format "fido-u2f" does not allow.
func (m *Vendor) BatchOfP384() (*Batch, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating an attestation key: %w", err)
	}
	return m.batch([16]byte{}, ES256, key, nil)
}

func (m *Vendor) batch(model [16]byte, algorithm Algorithm, key crypto.Signer, change func(*x509.Certificate)) (*Batch, error) {
	extension, err := AAGUIDExtension(model)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject: pkix.Name{
			Country: []string{"SE"}, Organization: []string{m.root.Subject.CommonName},
			OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: m.root.Subject.CommonName + " batch",
		},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	if model != ([16]byte{}) {
		template.ExtraExtensions = []pkix.Extension{extension}
	}
	if change != nil {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, m.root, key.Public(), m.key)
	if err != nil {
		return nil, fmt.Errorf("certifying a batch: %w", err)
	}
	return &Batch{key, algorithm, [][]byte{raw}}, nil
}

// AAGUIDExtension is id-fido-gen-ce-aaguid (section 8.2.1).
func AAGUIDExtension(model [16]byte) (pkix.Extension, error) {
	value, err := asn1.Marshal(model[:])
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encoding an AAGUID: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value}, nil
}

// WithChain is the batch with other certificates to show; rewrite gets its own.
func (b *Batch) WithChain(rewrite func(own [][]byte) [][]byte) *Batch {
	changed := *b
	changed.chain = rewrite(b.chain)
	return &changed
}
