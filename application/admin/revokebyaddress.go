package admin

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AddressFilter selects the active sessions whose client last had an address in a range.
type AddressFilter struct {
	Addresses domain.AddressRange
	User      domain.UserRef // whose sessions only; zero for those of all users
	DryRun    bool           // revokes nothing
}

// AddressMatches counts the sessions of one call.
type AddressMatches struct {
	Matched, Revoked int
	More             bool             // there are further sessions to examine
	Next             domain.SessionID // those of the next call come after it
}

const (
	examinedPerCall   = 5000 // sessions, a fraction of a second
	examinedPerView   = 500
	revokedPerUpdate  = 32 // a concurrent sign-in may have to wait for one transaction
	revokedPerRequest = 500
)

// RevokeSessionsByAddress examines sessions in the order of their beginning, from the one after the given id, and revokes those that the
// filter selects. One call examines a limited number; the caller calls it again with Next while there are More. It returns
// domain.ErrUserNotFound. It needs the scope sessions:write.
func (s *Service) RevokeSessionsByAddress(ctx context.Context, filter AddressFilter, after domain.SessionID) (result AddressMatches, err error) {
	if err := s.operator.RequireScope(domain.ScopeSessionsWrite); err != nil {
		return result, err
	}
	owner, err := s.ownerOf(ctx, filter.User)
	if err != nil {
		return result, err
	}
	now := s.Clock.Now()
	if !owner.IsZero() {
		err = s.revokeOfUserByAddress(ctx, owner, filter, now, &result)
		return result, err
	}
	result.More, result.Next = true, after
	for examined := 0; result.More && examined < examinedPerCall && result.Revoked < revokedPerRequest; {
		var page []*domain.Session
		err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.Sessions.ListAllActive(ctx, now, result.Next, examinedPerView)
			return err
		})
		if err != nil {
			return result, err
		}
		examined += len(page)
		result.More = len(page) == examinedPerView
		if err := s.revokeMatching(ctx, page, filter, now, &result); err != nil {
			return result, err
		}
		if len(page) > 0 {
			result.Next = page[len(page)-1].ID()
		}
	}
	return result, nil
}

// maxSessionsOfUser is above every domain.SessionLimit.
const maxSessionsOfUser = 2000

func (s *Service) revokeOfUserByAddress(ctx context.Context, owner domain.UserID, filter AddressFilter, now time.Time, result *AddressMatches) error {
	var active []*domain.Session
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		active, err = tx.Sessions.ListActive(ctx, owner, now, domain.SessionID{}, maxSessionsOfUser)
		return err
	})
	if err != nil {
		return err
	}
	return s.revokeMatching(ctx, active, filter, now, result)
}

// ownerOf returns the id of the user; zero for the zero reference.
func (s *Service) ownerOf(ctx context.Context, ref domain.UserRef) (owner domain.UserID, err error) {
	if ref == (domain.UserRef{}) {
		return owner, nil
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err == nil {
			owner = user.ID()
		}
		return err
	})
	return owner, err
}

func (s *Service) revokeMatching(ctx context.Context, page []*domain.Session, filter AddressFilter, now time.Time, result *AddressMatches) error {
	var matching []domain.SessionID
	for _, session := range page {
		if filter.Addresses.Contains(session.State().Device.IP) {
			matching = append(matching, session.ID())
		}
	}
	result.Matched += len(matching)
	if filter.DryRun {
		return nil
	}
	for len(matching) > 0 {
		batch := matching[:min(revokedPerUpdate, len(matching))]
		matching = matching[len(batch):]
		revoked, err := s.revokeBatch(ctx, batch, now)
		if err != nil {
			return err
		}
		result.Revoked += revoked
	}
	return nil
}

// revokeBatch revokes the sessions that have not ended meanwhile, and returns their number.
func (s *Service) revokeBatch(ctx context.Context, ids []domain.SessionID, now time.Time) (revoked int, err error) {
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		revoked = 0
		for _, id := range ids {
			session, err := tx.Sessions.ByID(ctx, id)
			if errors.Is(err, domain.ErrSessionNotFound) || err == nil && !session.Active(now) {
				continue
			}
			if err != nil {
				return err
			}
			e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator}
			if err := sessions.RevokeSession(ctx, tx, s.Audit, session, s.client, e, now); err != nil {
				return err
			}
			revoked++
		}
		return nil
	})
	return revoked, err
}
