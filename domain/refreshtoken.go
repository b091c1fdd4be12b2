package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
)

// RefreshToken continues a bearer session: a client exchanges it once for an access token and the next refresh token (RFC 9700,
// section 4.14.2). It has 64 bytes: the session's id, 32 random bytes, and a tag, which is an HMAC.
//
// Only the digests of the latest two tokens are stored. By the tag the server recognises all earlier tokens, so that it detects the
// reuse of a stolen token of any age, and so that an attacker cannot revoke a session with a forged token. The successor is derived
// from the token by HMAC: a client that repeats a request receives the same successor, and an attacker with an old token cannot
// compute it.
type RefreshToken struct{ Secret }

const (
	refreshTokenPrefix = "klr_" // lets secret scanners find a leaked token
	refreshNonceLength = 32
	refreshTagLength   = 16
	refreshTokenLength = len(uuid{}) + refreshNonceLength + refreshTagLength
)

// ParseRefreshToken parses a token. It returns ErrRefreshTokenInvalid for a malformed one. Session.Refresh verifies the tag.
func ParseRefreshToken(s string) (RefreshToken, error) {
	encoded, found := strings.CutPrefix(s, refreshTokenPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !found || err != nil || len(raw) != refreshTokenLength || strings.ContainsAny(encoded, "\r\n") {
		return RefreshToken{}, ErrRefreshTokenInvalid
	}
	return RefreshToken{NewSecret(s)}, nil
}

// SessionID returns the id of the session in the token.
func (t RefreshToken) SessionID() SessionID {
	return SessionID{uuid(t.raw()[:len(uuid{})])}
}

func (t RefreshToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// raw decodes a token that was issued or parsed, which cannot fail.
func (t RefreshToken) raw() []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(t.Reveal(), refreshTokenPrefix))
	return raw
}

func newRefreshToken(keys KeyRing[RefreshToken], session SessionID, random io.Reader) RefreshToken {
	var nonce [refreshNonceLength]byte
	readRandom(random, nonce[:])
	return buildRefreshToken(keys[0], session, nonce[:])
}

// successor returns the token that replaces t.
func (t RefreshToken) successor(key []byte) RefreshToken {
	return buildRefreshToken(key, t.SessionID(), hmacSHA256(key, []byte("successor\x00"), t.raw()))
}

// successorByDigest returns the successor of t that has the digest, if one of the keys derives it.
func (t RefreshToken) successorByDigest(keys KeyRing[RefreshToken], digest TokenDigest) (RefreshToken, bool) {
	for _, key := range keys {
		if next := t.successor(key); next.Digest() == digest {
			return next, true
		}
	}
	return RefreshToken{}, false
}

// issuedBy reports whether the tag of t was made with one of the keys.
func (t RefreshToken) issuedBy(keys KeyRing[RefreshToken]) bool {
	raw := t.raw()
	body, tag := raw[:len(raw)-refreshTagLength], raw[len(raw)-refreshTagLength:]
	return slices.ContainsFunc(keys, func(key []byte) bool { return hmac.Equal(tag, refreshTag(key, body)) })
}

func buildRefreshToken(key []byte, session SessionID, nonce []byte) RefreshToken {
	body := slices.Concat(session.uuid[:], nonce)
	raw := slices.Concat(body, refreshTag(key, body))
	return RefreshToken{NewSecret(refreshTokenPrefix + base64.RawURLEncoding.EncodeToString(raw))}
}

func refreshTag(key, body []byte) []byte {
	return hmacSHA256(key, []byte("tag\x00"), body)[:refreshTagLength]
}
