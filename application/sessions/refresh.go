package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Refresh exchanges a refresh token for a new pair of tokens. It returns domain.ErrRefreshTokenInvalid, domain.ErrSessionExpired,
// domain.ErrSessionRevoked, domain.ErrUserDisabled, or domain.ErrRefreshTokenReused if the token was exchanged before: then it
// revokes the session and records the reason as an event of the user (RFC 9700, section 4.14.2).
func (s *Service) Refresh(ctx context.Context, token domain.RefreshToken, client identity.Client) (*signingkeys.TokenPair, error) {
	now := s.Clock.Now()
	var session *domain.Session
	var next domain.RefreshToken
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		var changed bool
		var err error
		if session, err = tx.Sessions.ByID(ctx, token.SessionID()); errors.Is(err, domain.ErrSessionNotFound) {
			return domain.ErrRefreshTokenInvalid
		} else if err != nil {
			return err
		}
		next, changed, err = session.Refresh(token, s.Issuer.RefreshKeys, s.Lifetime, now)
		if errors.Is(err, domain.ErrRefreshTokenReused) {
			reused := domain.EventState{Kind: domain.EventRefreshTokenReused}
			if err := RevokeSession(ctx, tx, s.Audit, session, client, reused, now); err != nil {
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
		session.RecordIP(client.IP)
		return tx.Sessions.Save(ctx, session)
	})
	if err != nil {
		return nil, err
	}
	// Signed after the commit, to keep the transaction short. If signing fails, the client can present the same token again.
	return s.Issuer.IssuePair(ctx, session, next, now)
}
