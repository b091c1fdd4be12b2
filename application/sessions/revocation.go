package sessions

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSession revokes a session inside a transaction and records event e of its user.
func RevokeSession(ctx context.Context, tx ports.Tx, log *audit.Log, session *domain.Session, client identity.Client, e domain.EventState, now time.Time) error {
	session.Revoke(now)
	if err := tx.Sessions.Save(ctx, session); err != nil {
		return err
	}
	e.UserID, e.SessionID = session.UserID(), session.ID()
	return log.Record(ctx, tx, client, now, e)
}

// RevokeSessions revokes every active session of the user except those that keep selects, records event e for each, and
// returns how many it revoked. A nil keep selects none.
func RevokeSessions(ctx context.Context, tx ports.Tx, log *audit.Log, user domain.UserID, keep func(*domain.Session) bool, client identity.Client, e domain.EventState, now time.Time) (int, error) {
	const page = 100
	revoked := 0
	var before domain.SessionID
	for {
		active, err := tx.Sessions.ListActive(ctx, user, now, before, page)
		if err != nil {
			return revoked, err
		}
		for _, session := range active {
			before = session.ID()
			if keep != nil && keep(session) {
				continue
			}
			if err := RevokeSession(ctx, tx, log, session, client, e, now); err != nil {
				return revoked, err
			}
			revoked++
		}
		if len(active) < page {
			return revoked, nil
		}
	}
}
