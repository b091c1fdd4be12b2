package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AccountDetails is a user with their passkeys, active sessions and latest events.
type AccountDetails struct {
	User     *domain.User
	Passkeys domain.Passkeys
	Sessions []*domain.Session // at most 100
	Events   []*domain.Event   // the latest 20 changes, and the latest 10 failed attempts and anomalies; newest first
}

// ShowUser returns the details of an account, or domain.ErrUserNotFound. It needs the scope users:read.
func (s *Service) ShowUser(ctx context.Context, ref domain.UserRef) (account AccountDetails, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersRead); err != nil {
		return account, err
	}
	const maxSessions, maxChanges, maxFailures = 100, 20, 10
	var changes, failures []domain.EventKind
	for _, kind := range domain.EventKinds {
		if kind.Repeatable() {
			failures = append(failures, kind)
		} else {
			changes = append(changes, kind)
		}
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if account.User, err = identity.FindUser(ctx, tx, ref); err != nil {
			return err
		}
		id := account.User.ID()
		if account.Passkeys, err = tx.Credentials.ListByUser(ctx, id); err != nil {
			return err
		}
		if account.Sessions, err = tx.Sessions.ListActive(ctx, id, s.Clock.Now(), domain.SessionID{}, maxSessions); err != nil {
			return err
		}
		// Two queries, so that failed attempts, which an attacker can cause every day, do not displace changes.
		account.Events, err = tx.Events.ListByUser(ctx, id, domain.EventID{}, maxChanges, changes...)
		if err != nil {
			return err
		}
		failed, err := tx.Events.ListByUser(ctx, id, domain.EventID{}, maxFailures, failures...)
		account.Events = append(account.Events, failed...)
		return err
	})
	slices.SortFunc(account.Events, func(a, b *domain.Event) int { return strings.Compare(b.ID().String(), a.ID().String()) })
	return account, err
}
