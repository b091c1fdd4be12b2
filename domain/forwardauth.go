package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"
	"time"
)

// ForwardAuthToken is what a browser presents to one application behind a reverse proxy: a cookie of the application's host, which
// does not receive the session cookie of this server. It names the session that it belongs to, and each check looks that session up:
// the token ends with it. It keeps the age of the authentication that it was issued for.
type ForwardAuthToken struct {
	Origin    string // of the application; no other one accepts the token
	SessionID SessionID
	AuthTime  time.Time // of the session, when the token was issued; in seconds
	ExpiresAt time.Time // in seconds
}

const (
	forwardAuthTokenTTL    = 24 * time.Hour
	forwardAuthTokenPrefix = "klf_" // lets secret scanners find a leaked token
)

// forwardAuthMembers are the members of a token but for the origin, with times in seconds since 1970.
type forwardAuthMembers struct {
	SessionID           uuid
	AuthTime, ExpiresAt int64
}

// ForwardAuthToken returns a token of the session for an application. It expires with the session at the latest.
func (s *Session) ForwardAuthToken(app Application, now time.Time) ForwardAuthToken {
	expiry := now.Add(forwardAuthTokenTTL)
	if s.state.ExpiresAt.Before(expiry) {
		expiry = s.state.ExpiresAt
	}
	return ForwardAuthToken{app.Origin, s.ID(), inSeconds(s.state.AuthTime), inSeconds(expiry)}
}

// Sign returns the token as the browser presents it: its members but for the origin, which only the HMAC has.
func (t ForwardAuthToken) Sign(keys KeyRing[ForwardAuthToken]) Secret {
	members := t.members()
	return NewSecret(forwardAuthTokenPrefix + members + "." + keys.Sign(forwardAuthMessage(t.Origin, members)))
}

func (t ForwardAuthToken) members() string {
	raw, _ := binary.Append(nil, binary.BigEndian, forwardAuthMembers{t.SessionID.uuid, t.AuthTime.Unix(), t.ExpiresAt.Unix()}) // their size is fixed
	return base64.RawURLEncoding.EncodeToString(raw)
}

// forwardAuthMessage is unambiguous: neither an origin nor base64url contains a space.
func forwardAuthMessage(origin, members string) string { return "token " + origin + " " + members }

// ParseForwardAuthToken returns the token that a browser presents at the origin. It returns ErrUnauthenticated unless the token was
// issued for this origin and has not expired.
func ParseForwardAuthToken(s, origin string, keys KeyRing[ForwardAuthToken], now time.Time) (ForwardAuthToken, error) {
	text, found := strings.CutPrefix(s, forwardAuthTokenPrefix)
	members, mac, _ := strings.Cut(text, ".")
	if !found || len(s) > 128 || !keys.Verify(forwardAuthMessage(origin, members), mac) {
		return ForwardAuthToken{}, ErrUnauthenticated
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(members)
	var decoded forwardAuthMembers
	if n, badLength := binary.Decode(raw, binary.BigEndian, &decoded); err != nil || badLength != nil || n != len(raw) {
		return ForwardAuthToken{}, ErrUnauthenticated
	}
	t := ForwardAuthToken{origin, SessionID{decoded.SessionID}, time.Unix(decoded.AuthTime, 0).UTC(), time.Unix(decoded.ExpiresAt, 0).UTC()}
	if !now.Before(t.ExpiresAt) {
		return ForwardAuthToken{}, ErrUnauthenticated
	}
	return t, nil
}

// Digest identifies the token, for a cache.
func (t ForwardAuthToken) Digest() TokenDigest {
	return sha256.Sum256([]byte(forwardAuthMessage(t.Origin, t.members())))
}

// AuthContext returns the proof of a request that presents the token.
func (t ForwardAuthToken) AuthContext() AuthContext {
	return AuthContext{Kind: TokenForwardAuth, AuthTime: t.AuthTime, ExpiresAt: t.ExpiresAt}
}

// ForwardAuthCallbackPath is the path on the host of an application where a sign-in ends. The reverse proxy answers it with this
// server's response, so that the application never receives a code.
const ForwardAuthCallbackPath = "/.keylodge/callback"

// ForwardAuthCallback returns the address that a sign-in returns to: the callback of the same application, with the path and the query
// of r as a parameter. If that is too long for an address, the parameter is the application's first page.
func (r ReturnAddress) ForwardAuthCallback() ReturnAddress {
	callback := func(path string) string {
		return r.app.Origin + ForwardAuthCallbackPath + "?path=" + url.QueryEscape(path)
	}
	address := callback(strings.TrimPrefix(r.text, r.app.Origin))
	if len(address) > maxReturnAddressLength {
		address = callback("/")
	}
	return ReturnAddress{address, r.app}
}

// ForwardAuthVerifier returns the verifier for the code of a sign-in. It is derived from the secret of the browser that began the
// sign-in and from the address that the code is for: the code is worthless in another browser. It is not the browser's secret itself,
// which the application receives in a cookie: an application cannot redeem the code for tokens. Without a secret it is zero, which
// matches no code.
func ForwardAuthVerifier(browser Secret, callback ReturnAddress, keys KeyRing[ForwardAuthToken]) CodeVerifier {
	if browser.IsZero() {
		return CodeVerifier{}
	}
	return CodeVerifier{NewSecret(keys.Sign("verifier " + browser.Reveal() + " " + callback.text))}
}

// ForwardAuthAddress returns the address of a request that a reverse proxy describes by its origin and its path with the query. It
// returns ErrForwardAuthNotAllowed unless an application with forward auth has the origin, byte for byte. A user cannot return to
// every address: if it is not one of ParseReturnTo, the result is the application's first page.
func (a Applications) ForwardAuthAddress(origin, pathAndQuery string) (ReturnAddress, error) {
	app, found := a.ByOrigin(origin)
	if !found || !app.ForwardAuth {
		return ReturnAddress{}, ErrForwardAuthNotAllowed
	}
	if address, err := (Applications{app}).ParseReturnTo(origin + pathAndQuery); err == nil {
		return address, nil
	}
	return ReturnAddress{origin + "/", app}, nil
}
