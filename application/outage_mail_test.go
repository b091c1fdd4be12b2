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

type failingOutboxEmails struct {
	ports.OutboxEmails
	*failing
}

func (email failingOutboxEmails) Add(ctx context.Context, message *domain.OutboxEmail) error {
	return orFail(email.failing, func() error { return email.OutboxEmails.Add(ctx, message) })
}

func (email failingOutboxEmails) ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	return valueOrFail(email.failing, func() ([]*domain.OutboxEmail, error) { return email.OutboxEmails.ListDue(ctx, now, limit) })
}

func (email failingOutboxEmails) Save(ctx context.Context, message *domain.OutboxEmail) error {
	return orFail(email.failing, func() error { return email.OutboxEmails.Save(ctx, message) })
}

func (email failingOutboxEmails) Remove(ctx context.Context, id domain.OutboxEmailID) error {
	return orFail(email.failing, func() error { return email.OutboxEmails.Remove(ctx, id) })
}

func (email failingOutboxEmails) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(email.failing, func() (int, error) { return email.OutboxEmails.DeleteExpired(ctx, expired, limit) })
}

const newAdaEmail domain.Email = "ada@example.com"

func (f *fixture) disableMail() {
	f.verification.Policy, f.auditLog.Notifier.Policy = domain.EmailOff, domain.EmailOff
}

func (f *fixture) changeEmail(to domain.Email) error {
	_, err := f.accountService().Change(f.t.Context(), f.ada, account.Patch{Email: &to})
	return err
}

// requestEmail makes another address of Ada pending and returns its code.
func (f *fixture) requestEmail() string {
	f.t.Helper()
	if err := f.changeEmail(newAdaEmail); err != nil {
		f.t.Fatal(err)
	}
	for _, email := range f.dump().outboxEmails {
		if email.Kind == domain.EmailKindVerificationCode {
			return string(email.Code)
		}
	}
	f.t.Fatal("no code was sent")
	return ""
}

func (f *fixture) confirmEmail(code string) error {
	_, err := f.accountService().ConfirmEmail(f.t.Context(), f.ada, code)
	return err
}

// discardMailer accepts every e-mail.
type discardMailer struct{}

func (discardMailer) Send(context.Context, ports.OutgoingEmail) error { return nil }

// wantError returns a function that returns nil if execute returns the expected error.
func wantError(execute func() error, want error) func() error {
	return func() error {
		switch err := execute(); {
		case errors.Is(err, want):
			return nil
		case err == nil:
			return errors.New("no error")
		default:
			return err
		}
	}
}

// guessAfter redeems a wrong TOTP code of Ada after the given number of failures.
func (f *fixture) guessAfter(failures int) (execute func() error) {
	f.t.Helper()
	r := f.newRecovery()
	if err := r.confirmTOTP(); err != nil {
		f.t.Fatal(err)
	}
	f.update(func(tx ports.Tx) error {
		lockout := domain.RestoreLockout(domain.LockoutState{Subject: domain.LockoutKey(r.key).Account(f.ada.User.ID()), Failures: failures, UpdatedAt: noon})
		return tx.Lockouts.Save(f.t.Context(), lockout)
	})
	guess := recovery.Proof{User: domain.UserRef{Email: "ada@example.org"}, TOTPCode: "000000"}
	if r.totpCode() == guess.TOTPCode {
		guess.TOTPCode = "111111"
	}
	return wantError(func() error { _, err := r.redeem(guess); return err }, domain.ErrInvalidCode)
}

func init() {
	maps.Copy(userUseCases, map[string]func(*fixture) func() error{
		"request an address": func(f *fixture) func() error { return func() error { return f.changeEmail(newAdaEmail) } },
		"remove the address": func(f *fixture) func() error { return func() error { return f.changeEmail("") } },
		"change the address without mail": func(f *fixture) func() error {
			f.disableMail()
			return func() error { return f.changeEmail(newAdaEmail) }
		},
		"cancel a requested address": func(f *fixture) func() error {
			f.requestEmail()
			return func() error { return f.changeEmail("ada@example.org") }
		},
		"resend the code": func(f *fixture) func() error {
			f.requestEmail()
			return func() error {
				_, err := f.accountService().SendCode(f.t.Context(), f.ada)
				return err
			}
		},
		"confirm an address": func(f *fixture) func() error {
			code := f.requestEmail()
			return func() error { return f.confirmEmail(code) }
		},
	})
	maps.Copy(otherUseCases, map[string]func(*fixture) func() error{
		"confirm with a wrong code": func(f *fixture) func() error {
			code := "00000000"
			if f.requestEmail() == code {
				code = "11111111"
			}
			return wantError(func() error { return f.confirmEmail(code) }, domain.ErrInvalidCode)
		},
		"redeem the twentieth wrong code": func(f *fixture) func() error { return f.guessAfter(19) },
		"deliver e-mails": func(f *fixture) func() error {
			f.requestEmail()
			return func() error {
				_, err := (&outbox.Service{Policy: domain.EmailOn, Store: f.store, Mailer: discardMailer{}, Sealer: plainSealer{}, Clock: f.clock}).Deliver(f.t.Context())
				return err
			}
		},
	})
}
