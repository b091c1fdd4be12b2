package signingkeys

import (
	"context"
	"encoding/json"
)

// Publish tells whoever verifies access tokens what keys they are signed with.
type Publish struct{ KeySet *KeySet }

// Execute returns a JWK (RFC 7517) for each key that signs, is about to, or has signed tokens that may still be valid.
func (p *Publish) Execute(ctx context.Context) ([]json.RawMessage, error) {
	keys, err := p.KeySet.verificationKeys(ctx)
	if err != nil {
		return nil, err
	}
	published := make([]json.RawMessage, len(keys))
	for i, key := range keys {
		if published[i], err = key.Public(); err != nil {
			return nil, err
		}
	}
	return published, nil
}
