package authenticator

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
)

// ceremony is a response that is being built: valid until a Variation changes it.
type ceremony struct {
	userHandle []byte // of the passkey to choose; nil for any

	clientData        clientData
	rewriteClientData func([]byte) []byte

	rpID                     string
	flags                    Flags
	signCount                *uint32
	credentialID             []byte // attested at registration
	rewriteCOSEKey           func(map[int]any)
	rewriteEncodedKey        func([]byte) []byte
	rewriteAuthenticatorData func([]byte) []byte
	attestation              *attestation
	rewriteStatement         func(map[string]any)
	rewriteObject            func(map[string]any)
	rewriteEncodedObject     func([]byte) []byte

	includeAttestedData bool
	answerID            []byte
	answerUserHandle    *[]byte
	rewriteSignature    func([]byte) []byte
	credProps           *CredProps
}

// clientData is CollectedClientData, with its members in the order of the serialization (WebAuthn Level 3,
// section 5.8.1.1).
type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
	TopOrigin   string `json:"topOrigin,omitempty"`
}

func (a *Authenticator) begin(ceremonyType, rpID string, challenge Base64URL) *ceremony {
	if rpID == "" {
		if origin, err := url.Parse(a.origin); err == nil {
			rpID = origin.Hostname()
		}
	}
	flags := UserPresent | UserVerified
	if !a.deviceBound {
		flags |= BackupEligible | BackedUp
	}
	return &ceremony{
		clientData: clientData{Type: ceremonyType, Challenge: challenge.String(), Origin: a.origin},
		rpID:       rpID,
		flags:      flags,
	}
}

func (c *ceremony) idOf(p *passkey) []byte {
	if c.answerID != nil {
		return c.answerID
	}
	return p.id
}

func (c *ceremony) signature(valid []byte) []byte {
	if c.rewriteSignature == nil {
		return valid
	}
	return c.rewriteSignature(valid)
}

func (c *ceremony) clientDataJSON() ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c.clientData); err != nil {
		return nil, fmt.Errorf("encoding client data: %w", err)
	}
	encoded := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if c.rewriteClientData != nil {
		encoded = c.rewriteClientData(encoded)
	}
	return encoded, nil
}

// authenticatorData encodes the authenticator data (WebAuthn Level 3, section 6.1).
func (c *ceremony) authenticatorData(p *passkey, attested []byte) []byte {
	rpIDHash := sha256.Sum256([]byte(c.rpID))
	signCount := p.signCount
	if c.signCount != nil {
		signCount = *c.signCount
	}
	data := append(rpIDHash[:], byte(c.flags))
	data = binary.BigEndian.AppendUint32(data, signCount)
	data = append(data, attested...)
	if c.rewriteAuthenticatorData != nil {
		data = c.rewriteAuthenticatorData(data)
	}
	return data
}
