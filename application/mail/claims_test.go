package mail_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestACodeIsSentToAnAddressThatIsClaimed(t *testing.T) {
	for name, c := range map[string]struct{ holds, claims domain.Email }{
		"a free one, holding none":         {"", "ada@example.com"},
		"a free one, holding another":      {"ada@example.org", "ada@example.com"},
		"her own, which is not verified":   {"ada@example.org", "ada@example.org"},
		"one that somebody else claims":    {"", "claimed@example.org"},
		"one that is like somebody else's": {"", "ben@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ada, ben := h.moves("Ada", c.holds, false), h.moves("Ben", "ben@example.org", true)
			if _, err := h.claim(ben, "claimed@example.org", noon.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			before := ada.Snapshot()
			message, err := h.claim(ada, c.claims, noon)
			if err != nil {
				t.Fatal(err)
			}
			is := ada.Snapshot()
			if is.Email != c.holds || !is.EmailVerifiedAt.IsZero() || is.Claim.Email != c.claims || is.Claim.Code == (domain.EmailCodeDigest{}) || !is.Claim.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("became %+v", is)
			}
			if is.Claim = (domain.EmailClaim{}); is != before {
				t.Errorf("was %+v, became %+v", before, is)
			}
			if m := message.Snapshot(); m.To != c.claims || m.Kind != domain.MessageEmailCode || m.UserID != ada.ID() || !m.ExpiresAt.Equal(noon.Add(30*time.Minute)) {
				t.Errorf("sent %+v", m)
			}
			if err := h.proves(ada, message, noon); err != nil || ada.Email() != c.claims || !ada.EmailVerified() {
				t.Errorf("proved: %v, %+v", err, ada.Snapshot())
			}
		})
	}
}

// Whoever claims it learns nothing: neither by what they get, nor by any code, nor by when they have to wait.
func TestATakenAddressLooksLikeAFreeOne(t *testing.T) {
	for name, verified := range map[string]bool{"verified": true, "held since before mail was sent": false} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ben := h.moves("Ben", "ben@example.org", verified)
			mallory, honest := h.moves("Mallory", "", false), h.moves("Ada", "", false)
			draft, err := h.claims.Draw(mallory.ID(), noon)
			if err != nil {
				t.Fatal(err)
			}
			code := h.draftedCode(mallory, draft)
			var told *domain.Message
			h.update(func(tx ports.Tx) error {
				if told, err = h.claims.Enter(t.Context(), tx, mallory, "ben@example.org", draft, noon); err != nil {
					return err
				}
				return errors.Join(tx.Users.Save(t.Context(), mallory), tx.Messages.Add(t.Context(), told))
			})
			if _, err := h.claim(honest, "free@example.org", noon); err != nil {
				t.Fatal(err)
			}

			if m := told.Snapshot(); m.Kind != domain.MessageAddressTaken || m.To != "ben@example.org" || m.UserID != ben.ID() || m.Code != nil ||
				m.About != (domain.MessageFacts{At: noon}) {
				t.Errorf("the owner gets %+v", m)
			}
			visible := func(u *domain.User) domain.EmailClaim { // of the address's own claim; the digest never leaves the server
				claim := u.Snapshot().Claim
				claim.Email, claim.Code = "", domain.EmailCodeDigest{}
				return claim
			}
			if visible(mallory) != visible(honest) || mallory.PendingEmail() != "ben@example.org" || mallory.Email() != "" {
				t.Errorf("the claimant becomes %+v", mallory.Snapshot())
			}
			if err := mallory.Prove(h.claims.Keys.Digests(mallory.ID(), code), noon); !errors.Is(err, domain.ErrInvalidCode) || mallory.Email() != "" {
				t.Errorf("the code that was drawn: %v, %+v", err, mallory.Snapshot())
			}
			for sent := 2; sent <= 8; sent++ {
				_, taken := h.claim(mallory, "ben@example.org", noon)
				_, free := h.claim(honest, "free@example.org", noon)
				if !reflect.DeepEqual(taken, free) || sent > 5 && taken == nil {
					t.Errorf("claim %d: %v of a taken one, %v of a free one", sent, taken, free)
				}
			}
			if got := h.sentTo("ben@example.org"); got.Failures != h.sentTo("free@example.org").Failures {
				t.Errorf("counted %+v", got)
			}
			h.update(func(tx ports.Tx) error {
				owner, err := tx.Users.ByEmail(t.Context(), "ben@example.org")
				if err == nil && owner.Snapshot() != ben.Snapshot() {
					t.Errorf("the owner became %+v", owner.Snapshot())
				}
				return err
			})
		})
	}
}

// draftedCode finds out what code was drawn, by having it sent to a free address.
func (h *house) draftedCode(user *domain.User, draft mail.Draft) (code domain.EmailCode) {
	h.t.Helper()
	rolledBack := errors.New("only looking")
	err := h.store.Update(h.t.Context(), func(tx ports.Tx) error {
		message, err := h.claims.Enter(h.t.Context(), tx, domain.RestoreUser(user.Snapshot()), "free@example.com", draft, noon)
		if err != nil {
			return err
		}
		code = h.opened(message)
		return rolledBack
	})
	if !errors.Is(err, rolledBack) {
		h.t.Fatal(err)
	}
	return code
}

func TestAMailboxWaitsAfterFiveLettersThatNobodyAnswered(t *testing.T) {
	h := newHouse(t)
	for n := range 5 { // by different people, one each
		if _, err := h.claim(h.moves("Mallory", "", false), "ada@example.org", noon.Add(time.Duration(n)*time.Second)); err != nil {
			t.Fatalf("claim %d: %v", n+1, err)
		}
	}
	ada, now := h.moves("Ada", "", false), noon.Add(4*time.Second)
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, early := range []time.Duration{0, wait - time.Microsecond} {
			message, err := h.claim(ada, "ada@example.org", now.Add(early))
			var until *domain.Wait
			if !errors.As(err, &until) || until.For != wait-early || message != nil {
				t.Errorf("%s after the last: %v, %+v", early, err, message)
			}
			if is := ada.Snapshot().Claim; is.Email != "ada@example.org" || !is.ExpiresAt.Equal(now.Add(early).Add(30*time.Minute)) {
				t.Errorf("the address is not claimed all the same: %+v", is)
			}
		}
		sent := h.sentTo("ada@example.org").Failures
		if now = now.Add(wait); sent < 5 {
			t.Fatalf("counted %d", sent)
		}
		if _, err := h.claim(ada, "ada@example.org", now); err != nil {
			t.Errorf("after a wait of %s: %v", wait, err)
		}
		if counted := h.sentTo("ada@example.org").Failures; counted != sent+1 {
			t.Errorf("counted %d after %d", counted, sent)
		}
	}
	if _, err := h.claim(ada, "ada@example.com", now); err != nil {
		t.Errorf("another mailbox: %v", err)
	}
}

func TestAnAnswerOpensTheMailboxAgain(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada", "", false)
	for range 5 {
		if _, err := h.claim(ada, "ada@example.org", noon); err != nil {
			t.Fatal(err)
		}
	}
	h.update(func(tx ports.Tx) error { return h.claims.Proved(t.Context(), tx, "ada@example.com") })
	if _, err := h.claim(ada, "ada@example.org", noon); !errors.Is(err, domain.ErrRateLimited) {
		t.Errorf("after an answer from another one: %v", err)
	}
	h.update(func(tx ports.Tx) error { return h.claims.Proved(t.Context(), tx, "ada@example.org") })
	for n := range 5 {
		if _, err := h.claim(ada, "ada@example.org", noon); err != nil {
			t.Errorf("claim %d after its answer: %v", n+1, err)
		}
	}
}

// Strangers cannot keep somebody from their own address for good.
func TestAMailboxIsForgivenAfterADay(t *testing.T) {
	h := newHouse(t)
	mallory, ada := h.moves("Mallory", "", false), h.moves("Ada", "", false)
	now := noon
	for range 100 {
		var wait *domain.Wait
		if _, err := h.claim(mallory, "ada@example.org", now); errors.As(err, &wait) {
			if wait.For > 24*time.Hour {
				t.Fatalf("it waits %s", wait.For)
			}
			now = wait.Until
		} else if err != nil {
			t.Fatal(err)
		}
	}
	last := h.sentTo("ada@example.org").UpdatedAt
	for n := range 5 {
		if _, err := h.claim(ada, "ada@example.org", last.Add(24*time.Hour)); err != nil {
			t.Errorf("claim %d a day after the last: %v", n+1, err)
		}
	}

	// And nothing closes it, whatever was counted.
	for failures := 12; failures < 20; failures++ {
		h.update(func(tx ports.Tx) error {
			return tx.Lockouts.Save(t.Context(), domain.RestoreLockout(domain.LockoutSnapshot{
				Subject: h.claims.Lockout.Mailbox("ada@example.org"), Failures: failures, LockedUntil: now, UpdatedAt: now.Add(-time.Hour),
			}))
		})
		if _, err := h.claim(ada, "ada@example.org", now); err != nil {
			t.Fatalf("after %d: %v", failures, err)
		}
		if is := h.sentTo("ada@example.org"); domain.RestoreLockout(is).Closed() || !is.LockedUntil.Equal(now.Add(24*time.Hour)) {
			t.Fatalf("after %d: %+v", failures, is)
		}
	}
}

// Whoever reads the database, or a copy of it, cannot prove an address by that.
func TestACodeIsNowhereInTheStore(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada", "", false)
	message, err := h.claim(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	code := h.opened(message).Reveal()
	waiting := h.waiting()
	if len(waiting) != 1 || waiting[0].Code == nil {
		t.Fatalf("waiting %+v", waiting)
	}
	h.update(func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), ada.ID())
		if err != nil {
			return err
		}
		is := user.Snapshot()
		for _, kept := range [][]byte{waiting[0].Code, is.Claim.Code[:], fmt.Appendf(nil, "%+v", is), fmt.Appendf(nil, "%+v", waiting[0])} {
			if bytes.Contains(kept, []byte(code)) {
				t.Errorf("the code is in %q", kept)
			}
		}
		return nil
	})
	// It is sealed for its message, so that no other message brings it to somebody else.
	if opened, err := h.claims.Sealer.Open(waiting[0].Code, "code in message 01a20846-fe00-7552-9500-b0ad0b131489"); err == nil {
		t.Errorf("opened as another message's: %q", opened)
	}
	again, err := h.claim(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() == message.ID() || h.opened(again) == h.opened(message) {
		t.Error("two claims share an id or a code")
	}
}

// A code is under the present key, and under which address it is asked for is not known when it is drawn.
func TestADraftIsTheUsersAlone(t *testing.T) {
	h := newHouse(t)
	ada, ben := h.moves("Ada", "", false), h.moves("Ben", "", false)
	message, err := h.claim(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.claim(ben, "ben@example.com", noon); err != nil {
		t.Fatal(err)
	}
	if err := ben.Prove(h.claims.Keys.Digests(ben.ID(), h.opened(message)), noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("another's code: %v", err)
	}
}

// unsealing cannot seal.
type unsealing struct{ ports.Sealer }

var errUnsealing = errors.New("no seal")

func (unsealing) Seal([]byte, string) ([]byte, error) { return nil, errUnsealing }

func TestWhatCannotBeDrawnOrSealedIsNotClaimed(t *testing.T) {
	h := newHouse(t)
	errDull := errors.New("no randomness")
	enough := bytes.Repeat([]byte{7}, 10) // for the id
	for _, random := range [][]byte{nil, enough[:9], enough, append(enough, 1, 2, 3)} {
		c := *h.claims
		c.Random = &exhausted{bytes.NewReader(random), errDull}
		if draft, err := c.Draw(domain.UserID{}, noon); !errors.Is(err, errDull) || !reflect.DeepEqual(draft, mail.Draft{}) {
			t.Errorf("of %d bytes: %v", len(random), err)
		}
	}
	c := *h.claims
	c.Sealer = unsealing{}
	if _, err := c.Draw(domain.UserID{}, noon); !errors.Is(err, errUnsealing) {
		t.Errorf("without a seal: %v", err)
	}
}

// exhausted gives what it has and then fails.
type exhausted struct {
	left *bytes.Reader
	err  error
}

func (e *exhausted) Read(p []byte) (int, error) {
	if e.left.Len() == 0 {
		return iotest.ErrReader(e.err).Read(p)
	}
	return e.left.Read(p)
}
