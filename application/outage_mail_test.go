package application_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type breakingMessages struct {
	ports.Messages
	*breaking
}

func (m breakingMessages) Add(ctx context.Context, message *domain.Message) error {
	return asking(m.breaking, func() error { return m.Messages.Add(ctx, message) })
}

func (m breakingMessages) Due(ctx context.Context, now time.Time, limit int) ([]*domain.Message, error) {
	return looking(m.breaking, func() ([]*domain.Message, error) { return m.Messages.Due(ctx, now, limit) })
}

func (m breakingMessages) Save(ctx context.Context, message *domain.Message) error {
	return asking(m.breaking, func() error { return m.Messages.Save(ctx, message) })
}

func (m breakingMessages) Remove(ctx context.Context, id domain.MessageID) error {
	return asking(m.breaking, func() error { return m.Messages.Remove(ctx, id) })
}

func (m breakingMessages) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	return looking(m.breaking, func() (int, error) { return m.Messages.Sweep(ctx, expired, limit) })
}

const claimedByAda domain.Email = "ada@example.com"

func (h *house) sendsNoMail() { h.claims.Policy, h.log.Mail = domain.MailOff, domain.MailOff }

func (h *house) moves(to domain.Email) error {
	_, err := (&account.Change{Store: h.store, Clock: h.clock, Log: h.log, Claims: h.claims, StepUp: stepUp}).Execute(h.t.Context(), h.ada, account.Wish{Email: &to})
	return err
}

// claimed has Ada claim another address, and returns the code that was sent to it.
func (h *house) claimed() string {
	h.t.Helper()
	if err := h.moves(claimedByAda); err != nil {
		h.t.Fatal(err)
	}
	for _, m := range h.keeps().messages {
		if m.Kind == domain.MessageEmailCode {
			return string(m.Code)
		}
	}
	h.t.Fatal("no code was sent")
	return ""
}

func (h *house) confirms(code string) error {
	_, err := (&account.ConfirmEmail{Store: h.store, Clock: h.clock, Log: h.log, Claims: h.claims}).Execute(h.t.Context(), h.ada, code)
	return err
}

// mailbox takes over every letter.
type mailbox struct{}

func (mailbox) Send(context.Context, ports.Letter) error { return nil }

// onceRefused is what does has been, if it was refused as it should.
func onceRefused(does func() error, as error) func() error {
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

// guessesAfter has somebody show a wrong code of Ada's app, after so many others.
func (h *house) guessesAfter(failures int) (does func() error) {
	h.t.Helper()
	r := h.recovers()
	if err := r.confirms(); err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error {
		wrong := domain.RestoreLockout(domain.LockoutSnapshot{Subject: domain.LockoutKey(r.key).Account(h.ada.User.ID()), Failures: failures})
		return tx.Lockouts.Save(h.t.Context(), wrong)
	})
	guess := recovery.Claim{Name: recovery.Name{Email: "ada@example.org"}, TOTPCode: "000000"}
	if r.shows() == guess.TOTPCode {
		guess.TOTPCode = "111111"
	}
	return onceRefused(func() error { _, err := r.redeems(guess); return err }, domain.ErrInvalidCode)
}

func init() {
	maps.Copy(deeds, map[string]func(*house) func() error{
		"claim an address":    func(h *house) func() error { return func() error { return h.moves(claimedByAda) } },
		"take an address off": func(h *house) func() error { return func() error { return h.moves("") } },
		"move, no mail": func(h *house) func() error {
			h.sendsNoMail()
			return func() error { return h.moves(claimedByAda) }
		},
		"withdraw a claim": func(h *house) func() error {
			h.claimed()
			return func() error { return h.moves("ada@example.org") }
		},
		"have another code sent": func(h *house) func() error {
			h.claimed()
			return func() error {
				_, err := (&account.SendCode{Store: h.store, Clock: h.clock, Claims: h.claims}).Execute(h.t.Context(), h.ada)
				return err
			}
		},
		"prove an address": func(h *house) func() error {
			code := h.claimed()
			return func() error { return h.confirms(code) }
		},
	})
	maps.Copy(others, map[string]func(*house) func() error{
		"show a wrong code": func(h *house) func() error {
			wrong := "00000000"
			if h.claimed() == wrong {
				wrong = "11111111"
			}
			return onceRefused(func() error { return h.confirms(wrong) }, domain.ErrInvalidCode)
		},
		"guess for the twentieth time": func(h *house) func() error { return h.guessesAfter(19) },
		"deliver": func(h *house) func() error {
			h.claimed()
			return func() error {
				_, err := (&mail.Deliver{Policy: domain.MailOn, Store: h.store, Mailer: mailbox{}, Sealer: unsealed{}, Clock: h.clock}).Execute(h.t.Context())
				return err
			}
		},
	})
}
