// Package notify queues the e-mails that notify users of changes to their account.
package notify

import (
	"context"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Notifier queues notification e-mails. The zero Notifier queues none.
type Notifier struct {
	Random  io.Reader
	Devices ports.DeviceNames
	Policy  domain.EmailPolicy
}

// Recorded queues the notification of an event just recorded, if its kind has one and the owner has a verified address.
func (n Notifier) Recorded(ctx context.Context, tx ports.Tx, event *domain.Event, now time.Time) error {
	kind, notifiable := domain.NotificationKind(event.Kind())
	if !notifiable || !n.Policy.Enabled() {
		return nil
	}
	owner, err := tx.Users.ByID(ctx, event.UserID())
	if err != nil {
		return err
	}
	return n.queue(ctx, tx, owner, owner.ID(), kind, event.State(), now)
}

// Queue queues a notification of event e to the address in recipient, which may be the state of the user before a change.
// Owner is the zero id for an e-mail that outlives its user.
func (n Notifier) Queue(ctx context.Context, tx ports.Tx, recipient *domain.User, owner domain.UserID, kind domain.EmailKind, client identity.Client, e domain.EventState, now time.Time) error {
	if !n.Policy.Enabled() {
		return nil
	}
	e = client.Describe(e, n.Devices)
	e.At = now
	return n.queue(ctx, tx, recipient, owner, kind, e, now)
}

// queue skips an address that is not verified: it may be another person's.
func (n Notifier) queue(ctx context.Context, tx ports.Tx, recipient *domain.User, owner domain.UserID, kind domain.EmailKind, e domain.EventState, now time.Time) error {
	if !recipient.EmailVerified() {
		return nil
	}
	return tx.OutboxEmails.Add(ctx, domain.NewNotificationEmail(recipient.Email(), recipient.Locale(), owner, kind, e, now, n.Random))
}
