package ratelimit

import "context"

// DeleteExpired deletes the shared buckets that are full.
func (s *Service) DeleteExpired(ctx context.Context) error {
	if s.Shared == nil || !s.breaker.healthy() {
		return nil
	}
	return s.Shared.DeleteExpired(ctx)
}
