package webauthn

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/keylodge/keylodge/domain"
)

// Metadata has the entries of the FIDO Metadata Service: the certificates that attest models of authenticators, and the compromised
// models.
type Metadata struct {
	Number     int       // of the BLOB; a later one has a higher number
	NextUpdate time.Time // the day by which the next one is published
	Models     int
	Unreadable int // entries that the library cannot parse; their models count as unknown

	provider metadata.Provider
}

// ReadMetadata reads a BLOB of the FIDO Metadata Service (version 3, section 3.1) as downloaded: a JWT with a certificate chain, which
// must lead to root, or to the root of the FIDO Alliance if root is nil. The chain must be valid now; for outdated metadata, on the day
// of the next update, or, if later, at the start of its validity. So outdated metadata is accepted, which the operator can see, but
// forged metadata never.
//
// The library's own reader would download revocation lists, and ignore a failure.
func ReadMetadata(blob []byte, root *x509.Certificate, now time.Time) (*Metadata, error) {
	if root == nil {
		var err error
		if root, err = fidoRoot(); err != nil {
			return nil, err
		}
	}
	text := strings.TrimSpace(string(blob))
	p, err := readPayload(text)
	if err != nil {
		return nil, err
	}
	nextUpdate, err := time.Parse(time.DateOnly, p.NextUpdate)
	if err != nil {
		return nil, fmt.Errorf("invalid day of the next update: %w", err)
	}
	if err := verifySignature(text, root, now, nextUpdate); err != nil {
		return nil, err
	}
	return newMetadata(p, nextUpdate)
}

func fidoRoot() (*x509.Certificate, error) {
	raw, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
	if err != nil {
		return nil, fmt.Errorf("decoding the FIDO Alliance's certificate: %w", err)
	}
	return x509.ParseCertificate(raw)
}

// payload is MetadataBLOBPayload (section 3.1.6). Its entries are parsed one by one, so that an entry that the library cannot parse does
// not make the others unusable.
type payload struct {
	Number     int               `json:"no"`
	NextUpdate string            `json:"nextUpdate"`
	Entries    []json.RawMessage `json:"entries"`
}

func readPayload(text string) (p payload, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return p, errors.New("not a BLOB of the FIDO Metadata Service, which has three parts separated by dots")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return p, fmt.Errorf("the payload is not base64url: %w", err)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("the payload is not valid JSON: %w", err)
	}
	return p, nil
}

func verifySignature(text string, root *x509.Certificate, now, nextUpdate time.Time) error {
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(),
		jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}))
	_, err := parser.ParseWithClaims(text, jwt.MapClaims{}, func(token *jwt.Token) (any, error) {
		return signerKey(token.Header, root, now, nextUpdate)
	})
	if err != nil {
		return fmt.Errorf("invalid signature: %w", err)
	}
	return nil
}

// signerKey returns the key of the first certificate in the header, if the chain is valid.
func signerKey(header map[string]any, root *x509.Certificate, now, nextUpdate time.Time) (any, error) {
	listed, _ := header["x5c"].([]any)
	var chain []*x509.Certificate
	for _, item := range listed {
		encoded, _ := item.(string)
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("decoding a certificate: %w", err)
		}
		certificate, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, fmt.Errorf("parsing a certificate: %w", err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("it contains no certificate")
	}
	if now.After(nextUpdate) {
		now = nextUpdate
		for _, certificate := range chain {
			if certificate.NotBefore.After(now) {
				now = certificate.NotBefore
			}
		}
	}
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	options.Roots.AddCert(root)
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return nil, err
	}
	return chain[0].PublicKey, nil
}

func newMetadata(p payload, nextUpdate time.Time) (*Metadata, error) {
	m := &Metadata{Number: p.Number, NextUpdate: nextUpdate}
	models := map[uuid.UUID]*metadata.Entry{}
	for _, raw := range p.Entries {
		entry, err := readEntry(raw)
		switch {
		case err != nil:
			m.Unreadable++
		case entry.AaGUID != uuid.Nil: // entries of UAF and U2F have none
			models[entry.AaGUID] = &entry
		}
	}
	if m.Models = len(models); m.Models == 0 {
		return nil, errors.New("it contains no model of authenticators")
	}
	var err error
	m.provider, err = memory.New(memory.WithMetadata(models))
	return m, err
}

func readEntry(raw []byte) (metadata.Entry, error) {
	var entry metadata.EntryJSON
	if err := json.Unmarshal(raw, &entry); err != nil {
		return metadata.Entry{}, err
	}
	return entry.Parse()
}

// Contains reports whether there is an entry for the model.
func (m *Metadata) Contains(model domain.AAGUID) bool {
	entry, err := m.provider.GetEntry(context.Background(), uuid.UUID(model))
	return err == nil && entry != nil
}

// Compromised reports whether the model is reported as compromised or revoked. For an unknown model it is false.
func (m *Metadata) Compromised(model domain.AAGUID) bool {
	entry, err := m.provider.GetEntry(context.Background(), uuid.UUID(model))
	return err == nil && entry != nil && m.provider.ValidateStatusReports(context.Background(), entry.StatusReports) != nil
}

// Outdated reports whether a newer BLOB should have been published.
func (m *Metadata) Outdated(now time.Time) bool { return now.After(m.NextUpdate.AddDate(0, 0, 1)) }

// verifyStatement checks that the certificates of a verified statement lead to the vendor of its model, and that the model is not
// compromised or revoked. It rejects a statement without certificates, which only the passkey itself has signed, whatever the metadata
// says about the model.
func (m *Metadata) verifyStatement(object protocol.AttestationObject, attestationType string) error {
	model := domain.AAGUID(object.AuthData.AttData.AAGUID)
	chain, _ := object.AttStatement["x5c"].([]any)
	if len(chain) == 0 {
		return domain.RejectAuthenticator(fmt.Sprintf("AAGUID %s with attestation %q, which has no certificate", model, object.Format))
	}
	err := protocol.ValidateMetadataWithAuthenticatorData(context.Background(), m.provider, uuid.UUID(model), attestationType, object.Format, chain, &object.AuthData)
	if err != nil {
		detail := strings.TrimSpace(err.Details + " " + err.DevInfo)
		if err.Err != nil {
			detail += ": " + err.Err.Error()
		}
		// The library's text repeats the model, and has the cause at its end.
		return domain.RejectAuthenticator("AAGUID " + model.String() + ": " + quoteEnd(detail))
	}
	return nil
}

// checkAuthenticator checks a new passkey against the policy.
func (rp *RelyingParty) checkAuthenticator(object protocol.AttestationObject, attestationType string) error {
	model := domain.AAGUID(object.AuthData.AttData.AAGUID)
	if !rp.policy.Attested {
		return rp.policy.Check(model, false)
	}
	// A model that a list denies is rejected for that reason, even without a valid attestation.
	if err := rp.policy.Check(model, true); err != nil {
		return err
	}
	return rp.metadata.verifyStatement(object, attestationType)
}
