package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Rename sets the name of a passkey; the empty name removes it. It returns domain.ErrPasskeyNotFound, also for another user's
// passkey.
func (s *Service) Rename(ctx context.Context, principal identity.Principal, id domain.CredentialID, name domain.PasskeyName) (renamed *domain.Credential, err error) {
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		var present domain.Passkeys
		if present, err = tx.Credentials.ListByUser(ctx, principal.User.ID()); err != nil {
			return err
		}
		if renamed, err = present.ByID(id); err != nil || !renamed.Rename(name) {
			return err
		}
		if err := tx.Credentials.Save(ctx, renamed); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{
			Kind: domain.EventPasskeyRenamed, UserID: principal.User.ID(), SessionID: principal.Session.ID(), CredentialID: id, PasskeyName: name,
		})
	})
	return renamed, err
}
