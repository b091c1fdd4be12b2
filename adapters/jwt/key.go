package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// tokenType is the typ of every access token (RFC 9068, section 2.1), so that no token of another kind is accepted as one, nor an
// access token as another kind (RFC 8725, section 3.11).
const tokenType = "at+jwt"

// Key implements ports.TokenKey. It is immutable.
type Key struct {
	domain.Redacted
	method  jwt.SigningMethod
	private crypto.Signer // of the type that method requires
	id      string
	public  json.RawMessage
}

var _ ports.TokenKey = (*Key)(nil)

// newKey returns the key for a private key of crypto/x509. Its errors are predicates without a subject, such as "is an RSA
// key".
func newKey(private any) (*Key, error) {
	switch private := private.(type) {
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return nil, unsupportedKey("an EC key on " + private.Curve.Params().Name)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			return nil, errors.New("is not a point of P-256")
		}
		return buildKey(jwt.SigningMethodES256, private, p256JWK(point))
	case ed25519.PrivateKey:
		return buildKey(jwt.SigningMethodEdDSA, private, ed25519JWK(private.Public().(ed25519.PublicKey)))
	case *rsa.PrivateKey:
		return nil, unsupportedKey("an RSA key")
	default:
		return nil, unsupportedKey("a key of another kind")
	}
}

func buildKey(method jwt.SigningMethod, private crypto.Signer, public thumbprintMembers) (*Key, error) {
	id, err := public.thumbprint()
	if err != nil {
		return nil, err
	}
	published, err := json.Marshal(jwk{thumbprintMembers: public, ID: id, Algorithm: method.Alg(), Use: "sig"})
	if err != nil {
		return nil, err
	}
	return &Key{method: method, private: private, id: id, public: published}, nil
}

func unsupportedKey(kind string) error {
	return fmt.Errorf("is %s, but access tokens are signed with P-256 (%s) or Ed25519 (%s)", kind, domain.SigningES256, domain.SigningEdDSA)
}

func (k *Key) ID() string                         { return k.id }
func (k *Key) Algorithm() domain.SigningAlgorithm { return domain.SigningAlgorithm(k.method.Alg()) }
func (k *Key) Private() ([]byte, error)           { return x509.MarshalPKCS8PrivateKey(k.private) }
func (k *Key) Public() (json.RawMessage, error)   { return bytes.Clone(k.public), nil }

func (k *Key) Sign(claims domain.AccessClaims) (domain.AccessToken, error) {
	token := jwt.NewWithClaims(k.method, newClaims(claims))
	token.Header["typ"] = tokenType
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.private)
	if err != nil {
		return domain.AccessToken{}, fmt.Errorf("signing an access token: %w", err)
	}
	return domain.AccessToken{Secret: domain.NewSecret(signed)}, nil
}
