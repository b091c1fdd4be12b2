package authenticator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// MetadataService implements the FIDO Metadata Service, version 3, which publishes the trust anchors of authenticators.
type MetadataService struct {
	root  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain []string // base64 of DER, the signer's certificate first
}

// Model is the metadata of an authenticator model.
type Model struct {
	AAGUID     [16]byte
	Vendors    []*Vendor
	Types      []string // of attestation; basic_full if nil
	Statuses   []string // FIDO_CERTIFIED_L1 if nil
	LastChange string   // a date; 2020-01-01 if ""
}

// NewMetadataService returns a service with a new root certificate and signing key.
func NewMetadataService() (*MetadataService, error) {
	ca, err := NewVendor("Metadata root")
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a metadata service's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Metadata signer"},
		NotBefore: ca.root.NotBefore, NotAfter: ca.root.NotAfter, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, ca.root, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("certifying a metadata service: %w", err)
	}
	return &MetadataService{root: ca.root, key: key, chain: []string{base64.StdEncoding.EncodeToString(raw)}}, nil
}

// Root returns the trust anchor of the service's signature.
func (s *MetadataService) Root() *x509.Certificate { return s.root }

// BLOB returns the signed metadata BLOB.
func (s *MetadataService) BLOB(nextUpdate time.Time, models ...Model) ([]byte, error) {
	entries := make([]any, len(models))
	for i, m := range models {
		entries[i] = m.entry()
	}
	return s.Sign(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": s.chain}, map[string]any{
		"legalHeader": "none", "no": 7, "nextUpdate": nextUpdate.Format(time.DateOnly), "entries": entries,
	})
}

// Sign returns a signed JWT of the header and the payload.
func (s *MetadataService) Sign(header, payload any) ([]byte, error) {
	var parts []string
	for _, part := range []any{header, payload} {
		encoded, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encoding metadata: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(encoded))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, ".")))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing metadata: %w", err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
	return []byte(strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")), nil
}

func (m Model) entry() map[string]any {
	roots := make([]string, len(m.Vendors))
	for i, vendor := range m.Vendors {
		roots[i] = base64.StdEncoding.EncodeToString(vendor.root.Raw)
	}
	types, statuses := m.Types, m.Statuses
	if types == nil {
		types = []string{"basic_full"}
	}
	if statuses == nil {
		statuses = []string{"FIDO_CERTIFIED_L1"}
	}
	lastChange := m.LastChange
	if lastChange == "" {
		lastChange = "2020-01-01"
	}
	reports := make([]any, len(statuses))
	for i, status := range statuses {
		reports[i] = map[string]any{"status": status, "effectiveDate": "2020-01-01"}
	}
	id := fmt.Sprintf("%x-%x-%x-%x-%x", m.AAGUID[:4], m.AAGUID[4:6], m.AAGUID[6:8], m.AAGUID[8:10], m.AAGUID[10:])
	return map[string]any{
		"aaguid": id, "statusReports": reports, "timeOfLastStatusChange": lastChange,
		"metadataStatement": map[string]any{
			"aaguid": id, "description": "A model of the tests", "protocolFamily": "fido2", "schema": 3, "attestationTypes": types,
			"attestationRootCertificates": roots, "authenticationAlgorithms": []string{"secp256r1_ecdsa_sha256_raw"},
			"publicKeyAlgAndEncodings": []string{"cose"},
		},
	}
}
