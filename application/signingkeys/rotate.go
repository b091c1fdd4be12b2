package signingkeys

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Rotate generates the next signing key and returns all keys, the new one first. It calls inTx in the transaction that stores the key. The new key signs after its announcement period;
// tokens issued before stay valid. Keys that cannot be decrypted, because their secret is lost, are removed. It returns
// domain.ErrSigningKeysExternal for external keys.
func (s *Service) Rotate(ctx context.Context, inTx ...func(ports.Tx) error) ([]Key, error) {
	if len(s.External) > 0 {
		return nil, domain.ErrSigningKeysExternal
	}
	current, err := s.reload(ctx, true, inTx...)
	if err != nil {
		return nil, err
	}
	return s.describe(current.keys), nil
}
