// Package jwt signs and verifies access tokens (RFC 9068) with github.com/golang-jwt/jwt.
//
// The library does the cryptography and the encoding. This package validates a token (RFC 8725), since the library does not check
// the type, crit, the algorithm of a key, and half of the claims, and does not distinguish a token that is expired and otherwise
// valid.
package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Keys implements ports.TokenKeys. It has no state and is safe for concurrent use.
type Keys struct{ parser *jwt.Parser }

var _ ports.TokenKeys = (*Keys)(nil)

func New() *Keys {
	return &Keys{jwt.NewParser(
		// Without a list of algorithms: keyfunc requires the algorithm of the key.
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation(), // claims.check validates them
	)}
}

// Generate returns a new key for an algorithm of the domain, and an error for any other.
func (*Keys) Generate(algorithm domain.SigningAlgorithm) (ports.TokenKey, error) {
	var private any
	var err error
	switch algorithm {
	case domain.SigningES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case domain.SigningEdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("access tokens cannot be signed with %q; choose %s or %s", algorithm, domain.SigningES256, domain.SigningEdDSA)
	}
	if err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	return newKey(private)
}

func (*Keys) Parse(private []byte) (ports.TokenKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, errors.New("parsing a signing key: it is not in PKCS #8") // the cause may contain the key
	}
	key, err := newKey(parsed)
	if err != nil {
		return nil, fmt.Errorf("parsing a signing key: it %w", err)
	}
	return key, nil
}
