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
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func newMailFixture(t *testing.T) *fixture {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newFixture(t)
	l.verification = &emailverify.Service{
		Policy: domain.EmailOn, Keys: domain.EmailCodeKeys{bytes.Repeat([]byte{1}, 32)}, Sealer: sealer, Random: rand.Reader, Lockout: bytes.Repeat([]byte{2}, 32),
	}
	return l
}

// signUp is somebody's whole way in.
func (l *fixture) signUp(email domain.Email) (sessions.SignIn, error) {
	l.t.Helper()
	begun, err := l.begin(email)
	if err != nil {
		return sessions.SignIn{}, err
	}
	return l.finish(begun)
}

func (l *fixture) outbox() (list []domain.OutboxEmailState) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		messages, err := tx.OutboxEmails.ListDue(l.t.Context(), noon, 1000)
		for _, m := range messages {
			list = append(list, m.State())
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *fixture) storedUser(id domain.UserID) (is domain.UserState) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByID(l.t.Context(), id)
		if err == nil {
			is = user.State()
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return is
}

// setVerifiedEmail has the address be the user's own.
func (l *fixture) setVerifiedEmail(id domain.UserID, email domain.Email) {
	l.t.Helper()
	is := l.storedUser(id)
	is.Email, is.EmailVerifiedAt, is.PendingEmail = email, noon, domain.PendingEmail{}
	err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Users.Save(l.t.Context(), domain.RestoreUser(is)) })
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestFinish_RequestsEmailVerification(t *testing.T) {
	l := newMailFixture(t)
	grant, err := l.signUp("ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	is := l.storedUser(grant.User.ID())
	if is.Email != "" || !is.EmailVerifiedAt.IsZero() || is.PendingEmail.Email != "ada@example.org" || !is.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) || grant.User.State() != is {
		t.Errorf("stored %+v, returned %+v", is, grant.User.State())
	}
	sent := l.outbox()
	if len(sent) != 1 || sent[0].Kind != domain.EmailKindVerificationCode || sent[0].To != "ada@example.org" || sent[0].UserID != grant.User.ID() {
		t.Fatalf("sent %+v", sent)
	}
	opened, err := l.verification.Sealer.Open(sent[0].Code, "code in message "+sent[0].ID.String())
	if err != nil {
		t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(opened))
	if err != nil {
		t.Fatal(err)
	}
	if err := grant.User.VerifyEmail(l.verification.Keys.Digests(grant.User.ID(), code), noon); err != nil || grant.User.Email() != "ada@example.org" {
		t.Errorf("proved: %v", err)
	}
}

func TestFinish_WithoutEmailSendsNone(t *testing.T) {
	l := newMailFixture(t)
	grant, err := l.signUp("")
	if err != nil || grant.User.PendingEmail() != "" || l.outbox() != nil {
		t.Errorf("got %+v, %v, sent %+v", grant.User, err, l.outbox())
	}
}

func TestFinish_UnverifiedEmailWithoutMail(t *testing.T) {
	l := newFixture(t)
	grant, err := l.signUp("ada@example.org")
	if err != nil || grant.User.Email() != "ada@example.org" || grant.User.EmailVerified() || grant.User.PendingEmail() != "" || l.outbox() != nil {
		t.Errorf("got %+v, %v, sent %+v", grant.User, err, l.outbox())
	}
}

// Signing up is what anybody can do, so nothing on the way says which addresses have an account.
func TestSignUp_TakenEmailIsIndistinguishable(t *testing.T) {
	l := newMailFixture(t)
	ada, err := l.signUp("")
	if err != nil {
		t.Fatal(err)
	}
	l.setVerifiedEmail(ada.User.ID(), "ada@example.org")

	grant, err := l.signUp("ada@example.org")
	if err != nil {
		t.Fatalf("a taken one: %v", err)
	}
	is := l.storedUser(grant.User.ID())
	if is.Email != "" || is.PendingEmail.Email != "ada@example.org" || !is.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) || is.PendingEmail.Failures != 0 {
		t.Errorf("the claimant becomes %+v", is)
	}
	if is := l.storedUser(ada.User.ID()); is.Email != "ada@example.org" || is.EmailVerifiedAt.IsZero() {
		t.Errorf("the owner became %+v", is)
	}
	sent := l.outbox()
	if len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressTaken || sent[0].UserID != ada.User.ID() || sent[0].To != "ada@example.org" || sent[0].Code != nil {
		t.Errorf("sent %+v", sent)
	}
}

// The owner proves the address while somebody else is on their way.
func TestFinish_EmailTakenMeanwhile(t *testing.T) {
	l := newMailFixture(t)
	ada, err := l.signUp("")
	if err != nil {
		t.Fatal(err)
	}
	begun := l.mustBegin("ada@example.org")
	l.relyingParty.beforeVerify = func() { l.setVerifiedEmail(ada.User.ID(), "ada@example.org") }
	grant, err := l.finish(begun)
	if err != nil || grant.User.PendingEmail() != "ada@example.org" {
		t.Errorf("got %+v, %v", grant.User, err)
	}
	if sent := l.outbox(); len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressTaken {
		t.Errorf("sent %+v", sent)
	}
}

// Strangers who have letters sent to somebody's address do not keep them out.
func TestFinish_SucceedsAtSendLimit(t *testing.T) {
	l := newMailFixture(t)
	for n := range 8 {
		grant, err := l.signUp("ada@example.org")
		if err != nil {
			t.Fatalf("sign-up %d: %v", n+1, err)
		}
		if is := l.storedUser(grant.User.ID()); is.PendingEmail.Email != "ada@example.org" || is.Email != "" {
			t.Errorf("sign-up %d: %+v", n+1, is)
		}
		if sent := l.outbox(); len(sent) != min(n+1, 5) {
			t.Errorf("after sign-up %d: %d letters", n+1, len(sent))
		}
	}
}

// failingLockoutsStore is a store whose lockouts cannot be read.
type failingLockoutsStore struct{ ports.Store }

type failingLockouts struct{ ports.Lockouts }

func (f failingLockoutsStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return f.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Lockouts = failingLockouts{}
		return fn(tx)
	})
}

func (failingLockouts) Get(context.Context, domain.LockoutSubject) (*domain.Lockout, error) {
	return nil, domain.ErrUnavailable
}

func TestFinish_StoreErrorIsNotSendLimit(t *testing.T) {
	l := newMailFixture(t)
	begun := l.mustBegin("ada@example.org")
	l.store = failingLockoutsStore{l.store}
	if grant, err := l.finish(begun); !errors.Is(err, domain.ErrUnavailable) || grant.User != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
}
