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

// Claims let people say which address is theirs, where mail is sent.
type Claims struct {
	Policy  domain.MailPolicy
	Keys    domain.EmailCodeKeys
	Sealer  ports.Sealer
	Random  io.Reader
	Lockout domain.LockoutKey
}

// Draft is the code for a claim, drawn and sealed before the unit of work.
type Draft struct {
	id     domain.MessageID
	digest domain.EmailCodeDigest
	sealed []byte
}

// Draw makes a code for an address that the user is about to claim.
func (c *Claims) Draw(user domain.UserID, now time.Time) (Draft, error) {
	id, err := domain.NewMessageID(now, c.Random)
	if err != nil {
		return Draft{}, err
	}
	code, err := domain.NewEmailCode(c.Random)
	if err != nil {
		return Draft{}, err
	}
	sealed, err := c.Sealer.Seal([]byte(code.Reveal()), sealingLabel(id))
	return Draft{id, c.Keys.Digest(user, code), sealed}, err
}

// Enter has the user claim the address, inside the unit of work that then stores the user and, after that, the message. An
// address that somebody else holds is claimed like any other, by a code that nobody ever learns, and its owner is told:
// the claimant sees no difference. It fails with a *domain.Wait, and makes no message, if too much was sent to the mailbox
// that nobody had asked for; the address is claimed all the same.
func (c *Claims) Enter(ctx context.Context, tx ports.Tx, user *domain.User, email domain.Email, draft Draft, now time.Time) (*domain.Message, error) {
	owner, err := tx.Users.ByEmail(ctx, email)
	taken := err == nil && owner.ID() != user.ID()
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		return nil, err
	}
	if taken {
		draft.digest = domain.EmailCodeDigest{}
	}
	user.Claim(email, draft.digest, now)
	if err := c.count(ctx, tx, email, now); err != nil {
		return nil, err
	}
	if taken {
		return domain.NewAddressTakenMessage(draft.id, owner, now), nil
	}
	return domain.NewEmailCodeMessage(draft.id, user, draft.sealed, now), nil
}

// count makes whoever has mail sent to a mailbox that is perhaps not theirs wait, as it does those who guess.
func (c *Claims) count(ctx context.Context, tx ports.Tx, at domain.Email, now time.Time) error {
	sent, err := tx.Lockouts.Of(ctx, c.Lockout.Mailbox(at))
	if err != nil {
		return err
	}
	sent.Cool(now)
	if err := sent.Open(now); err != nil {
		return err
	}
	sent.Fail(now)
	sent.Relent()
	return tx.Lockouts.Save(ctx, sent)
}

// Proved forgets what was sent to a mailbox whose owner has answered.
func (c *Claims) Proved(ctx context.Context, tx ports.Tx, at domain.Email) error {
	return tx.Lockouts.Clear(ctx, c.Lockout.Mailbox(at))
}

func sealingLabel(id domain.MessageID) string { return "code in message " + id.String() }
