package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// UserInput describes a new user. Each field may be empty.
type UserInput struct {
	Email       domain.Email
	DisplayName domain.DisplayName
	Locale      domain.Locale // of e-mails to the user
	Groups      []domain.Group
}

// CreateUser creates a user without a passkey, and returns the link with which the user registers the first one, within seven days. An
// address is not verified. RecoverUser issues another link. It returns domain.ErrEmailTaken, or an *InvalidInput for too many groups. It
// needs the scope users:write.
func (s *Service) CreateUser(ctx context.Context, in UserInput) (created RecoveryLink, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return created, err
	}
	now := s.Clock.Now()
	applicant := domain.NewPendingUser(in.Email, in.DisplayName, now, s.Random)
	applicant.Locale = in.Locale
	user := applicant.ToUser(now)
	if _, err := user.ChangeGroups(in.Groups, nil); err != nil {
		return created, err
	}
	grant, token := domain.NewFirstPasskeyGrant(user.ID(), s.Keys, now, s.Random)
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := tx.Users.Add(ctx, user); err != nil {
			return err
		}
		if err := tx.RecoveryGrants.Put(ctx, grant); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{Kind: domain.EventAccountCreated, UserID: user.ID(), Actor: domain.ActorOperator})
	})
	if err != nil {
		return RecoveryLink{}, err
	}
	return RecoveryLink{User: user, Token: token, Link: s.RecoveryURL(token), ExpiresAt: grant.ExpiresAt()}, nil
}
