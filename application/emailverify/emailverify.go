// Package emailverify verifies the e-mail addresses of accounts, if the server sends e-mail: an address is pending until its owner
// enters the code that was sent to it.
package emailverify

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service issues verification codes and limits how many are sent to a mailbox.
type Service struct {
	Policy  domain.EmailPolicy
	Keys    domain.KeyRing[domain.EmailCode]
	Sealer  ports.Sealer
	Random  io.Reader
	Lockout domain.LockoutKey
}

// PendingCode is a verification code, generated and encrypted before the transaction that requests the address.
type PendingCode struct {
	id        domain.OutboxEmailID
	digest    domain.EmailCodeDigest
	encrypted []byte
}

// GenerateCode generates the code for an address that the user will request.
func (s *Service) GenerateCode(user domain.UserID, now time.Time) (PendingCode, error) {
	id := domain.NewOutboxEmailID(now, s.Random)
	code := domain.NewEmailCode(s.Random)
	encrypted, err := outbox.EncryptCode(s.Sealer, id, code)
	return PendingCode{id, code.Digest(s.Keys, user), encrypted}, err
}

// Request makes email the user's pending address and returns the e-mail to queue. The caller stores the user, and then the e-mail,
// in the same transaction.
//
// If another account has the address, it also becomes pending, but with a code that cannot match, and the e-mail notifies that
// account's owner: the user sees no difference. Request returns a *domain.RetryAfterError, and no e-mail, if too many were sent to
// the mailbox without a confirmation; the address becomes pending in that case, too.
func (s *Service) Request(ctx context.Context, tx ports.Tx, user *domain.User, email domain.Email, code PendingCode, now time.Time) (*domain.OutboxEmail, error) {
	owner, err := tx.Users.ByEmail(ctx, email)
	taken := err == nil && owner.ID() != user.ID()
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		return nil, err
	}
	if taken {
		code.digest = domain.EmailCodeDigest{}
	}
	user.RequestEmail(email, code.digest, now)
	if err := s.chargeSendLimit(ctx, tx, email, now); err != nil {
		return nil, err
	}
	if taken {
		return domain.NewAddressTakenEmail(code.id, owner, now), nil
	}
	return domain.NewVerificationEmail(code.id, user, code.encrypted, now), nil
}

// chargeSendLimit counts an e-mail to a mailbox that may belong to another person. It returns a *domain.RetryAfterError after too many.
func (s *Service) chargeSendLimit(ctx context.Context, tx ports.Tx, mailbox domain.Email, now time.Time) error {
	sent, err := tx.Lockouts.Get(ctx, s.Lockout.Mailbox(mailbox))
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

// ClearSendLimit resets the counter of a mailbox after its owner has confirmed the address.
func (s *Service) ClearSendLimit(ctx context.Context, tx ports.Tx, mailbox domain.Email) error {
	return tx.Lockouts.Clear(ctx, s.Lockout.Mailbox(mailbox))
}
