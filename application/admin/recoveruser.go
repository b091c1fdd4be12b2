package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RecoveryLink authorises a user to register one passkey. The operator sends it to the user.
type RecoveryLink struct {
	User      *domain.User
	Token     domain.RecoveryGrantToken
	Link      domain.Secret // contains the token
	ExpiresAt time.Time
}

// RecoverUser issues a recovery grant for a user who has lost every factor. The operator must have identified the person. The
// recovery policy, which governs codes, does not apply. It returns domain.ErrUserNotFound, or domain.ErrRecoveryOfDisabledUser. It needs the scope users:write.
func (s *Service) RecoverUser(ctx context.Context, ref domain.UserRef) (recovery RecoveryLink, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return recovery, err
	}
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err != nil {
			return err
		}
		if user.Disabled() {
			return domain.ErrRecoveryOfDisabledUser
		}
		factors := []domain.RecoveryFactor{domain.FactorOperator}
		grant, token := domain.NewRecoveryGrant(user.ID(), factors, domain.BackupCodeDigest{}, s.Keys, now, s.Random)
		recovery = RecoveryLink{User: user, Token: token, Link: s.RecoveryURL(token), ExpiresAt: grant.ExpiresAt()}
		if err := tx.RecoveryGrants.Put(ctx, grant); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{
			Kind: domain.EventRecoveryGranted, UserID: user.ID(), Actor: domain.ActorOperator, Changed: []string{string(domain.FactorOperator)},
		})
	})
	return recovery, err
}
