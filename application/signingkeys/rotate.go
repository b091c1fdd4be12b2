package signingkeys

import "context"

// Rotate generates the next signing key and returns all keys, the new one first. The new key signs after its announcement period;
// tokens issued before stay valid. Keys that cannot be decrypted, because their secret is lost, are removed. It returns
// ErrExternalKeys for external keys.
func (s *Service) Rotate(ctx context.Context) ([]Key, error) {
	if len(s.External) > 0 {
		return nil, ErrExternalKeys
	}
	current, err := s.reload(ctx, true)
	if err != nil {
		return nil, err
	}
	return s.describe(current.keys), nil
}
