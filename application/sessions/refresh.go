package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Refresh continues the session of a program: its refresh token is exchanged for a new pair of tokens.
type Refresh struct {
	Store    ports.Store
	Clock    ports.Clock
	Issuer   *signingkeys.Issuer
	Audit    *audit.Log
	Lifetime domain.SessionLifetime
}

// Execute fails with domain.ErrRefreshTokenInvalid, domain.ErrSessionExpired, domain.ErrSessionRevoked,
// domain.ErrUserDisabled or, if the token was replaced before, domain.ErrRefreshTokenReused: then the session is over, and
// its user finds out why in their log.
func (r *Refresh) Execute(ctx context.Context, token domain.RefreshToken, visitor identity.Client) (*signingkeys.TokenPair, error) {
	now := r.Clock.Now()
	var session *domain.Session
	var next domain.RefreshToken
	err := r.Store.Update(ctx, func(tx ports.Tx) error {
		var changed bool
		var err error
		if session, err = tx.Sessions.ByID(ctx, token.SessionID()); errors.Is(err, domain.ErrSessionNotFound) {
			return domain.ErrRefreshTokenInvalid
		} else if err != nil {
			return err
		}
		next, changed, err = session.Refresh(token, r.Issuer.RefreshKeys, r.Lifetime, now)
		if errors.Is(err, domain.ErrRefreshTokenReused) {
			reused := domain.EventState{Kind: domain.EventRefreshTokenReused}
			if err := RevokeSession(ctx, tx, r.Audit, session, visitor, reused, now); err != nil {
				return err
			}
			return ports.CommitWith(err)
		}
		if err != nil {
			return err
		}
		user, err := tx.Users.ByID(ctx, session.UserID())
		if err != nil {
			return err
		}
		if err := user.RequireEnabled(); err != nil || !changed {
			return err
		}
		session.RecordIP(visitor.IP)
		return tx.Sessions.Save(ctx, session)
	})
	if err != nil {
		return nil, err
	}
	// After the commit, since a unit of work does no cryptography. Should it fail, the same token may be shown again.
	return r.Issuer.IssuePair(ctx, session, next, now)
}
