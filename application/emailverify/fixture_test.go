package emailverify_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newSealer seals under the secret that is made of one letter.
func newSealer(t *testing.T, of string) *masterkey.Sealer {
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

// fixture sends mail.
type fixture struct {
	t       *testing.T
	store   ports.Store
	service *emailverify.Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{t, sqlitestore.New(t), &emailverify.Service{
		Policy: domain.EmailOn, Keys: domain.EmailCodeKeys{bytes.Repeat([]byte{1}, 32)}, Sealer: newSealer(t, "A"), Random: rand.Reader,
		Lockout: bytes.Repeat([]byte{2}, 32),
	}}
}

func (h *fixture) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// addUser is somebody with an account who holds an address, if it is not "".
func (h *fixture) addUser(name string, email domain.Email, verified bool) *domain.User {
	h.t.Helper()
	applicant := domain.NewPendingUser(email, domain.DisplayName(name), noon, rand.Reader)
	is := applicant.ToUser(noon).State()
	if verified {
		is.EmailVerifiedAt = noon
	}
	user := domain.RestoreUser(is)
	h.update(func(tx ports.Tx) error { return tx.Users.Add(h.t.Context(), user) })
	return user
}

// requestEmail has the user claim an address as use cases do it, and returns the message that was left and the refusal.
func (h *fixture) requestEmail(user *domain.User, email domain.Email, now time.Time) (message *domain.OutboxEmail, refusal error) {
	h.t.Helper()
	draft, err := h.service.GenerateCode(user.ID(), now)
	if err != nil {
		h.t.Fatal(err)
	}
	refusal = h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		var err error
		if message, err = h.service.Request(h.t.Context(), tx, user, email, draft, now); err != nil {
			return err
		}
		return errors.Join(tx.Users.Save(h.t.Context(), user), tx.OutboxEmails.Add(h.t.Context(), message))
	})
	return message, refusal
}

// verifyEmail shows the code in the message.
func (h *fixture) verifyEmail(user *domain.User, message *domain.OutboxEmail, now time.Time) error {
	h.t.Helper()
	return user.VerifyEmail(h.service.Keys.Digests(user.ID(), h.decryptedCode(message)), now)
}

func (h *fixture) decryptedCode(message *domain.OutboxEmail) domain.EmailCode {
	h.t.Helper()
	digits, err := h.service.Sealer.Open(message.State().Code, "code in message "+message.ID().String())
	if err != nil {
		h.t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(digits))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// outbox are all messages, the one that is due first first.
func (h *fixture) outbox() (list []domain.OutboxEmailState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		messages, err := tx.OutboxEmails.ListDue(h.t.Context(), noon.Add(10000*time.Hour), 1000)
		for _, m := range messages {
			list = append(list, m.State())
		}
		return err
	})
	return list
}

func (h *fixture) sendLimit(mailbox domain.Email) (is domain.LockoutState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		sent, err := tx.Lockouts.Get(h.t.Context(), h.service.Lockout.Mailbox(mailbox))
		if err == nil {
			is = sent.State()
		}
		return err
	})
	return is
}
