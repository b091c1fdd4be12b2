package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Rename gives a passkey the name that its owner knows it by.
type Rename struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute fails with domain.ErrPasskeyNotFound, also for somebody else's. The empty name is none.
func (r *Rename) Execute(ctx context.Context, actor identity.Principal, id domain.CredentialID, name domain.PasskeyName) (renamed *domain.Credential, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		var present domain.Passkeys
		if present, err = tx.Credentials.ListByUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		if renamed, err = present.ByID(id); err != nil || !renamed.Rename(name) {
			return err
		}
		if err := tx.Credentials.Save(ctx, renamed); err != nil {
			return err
		}
		return r.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{
			Kind: domain.EventPasskeyRenamed, UserID: actor.User.ID(), SessionID: actor.Session.ID(), CredentialID: id, PasskeyName: name,
		})
	})
	return renamed, err
}
