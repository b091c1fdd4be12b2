package signingkeys

import (
	"context"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Issuer makes tokens for sessions and reads them again.
type Issuer struct {
	KeySet      *KeySet
	Keys        ports.TokenKeys
	Random      io.Reader
	Policy      domain.AccessPolicy
	RefreshKeys domain.RefreshKeys
}

// AccessToken is an access token and when it ends.
type AccessToken struct {
	Token     domain.AccessToken
	ExpiresIn time.Duration
}

// TokenPair is what carries the session of a program.
type TokenPair struct {
	Access           AccessToken
	Refresh          domain.RefreshToken
	RefreshExpiresIn time.Duration // if it is not used before
}

// IssuePair goes with a session and its refresh token.
func (i *Issuer) IssuePair(ctx context.Context, s *domain.Session, refresh domain.RefreshToken, now time.Time) (*TokenPair, error) {
	access, err := i.sign(ctx, i.Policy.AccessClaims(s, now, i.Random), now)
	if err != nil {
		return nil, err
	}
	return &TokenPair{Access: access, Refresh: refresh, RefreshExpiresIn: s.IdleEndsAt().Sub(now)}, nil
}

// IssueServiceToken makes an access token that the holder of the proof can show to other services. It fails with
// domain.ErrUnauthenticated if the proof does not permit that.
func (i *Issuer) IssueServiceToken(ctx context.Context, s *domain.Session, requested domain.AuthContext, now time.Time) (AccessToken, error) {
	claims, err := i.Policy.ServiceClaims(s, requested, now, i.Random)
	if err != nil {
		return AccessToken{}, err
	}
	return i.sign(ctx, claims, now)
}

// Verify returns what an access token for Keylodge itself states. It fails with domain.ErrAccessTokenInvalid or
// domain.ErrAccessTokenExpired.
func (i *Issuer) Verify(ctx context.Context, token string, now time.Time) (domain.AccessClaims, error) {
	keys, err := i.KeySet.verificationKeys(ctx)
	if err != nil {
		return domain.AccessClaims{}, err
	}
	return i.Keys.Verify(token, keys, ports.ExpectedClaims{
		Issuer: i.Policy.Issuer, Audience: i.Policy.Issuer, Scope: domain.ScopeAccount, Now: now,
	})
}

func (i *Issuer) sign(ctx context.Context, claims domain.AccessClaims, now time.Time) (AccessToken, error) {
	key, err := i.KeySet.signer(ctx, now)
	if err != nil {
		return AccessToken{}, err
	}
	token, err := key.Sign(claims)
	return AccessToken{Token: token, ExpiresIn: claims.ExpiresAt.Sub(now)}, err
}
