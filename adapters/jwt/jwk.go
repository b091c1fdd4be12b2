package jwt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// jwk is a published public key (RFC 7517).
type jwk struct {
	thumbprintMembers
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

// thumbprintMembers are the members that the thumbprint of a key covers, in the order of RFC 7638, section 3.2.
type thumbprintMembers struct {
	Curve string `json:"crv"`
	Type  string `json:"kty"`
	X     string `json:"x"`
	Y     string `json:"y,omitempty"`
}

// p256JWK converts an uncompressed point: 04, then both coordinates with 32 bytes each, including leading zeros, as RFC 7518,
// section 6.2.1, requires.
func p256JWK(point []byte) thumbprintMembers {
	return thumbprintMembers{
		Curve: "P-256", Type: "EC",
		X: base64.RawURLEncoding.EncodeToString(point[1:33]), Y: base64.RawURLEncoding.EncodeToString(point[33:]),
	}
}

// ed25519JWK converts a public key (RFC 8037, section 2).
func ed25519JWK(public ed25519.PublicKey) thumbprintMembers {
	return thumbprintMembers{Curve: "Ed25519", Type: "OKP", X: base64.RawURLEncoding.EncodeToString(public)}
}

func (m thumbprintMembers) thumbprint() (string, error) {
	hashed, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(hashed)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
