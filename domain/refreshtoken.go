package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
)

// RefreshToken continues a bearer session: it is exchanged for an access token and its own successor, once (RFC 9700,
// section 4.14.2). Its 64 bytes are the session's id, 32 that nobody can guess, and a tag under the server's key.
//
// Only the digest of the latest one is stored. The tag lets the server recognise any earlier one as its own, so that a
// stolen token is noticed however old it is, while nobody can end a session by inventing tokens for it. The successor
// is derived from the token under the server's key, so that whoever asks twice is told the same, and whoever reads an
// old token cannot work out the next.
type RefreshToken struct{ Secret }

// RefreshKeys are the keys behind refresh tokens: the first one mints, all recognise.
type RefreshKeys [][]byte

const (
	refreshTokenPrefix = "klr_" // lets secret scanners find a leaked token
	refreshNonceLength = 32
	refreshTagLength   = 16
	refreshTokenLength = len(uuid{}) + refreshNonceLength + refreshTagLength
)

// ParseRefreshToken takes a token as a client sent it. Anything that was never minted here is ErrRefreshTokenInvalid, at
// the latest when its session looks at it.
func ParseRefreshToken(s string) (RefreshToken, error) {
	encoded, found := strings.CutPrefix(s, refreshTokenPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !found || err != nil || len(raw) != refreshTokenLength || strings.ContainsAny(encoded, "\r\n") {
		return RefreshToken{}, ErrRefreshTokenInvalid
	}
	return RefreshToken{NewSecret(s)}, nil
}

// SessionID is the session that the token claims to continue.
func (t RefreshToken) SessionID() SessionID {
	return SessionID{uuid(t.raw()[:len(uuid{})])}
}

func (t RefreshToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// raw is only called on tokens that were minted or parsed.
func (t RefreshToken) raw() []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(t.Reveal(), refreshTokenPrefix))
	return raw
}

func (k RefreshKeys) newToken(session SessionID, random io.Reader) RefreshToken {
	var nonce [refreshNonceLength]byte
	readRandom(random, nonce[:])
	return buildRefreshToken(k[0], session, nonce[:])
}

// successorByDigest returns the token's successor whose digest is the given one, if one of the keys leads to it.
func (k RefreshKeys) successorByDigest(digest TokenDigest, t RefreshToken) (RefreshToken, bool) {
	for _, key := range k {
		if next := successor(key, t); next.Digest() == digest {
			return next, true
		}
	}
	return RefreshToken{}, false
}

// issued reports whether the token was made here, whenever that was.
func (k RefreshKeys) issued(t RefreshToken) bool {
	raw := t.raw()
	body, tag := raw[:len(raw)-refreshTagLength], raw[len(raw)-refreshTagLength:]
	return slices.ContainsFunc(k, func(key []byte) bool { return hmac.Equal(tag, refreshTag(key, body)) })
}

func successor(key []byte, t RefreshToken) RefreshToken {
	return buildRefreshToken(key, t.SessionID(), hmacFor(key, "successor", t.raw()))
}

func buildRefreshToken(key []byte, session SessionID, nonce []byte) RefreshToken {
	body := slices.Concat(session.uuid[:], nonce)
	raw := slices.Concat(body, refreshTag(key, body))
	return RefreshToken{NewSecret(refreshTokenPrefix + base64.RawURLEncoding.EncodeToString(raw))}
}

func refreshTag(key, body []byte) []byte { return hmacFor(key, "tag", body)[:refreshTagLength] }

func hmacFor(key []byte, purpose string, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(message)
	return mac.Sum(nil)
}
