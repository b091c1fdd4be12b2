package admin

import (
	"context"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RecoverUser gives the operator a grant to pass on to a person who has nothing left to recover with, and whom they know.
type RecoverUser struct {
	Store        ports.Store
	Clock        ports.Clock
	Random       io.Reader
	Audit        *audit.Log
	Keys         domain.RecoveryGrantKeys
	AccessPolicy domain.AccessPolicy
}

// RecoveryLink is what the operator passes on.
type RecoveryLink struct {
	User  *domain.User
	Token domain.RecoveryGrantToken
	// Link leads to the page that enrols. The token stands in its fragment, which browsers keep to themselves.
	Link      domain.Secret
	ExpiresAt time.Time
}

var errDisabled = &domain.Error{Kind: domain.KindConflict, Code: "user_disabled", Message: "this account is disabled; enable it first"}

// Execute fails with domain.ErrUserNotFound, or with user_disabled for an account that is shut. It works whatever the recovery policy says: the
// operator's word is not a code.
func (r *RecoverUser) Execute(ctx context.Context, who UserRef) (recovery RecoveryLink, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		if user.Disabled() {
			return errDisabled
		}
		grant, token, err := domain.NewRecoveryGrant(user.ID(), []domain.RecoveryFactor{domain.FactorOperator}, domain.BackupCodeDigest{}, r.Keys, now, r.Random)
		if err != nil {
			return err
		}
		link := domain.NewSecret(r.AccessPolicy.Issuer + "/#recover=" + token.Reveal())
		recovery = RecoveryLink{User: user, Token: token, Link: link, ExpiresAt: grant.ExpiresAt()}
		if err := tx.RecoveryGrants.Put(ctx, grant); err != nil {
			return err
		}
		return r.Audit.Record(ctx, tx, identity.Client{}, now, domain.EventState{
			Kind: domain.EventRecoveryGranted, UserID: user.ID(), Actor: domain.ActorOperator, Changed: []string{string(domain.FactorOperator)},
		})
	})
	return recovery, err
}
