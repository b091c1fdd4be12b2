package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ListInvites returns up to limit invites, oldest first, that come after the given one; the zero id starts at the first. It also returns
// those that were used or revoked or have expired. It needs the scope invites:read.
func (s *Service) ListInvites(ctx context.Context, after domain.InviteID, limit int) (invites []Invite, err error) {
	if err := s.operator.RequireScope(domain.ScopeInvitesRead); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		found, err := tx.Invites.List(ctx, after, limit)
		invites = make([]Invite, len(found))
		for i, invite := range found {
			invites[i] = Invite{invite, invite.Status(now)}
		}
		return err
	})
	return invites, err
}
