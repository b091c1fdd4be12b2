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

func (f *fixture) disableMail() {
	f.verification.Policy, f.auditLog.Notifier.Policy = domain.EmailOff, domain.EmailOff
}

func (f *fixture) changeEmail(to domain.Email) error {
	_, err := f.accountService().Change(f.t.Context(), f.ada, account.Patch{Email: &to})
	return err
}

// requestEmail has Ada claim another address, and returns the code that was sent to it.
func (f *fixture) requestEmail() string {
	f.t.Helper()
	if err := f.changeEmail(newAdaEmail); err != nil {
		f.t.Fatal(err)
	}
	for _, m := range f.dump().outboxEmails {
		if m.Kind == domain.EmailKindVerificationCode {
			return string(m.Code)
		}
	}
	f.t.Fatal("no code was sent")
	return ""
}

func (f *fixture) confirmEmail(code string) error {
	_, err := f.accountService().ConfirmEmail(f.t.Context(), f.ada, code)
	return err
}

// discardMailer takes over every letter.
type discardMailer struct{}

func (discardMailer) Send(context.Context, ports.OutgoingEmail) error { return nil }

// wantRefused is what does has been, if it was refused as it should.
func wantRefused(execute func() error, as error) func() error {
	return func() error {
		switch err := execute(); {
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
func (f *fixture) guessAfter(failures int) (execute func() error) {
	f.t.Helper()
	r := f.newRecovery()
	if err := r.confirmTOTP(); err != nil {
		f.t.Fatal(err)
	}
	f.update(func(tx ports.Tx) error {
		wrong := domain.RestoreLockout(domain.LockoutState{Subject: domain.LockoutKey(r.key).Account(f.ada.User.ID()), Failures: failures, UpdatedAt: noon})
		return tx.Lockouts.Save(f.t.Context(), wrong)
	})
	guess := recovery.Proof{User: domain.UserRef{Email: "ada@example.org"}, TOTPCode: "000000"}
	if r.totpCode() == guess.TOTPCode {
		guess.TOTPCode = "111111"
	}
	return wantRefused(func() error { _, err := r.redeem(guess); return err }, domain.ErrInvalidCode)
}

func init() {
	maps.Copy(userUseCases, map[string]func(*fixture) func() error{
		"claim an address":    func(f *fixture) func() error { return func() error { return f.changeEmail(newAdaEmail) } },
		"take an address off": func(f *fixture) func() error { return func() error { return f.changeEmail("") } },
		"move, no mail": func(f *fixture) func() error {
			f.disableMail()
			return func() error { return f.changeEmail(newAdaEmail) }
		},
		"withdraw a claim": func(f *fixture) func() error {
			f.requestEmail()
			return func() error { return f.changeEmail("ada@example.org") }
		},
		"have another code sent": func(f *fixture) func() error {
			f.requestEmail()
			return func() error {
				_, err := f.accountService().SendCode(f.t.Context(), f.ada)
				return err
			}
		},
		"prove an address": func(f *fixture) func() error {
			code := f.requestEmail()
			return func() error { return f.confirmEmail(code) }
		},
	})
	maps.Copy(otherUseCases, map[string]func(*fixture) func() error{
		"show a wrong code": func(f *fixture) func() error {
			wrong := "00000000"
			if f.requestEmail() == wrong {
				wrong = "11111111"
			}
			return wantRefused(func() error { return f.confirmEmail(wrong) }, domain.ErrInvalidCode)
		},
		"guess for the twentieth time": func(f *fixture) func() error { return f.guessAfter(19) },
		"deliver": func(f *fixture) func() error {
			f.requestEmail()
			return func() error {
				_, err := (&outbox.Service{Policy: domain.EmailOn, Store: f.store, Mailer: discardMailer{}, Sealer: plainSealer{}, Clock: f.clock}).Deliver(f.t.Context())
				return err
			}
		},
	})
}
