package apikeys

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Authenticate returns the active key with the token, and records its use. It returns domain.ErrAPIKeyInvalid for a token that is
// malformed, unknown, revoked or expired.
func (s *Service) Authenticate(ctx context.Context, presented string) (key *domain.APIKey, err error) {
	token, err := domain.ParseAPIKeyToken(presented)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if key, err = tx.APIKeys.ByToken(ctx, token.Digest()); err != nil {
			return err
		}
		return key.RequireActive(now)
	})
	if err != nil || !key.Use(now) {
		return key, err
	}
	return key, s.Store.Update(ctx, func(tx ports.Tx) error {
		// Another request, or a revocation, may have changed the key meanwhile.
		if key, err = tx.APIKeys.ByID(ctx, key.ID()); err != nil {
			return err
		}
		if err := key.RequireActive(now); err != nil || !key.Use(now) {
			return err
		}
		return tx.APIKeys.Save(ctx, key)
	})
}
