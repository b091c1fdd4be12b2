package signingkeys

import (
	"context"
	"encoding/json"
)

// Publish returns the public keys that verify access tokens, as JWKs (RFC 7517): the key that signs, the announced keys, and the
// retired keys whose tokens may still be valid.
func (s *Service) Publish(ctx context.Context) ([]json.RawMessage, error) {
	current, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	published := make([]json.RawMessage, len(current.order))
	for i, key := range current.order {
		if published[i], err = key.Public(); err != nil {
			return nil, err
		}
	}
	return published, nil
}
