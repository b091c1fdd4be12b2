package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Removed is a user after a removal, with their remaining passkeys.
type Removed struct {
	User                *domain.User
	AcceptedCredentials domain.Passkeys
}

// Remove removes a passkey and revokes the other sessions that were opened with it: a user who removes the passkey of a lost
// device wants that device signed out. It returns domain.ErrStepUpRequired, domain.ErrPasskeyNotFound, also for another
// user's passkey, or domain.ErrLastPasskey.
func (s *Service) Remove(ctx context.Context, principal identity.Principal, id domain.CredentialID) (removed Removed, err error) {
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		// Read inside the transaction: of two concurrent removals of the last two passkeys, one must fail.
		var present domain.Passkeys
		if present, err = tx.Credentials.ListByUser(ctx, principal.User.ID()); err != nil {
			return err
		}
		passkey, err := present.ByID(id)
		if err != nil {
			return err
		}
		removed.User = principal.User
		if removed.AcceptedCredentials, err = present.Remove(id); err != nil {
			return err
		}
		if err := tx.Credentials.Remove(ctx, id); err != nil {
			return err
		}
		e := domain.EventState{
			Kind: domain.EventPasskeyRemoved, UserID: principal.User.ID(), SessionID: principal.Session.ID(), CredentialID: id, PasskeyName: passkey.Name(),
		}
		if err := s.Audit.Record(ctx, tx, principal.Client, now, e); err != nil {
			return err
		}
		e.Kind, e.Reason = domain.EventSessionRevoked, string(domain.EventPasskeyRemoved)
		keep := func(s *domain.Session) bool { return s.ID() == principal.Session.ID() || s.CredentialID() != id }
		_, err = sessions.RevokeSessions(ctx, tx, s.Audit, principal.User.ID(), keep, principal.Client, e, now)
		return err
	})
	return removed, err
}
