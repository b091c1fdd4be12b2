package authenticator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
)

// Algorithm is a COSE algorithm identifier.
type Algorithm int64

const (
	ES256 Algorithm = -7
	EdDSA Algorithm = -8
	RS256 Algorithm = -257
)

// passkey is a discoverable credential on the authenticator.
type passkey struct {
	rpID       string
	userHandle []byte
	id         []byte
	algorithm  Algorithm
	key        crypto.Signer
	signCount  uint32
}

func newPasskey(rpID string, userHandle []byte, algorithm Algorithm) (*passkey, error) {
	key, err := generateKey(algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &passkey{rpID: rpID, userHandle: userHandle, id: id, algorithm: algorithm, key: key}, nil
}

func generateKey(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, ErrNotSupported
}

// sign signs authenticator data and the hash of the client data (WebAuthn Level 3, section 6.3.3, step 11).
func (p *passkey) sign(authenticatorData, clientDataJSON []byte) ([]byte, error) {
	return sign(p.key, p.algorithm, authenticatorData, clientDataJSON)
}

func sign(key crypto.Signer, algorithm Algorithm, authenticatorData, clientDataJSON []byte) ([]byte, error) {
	clientDataHash := sha256.Sum256(clientDataJSON)
	message := append(append([]byte(nil), authenticatorData...), clientDataHash[:]...)
	if algorithm == EdDSA {
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// coseKey returns the public key as a COSE_Key (RFC 9052, section 7; RFC 9053, section 7; RFC 8230, section 4).
func (p *passkey) coseKey() (map[int]any, error) {
	const kty, alg = 1, 3
	switch k := p.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encoding an EC point: %w", err)
		}
		return map[int]any{kty: 2, alg: ES256, -1: 1, -2: point[1:33], -3: point[33:]}, nil
	case ed25519.PublicKey:
		return map[int]any{kty: 1, alg: EdDSA, -1: 6, -2: []byte(k)}, nil
	case *rsa.PublicKey:
		return map[int]any{kty: 3, alg: RS256, -1: k.N.Bytes(), -2: []byte{1, 0, 1}}, nil
	}
	return nil, ErrNotSupported
}
