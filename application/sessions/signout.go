package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SignOut ends the session that a token opens.
type SignOut struct {
	Store ports.Store
	Clock ports.Clock
}

// Execute succeeds also if the token opens nothing (any more): whoever wants to be signed out is.
func (s *SignOut) Execute(ctx context.Context, token domain.SessionToken) error {
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		session, err := tx.Sessions.ByToken(ctx, token.Digest())
		if err != nil {
			return err
		}
		session.Revoke(s.Clock.Now())
		return tx.Sessions.Save(ctx, session)
	})
	if errors.Is(err, domain.ErrUnauthenticated) {
		return nil
	}
	return err
}
