package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// notify queues the notice of an event, if it is worth one and its owner has an address that is known to be theirs.
func (l *SecurityLog) notify(ctx context.Context, tx ports.Tx, event *domain.Event, now time.Time) error {
	kind, worthOne := domain.NoticeOf(event.Kind())
	if !worthOne || l.Mail == domain.MailOff {
		return nil
	}
	owner, err := tx.Users.ByID(ctx, event.UserID())
	if err != nil {
		return err
	}
	return l.queue(ctx, tx, owner, owner.ID(), kind, event.Snapshot(), now)
}

// Notify queues a notice of something that a visitor did, for the address that the reader held before. A zero owner is for a
// notice that outlives its user.
func (l *SecurityLog) Notify(ctx context.Context, tx ports.Tx, reader *domain.User, owner domain.UserID, kind domain.MessageKind, visitor Visitor, e domain.EventSnapshot, now time.Time) error {
	event, err := l.event(visitor, now, e)
	if err != nil {
		return err
	}
	return l.queue(ctx, tx, reader, owner, kind, event.Snapshot(), now)
}

// queue has the notice sent after the commit, to an address that is verified: any other may be a stranger's.
func (l *SecurityLog) queue(ctx context.Context, tx ports.Tx, reader *domain.User, owner domain.UserID, kind domain.MessageKind, of domain.EventSnapshot, now time.Time) error {
	if l.Mail == domain.MailOff || !reader.EmailVerified() {
		return nil
	}
	notice, err := domain.NewNotice(reader.Email(), owner, kind, of, now, l.Random)
	if err != nil {
		return err
	}
	return tx.Messages.Add(ctx, notice)
}
