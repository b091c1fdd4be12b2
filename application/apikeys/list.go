package apikeys

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// List returns up to limit keys, oldest first, that come after the given one; the zero id starts at the first. It also returns those
// that were revoked or have expired.
func (s *Service) List(ctx context.Context, after domain.APIKeyID, limit int) (keys []Key, err error) {
	now := s.Clock.Now()
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		found, err := tx.APIKeys.List(ctx, after, limit)
		keys = make([]Key, len(found))
		for i, key := range found {
			keys[i] = Key{key, key.Status(now)}
		}
		return err
	})
	return keys, err
}
