package recovery

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts the enrolment that a grant buys.
type Begin struct {
	Policy       domain.RecoveryPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
}

// Execute returns the options for the new passkey. The grant is looked at and not spent: whoever dismisses the prompt may
// begin again. It fails with domain.ErrInvalidGrant.
func (b *Begin) Execute(ctx context.Context, token domain.GrantToken, browser domain.Binding) (ceremony.Started, error) {
	now := b.Clock.Now()
	var user *domain.User
	var present domain.Keyring
	err := b.Store.View(ctx, func(tx ports.Tx) error {
		grant, err := tx.Grants.ByToken(ctx, token.Digest())
		if err != nil {
			return err
		}
		if err := errors.Join(grant.Usable(now), grant.PaidFor(b.Policy)); err != nil {
			return err
		}
		if user, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
			return err
		}
		if user.Enabled() != nil {
			return domain.ErrInvalidGrant // nobody is told about an account before they have proved that it is theirs
		}
		present, err = tx.Credentials.OfUser(ctx, user.ID())
		return err
	})
	if err != nil {
		return ceremony.Started{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(user.Entity(), present.Descriptors())
	if err != nil {
		return ceremony.Started{}, err
	}
	return b.Desk.Start(ctx, domain.PurposeRecovery, domain.Respondent{Browser: browser, Grant: token.Digest()}, registration, nil)
}
