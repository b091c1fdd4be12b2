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

// Metadata is what is known about models of authenticators: whose certificates vouch for them, and which of them were broken.
type Metadata struct {
	Number     int       // of the BLOB; each has a higher one than those before
	NextUpdate time.Time // the day by which there is a newer one
	Models     int
	Unreadable int // entries that the library cannot read: their models are unknown here

	provider metadata.Provider
}

// ReadMetadata reads a BLOB of the FIDO Metadata Service (version 3, section 3.1) as it is downloaded: a JWT with its certificate
// chain in it. The chain must lead to root, or, if that is nil, to the one that the FIDO Alliance uses. It is checked as of now,
// or, if the day when the next BLOB was due is past, as of that day, or of the first day of the chain if that came later: old
// metadata are the operator's to judge, and forged ones nobody's.
//
// The library's own reader would ask the network for revocation lists, and take no answer for a good one.
func ReadMetadata(blob []byte, root *x509.Certificate, now time.Time) (*Metadata, error) {
	if root == nil {
		var err error
		if root, err = fidoRoot(); err != nil {
			return nil, err
		}
	}
	text := strings.TrimSpace(string(blob))
	said, err := readPayload(text)
	if err != nil {
		return nil, err
	}
	nextUpdate, err := time.Parse(time.DateOnly, said.NextUpdate)
	if err != nil {
		return nil, fmt.Errorf("the day of its next update cannot be read: %w", err)
	}
	if err := verifySignature(text, root, now, nextUpdate); err != nil {
		return nil, err
	}
	return newMetadata(said, nextUpdate)
}

func fidoRoot() (*x509.Certificate, error) {
	raw, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
	if err != nil {
		return nil, fmt.Errorf("decoding the FIDO Alliance's certificate: %w", err)
	}
	return x509.ParseCertificate(raw)
}

// payload is MetadataBLOBPayload (section 3.1.6). Its entries are read one by one: those that this library does not understand
// must not take the others along.
type payload struct {
	Number     int               `json:"no"`
	NextUpdate string            `json:"nextUpdate"`
	Entries    []json.RawMessage `json:"entries"`
}

func readPayload(text string) (p payload, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return p, errors.New("it is no BLOB of the FIDO Metadata Service, which has three parts with dots between them")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return p, fmt.Errorf("its second part is no base64url: %w", err)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("what it says cannot be read: %w", err)
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
		return fmt.Errorf("its signature does not hold: %w", err)
	}
	return nil
}

// signerKey returns the key of the first certificate in the header, if the chain holds.
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
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in it")
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
	for _, between := range chain[1:] {
		options.Intermediates.AddCert(between)
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
		case entry.AaGUID != uuid.Nil: // others are of UAF and U2F
			models[entry.AaGUID] = &entry
		}
	}
	if m.Models = len(models); m.Models == 0 {
		return nil, errors.New("it knows no model of authenticators")
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

// Contains says whether the model is among them.
func (m *Metadata) Contains(model domain.AAGUID) bool {
	entry, err := m.provider.GetEntry(context.Background(), uuid.UUID(model))
	return err == nil && entry != nil
}

// Compromised says whether the model was reported broken or revoked. One that is not known was not.
func (m *Metadata) Compromised(model domain.AAGUID) bool {
	entry, err := m.provider.GetEntry(context.Background(), uuid.UUID(model))
	return err == nil && entry != nil && m.provider.ValidateStatusReports(context.Background(), entry.StatusReports) != nil
}

// Outdated says whether there should be a newer one by now.
func (m *Metadata) Outdated(now time.Time) bool { return now.After(m.NextUpdate.AddDate(0, 0, 1)) }

// verifyStatement traces a verified statement to the maker of its model, and looks whether the model was broken or revoked. A statement
// without certificates is signed by nobody but the passkey itself, whatever the metadata say that the model does.
func (m *Metadata) verifyStatement(object protocol.AttestationObject, attestationType string) error {
	model := domain.AAGUID(object.AuthData.AttData.AAGUID)
	chain, _ := object.AttStatement["x5c"].([]any)
	if len(chain) == 0 {
		return domain.RejectAuthenticator(fmt.Sprintf("AAGUID %s with attestation %q, which nobody vouches for", model, object.Format))
	}
	err := protocol.ValidateMetadataWithAuthenticatorData(context.Background(), m.provider, uuid.UUID(model), attestationType, object.Format, chain, &object.AuthData)
	if err != nil {
		detail := strings.TrimSpace(err.Details + " " + err.DevInfo)
		if err.Err != nil {
			detail += ": " + err.Err.Error()
		}
		// The library's words tell the model twice and the cause last.
		return domain.RejectAuthenticator("AAGUID " + model.String() + ": " + quoteEnd(detail))
	}
	return nil
}

// checkAuthenticator holds a new passkey to the policy.
func (rp *RelyingParty) checkAuthenticator(object protocol.AttestationObject, attestationType string) error {
	model := domain.AAGUID(object.AuthData.AttData.AAGUID)
	if !rp.policy.Attested {
		return rp.policy.Check(model, false)
	}
	// What a list refuses is told as that, also if nobody vouches for it.
	if err := rp.policy.Check(model, true); err != nil {
		return err
	}
	return rp.metadata.verifyStatement(object, attestationType)
}
