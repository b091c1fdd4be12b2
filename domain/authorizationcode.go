package domain

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"strings"
	"time"
)

// AuthorizationCode lets an application continue a sign-in: the page of a signed-in user issues it and returns to the application
// with it, and the application redeems it once (RFC 6749, section 4.1). PKCE binds it to the client that sent the user: only that
// client knows the verifier (RFC 7636; RFC 9700, section 2.1.1).
type AuthorizationCode struct{ state AuthorizationCodeState }

// AuthorizationCodeState is the state of a code as it is stored. A redeemed code is kept until it is deleted after its expiry, so that
// a second redemption is recognised.
type AuthorizationCodeState struct {
	Digest        TokenDigest
	SessionID     SessionID // that issued the code
	AuthTime      time.Time // of that session, when it issued the code
	ReturnTo      string
	Challenge     CodeChallenge
	CreatedAt     time.Time
	ExpiresAt     time.Time
	RedeemedAt    time.Time // zero until the first redemption, also if that failed
	IssuedSession SessionID // that the redemption opened; zero if it opened none
}

// AuthorizationCodeSecret is the secret of an authorization code: 256 random bits, which the server does not store.
type AuthorizationCodeSecret struct{ Secret }

const (
	authorizationCodeTTL    = time.Minute // RFC 6749, section 4.1.2, recommends at most ten minutes
	authorizationCodePrefix = "klc_"      // lets secret scanners find a leaked code
	maxStateLength          = 512
)

// AuthorizationRequest is what an application asks for when it sends a user to sign in.
type AuthorizationRequest struct {
	ReturnTo  ReturnAddress
	Challenge CodeChallenge
	State     string // returned unchanged (RFC 6749, section 4.1.1); at most 512 bytes
}

// IssueAuthorizationCode returns a code for the application of the request, and the address that returns to it with the code. It
// returns ErrUnauthenticated unless the proof that the request presented permits it, ErrStepUpRequired if the authentication is too
// old for the application, and an *InvalidInput for a request that is not valid.
func IssueAuthorizationCode(s *Session, auth AuthContext, request AuthorizationRequest, now time.Time, random io.Reader) (*AuthorizationCode, string, error) {
	if !auth.Kind.Permits(UseAuthorize) {
		return nil, "", ErrUnauthenticated
	}
	var badState error
	if len(request.State) > maxStateLength {
		badState = Invalid("state", "too_long", "this must have at most 512 bytes")
	}
	if err := JoinInvalid(request.ReturnTo.requireNoParameters(), badState); err != nil {
		return nil, "", err
	}
	if err := request.ReturnTo.Application().RequireRecentAuth(auth.AuthTime, now); err != nil {
		return nil, "", err
	}
	var raw [32]byte
	readRandom(random, raw[:])
	secret := AuthorizationCodeSecret{NewSecret(authorizationCodePrefix + base64.RawURLEncoding.EncodeToString(raw[:]))}
	code := &AuthorizationCode{AuthorizationCodeState{
		Digest: secret.Digest(), SessionID: s.ID(), AuthTime: s.AuthTime(), ReturnTo: request.ReturnTo.String(), Challenge: request.Challenge,
		CreatedAt: now, ExpiresAt: now.Add(authorizationCodeTTL),
	}}
	return code, request.ReturnTo.withParameters(secret, request.State), nil
}

// ParseAuthorizationCode parses a code. It returns ErrAuthorizationCodeInvalid for a malformed one.
func ParseAuthorizationCode(s string) (AuthorizationCodeSecret, error) {
	encoded, found := strings.CutPrefix(s, authorizationCodePrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(32) {
		return AuthorizationCodeSecret{}, ErrAuthorizationCodeInvalid
	}
	return AuthorizationCodeSecret{NewSecret(s)}, nil
}

func (c AuthorizationCodeSecret) Digest() TokenDigest { return sha256.Sum256([]byte(c.Reveal())) }

// RestoreAuthorizationCode returns the code with the given state.
func RestoreAuthorizationCode(s AuthorizationCodeState) *AuthorizationCode {
	return &AuthorizationCode{s}
}

// State returns the state, for storage.
func (c *AuthorizationCode) State() AuthorizationCodeState { return c.state }

func (c *AuthorizationCode) SessionID() SessionID     { return c.state.SessionID }
func (c *AuthorizationCode) IssuedSession() SessionID { return c.state.IssuedSession }

// Redeem checks whether the client that presents the code with the address and the verifier may redeem it. The first call makes the
// code redeemed, whatever its result, and the caller stores that. It returns ErrAuthorizationCodeReused for a code that was redeemed
// before, which two parties have: the session from its first redemption must be revoked (RFC 6749, section 4.1.2; RFC 9700, section
// 4.5). It returns ErrAuthorizationCodeInvalid if the code has expired, the client is not the one that sent the user, or the session
// that issued the code has ended or stepped up since.
func (c *AuthorizationCode) Redeem(returnTo string, verifier CodeVerifier, issuer *Session, now time.Time) error {
	if !c.state.RedeemedAt.IsZero() {
		return ErrAuthorizationCodeReused
	}
	c.state.RedeemedAt = now
	if !now.Before(c.state.ExpiresAt) || returnTo != c.state.ReturnTo || !verifier.matches(c.state.Challenge) ||
		!issuer.Active(now) || !issuer.AuthTime().Equal(c.state.AuthTime) {
		return ErrAuthorizationCodeInvalid
	}
	return nil
}

// Opened records the session that the redemption opens.
func (c *AuthorizationCode) Opened(s *Session) { c.state.IssuedSession = s.ID() }

// CodeChallenge is the digest of a CodeVerifier, by the method S256. The method plain is not supported: it would reveal the verifier.
type CodeChallenge [sha256.Size]byte

// ParseCodeChallenge parses a challenge in unpadded base64url (RFC 7636, section 4.2). It returns an *InvalidInput.
func ParseCodeChallenge(s string) (challenge CodeChallenge, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != len(challenge) || strings.ContainsAny(s, "\r\n") {
		return CodeChallenge{}, Invalid("code_challenge", "invalid_challenge", "this must be the SHA-256 of the code verifier in base64url: 43 characters (RFC 7636, method S256)")
	}
	return CodeChallenge(raw), nil
}

// CodeVerifier is the secret of the client that sent the user (RFC 7636, section 4.1).
type CodeVerifier struct{ Secret }

// NewCodeVerifier returns a verifier of 256 random bits, and its challenge.
func NewCodeVerifier(random io.Reader) (CodeVerifier, CodeChallenge) {
	var raw [32]byte
	readRandom(random, raw[:])
	verifier := CodeVerifier{NewSecret(base64.RawURLEncoding.EncodeToString(raw[:]))}
	return verifier, verifier.Challenge()
}

// ParseCodeVerifier parses a verifier: 43 to 128 characters, which are alphanumeric or one of "-._~". It returns
// ErrAuthorizationCodeInvalid for any other text, as for a wrong verifier.
func ParseCodeVerifier(s string) (CodeVerifier, error) {
	isNotUnreserved := func(r rune) bool { return isNotURLChar(r) || strings.ContainsRune(":/?[]@!$&'()*+,;=%", r) }
	if len(s) < 43 || len(s) > 128 || strings.ContainsFunc(s, isNotUnreserved) {
		return CodeVerifier{}, ErrAuthorizationCodeInvalid
	}
	return CodeVerifier{NewSecret(s)}, nil
}

// Challenge returns the challenge of the verifier.
func (v CodeVerifier) Challenge() CodeChallenge { return sha256.Sum256([]byte(v.Reveal())) }

func (v CodeVerifier) matches(challenge CodeChallenge) bool {
	own := v.Challenge()
	return !v.IsZero() && subtle.ConstantTimeCompare(own[:], challenge[:]) == 1
}

// String returns the challenge in unpadded base64url.
func (c CodeChallenge) String() string { return base64.RawURLEncoding.EncodeToString(c[:]) }
