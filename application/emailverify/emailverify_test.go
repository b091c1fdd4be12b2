package emailverify_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestEmailVerification_SendsCodeToPendingEmail(t *testing.T) {
	for name, c := range map[string]struct{ current, pending domain.Email }{
		"a free address, no current one":  {"", "ada@example.com"},
		"a free address, another current": {"ada@example.org", "ada@example.com"},
		"the unverified current address":  {"ada@example.org", "ada@example.org"},
		"pending for another user":        {"", "pending@example.org"},
		"similar to another user's":       {"", "ben@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ada, ben := h.addUser("Ada", c.current, false), h.addUser("Ben", "ben@example.org", true)
			if _, err := h.requestEmail(ben, "pending@example.org", noon.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			before := ada.State()
			queued, err := h.requestEmail(ada, c.pending, noon)
			if err != nil {
				t.Fatal(err)
			}
			s := ada.State()
			if s.Email != c.current || !s.EmailVerifiedAt.IsZero() || s.PendingEmail.Email != c.pending || s.PendingEmail.Code == (domain.EmailCodeDigest{}) || !s.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("got %+v", s)
			}
			if s.PendingEmail = (domain.PendingEmail{}); !reflect.DeepEqual(s, before) {
				t.Errorf("before %+v, after %+v", before, s)
			}
			if m := queued.State(); m.To != c.pending || m.Kind != domain.EmailKindVerificationCode || m.UserID != ada.ID() || !m.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("sent %+v", m)
			}
			if err := h.verifyEmail(ada, queued, noon); err != nil || ada.Email() != c.pending || !ada.EmailVerified() {
				t.Errorf("verification: %v, %+v", err, ada.State())
			}
		})
	}
}

// Requesting an address of another account reveals nothing: neither by the pending address, nor by a code, nor by the waits.
// Requirement: ASVS-6.3.8
func TestEmailVerification_TakenEmailIsIndistinguishable(t *testing.T) {
	for name, verified := range map[string]bool{"verified": true, "unverified": false} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ben := h.addUser("Ben", "ben@example.org", verified)
			mallory, ada := h.addUser("Mallory", "", false), h.addUser("Ada", "", false)
			pendingCode, err := h.service.GenerateCode(mallory.ID(), noon)
			if err != nil {
				t.Fatal(err)
			}
			code := h.codeOf(mallory, pendingCode)
			var notification *domain.OutboxEmail
			h.update(func(tx ports.Tx) error {
				if notification, err = h.service.Request(t.Context(), tx, mallory, "ben@example.org", pendingCode, noon); err != nil {
					return err
				}
				return errors.Join(tx.Users.Save(t.Context(), mallory), tx.OutboxEmails.Add(t.Context(), notification))
			})
			if _, err := h.requestEmail(ada, "free@example.org", noon); err != nil {
				t.Fatal(err)
			}

			if m := notification.State(); m.Kind != domain.EmailKindAddressTaken || m.To != "ben@example.org" || m.UserID != ben.ID() || m.Code != nil ||
				m.Details != (domain.EmailDetails{At: noon}) {
				t.Errorf("e-mail to the owner: %+v", m)
			}
			visible := func(u *domain.User) domain.PendingEmail { // without the address and the digest, which differ
				pending := u.State().PendingEmail
				pending.Email, pending.Code = "", domain.EmailCodeDigest{}
				return pending
			}
			if visible(mallory) != visible(ada) || mallory.PendingEmail() != "ben@example.org" || mallory.Email() != "" {
				t.Errorf("the requesting user: %+v", mallory.State())
			}
			if err := mallory.VerifyEmail(code.Digests(h.service.Keys, mallory.ID()), noon); !errors.Is(err, domain.ErrInvalidCode) || mallory.Email() != "" {
				t.Errorf("the generated code: %v, %+v", err, mallory.State())
			}
			for sent := 2; sent <= 8; sent++ {
				_, taken := h.requestEmail(mallory, "ben@example.org", noon)
				_, free := h.requestEmail(ada, "free@example.org", noon)
				if !reflect.DeepEqual(taken, free) || sent > 5 && taken == nil {
					t.Errorf("request %d: %v for a taken address, %v for a free one", sent, taken, free)
				}
			}
			if got := h.sendLimit("ben@example.org"); got.Failures != h.sendLimit("free@example.org").Failures {
				t.Errorf("send limit %+v", got)
			}
			h.update(func(tx ports.Tx) error {
				owner, err := tx.Users.ByEmail(t.Context(), "ben@example.org")
				if err == nil && !reflect.DeepEqual(owner.State(), ben.State()) {
					t.Errorf("the owner was changed: %+v", owner.State())
				}
				return err
			})
		})
	}
}

// codeOf decrypts a code in an e-mail to a free address, which it rolls back.
func (h *fixture) codeOf(user *domain.User, pendingCode emailverify.PendingCode) (code domain.EmailCode) {
	h.t.Helper()
	errRollback := errors.New("roll back")
	err := h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		queued, err := h.service.Request(h.t.Context(), tx, domain.RestoreUser(user.State()), "free@example.com", pendingCode, noon)
		if err != nil {
			return err
		}
		code = h.decryptedCode(queued)
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		h.t.Fatal(err)
	}
	return code
}

func TestEmailVerification_LimitsUnconfirmedEmails(t *testing.T) {
	h := newFixture(t)
	for n := range 5 { // one request of each user
		if _, err := h.requestEmail(h.addUser("Mallory", "", false), "ada@example.org", noon.Add(time.Duration(n)*time.Second)); err != nil {
			t.Fatalf("request %d: %v", n+1, err)
		}
	}
	ada, now := h.addUser("Ada", "", false), noon.Add(4*time.Second)
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, early := range []time.Duration{0, wait - time.Microsecond} {
			queued, err := h.requestEmail(ada, "ada@example.org", now.Add(early))
			var until *domain.RetryAfterError
			if !errors.As(err, &until) || until.Delay != wait-early || queued != nil {
				t.Errorf("%s after the last request: %v, %+v", early, err, queued)
			}
			if p := ada.State().PendingEmail; p.Email != "ada@example.org" || !p.ExpiresAt.Equal(now.Add(early).Add(30*time.Minute)) {
				t.Errorf("the address is not pending: %+v", p)
			}
		}
		sent := h.sendLimit("ada@example.org").Failures
		if now = now.Add(wait); sent < 5 {
			t.Fatalf("counted %d e-mails", sent)
		}
		if _, err := h.requestEmail(ada, "ada@example.org", now); err != nil {
			t.Errorf("after a wait of %s: %v", wait, err)
		}
		if counted := h.sendLimit("ada@example.org").Failures; counted != sent+1 {
			t.Errorf("counted %d e-mails after %d", counted, sent)
		}
	}
	if _, err := h.requestEmail(ada, "ada@example.com", now); err != nil {
		t.Errorf("another mailbox: %v", err)
	}
}

func TestEmailVerification_ClearSendLimit(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada", "", false)
	for range 5 {
		if _, err := h.requestEmail(ada, "ada@example.org", noon); err != nil {
			t.Fatal(err)
		}
	}
	h.update(func(tx ports.Tx) error { return h.service.ClearSendLimit(t.Context(), tx, "ada@example.com") })
	if _, err := h.requestEmail(ada, "ada@example.org", noon); !errors.Is(err, domain.ErrRateLimited) {
		t.Errorf("after the confirmation of another mailbox: %v", err)
	}
	h.update(func(tx ports.Tx) error { return h.service.ClearSendLimit(t.Context(), tx, "ada@example.org") })
	for n := range 5 {
		if _, err := h.requestEmail(ada, "ada@example.org", noon); err != nil {
			t.Errorf("request %d after the confirmation: %v", n+1, err)
		}
	}
}

// An attacker cannot lock a mailbox for more than a day.
func TestEmailVerification_SendLimitEndsAfterADay(t *testing.T) {
	h := newFixture(t)
	mallory, ada := h.addUser("Mallory", "", false), h.addUser("Ada", "", false)
	now := noon
	for range 100 {
		var wait *domain.RetryAfterError
		if _, err := h.requestEmail(mallory, "ada@example.org", now); errors.As(err, &wait) {
			if wait.Delay > 24*time.Hour {
				t.Fatalf("a wait of %s", wait.Delay)
			}
			now = wait.Until
		} else if err != nil {
			t.Fatal(err)
		}
	}
	last := h.sendLimit("ada@example.org").UpdatedAt
	for n := range 5 {
		if _, err := h.requestEmail(ada, "ada@example.org", last.Add(24*time.Hour)); err != nil {
			t.Errorf("request %d a day after the last: %v", n+1, err)
		}
	}

	// No count locks it permanently.
	for failures := 12; failures < 20; failures++ {
		h.update(func(tx ports.Tx) error {
			return tx.Lockouts.Save(t.Context(), domain.RestoreLockout(domain.LockoutState{
				Subject: h.service.Lockout.Mailbox("ada@example.org"), Failures: failures, LockedUntil: now, UpdatedAt: now.Add(-time.Hour),
			}))
		})
		if _, err := h.requestEmail(ada, "ada@example.org", now); err != nil {
			t.Fatalf("after %d e-mails: %v", failures, err)
		}
		if s := h.sendLimit("ada@example.org"); domain.RestoreLockout(s).Locked() || !s.LockedUntil.Equal(now.Add(24*time.Hour)) {
			t.Fatalf("after %d e-mails: %+v", failures, s)
		}
	}
}

// A reader of the database cannot verify an address: the code is encrypted.
// Requirement: ASVS-6.5.2
func TestEmailVerification_StoresNoPlainCode(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada", "", false)
	queued, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	code := h.decryptedCode(queued).Reveal()
	emails := h.outbox()
	if len(emails) != 1 || emails[0].Code == nil {
		t.Fatalf("outbox %+v", emails)
	}
	h.update(func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), ada.ID())
		if err != nil {
			return err
		}
		s := user.State()
		for _, stored := range [][]byte{emails[0].Code, s.PendingEmail.Code[:], fmt.Appendf(nil, "%+v", s), fmt.Appendf(nil, "%+v", emails[0])} {
			if bytes.Contains(stored, []byte(code)) {
				t.Errorf("the code is in %q", stored)
			}
		}
		return nil
	})
	// The code is encrypted for its e-mail, so that no other e-mail can contain it.
	if decrypted, err := h.service.Sealer.Open(emails[0].Code, "code in message 01a20846-fe00-7552-9500-b0ad0b131489"); err == nil {
		t.Errorf("decrypted for another e-mail: %q", decrypted)
	}
	again, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() == queued.ID() || h.decryptedCode(again) == h.decryptedCode(queued) {
		t.Error("two requests have the same id or code")
	}
}

// A code verifies the address of the user for whom it was generated only.
func TestEmailVerification_CodeOfAnotherUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("Ada", "", false), h.addUser("Ben", "", false)
	queued, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.requestEmail(ben, "ben@example.com", noon); err != nil {
		t.Fatal(err)
	}
	if err := ben.VerifyEmail(h.decryptedCode(queued).Digests(h.service.Keys, ben.ID()), noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("another user's code: %v", err)
	}
}

// failingSealer fails to encrypt.
type failingSealer struct{ ports.Sealer }

var errSeal = errors.New("encryption failed")

func (failingSealer) Seal([]byte, string) ([]byte, error) { return nil, errSeal }

func TestEmailVerification_GenerateCodeErrors(t *testing.T) {
	h := newFixture(t)
	c := *h.service
	c.Sealer = failingSealer{}
	if _, err := c.GenerateCode(domain.UserID{}, noon); !errors.Is(err, errSeal) {
		t.Errorf("without encryption: %v", err)
	}
}
