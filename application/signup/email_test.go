package signup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func newMailingLodge(t *testing.T) *lodge {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLodge(t)
	l.claims = &mail.Claims{
		Policy: domain.MailOn, Keys: domain.EmailCodeKeys{bytes.Repeat([]byte{1}, 32)}, Sealer: sealer, Random: rand.Reader, Lockout: bytes.Repeat([]byte{2}, 32),
	}
	return l
}

// signsUp is somebody's whole way in.
func (l *lodge) signsUp(email domain.Email) (access.Grant, error) {
	l.t.Helper()
	begun, err := l.begins(email)
	if err != nil {
		return access.Grant{}, err
	}
	return l.finishes(begun)
}

func (l *lodge) waiting() (list []domain.MessageSnapshot) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		messages, err := tx.Messages.Due(l.t.Context(), noon, 1000)
		for _, m := range messages {
			list = append(list, m.Snapshot())
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *lodge) user(id domain.UserID) (is domain.UserSnapshot) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByID(l.t.Context(), id)
		if err == nil {
			is = user.Snapshot()
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return is
}

// proves has the address be the user's own.
func (l *lodge) proves(id domain.UserID, email domain.Email) {
	l.t.Helper()
	is := l.user(id)
	is.Email, is.EmailVerifiedAt, is.Claim = email, noon, domain.EmailClaim{}
	err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Users.Save(l.t.Context(), domain.RestoreUser(is)) })
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestAnAddressIsClaimedBySigningUp(t *testing.T) {
	l := newMailingLodge(t)
	grant, err := l.signsUp("ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	is := l.user(grant.User.ID())
	if is.Email != "" || !is.EmailVerifiedAt.IsZero() || is.Claim.Email != "ada@example.org" || !is.Claim.ExpiresAt.Equal(noon.Add(30*time.Minute)) || grant.User.Snapshot() != is {
		t.Errorf("stored %+v, returned %+v", is, grant.User.Snapshot())
	}
	sent := l.waiting()
	if len(sent) != 1 || sent[0].Kind != domain.MessageEmailCode || sent[0].To != "ada@example.org" || sent[0].UserID != grant.User.ID() {
		t.Fatalf("sent %+v", sent)
	}
	opened, err := l.claims.Sealer.Open(sent[0].Code, "code in message "+sent[0].ID.String())
	if err != nil {
		t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(opened))
	if err != nil {
		t.Fatal(err)
	}
	if err := grant.User.Prove(l.claims.Keys.Digests(grant.User.ID(), code), noon); err != nil || grant.User.Email() != "ada@example.org" {
		t.Errorf("proved: %v", err)
	}
}

func TestWhoeverSignsUpWithoutAnAddressGetsNoLetter(t *testing.T) {
	l := newMailingLodge(t)
	grant, err := l.signsUp("")
	if err != nil || grant.User.PendingEmail() != "" || l.waiting() != nil {
		t.Errorf("got %+v, %v, sent %+v", grant.User, err, l.waiting())
	}
}

func TestWhereNoMailIsSentAnAddressIsTakenBySigningUp(t *testing.T) {
	l := newLodge(t)
	grant, err := l.signsUp("ada@example.org")
	if err != nil || grant.User.Email() != "ada@example.org" || grant.User.EmailVerified() || grant.User.PendingEmail() != "" || l.waiting() != nil {
		t.Errorf("got %+v, %v, sent %+v", grant.User, err, l.waiting())
	}
}

// Signing up is what anybody can do, so nothing on the way says which addresses have an account.
func TestSigningUpDoesNotTellThatAnAddressIsTaken(t *testing.T) {
	l := newMailingLodge(t)
	ada, err := l.signsUp("")
	if err != nil {
		t.Fatal(err)
	}
	l.proves(ada.User.ID(), "ada@example.org")

	grant, err := l.signsUp("ada@example.org")
	if err != nil {
		t.Fatalf("a taken one: %v", err)
	}
	is := l.user(grant.User.ID())
	if is.Email != "" || is.Claim.Email != "ada@example.org" || !is.Claim.ExpiresAt.Equal(noon.Add(30*time.Minute)) || is.Claim.Failures != 0 {
		t.Errorf("the claimant becomes %+v", is)
	}
	if is := l.user(ada.User.ID()); is.Email != "ada@example.org" || is.EmailVerifiedAt.IsZero() {
		t.Errorf("the owner became %+v", is)
	}
	sent := l.waiting()
	if len(sent) != 1 || sent[0].Kind != domain.MessageAddressTaken || sent[0].UserID != ada.User.ID() || sent[0].To != "ada@example.org" || sent[0].Code != nil {
		t.Errorf("sent %+v", sent)
	}
}

// The owner proves the address while somebody else is on their way.
func TestAnAddressThatIsTakenOnTheWayIsNotToldEither(t *testing.T) {
	l := newMailingLodge(t)
	ada, err := l.signsUp("")
	if err != nil {
		t.Fatal(err)
	}
	begun := l.mustBegin("ada@example.org")
	l.relyingParty.meanwhile = func() { l.proves(ada.User.ID(), "ada@example.org") }
	grant, err := l.finishes(begun)
	if err != nil || grant.User.PendingEmail() != "ada@example.org" {
		t.Errorf("got %+v, %v", grant.User, err)
	}
	if sent := l.waiting(); len(sent) != 1 || sent[0].Kind != domain.MessageAddressTaken {
		t.Errorf("sent %+v", sent)
	}
}

// Strangers who have letters sent to somebody's address do not keep them out.
func TestASignUpGoesOnWhileTheMailboxWaits(t *testing.T) {
	l := newMailingLodge(t)
	for n := range 8 {
		grant, err := l.signsUp("ada@example.org")
		if err != nil {
			t.Fatalf("sign-up %d: %v", n+1, err)
		}
		if is := l.user(grant.User.ID()); is.Claim.Email != "ada@example.org" || is.Email != "" {
			t.Errorf("sign-up %d: %+v", n+1, is)
		}
		if sent := l.waiting(); len(sent) != min(n+1, 5) {
			t.Errorf("after sign-up %d: %d letters", n+1, len(sent))
		}
	}
}

// failing is a store whose lockouts cannot be read.
type failing struct{ ports.Store }

type noLockouts struct{ ports.Lockouts }

func (f failing) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return f.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Lockouts = noLockouts{}
		return fn(tx)
	})
}

func (noLockouts) Of(context.Context, domain.LockoutSubject) (*domain.Lockout, error) {
	return nil, domain.ErrUnavailable
}

func TestAnOutageIsNoMailboxThatWaits(t *testing.T) {
	l := newMailingLodge(t)
	begun := l.mustBegin("ada@example.org")
	l.store = failing{l.store}
	if grant, err := l.finishes(begun); !errors.Is(err, domain.ErrUnavailable) || grant.User != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
}
