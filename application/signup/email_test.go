package signup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"reflect"
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
		Policy: domain.EmailOn, Keys: domain.KeyRing[domain.EmailCode]{bytes.Repeat([]byte{1}, 32)}, Sealer: sealer, Random: rand.Reader, Lockout: bytes.Repeat([]byte{2}, 32),
	}
	return l
}

// signUp begins and finishes a sign-up.
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
		emails, err := tx.OutboxEmails.ListDue(l.t.Context(), noon, 1000)
		for _, m := range emails {
			list = append(list, m.State())
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *fixture) storedUser(id domain.UserID) (s domain.UserState) {
	l.t.Helper()
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByID(l.t.Context(), id)
		if err == nil {
			s = user.State()
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// setVerifiedEmail stores the address as the user's verified address.
func (l *fixture) setVerifiedEmail(id domain.UserID, email domain.Email) {
	l.t.Helper()
	s := l.storedUser(id)
	s.Email, s.EmailVerifiedAt, s.PendingEmail = email, noon, domain.PendingEmail{}
	err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return tx.Users.Save(l.t.Context(), domain.RestoreUser(s)) })
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestFinish_RequestsEmailVerification(t *testing.T) {
	l := newMailFixture(t)
	signIn, err := l.signUp("ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	s := l.storedUser(signIn.User.ID())
	if s.Email != "" || !s.EmailVerifiedAt.IsZero() || s.PendingEmail.Email != "ada@example.org" || !s.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) || !reflect.DeepEqual(signIn.User.State(), s) {
		t.Errorf("stored %+v, returned %+v", s, signIn.User.State())
	}
	sent := l.outbox()
	if len(sent) != 1 || sent[0].Kind != domain.EmailKindVerificationCode || sent[0].To != "ada@example.org" || sent[0].UserID != signIn.User.ID() {
		t.Fatalf("sent %+v", sent)
	}
	decrypted, err := l.verification.Sealer.Open(sent[0].Code, "code in message "+sent[0].ID.String())
	if err != nil {
		t.Fatal(err)
	}
	code, err := domain.ParseEmailCode(string(decrypted))
	if err != nil {
		t.Fatal(err)
	}
	if err := signIn.User.VerifyEmail(code.Digests(l.verification.Keys, signIn.User.ID()), noon); err != nil || signIn.User.Email() != "ada@example.org" {
		t.Errorf("verification: %v", err)
	}
}

func TestFinish_WithoutEmailSendsNone(t *testing.T) {
	l := newMailFixture(t)
	signIn, err := l.signUp("")
	if err != nil || signIn.User.PendingEmail() != "" || l.outbox() != nil {
		t.Errorf("got %+v, %v, sent %+v", signIn.User, err, l.outbox())
	}
}

func TestFinish_UnverifiedEmailWithoutMail(t *testing.T) {
	l := newFixture(t)
	signIn, err := l.signUp("ada@example.org")
	if err != nil || signIn.User.Email() != "ada@example.org" || signIn.User.EmailVerified() || signIn.User.PendingEmail() != "" || l.outbox() != nil {
		t.Errorf("got %+v, %v, sent %+v", signIn.User, err, l.outbox())
	}
}

// A sign-up, which any client can make, must not reveal which addresses have an account.
// Requirement: ASVS-6.3.8
func TestSignUp_TakenEmailIsIndistinguishable(t *testing.T) {
	l := newMailFixture(t)
	ada, err := l.signUp("")
	if err != nil {
		t.Fatal(err)
	}
	l.setVerifiedEmail(ada.User.ID(), "ada@example.org")

	signIn, err := l.signUp("ada@example.org")
	if err != nil {
		t.Fatalf("a taken address: %v", err)
	}
	s := l.storedUser(signIn.User.ID())
	if s.Email != "" || s.PendingEmail.Email != "ada@example.org" || !s.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) || s.PendingEmail.Failures != 0 {
		t.Errorf("the new user: %+v", s)
	}
	if s := l.storedUser(ada.User.ID()); s.Email != "ada@example.org" || s.EmailVerifiedAt.IsZero() {
		t.Errorf("the owner was changed: %+v", s)
	}
	sent := l.outbox()
	if len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressTaken || sent[0].UserID != ada.User.ID() || sent[0].To != "ada@example.org" || sent[0].Code != nil {
		t.Errorf("sent %+v", sent)
	}
}

// The owner verifies the address while another user signs up with it.
func TestFinish_EmailTakenMeanwhile(t *testing.T) {
	l := newMailFixture(t)
	ada, err := l.signUp("")
	if err != nil {
		t.Fatal(err)
	}
	begun := l.mustBegin("ada@example.org")
	l.relyingParty.beforeVerify = func() { l.setVerifiedEmail(ada.User.ID(), "ada@example.org") }
	signIn, err := l.finish(begun)
	if err != nil || signIn.User.PendingEmail() != "ada@example.org" {
		t.Errorf("got %+v, %v", signIn.User, err)
	}
	if sent := l.outbox(); len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressTaken {
		t.Errorf("sent %+v", sent)
	}
}

// A mailbox at its send limit does not prevent sign-ups with the address.
func TestFinish_SucceedsAtSendLimit(t *testing.T) {
	l := newMailFixture(t)
	for n := range 8 {
		signIn, err := l.signUp("ada@example.org")
		if err != nil {
			t.Fatalf("sign-up %d: %v", n+1, err)
		}
		if s := l.storedUser(signIn.User.ID()); s.PendingEmail.Email != "ada@example.org" || s.Email != "" {
			t.Errorf("sign-up %d: %+v", n+1, s)
		}
		if sent := l.outbox(); len(sent) != min(n+1, 5) {
			t.Errorf("after sign-up %d: %d e-mails", n+1, len(sent))
		}
	}
}

// failingLockoutsStore is a store that fails to read lockouts.
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
	if signIn, err := l.finish(begun); !errors.Is(err, domain.ErrUnavailable) || signIn.User != nil {
		t.Errorf("got %+v, %v", signIn, err)
	}
}
