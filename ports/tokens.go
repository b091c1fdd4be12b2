package ports

import (
	"encoding/json"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TokenKeys generates and parses the keys of access tokens (RFC 9068), and verifies tokens.
type TokenKeys interface {
	// Generate returns a new key pair.
	Generate(algorithm domain.SigningAlgorithm) (TokenKey, error)
	// Parse parses a private key that TokenKey.Private returned.
	Parse(private []byte) (TokenKey, error)
	// Verify returns the claims of a token if the key with its kid has signed it with that key's own algorithm (RFC 8725,
	// section 3.1), its typ is at+jwt, and its issuer, audience, scope and times match. Otherwise it returns
	// domain.ErrAccessTokenExpired for a token that is valid except for its age, or domain.ErrAccessTokenInvalid.
	Verify(token string, keys []TokenKey, want ExpectedClaims) (domain.AccessClaims, error)
}

// TokenKey is a key pair. Its methods may be called concurrently. Formatting it does not print the key.
type TokenKey interface {
	ID() string // the kid: the RFC 7638 thumbprint of the public key
	Algorithm() domain.SigningAlgorithm
	Private() ([]byte, error)         // PKCS #8
	Public() (json.RawMessage, error) // a JWK (RFC 7517) with kid, alg and use, and nothing private
	Sign(claims domain.AccessClaims) (domain.AccessToken, error)
}

// ExpectedClaims are the claims that Verify requires.
type ExpectedClaims struct {
	Issuer   string
	Audience string // one of the token's
	Scope    string // one of the token's; "" requires none
	Now      time.Time
}

// Sealer encrypts and authenticates secrets at rest. The label is additional data: a value that was encrypted with one label
// cannot be decrypted with another.
type Sealer interface {
	// Seal encrypts plain.
	Seal(plain []byte, label string) ([]byte, error)
	// Open decrypts a ciphertext of Seal. It fails if the ciphertext or the label was changed, or if none of the server's secrets
	// decrypts it.
	Open(sealed []byte, label string) ([]byte, error)
}
