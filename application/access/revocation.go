package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSession revokes a session inside a unit of work and enters that in its user's log.
func (l *AuditLog) RevokeSession(ctx context.Context, tx ports.Tx, session *domain.Session, visitor Client, e domain.EventState, now time.Time) error {
	session.Revoke(now)
	if err := tx.Sessions.Save(ctx, session); err != nil {
		return err
	}
	e.UserID, e.SessionID = session.UserID(), session.ID()
	return l.Record(ctx, tx, visitor, now, e)
}

// RevokeSessions ends every live session of the user but those that keep says, and returns how many it ended.
func (l *AuditLog) RevokeSessions(ctx context.Context, tx ports.Tx, user domain.UserID, keep func(*domain.Session) bool, visitor Client, e domain.EventState, now time.Time) (int, error) {
	const page = 100
	ended := 0
	var before domain.SessionID
	for {
		live, err := tx.Sessions.ListActive(ctx, user, now, before, page)
		if err != nil {
			return ended, err
		}
		for _, session := range live {
			before = session.ID()
			if keep(session) {
				continue
			}
			if err := l.RevokeSession(ctx, tx, session, visitor, e, now); err != nil {
				return ended, err
			}
			ended++
		}
		if len(live) < page {
			return ended, nil
		}
	}
}
