package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Invite is an invite with its status at the time of the call.
type Invite struct {
	*domain.Invite
	Status domain.InviteStatus
}

// InviteLink is a new invite with its token, which is not stored. The operator sends the link to the person.
type InviteLink struct {
	Invite
	Token domain.InviteToken
	Link  domain.Secret // contains the token
}

// InviteInput describes new invites.
type InviteInput struct {
	Email  domain.Email // the only address that can sign up; "" for any, and for more than one invite
	Groups []domain.Group
	TTL    time.Duration
	Count  int // 1 to 100
}

// maxInvites limits the invites of one transaction.
const maxInvites = 100

// CreateInvites creates invites. It returns domain.ErrInvitesNotAccepted if sign-up is closed, or an *InvalidInput. It needs the scope
// invites:write, and users:write for invites with groups, since that scope is the one that puts users into groups.
func (s *Service) CreateInvites(ctx context.Context, in InviteInput) ([]InviteLink, error) {
	if err := s.requireInvites(in.Groups); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	created, err := s.newInvites(in, now)
	if err != nil {
		return nil, err
	}
	return created, s.Store.Update(ctx, func(tx ports.Tx) error { return s.addInvites(ctx, tx, created, now) })
}

func (s *Service) requireInvites(groups []domain.Group) error {
	if err := s.operator.RequireScope(domain.ScopeInvitesWrite); err != nil {
		return err
	}
	if len(groups) > 0 {
		if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
			return err
		}
	}
	return s.Registration.RequireInvites()
}

func (s *Service) newInvites(in InviteInput, now time.Time) ([]InviteLink, error) {
	switch {
	case in.Count < 1 || in.Count > maxInvites:
		return nil, domain.Invalid("count", "out_of_range", fmt.Sprintf("create 1 to %d invites", maxInvites))
	case in.Count > 1 && in.Email != "":
		return nil, domain.Invalid("count", "out_of_range", "an invite for an e-mail address is created alone")
	}
	created := make([]InviteLink, in.Count)
	for i := range created {
		invite, token, err := domain.NewInvite(in.Email, in.Groups, in.TTL, now, s.Random)
		if err != nil {
			return nil, err
		}
		created[i] = InviteLink{Invite{invite, invite.Status(now)}, token, s.InviteURL(token)}
	}
	return created, nil
}

func (s *Service) addInvites(ctx context.Context, tx ports.Tx, created []InviteLink, now time.Time) error {
	for _, one := range created {
		if err := tx.Invites.Add(ctx, one.Invite.Invite); err != nil {
			return err
		}
		if err := s.recordInvite(ctx, tx, domain.EventInviteCreated, one.ID(), now); err != nil {
			return err
		}
	}
	return nil
}

// recordInvite stores an event about an invite, which it names.
func (s *Service) recordInvite(ctx context.Context, tx ports.Tx, kind domain.EventKind, id domain.InviteID, now time.Time) error {
	return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{Kind: kind, Invite: id, Actor: domain.ActorOperator})
}
