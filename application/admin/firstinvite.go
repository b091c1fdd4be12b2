package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// firstInviteTTL is the time in which the operator signs up after the first start.
const firstInviteTTL = 7 * 24 * time.Hour

// FirstInvite creates an invite for the first user of a new server on which sign-up requires one. It returns nil on a server with users or
// invites, and with another policy. Of several nodes that start at once, one creates it.
func (s *Service) FirstInvite(ctx context.Context) (*InviteLink, error) {
	if s.Registration != domain.RegistrationInvite {
		return nil, nil
	}
	if isNew, err := s.isNew(ctx); err != nil || !isNew {
		return nil, err
	}
	now := s.Clock.Now()
	created, err := s.newInvites(InviteInput{TTL: firstInviteTTL, Count: 1}, now)
	if err != nil {
		return nil, err
	}
	added := false
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		if added, err = hasNoUsersOrInvites(ctx, tx); err != nil || !added {
			return err
		}
		return s.addInvites(ctx, tx, created, now)
	})
	if err != nil || !added {
		return nil, err
	}
	return &created[0], nil
}

func (s *Service) isNew(ctx context.Context) (isNew bool, err error) {
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		isNew, err = hasNoUsersOrInvites(ctx, tx)
		return err
	})
	return isNew, err
}

func hasNoUsersOrInvites(ctx context.Context, tx ports.Tx) (bool, error) {
	users, err := tx.Users.List(ctx, domain.UserID{}, 1)
	if err != nil || len(users) > 0 {
		return false, err
	}
	invites, err := tx.Invites.List(ctx, domain.InviteID{}, 1)
	return len(invites) == 0, err
}
