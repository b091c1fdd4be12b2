package jwt

import (
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxTokenSize is ten times what a token of ours needs, and little enough to be decoded for anybody who asks.
const maxTokenSize = 8 << 10

// Verify knows keys of this package only. It refuses header and claims of other types than RFC 9068 gives them, and members that
// occur twice, also in a token that one of our own keys has signed: two parsers could read them differently.
func (k *Keys) Verify(token string, keys []ports.TokenKey, want ports.ExpectedClaims) (domain.AccessClaims, error) {
	// Base64 decoders skip line breaks, so that one token could be written in many ways.
	if len(token) > maxTokenSize || strings.ContainsAny(token, "\r\n") {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	encoded, _, _ := strings.Cut(token, ".")
	header, err := k.parser.DecodeSegment(encoded)
	if err != nil {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	if _, err := parseObject(header); err != nil { // the library takes the last of two members
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	var stated parsedClaims
	if _, err := k.parser.ParseWithClaims(token, &stated, keyfunc(keys)); err != nil {
		return domain.AccessClaims{}, domain.ErrAccessTokenInvalid
	}
	return stated.check(want)
}

// keyfunc finds the key that a token's header names, and refuses the token if it is not an access token or names
// another algorithm than the key's. A key or an address of one that the header brings along (jwk, jku, x5c, x5u) is never
// looked at.
//
// The type is compared exactly. RFC 9068, section 4, would also have application/at+jwt, and media types know no case;
// but Keylodge writes neither, so a signed token with either comes from somebody else who uses the same key.
func keyfunc(keys []ports.TokenKey) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != tokenType {
			return nil, errors.New("not an access token")
		}
		if _, critical := token.Header["crit"]; critical { // RFC 7515, section 4.1.11: no extension is understood here
			return nil, errors.New("an extension that must be understood")
		}
		for _, candidate := range keys {
			key, ours := candidate.(*Key)
			if ours && token.Header["kid"] == key.id && token.Method == key.method {
				return key.private.Public(), nil
			}
		}
		return nil, errors.New("no key of that kid and algorithm")
	}
}
