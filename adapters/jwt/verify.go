package jwt

import (
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxTokenSize is ten times the size of an issued token. It bounds the work for unauthenticated requests.
const maxTokenSize = 8 << 10

// Verify implements ports.TokenKeys. It accepts keys of this package only. It rejects headers and claims with types that differ
// from RFC 9068, and duplicate members, also in a token with a valid signature: two parsers could interpret them differently.
func (k *Keys) Verify(token string, keys []ports.TokenKey, want ports.ExpectedClaims) (domain.AccessClaims, error) {
	// Base64 decoders skip line breaks, so that one token would have several encodings.
	if len(token) > maxTokenSize || strings.ContainsAny(token, "\r\n") {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	encoded, _, _ := strings.Cut(token, ".")
	header, err := k.parser.DecodeSegment(encoded)
	if err != nil {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	if _, err := parseObject(header); err != nil { // the library accepts duplicates and uses the last one
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	var stated parsedClaims
	if _, err := k.parser.ParseWithClaims(token, &stated, keyfunc(keys)); err != nil {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	return stated.check(want)
}

// keyfunc returns the key with the kid of a token's header. It fails for a token of another type, and for one with another
// algorithm than the key's. It ignores keys in the header and their URLs (jwk, jku, x5c, x5u).
//
// The type is compared exactly. RFC 9068, section 4, also allows application/at+jwt, and media types are case-insensitive, but
// Keylodge issues neither: a signed token with such a type is from another program that uses the same key.
func keyfunc(keys []ports.TokenKey) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != tokenType {
			return nil, errors.New("not an access token")
		}
		if _, critical := token.Header["crit"]; critical { // RFC 7515, section 4.1.11: no extension is supported
			return nil, errors.New("a critical extension")
		}
		for _, candidate := range keys {
			key, ours := candidate.(*Key)
			if ours && token.Header["kid"] == key.id && token.Method == key.method {
				return key.private.Public(), nil
			}
		}
		return nil, errors.New("no key with this kid and algorithm")
	}
}
