package signingkeys

import (
	"context"
	"crypto/sha256"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Issuer issues the tokens of sessions and verifies access tokens.
type Issuer struct {
	SigningKeys *Service
	Random      io.Reader
	Policy      domain.AccessPolicy
	RefreshKeys domain.KeyRing[domain.RefreshToken]
}

// AccessToken is an access token with its lifetime.
type AccessToken struct {
	Token     domain.AccessToken
	ExpiresIn time.Duration
}

// TokenPair holds the tokens of a session by bearer tokens.
type TokenPair struct {
	Access           AccessToken
	Refresh          domain.RefreshToken
	RefreshExpiresIn time.Duration // each use starts a new period
}

// IssuePair returns a new access token of the session together with its refresh token.
func (i *Issuer) IssuePair(ctx context.Context, s *domain.Session, refresh domain.RefreshToken, now time.Time) (*TokenPair, error) {
	access, err := i.sign(ctx, i.Policy.AccessClaims(s, now, i.Random), now)
	if err != nil {
		return nil, err
	}
	return &TokenPair{Access: access, Refresh: refresh, RefreshExpiresIn: s.IdleEndsAt().Sub(now)}, nil
}

// IssueServiceToken returns an access token for other services. It returns domain.ErrUnauthenticated if the token that requested it
// does not permit that.
func (i *Issuer) IssueServiceToken(ctx context.Context, s *domain.Session, requested domain.AuthContext, now time.Time) (AccessToken, error) {
	claims, err := i.Policy.ServiceClaims(s, requested, now, i.Random)
	if err != nil {
		return AccessToken{}, err
	}
	return i.sign(ctx, claims, now)
}

// Verify returns the claims of an access token for Keylodge itself. It returns domain.ErrAccessTokenInvalid or
// domain.ErrAccessTokenExpired.
func (i *Issuer) Verify(ctx context.Context, token string, now time.Time) (domain.AccessClaims, error) {
	keys, err := i.SigningKeys.load(ctx)
	if err != nil {
		return domain.AccessClaims{}, err
	}
	verified, digest := &i.SigningKeys.verified, sha256.Sum256([]byte(token))
	if v, found := verified.Get(digest); found && v.keys == keys && !now.Before(v.at) && now.Before(v.claims.ExpiresAt) {
		return v.claims, nil
	}
	claims, err := i.SigningKeys.TokenKeys.Verify(token, keys.order, ports.ExpectedClaims{
		Issuer: i.Policy.Issuer, Audience: i.Policy.Issuer, Scope: domain.ScopeAccount, Now: now,
	})
	if err == nil {
		verified.Put(digest, verifiedToken{keys, now, claims})
	}
	return claims, err
}

// verifiedToken is an access token that Verify has accepted. Until its expiry only a change of the keys can make it invalid.
type verifiedToken struct {
	keys   *loadedKeys
	at     time.Time
	claims domain.AccessClaims
}

func (i *Issuer) sign(ctx context.Context, claims domain.AccessClaims, now time.Time) (AccessToken, error) {
	key, err := i.SigningKeys.signer(ctx, now)
	if err != nil {
		return AccessToken{}, err
	}
	token, err := key.Sign(claims)
	return AccessToken{Token: token, ExpiresIn: claims.ExpiresAt.Sub(now)}, err
}
