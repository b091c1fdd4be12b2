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
	for name, c := range map[string]struct{ holds, claims domain.Email }{
		"a free one, holding none":         {"", "ada@example.com"},
		"a free one, holding another":      {"ada@example.org", "ada@example.com"},
		"her own, which is not verified":   {"ada@example.org", "ada@example.org"},
		"one that somebody else claims":    {"", "claimed@example.org"},
		"one that is like somebody else's": {"", "ben@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ada, ben := h.addUser("Ada", c.holds, false), h.addUser("Ben", "ben@example.org", true)
			if _, err := h.requestEmail(ben, "claimed@example.org", noon.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			before := ada.State()
			message, err := h.requestEmail(ada, c.claims, noon)
			if err != nil {
				t.Fatal(err)
			}
			is := ada.State()
			if is.Email != c.holds || !is.EmailVerifiedAt.IsZero() || is.PendingEmail.Email != c.claims || is.PendingEmail.Code == (domain.EmailCodeDigest{}) || !is.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("became %+v", is)
			}
			if is.PendingEmail = (domain.PendingEmail{}); is != before {
				t.Errorf("was %+v, became %+v", before, is)
			}
			if m := message.State(); m.To != c.claims || m.Kind != domain.EmailKindVerificationCode || m.UserID != ada.ID() || !m.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("sent %+v", m)
			}
			if err := h.verifyEmail(ada, message, noon); err != nil || ada.Email() != c.claims || !ada.EmailVerified() {
				t.Errorf("proved: %v, %+v", err, ada.State())
			}
		})
	}
}

// Whoever claims it learns nothing: neither by what they get, nor by any code, nor by when they have to wait.
func TestEmailVerification_TakenEmailIsIndistinguishable(t *testing.T) {
	for name, verified := range map[string]bool{"verified": true, "held since before mail was sent": false} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ben := h.addUser("Ben", "ben@example.org", verified)
			mallory, honest := h.addUser("Mallory", "", false), h.addUser("Ada", "", false)
			draft, err := h.service.GenerateCode(mallory.ID(), noon)
			if err != nil {
				t.Fatal(err)
			}
			code := h.codeOf(mallory, draft)
			var told *domain.OutboxEmail
			h.update(func(tx ports.Tx) error {
				if told, err = h.service.Request(t.Context(), tx, mallory, "ben@example.org", draft, noon); err != nil {
					return err
				}
				return errors.Join(tx.Users.Save(t.Context(), mallory), tx.OutboxEmails.Add(t.Context(), told))
			})
			if _, err := h.requestEmail(honest, "free@example.org", noon); err != nil {
				t.Fatal(err)
			}

			if m := told.State(); m.Kind != domain.EmailKindAddressTaken || m.To != "ben@example.org" || m.UserID != ben.ID() || m.Code != nil ||
				m.Details != (domain.EmailDetails{At: noon}) {
				t.Errorf("the owner gets %+v", m)
			}
			visible := func(u *domain.User) domain.PendingEmail { // of the address's own claim; the digest never leaves the server
				claim := u.State().PendingEmail
				claim.Email, claim.Code = "", domain.EmailCodeDigest{}
				return claim
			}
			if visible(mallory) != visible(honest) || mallory.PendingEmail() != "ben@example.org" || mallory.Email() != "" {
				t.Errorf("the claimant becomes %+v", mallory.State())
			}
			if err := mallory.VerifyEmail(h.service.Keys.Digests(mallory.ID(), code), noon); !errors.Is(err, domain.ErrInvalidCode) || mallory.Email() != "" {
				t.Errorf("the code that was drawn: %v, %+v", err, mallory.State())
			}
			for sent := 2; sent <= 8; sent++ {
				_, taken := h.requestEmail(mallory, "ben@example.org", noon)
				_, free := h.requestEmail(honest, "free@example.org", noon)
				if !reflect.DeepEqual(taken, free) || sent > 5 && taken == nil {
					t.Errorf("claim %d: %v of a taken one, %v of a free one", sent, taken, free)
				}
			}
			if got := h.sendLimit("ben@example.org"); got.Failures != h.sendLimit("free@example.org").Failures {
				t.Errorf("counted %+v", got)
			}
			h.update(func(tx ports.Tx) error {
				owner, err := tx.Users.ByEmail(t.Context(), "ben@example.org")
				if err == nil && owner.State() != ben.State() {
					t.Errorf("the owner became %+v", owner.State())
				}
				return err
			})
		})
	}
}

// codeOf finds out what code was drawn, by having it sent to a free address.
func (h *fixture) codeOf(user *domain.User, draft emailverify.PendingCode) (code domain.EmailCode) {
	h.t.Helper()
	rolledBack := errors.New("only looking")
	err := h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		message, err := h.service.Request(h.t.Context(), tx, domain.RestoreUser(user.State()), "free@example.com", draft, noon)
		if err != nil {
			return err
		}
		code = h.decryptedCode(message)
		return rolledBack
	})
	if !errors.Is(err, rolledBack) {
		h.t.Fatal(err)
	}
	return code
}

func TestEmailVerification_LimitsUnconfirmedEmails(t *testing.T) {
	h := newFixture(t)
	for n := range 5 { // by different people, one each
		if _, err := h.requestEmail(h.addUser("Mallory", "", false), "ada@example.org", noon.Add(time.Duration(n)*time.Second)); err != nil {
			t.Fatalf("claim %d: %v", n+1, err)
		}
	}
	ada, now := h.addUser("Ada", "", false), noon.Add(4*time.Second)
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, early := range []time.Duration{0, wait - time.Microsecond} {
			message, err := h.requestEmail(ada, "ada@example.org", now.Add(early))
			var until *domain.RetryAfterError
			if !errors.As(err, &until) || until.Delay != wait-early || message != nil {
				t.Errorf("%s after the last: %v, %+v", early, err, message)
			}
			if is := ada.State().PendingEmail; is.Email != "ada@example.org" || !is.ExpiresAt.Equal(now.Add(early).Add(30*time.Minute)) {
				t.Errorf("the address is not claimed all the same: %+v", is)
			}
		}
		sent := h.sendLimit("ada@example.org").Failures
		if now = now.Add(wait); sent < 5 {
			t.Fatalf("counted %d", sent)
		}
		if _, err := h.requestEmail(ada, "ada@example.org", now); err != nil {
			t.Errorf("after a wait of %s: %v", wait, err)
		}
		if counted := h.sendLimit("ada@example.org").Failures; counted != sent+1 {
			t.Errorf("counted %d after %d", counted, sent)
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
		t.Errorf("after an answer from another one: %v", err)
	}
	h.update(func(tx ports.Tx) error { return h.service.ClearSendLimit(t.Context(), tx, "ada@example.org") })
	for n := range 5 {
		if _, err := h.requestEmail(ada, "ada@example.org", noon); err != nil {
			t.Errorf("claim %d after its answer: %v", n+1, err)
		}
	}
}

// Strangers cannot keep somebody from their own address for good.
func TestEmailVerification_SendLimitEndsAfterADay(t *testing.T) {
	h := newFixture(t)
	mallory, ada := h.addUser("Mallory", "", false), h.addUser("Ada", "", false)
	now := noon
	for range 100 {
		var wait *domain.RetryAfterError
		if _, err := h.requestEmail(mallory, "ada@example.org", now); errors.As(err, &wait) {
			if wait.Delay > 24*time.Hour {
				t.Fatalf("it waits %s", wait.Delay)
			}
			now = wait.Until
		} else if err != nil {
			t.Fatal(err)
		}
	}
	last := h.sendLimit("ada@example.org").UpdatedAt
	for n := range 5 {
		if _, err := h.requestEmail(ada, "ada@example.org", last.Add(24*time.Hour)); err != nil {
			t.Errorf("claim %d a day after the last: %v", n+1, err)
		}
	}

	// And nothing closes it, whatever was counted.
	for failures := 12; failures < 20; failures++ {
		h.update(func(tx ports.Tx) error {
			return tx.Lockouts.Save(t.Context(), domain.RestoreLockout(domain.LockoutState{
				Subject: h.service.Lockout.Mailbox("ada@example.org"), Failures: failures, LockedUntil: now, UpdatedAt: now.Add(-time.Hour),
			}))
		})
		if _, err := h.requestEmail(ada, "ada@example.org", now); err != nil {
			t.Fatalf("after %d: %v", failures, err)
		}
		if is := h.sendLimit("ada@example.org"); domain.RestoreLockout(is).Locked() || !is.LockedUntil.Equal(now.Add(24*time.Hour)) {
			t.Fatalf("after %d: %+v", failures, is)
		}
	}
}

// Whoever reads the database, or a copy of it, cannot prove an address by that.
func TestEmailVerification_StoresNoPlainCode(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada", "", false)
	message, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	code := h.decryptedCode(message).Reveal()
	waiting := h.outbox()
	if len(waiting) != 1 || waiting[0].Code == nil {
		t.Fatalf("waiting %+v", waiting)
	}
	h.update(func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), ada.ID())
		if err != nil {
			return err
		}
		is := user.State()
		for _, kept := range [][]byte{waiting[0].Code, is.PendingEmail.Code[:], fmt.Appendf(nil, "%+v", is), fmt.Appendf(nil, "%+v", waiting[0])} {
			if bytes.Contains(kept, []byte(code)) {
				t.Errorf("the code is in %q", kept)
			}
		}
		return nil
	})
	// It is sealed for its message, so that no other message brings it to somebody else.
	if opened, err := h.service.Sealer.Open(waiting[0].Code, "code in message 01a20846-fe00-7552-9500-b0ad0b131489"); err == nil {
		t.Errorf("opened as another message's: %q", opened)
	}
	again, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() == message.ID() || h.decryptedCode(again) == h.decryptedCode(message) {
		t.Error("two claims share an id or a code")
	}
}

// A code is under the present key, and under which address it is asked for is not known when it is drawn.
func TestEmailVerification_CodeOfAnotherUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("Ada", "", false), h.addUser("Ben", "", false)
	message, err := h.requestEmail(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.requestEmail(ben, "ben@example.com", noon); err != nil {
		t.Fatal(err)
	}
	if err := ben.VerifyEmail(h.service.Keys.Digests(ben.ID(), h.decryptedCode(message)), noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("another's code: %v", err)
	}
}

// failingSealer cannot seal.
type failingSealer struct{ ports.Sealer }

var errSeal = errors.New("no seal")

func (failingSealer) Seal([]byte, string) ([]byte, error) { return nil, errSeal }

func TestEmailVerification_GenerateCodeErrors(t *testing.T) {
	h := newFixture(t)
	c := *h.service
	c.Sealer = failingSealer{}
	if _, err := c.GenerateCode(domain.UserID{}, noon); !errors.Is(err, errSeal) {
		t.Errorf("without a seal: %v", err)
	}
}
