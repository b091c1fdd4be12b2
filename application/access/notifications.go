package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// notifyOwner queues the notice of an event, if it is worth one and its owner has an address that is known to be theirs.
func (l *AuditLog) notifyOwner(ctx context.Context, tx ports.Tx, event *domain.Event, now time.Time) error {
	kind, worthOne := domain.NotificationKind(event.Kind())
	if !worthOne || l.Mail == domain.EmailOff {
		return nil
	}
	owner, err := tx.Users.ByID(ctx, event.UserID())
	if err != nil {
		return err
	}
	return l.queueEmail(ctx, tx, owner, owner.ID(), kind, event.State(), now)
}

// Notify queues a notice of something that a visitor did, for the address that the reader held before. A zero owner is for a
// notice that outlives its user.
func (l *AuditLog) Notify(ctx context.Context, tx ports.Tx, reader *domain.User, owner domain.UserID, kind domain.EmailKind, visitor Client, e domain.EventState, now time.Time) error {
	event, err := l.newEvent(visitor, now, e)
	if err != nil {
		return err
	}
	return l.queueEmail(ctx, tx, reader, owner, kind, event.State(), now)
}

// queueEmail has the notice sent after the commit, to an address that is verified: any other may be a stranger's.
func (l *AuditLog) queueEmail(ctx context.Context, tx ports.Tx, reader *domain.User, owner domain.UserID, kind domain.EmailKind, of domain.EventState, now time.Time) error {
	if l.Mail == domain.EmailOff || !reader.EmailVerified() {
		return nil
	}
	notice, err := domain.NewNotificationEmail(reader.Email(), owner, kind, of, now, l.Random)
	if err != nil {
		return err
	}
	return tx.OutboxEmails.Add(ctx, notice)
}
