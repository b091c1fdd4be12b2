package emailverify_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newSealer returns a sealer with a secret that repeats the given character.
func newSealer(t *testing.T, character string) *masterkey.Sealer {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat(character, 42) + "A")
	if err != nil {
		t.Fatal(err)
	}
	s, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixture verifies addresses on a server that sends e-mail.
type fixture struct {
	t       *testing.T
	store   ports.Store
	service *emailverify.Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{t, sqlitestore.New(t), &emailverify.Service{
		Policy: domain.EmailOn, Keys: domain.KeyRing[domain.EmailCode]{bytes.Repeat([]byte{1}, 32)}, Sealer: newSealer(t, "A"), Random: rand.Reader,
		Lockout: bytes.Repeat([]byte{2}, 32),
	}}
}

func (h *fixture) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// addUser adds a user with the address, or without one if it is "".
func (h *fixture) addUser(name string, email domain.Email, verified bool) *domain.User {
	h.t.Helper()
	pendingUser := domain.NewPendingUser(email, domain.DisplayName(name), noon, rand.Reader)
	s := pendingUser.ToUser(noon).State()
	if verified {
		s.EmailVerifiedAt = noon
	}
	user := domain.RestoreUser(s)
	h.update(func(tx ports.Tx) error { return tx.Users.Add(h.t.Context(), user) })
	return user
}

// requestEmail makes an address pending as the use cases do. It returns the queued e-mail.
func (h *fixture) requestEmail(user *domain.User, email domain.Email, now time.Time) (queued *domain.OutboxEmail, requestErr error) {
	h.t.Helper()
	code, err := h.service.GenerateCode(user.ID(), now)
	if err != nil {
		h.t.Fatal(err)
	}
	requestErr = h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		var err error
		if queued, err = h.service.Request(h.t.Context(), tx, user, email, code, now); err != nil {
			return err
		}
		return errors.Join(tx.Users.Save(h.t.Context(), user), tx.OutboxEmails.Add(h.t.Context(), queued))
	})
	return queued, requestErr
}

// verifyEmail enters the code of the e-mail.
func (h *fixture) verifyEmail(user *domain.User, queued *domain.OutboxEmail, now time.Time) error {
	h.t.Helper()
	return user.VerifyEmail(h.decryptedCode(queued).Digests(h.service.Keys, user.ID()), now)
}

func (h *fixture) decryptedCode(queued *domain.OutboxEmail) domain.EmailCode {
	h.t.Helper()
	digits, err := h.service.Sealer.Open(queued.State().Code, "code in message "+queued.ID().String())
	if err != nil {
		h.t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(digits))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// outbox returns all e-mails, the earliest due first.
func (h *fixture) outbox() (list []domain.OutboxEmailState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		emails, err := tx.OutboxEmails.ListDue(h.t.Context(), noon.Add(10000*time.Hour), 1000)
		for _, m := range emails {
			list = append(list, m.State())
		}
		return err
	})
	return list
}

func (h *fixture) sendLimit(mailbox domain.Email) (s domain.LockoutState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		sent, err := tx.Lockouts.Get(h.t.Context(), h.service.Lockout.Mailbox(mailbox))
		if err == nil {
			s = sent.State()
		}
		return err
	})
	return s
}
