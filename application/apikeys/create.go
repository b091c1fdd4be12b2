package apikeys

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Create creates a key that expires after ttl, and returns its token, which is not stored. It returns the errors of domain.NewAPIKey.
func (s *Service) Create(ctx context.Context, name string, scopes []domain.Scope, ttl time.Duration) (Key, domain.APIKeyToken, error) {
	now := s.Clock.Now()
	key, token, err := domain.NewAPIKey(name, scopes, ttl, now, s.Random)
	if err != nil {
		return Key{}, domain.APIKeyToken{}, err
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := tx.APIKeys.Add(ctx, key); err != nil {
			return err
		}
		return s.record(ctx, tx, domain.EventAPIKeyCreated, key, now)
	})
	return Key{key, key.Status(now)}, token, err
}

// record stores an event about a key, which it names.
func (s *Service) record(ctx context.Context, tx ports.Tx, kind domain.EventKind, key *domain.APIKey, now time.Time) error {
	return s.Audit.Record(ctx, tx, identity.Client{APIKey: key.ID()}, now, domain.EventState{Kind: kind, Actor: domain.ActorOperator})
}
