package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeInvite revokes an invite: sign-ups with it are rejected, also those that have begun. It returns domain.ErrInviteNotFound, or
// domain.ErrInviteAlreadyUsed. It is idempotent. It needs the scope invites:write.
func (s *Service) RevokeInvite(ctx context.Context, id domain.InviteID) (revoked Invite, err error) {
	if err := s.operator.RequireScope(domain.ScopeInvitesWrite); err != nil {
		return Invite{}, err
	}
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		invite, err := tx.Invites.ByID(ctx, id)
		if err != nil {
			return err
		}
		changed, err := invite.Revoke(now)
		if revoked = (Invite{invite, invite.Status(now)}); err != nil || !changed {
			return err
		}
		if err := tx.Invites.End(ctx, invite); err != nil {
			return err
		}
		return s.recordInvite(ctx, tx, domain.EventInviteRevoked, id, now)
	})
	return revoked, err
}
