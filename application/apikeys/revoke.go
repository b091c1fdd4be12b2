package apikeys

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Revoke revokes a key: the next request with it is rejected. It returns domain.ErrAPIKeyNotFound for an unknown key. It is
// idempotent.
func (s *Service) Revoke(ctx context.Context, id domain.APIKeyID) (revoked Key, err error) {
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		key, err := tx.APIKeys.ByID(ctx, id)
		if err != nil {
			return err
		}
		changed := key.Revoke(now)
		if revoked = (Key{key, key.Status(now)}); !changed {
			return nil
		}
		if err := tx.APIKeys.Save(ctx, key); err != nil {
			return err
		}
		return s.record(ctx, tx, domain.EventAPIKeyRevoked, key, now)
	})
	return revoked, err
}
