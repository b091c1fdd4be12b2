package tokens

import (
	"context"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Issuer makes tokens for sessions and reads them again.
type Issuer struct {
	Keyring     *Keyring
	Keys        ports.TokenKeys
	Random      io.Reader
	Policy      domain.AccessPolicy
	RefreshKeys domain.RefreshKeys
}

// Access is an access token and when it ends.
type Access struct {
	Token     domain.AccessToken
	ExpiresIn time.Duration
}

// Pair is what carries the session of a program.
type Pair struct {
	Access           Access
	Refresh          domain.RefreshToken
	RefreshExpiresIn time.Duration // if it is not used before
}

// Pair goes with a session and its refresh token.
func (i *Issuer) Pair(ctx context.Context, s *domain.Session, refresh domain.RefreshToken, now time.Time) (*Pair, error) {
	claims, err := i.Policy.AccessClaims(s, now, i.Random)
	if err != nil {
		return nil, err
	}
	access, err := i.sign(ctx, claims, now)
	if err != nil {
		return nil, err
	}
	return &Pair{Access: access, Refresh: refresh, RefreshExpiresIn: s.EndsAt().Sub(now)}, nil
}

// ForServices makes an access token that the holder of the proof can show to other services. It fails with
// domain.ErrUnauthenticated if the proof does not permit that.
func (i *Issuer) ForServices(ctx context.Context, s *domain.Session, requested domain.SessionProof, now time.Time) (Access, error) {
	claims, err := i.Policy.ServiceClaims(s, requested, now, i.Random)
	if err != nil {
		return Access{}, err
	}
	return i.sign(ctx, claims, now)
}

// Read returns what an access token for Keylodge itself states. It fails with domain.ErrAccessTokenInvalid or
// domain.ErrAccessTokenExpired.
func (i *Issuer) Read(ctx context.Context, token string, now time.Time) (domain.AccessClaims, error) {
	keys, err := i.Keyring.believed(ctx)
	if err != nil {
		return domain.AccessClaims{}, err
	}
	return i.Keys.Verify(token, keys, ports.TokenExpectation{
		Issuer: i.Policy.Issuer, Audience: i.Policy.Issuer, Scope: domain.ScopeAccount, Now: now,
	})
}

func (i *Issuer) sign(ctx context.Context, claims domain.AccessClaims, now time.Time) (Access, error) {
	key, err := i.Keyring.signer(ctx, now)
	if err != nil {
		return Access{}, err
	}
	token, err := key.Sign(claims)
	return Access{Token: token, ExpiresIn: claims.ExpiresAt.Sub(now)}, err
}
