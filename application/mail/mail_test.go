package mail_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sealer seals under the secret that is made of one letter.
func sealer(t *testing.T, of string) *masterkey.Sealer {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat(of, 42) + "A")
	if err != nil {
		t.Fatal(err)
	}
	s, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// house sends mail.
type house struct {
	t      *testing.T
	store  ports.Store
	claims *mail.Claims
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return &house{t, memory.New(), &mail.Claims{
		Policy: domain.MailOn, Keys: domain.EmailCodeKeys{bytes.Repeat([]byte{1}, 32)}, Sealer: sealer(t, "A"), Random: rand.Reader,
		Lockout: bytes.Repeat([]byte{2}, 32),
	}}
}

func (h *house) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// moves is somebody with an account who holds an address, if it is not "".
func (h *house) moves(name string, email domain.Email, verified bool) *domain.User {
	h.t.Helper()
	applicant, err := domain.NewApplicant(email, domain.DisplayName(name), noon, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	is := applicant.Admit(noon).Snapshot()
	if verified {
		is.EmailVerifiedAt = noon
	}
	user := domain.RestoreUser(is)
	h.update(func(tx ports.Tx) error { return tx.Users.Add(h.t.Context(), user) })
	return user
}

// claim has the user claim an address as use cases do it, and returns the message that was left and the refusal.
func (h *house) claim(user *domain.User, email domain.Email, now time.Time) (message *domain.Message, refusal error) {
	h.t.Helper()
	draft, err := h.claims.Draw(user.ID(), now)
	if err != nil {
		h.t.Fatal(err)
	}
	refusal = h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		var err error
		if message, err = h.claims.Enter(h.t.Context(), tx, user, email, draft, now); err != nil {
			return err
		}
		return errors.Join(tx.Users.Save(h.t.Context(), user), tx.Messages.Add(h.t.Context(), message))
	})
	return message, refusal
}

// proves shows the code in the message.
func (h *house) proves(user *domain.User, message *domain.Message, now time.Time) error {
	h.t.Helper()
	return user.Prove(h.claims.Keys.Digests(user.ID(), h.opened(message)), now)
}

func (h *house) opened(message *domain.Message) domain.EmailCode {
	h.t.Helper()
	digits, err := h.claims.Sealer.Open(message.Snapshot().Code, "code in message "+message.ID().String())
	if err != nil {
		h.t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(digits))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// waiting are all messages, the one that is due first first.
func (h *house) waiting() (list []domain.MessageSnapshot) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		messages, err := tx.Messages.Due(h.t.Context(), noon.Add(10000*time.Hour), 1000)
		for _, m := range messages {
			list = append(list, m.Snapshot())
		}
		return err
	})
	return list
}

func (h *house) sentTo(mailbox domain.Email) (is domain.LockoutSnapshot) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		sent, err := tx.Lockouts.Of(h.t.Context(), h.claims.Lockout.Mailbox(mailbox))
		if err == nil {
			is = sent.Snapshot()
		}
		return err
	})
	return is
}

func address(n int) domain.Email { return domain.Email(fmt.Sprintf("reader-%d@example.org", n)) }
