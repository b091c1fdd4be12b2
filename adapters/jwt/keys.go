// Package jwt signs and reads access tokens (RFC 9068), over github.com/golang-jwt/jwt.
//
// The library does the cryptography and the encoding. What makes a token believable is checked by this package
// (RFC 8725), since the library leaves the type, crit, the binding of an algorithm to its key and half of the claims to
// its caller, and tells a token that is only too old from other bad ones by nothing more than a list of causes.
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

// Keys implements ports.TokenKeys. It keeps no state and may be used from any number of goroutines.
type Keys struct{ parser *jwt.Parser }

var _ ports.TokenKeys = (*Keys)(nil)

func New() *Keys {
	return &Keys{jwt.NewParser(
		// No list of algorithms: keyfunc holds each token to the one of its key.
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation(), // claims.check does that
	)}
}

// Generate makes a key for one of the algorithms that the domain names, and returns an error for any other.
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
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return newKey(private)
}

func (*Keys) Parse(private []byte) (ports.TokenKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, errors.New("reading a signing key: it is not in PKCS #8") // the cause could quote the key
	}
	key, err := newKey(parsed)
	if err != nil {
		return nil, fmt.Errorf("reading a signing key: it %w", err)
	}
	return key, nil
}
