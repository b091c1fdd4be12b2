package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Remove takes a passkey away from its owner's account.
type Remove struct {
	Store  ports.Store
	Clock  ports.Clock
	Audit  *audit.Log
	StepUp domain.StepUpTTL
}

// Removed is the account without the passkey.
type Removed struct {
	User                *domain.User
	AcceptedCredentials domain.Passkeys
}

// Execute also ends the other sessions that this passkey opened: whoever removes the passkey of a lost device wants
// nobody to stay signed in on it. It fails with domain.ErrStepUpRequired, domain.ErrPasskeyNotFound, also for somebody
// else's, or domain.ErrLastPasskey.
func (r *Remove) Execute(ctx context.Context, actor identity.Principal, id domain.CredentialID) (removed Removed, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(r.StepUp, now); err != nil {
			return err
		}
		// Read here, so that of two who remove the last two at once one finds only one left.
		var present domain.Passkeys
		if present, err = tx.Credentials.ListByUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		leaving, err := present.ByID(id)
		if err != nil {
			return err
		}
		removed.User = actor.User
		if removed.AcceptedCredentials, err = present.Remove(id); err != nil {
			return err
		}
		if err := tx.Credentials.Remove(ctx, id); err != nil {
			return err
		}
		about := domain.EventState{
			Kind: domain.EventPasskeyRemoved, UserID: actor.User.ID(), SessionID: actor.Session.ID(), CredentialID: id, PasskeyName: leaving.Name(),
		}
		if err := r.Audit.Record(ctx, tx, actor.Client, now, about); err != nil {
			return err
		}
		about.Kind, about.Reason = domain.EventSessionRevoked, string(domain.EventPasskeyRemoved)
		keep := func(s *domain.Session) bool { return s.ID() == actor.Session.ID() || s.CredentialID() != id }
		_, err = sessions.RevokeSessions(ctx, tx, r.Audit, actor.User.ID(), keep, actor.Client, about, now)
		return err
	})
	return removed, err
}
