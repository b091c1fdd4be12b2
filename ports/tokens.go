package ports

import (
	"encoding/json"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TokenKeys makes, reads and uses the keys of access tokens (RFC 9068).
type TokenKeys interface {
	// Generate makes a new key pair.
	Generate(algorithm domain.SigningAlgorithm) (TokenKey, error)
	// Parse reads a private key back that TokenKey.Private returned.
	Parse(private []byte) (TokenKey, error)
	// Verify returns what a token states if one of the keys, told by its kid, has signed it by that key's own algorithm
	// (RFC 8725, section 3.1), its typ is at+jwt, and it is for the audience, from the issuer and of this time. Otherwise it
	// returns domain.ErrAccessTokenExpired for one that is only too old, or domain.ErrAccessTokenInvalid.
	Verify(token string, keys []TokenKey, want ExpectedClaims) (domain.AccessClaims, error)
}

// TokenKey is a key pair, ready for use. It may be used from several goroutines and prints as nothing.
type TokenKey interface {
	ID() string // the kid: the RFC 7638 thumbprint of the public key
	Algorithm() domain.SigningAlgorithm
	Private() ([]byte, error)         // PKCS #8
	Public() (json.RawMessage, error) // a JWK (RFC 7517) with kid, alg and use, and nothing private
	Sign(claims domain.AccessClaims) (domain.AccessToken, error)
}

// ExpectedClaims is what a token has to say to be believed.
type ExpectedClaims struct {
	Issuer   string
	Audience string // one of the token's
	Scope    string // likewise; "" wants none
	Now      time.Time
}

// Sealer encrypts and authenticates what is secret at rest. A label binds the result to its place: what was sealed for one
// cannot be opened for another.
type Sealer interface {
	Seal(plain []byte, label string) ([]byte, error)
	// Open returns an error if the sealed text is not whole, or not sealed under any secret that this server knows.
	Open(sealed []byte, label string) ([]byte, error)
}
