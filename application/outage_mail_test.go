package application_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type breakingOutboxEmails struct {
	ports.OutboxEmails
	*breaking
}

func (m breakingOutboxEmails) Add(ctx context.Context, message *domain.OutboxEmail) error {
	return orFail(m.breaking, func() error { return m.OutboxEmails.Add(ctx, message) })
}

func (m breakingOutboxEmails) ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	return valueOrFail(m.breaking, func() ([]*domain.OutboxEmail, error) { return m.OutboxEmails.ListDue(ctx, now, limit) })
}

func (m breakingOutboxEmails) Save(ctx context.Context, message *domain.OutboxEmail) error {
	return orFail(m.breaking, func() error { return m.OutboxEmails.Save(ctx, message) })
}

func (m breakingOutboxEmails) Remove(ctx context.Context, id domain.OutboxEmailID) error {
	return orFail(m.breaking, func() error { return m.OutboxEmails.Remove(ctx, id) })
}

func (m breakingOutboxEmails) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(m.breaking, func() (int, error) { return m.OutboxEmails.DeleteExpired(ctx, expired, limit) })
}

const newAdaEmail domain.Email = "ada@example.com"

func (h *fixture) disableMail() {
	h.verification.Policy, h.auditLog.Notifier.Policy = domain.EmailOff, domain.EmailOff
}

func (h *fixture) changeEmail(to domain.Email) error {
	_, err := h.accountService().Change(h.t.Context(), h.ada, account.Patch{Email: &to})
	return err
}

// requestEmail has Ada claim another address, and returns the code that was sent to it.
func (h *fixture) requestEmail() string {
	h.t.Helper()
	if err := h.changeEmail(newAdaEmail); err != nil {
		h.t.Fatal(err)
	}
	for _, m := range h.dump().outboxEmails {
		if m.Kind == domain.EmailKindVerificationCode {
			return string(m.Code)
		}
	}
	h.t.Fatal("no code was sent")
	return ""
}

func (h *fixture) confirmEmail(code string) error {
	_, err := h.accountService().ConfirmEmail(h.t.Context(), h.ada, code)
	return err
}

// discardMailer takes over every letter.
type discardMailer struct{}

func (discardMailer) Send(context.Context, ports.OutgoingEmail) error { return nil }

// wantRefused is what does has been, if it was refused as it should.
func wantRefused(does func() error, as error) func() error {
	return func() error {
		switch err := does(); {
		case errors.Is(err, as):
			return nil
		case err == nil:
			return errors.New("it was not refused")
		default:
			return err
		}
	}
}

// guessAfter has somebody show a wrong code of Ada's app, after so many others.
func (h *fixture) guessAfter(failures int) (does func() error) {
	h.t.Helper()
	r := h.newRecovery()
	if err := r.confirmTOTP(); err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error {
		wrong := domain.RestoreLockout(domain.LockoutState{Subject: domain.LockoutKey(r.key).Account(h.ada.User.ID()), Failures: failures, UpdatedAt: noon})
		return tx.Lockouts.Save(h.t.Context(), wrong)
	})
	guess := recovery.Proof{User: domain.UserRef{Email: "ada@example.org"}, TOTPCode: "000000"}
	if r.totpCode() == guess.TOTPCode {
		guess.TOTPCode = "111111"
	}
	return wantRefused(func() error { _, err := r.redeem(guess); return err }, domain.ErrInvalidCode)
}

func init() {
	maps.Copy(userUseCases, map[string]func(*fixture) func() error{
		"claim an address":    func(h *fixture) func() error { return func() error { return h.changeEmail(newAdaEmail) } },
		"take an address off": func(h *fixture) func() error { return func() error { return h.changeEmail("") } },
		"move, no mail": func(h *fixture) func() error {
			h.disableMail()
			return func() error { return h.changeEmail(newAdaEmail) }
		},
		"withdraw a claim": func(h *fixture) func() error {
			h.requestEmail()
			return func() error { return h.changeEmail("ada@example.org") }
		},
		"have another code sent": func(h *fixture) func() error {
			h.requestEmail()
			return func() error {
				_, err := h.accountService().SendCode(h.t.Context(), h.ada)
				return err
			}
		},
		"prove an address": func(h *fixture) func() error {
			code := h.requestEmail()
			return func() error { return h.confirmEmail(code) }
		},
	})
	maps.Copy(otherUseCases, map[string]func(*fixture) func() error{
		"show a wrong code": func(h *fixture) func() error {
			wrong := "00000000"
			if h.requestEmail() == wrong {
				wrong = "11111111"
			}
			return wantRefused(func() error { return h.confirmEmail(wrong) }, domain.ErrInvalidCode)
		},
		"guess for the twentieth time": func(h *fixture) func() error { return h.guessAfter(19) },
		"deliver": func(h *fixture) func() error {
			h.requestEmail()
			return func() error {
				_, err := (&outbox.Service{Policy: domain.EmailOn, Store: h.store, Mailer: discardMailer{}, Sealer: plainSealer{}, Clock: h.clock}).Deliver(h.t.Context())
				return err
			}
		},
	})
}
