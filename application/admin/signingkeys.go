package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ListSigningKeys returns the keys that sign access tokens, the last to sign first. It needs the scope signing_keys:read.
func (s *Service) ListSigningKeys(ctx context.Context) ([]signingkeys.Key, error) {
	if err := s.operator.RequireScope(domain.ScopeSigningKeysRead); err != nil {
		return nil, err
	}
	return s.SigningKeys.List(ctx)
}

// RotateSigningKeys is signingkeys.Service.Rotate, with an event. It needs the scope signing_keys:write.
func (s *Service) RotateSigningKeys(ctx context.Context) ([]signingkeys.Key, error) {
	if err := s.operator.RequireScope(domain.ScopeSigningKeysWrite); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	return s.SigningKeys.Rotate(ctx, func(tx ports.Tx) error {
		return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{Kind: domain.EventSigningKeyRotated, Actor: domain.ActorOperator})
	})
}
