package authenticator

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// attestation is an attestation statement and the identifier of its format (WebAuthn Level 3, section 6.5.4).
type attestation struct {
	Format    string
	Statement map[string]any
}

// attester makes the attestation of a new passkey, over the data that the relying party receives.
type attester func(c *ceremony, p *passkey, authenticatorData, clientDataJSON []byte) (attestation, error)

func noAttestation(*ceremony, *passkey, []byte, []byte) (attestation, error) {
	return attestation{Format: "none", Statement: map[string]any{}}, nil
}

// selfAttestation implements section 8.2 with the new passkey's own key.
func selfAttestation(c *ceremony, p *passkey, authenticatorData, clientDataJSON []byte) (attestation, error) {
	signature, err := p.sign(authenticatorData, clientDataJSON)
	if err != nil {
		return attestation{}, fmt.Errorf("signing an attestation: %w", err)
	}
	return attestation{Format: "packed", Statement: map[string]any{"alg": p.algorithm, "sig": c.signature(signature)}}, nil
}

// packed implements section 8.2 with the attestation key of the batch.
func (b *Batch) packed(c *ceremony, _ *passkey, authenticatorData, clientDataJSON []byte) (attestation, error) {
	signature, err := sign(b.key, b.algorithm, authenticatorData, clientDataJSON)
	if err != nil {
		return attestation{}, fmt.Errorf("signing an attestation: %w", err)
	}
	return attestation{Format: "packed", Statement: map[string]any{"alg": b.algorithm, "sig": c.signature(signature), "x5c": b.chain}}, nil
}

// u2f implements section 8.6: neither the flags nor the counter are signed.
func (b *Batch) u2f(c *ceremony, p *passkey, authenticatorData, clientDataJSON []byte) (attestation, error) {
	key, err := p.coseKey()
	if err != nil {
		return attestation{}, err
	}
	x, isPoint := key[-2].([]byte)
	y, isEC := key[-3].([]byte)
	if !isPoint || !isEC {
		return attestation{}, ErrNotSupported
	}
	clientDataHash := sha256.Sum256(clientDataJSON)
	message := []byte{0}
	for _, part := range [][]byte{authenticatorData[:32], clientDataHash[:], p.id, {4}, x, y} {
		message = append(message, part...)
	}
	digest := sha256.Sum256(message)
	signature, err := b.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return attestation{}, fmt.Errorf("signing an attestation: %w", err)
	}
	return attestation{Format: "fido-u2f", Statement: map[string]any{"sig": c.signature(signature), "x5c": b.chain}}, nil
}

// attestationObject encodes the attestation object (section 6.5.4).
func (a *Authenticator) attestationObject(c *ceremony, p *passkey, authenticatorData, clientDataJSON []byte) ([]byte, error) {
	attest := a.attest
	if attest == nil {
		attest = noAttestation
	}
	statement, err := attest(c, p, authenticatorData, clientDataJSON)
	if err != nil {
		return nil, err
	}
	if c.attestation != nil {
		statement = *c.attestation
	}
	if c.rewriteStatement != nil {
		c.rewriteStatement(statement.Statement)
	}
	object := map[string]any{"fmt": statement.Format, "attStmt": statement.Statement, "authData": authenticatorData}
	if c.rewriteObject != nil {
		c.rewriteObject(object)
	}
	encoded, err := ctap2.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding an attestation object: %w", err)
	}
	if c.rewriteEncodedObject != nil {
		encoded = c.rewriteEncodedObject(encoded)
	}
	return encoded, nil
}
