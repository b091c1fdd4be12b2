package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// End revokes a session inside a unit of work and enters that in its user's log.
func (l *SecurityLog) End(ctx context.Context, tx ports.Tx, session *domain.Session, visitor Visitor, e domain.EventSnapshot, now time.Time) error {
	session.Revoke(now)
	if err := tx.Sessions.Save(ctx, session); err != nil {
		return err
	}
	e.UserID, e.SessionID = session.UserID(), session.ID()
	return l.Enter(ctx, tx, visitor, now, e)
}

// EndAll ends every live session of the user but those that keep says, and returns how many it ended.
func (l *SecurityLog) EndAll(ctx context.Context, tx ports.Tx, user domain.UserID, keep func(*domain.Session) bool, visitor Visitor, e domain.EventSnapshot, now time.Time) (int, error) {
	const page = 100
	ended := 0
	var before domain.SessionID
	for {
		live, err := tx.Sessions.Live(ctx, user, now, before, page)
		if err != nil {
			return ended, err
		}
		for _, session := range live {
			before = session.ID()
			if keep(session) {
				continue
			}
			if err := l.End(ctx, tx, session, visitor, e, now); err != nil {
				return ended, err
			}
			ended++
		}
		if len(live) < page {
			return ended, nil
		}
	}
}
