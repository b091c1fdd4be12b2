// Package mail is what sending mail takes: addresses are claimed, to be proved by a code, and what waits is delivered.
package mail

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EmailVerification let people say which address is theirs, where mail is sent.
type EmailVerification struct {
	Policy  domain.EmailPolicy
	Keys    domain.EmailCodeKeys
	Sealer  ports.Sealer
	Random  io.Reader
	Lockout domain.LockoutKey
}

// PendingCode is the code for a claim, drawn and sealed before the unit of work.
type PendingCode struct {
	id        domain.OutboxEmailID
	digest    domain.EmailCodeDigest
	encrypted []byte
}

// GenerateCode makes a code for an address that the user is about to claim.
func (c *EmailVerification) GenerateCode(user domain.UserID, now time.Time) (PendingCode, error) {
	id, err := domain.NewOutboxEmailID(now, c.Random)
	if err != nil {
		return PendingCode{}, err
	}
	code, err := domain.NewEmailCode(c.Random)
	if err != nil {
		return PendingCode{}, err
	}
	sealed, err := c.Sealer.Seal([]byte(code.Reveal()), additionalData(id))
	return PendingCode{id, c.Keys.Digest(user, code), sealed}, err
}

// Request has the user claim the address, inside the unit of work that then stores the user and, after that, the message. An
// address that somebody else holds is claimed like any other, by a code that nobody ever learns, and its owner is told:
// the claimant sees no difference. It fails with a *domain.RetryAfterError, and makes no message, if too much was sent to the mailbox
// that nobody had asked for; the address is claimed all the same.
func (c *EmailVerification) Request(ctx context.Context, tx ports.Tx, user *domain.User, email domain.Email, draft PendingCode, now time.Time) (*domain.OutboxEmail, error) {
	owner, err := tx.Users.ByEmail(ctx, email)
	taken := err == nil && owner.ID() != user.ID()
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		return nil, err
	}
	if taken {
		draft.digest = domain.EmailCodeDigest{}
	}
	user.RequestEmail(email, draft.digest, now)
	if err := c.chargeSendLimit(ctx, tx, email, now); err != nil {
		return nil, err
	}
	if taken {
		return domain.NewAddressTakenEmail(draft.id, owner, now), nil
	}
	return domain.NewVerificationEmail(draft.id, user, draft.encrypted, now), nil
}

// chargeSendLimit makes whoever has mail sent to a mailbox that is perhaps not theirs wait, as it does those who guess.
func (c *EmailVerification) chargeSendLimit(ctx context.Context, tx ports.Tx, at domain.Email, now time.Time) error {
	sent, err := tx.Lockouts.Get(ctx, c.Lockout.Mailbox(at))
	if err != nil {
		return err
	}
	sent.ResetIfStale(now)
	if err := sent.RequireUnblocked(now); err != nil {
		return err
	}
	sent.RecordFailure(now)
	sent.CapBelowLock()
	return tx.Lockouts.Save(ctx, sent)
}

// ClearSendLimit forgets what was sent to a mailbox whose owner has answered.
func (c *EmailVerification) ClearSendLimit(ctx context.Context, tx ports.Tx, at domain.Email) error {
	return tx.Lockouts.Clear(ctx, c.Lockout.Mailbox(at))
}

func additionalData(id domain.OutboxEmailID) string { return "code in message " + id.String() }
