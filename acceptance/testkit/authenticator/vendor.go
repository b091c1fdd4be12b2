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

// Vendor is a vendor of authenticators: a certificate authority like those in the FIDO Metadata Service.
type Vendor struct {
	root *x509.Certificate
	key  crypto.Signer
}

// Batch is the attestation key and certificate that the authenticators of a batch share (basic attestation).
type Batch struct {
	key       crypto.Signer
	algorithm Algorithm
	chain     [][]byte // DER, the batch's own certificate first
}

// NewVendor returns a vendor with a new root certificate.
func NewVendor(name string) (*Vendor, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a vendor's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certifying a vendor: %w", err)
	}
	root, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a vendor's certificate: %w", err)
	}
	return &Vendor{root, key}, nil
}

// VendorOf returns a vendor without a key: it cannot make batches.
func VendorOf(root *x509.Certificate) *Vendor { return &Vendor{root: root} }

// Root returns the root certificate of the vendor's batches.
func (v *Vendor) Root() *x509.Certificate { return v.root }

// Batch makes a batch of the model, with a key of the algorithm. Its certificate follows WebAuthn Level 3, section 8.2.1, unless
// change modifies it before it is signed.
func (v *Vendor) Batch(model [16]byte, algorithm Algorithm, change func(*x509.Certificate)) (*Batch, error) {
	key, err := generateKey(algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating an attestation key: %w", err)
	}
	return v.batch(model, algorithm, key, change)
}

// BatchOfP384 makes a batch with a key that the format "fido-u2f" does not allow.
func (v *Vendor) BatchOfP384() (*Batch, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating an attestation key: %w", err)
	}
	return v.batch([16]byte{}, ES256, key, nil)
}

func (v *Vendor) batch(model [16]byte, algorithm Algorithm, key crypto.Signer, change func(*x509.Certificate)) (*Batch, error) {
	extension, err := AAGUIDExtension(model)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject: pkix.Name{
			Country: []string{"SE"}, Organization: []string{v.root.Subject.CommonName},
			OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: v.root.Subject.CommonName + " batch",
		},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	if model != ([16]byte{}) {
		template.ExtraExtensions = []pkix.Extension{extension}
	}
	if change != nil {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, v.root, key.Public(), v.key)
	if err != nil {
		return nil, fmt.Errorf("certifying a batch: %w", err)
	}
	return &Batch{key, algorithm, [][]byte{raw}}, nil
}

// AAGUIDExtension returns the certificate extension id-fido-gen-ce-aaguid (section 8.2.1).
func AAGUIDExtension(model [16]byte) (pkix.Extension, error) {
	value, err := asn1.Marshal(model[:])
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encoding an AAGUID: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value}, nil
}

// WithChain returns the batch with another certificate chain; rewrite gets the original.
func (b *Batch) WithChain(rewrite func(own [][]byte) [][]byte) *Batch {
	changed := *b
	changed.chain = rewrite(b.chain)
	return &changed
}
