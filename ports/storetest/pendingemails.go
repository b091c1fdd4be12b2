package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// pendingEmails are the rules of pending e-mail addresses. The rules of users cover every field of one.
var pendingEmails = rules{
	"a pending e-mail is stored, counted, replaced and cleared": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		pending := ada.PendingEmail
		counted := pending
		counted.Failures++
		replacement := domain.PendingEmail{Email: "countess@example.com", Code: domain.EmailCodeDigest{31: 1}, ExpiresAt: hour(30)}
		wantChanged(t, pending, replacement)
		ada.PendingEmail = domain.PendingEmail{}
		addUsers(t, store, ada, ben)
		for _, state := range []domain.PendingEmail{pending, counted, replacement, {}, replacement} {
			ada.PendingEmail = state
			saveUser(t, store, ada)
			got, err := userByID(t, store, ada.ID)
			wantSame(t, got, err, ada)
		}
		got, err := userByID(t, store, ben.ID)
		wantSame(t, got, err, ben)
	},

	"any digest of a code is stored": func(t *testing.T, store ports.Store) {
		for i, digest := range []domain.EmailCodeDigest{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}} {
			s := user(fmt.Sprint("user", i))
			s.PendingEmail.Code = digest
			addUsers(t, store, s)
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"ByEmail does not find a pending e-mail": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		ben.Email, ben.EmailVerifiedAt = "", time.Time{}
		addUsers(t, store, ada, ben)
		for _, s := range []domain.UserState{ada, ben} {
			if _, err := userByEmail(t, store, s.PendingEmail.Email); !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%s: got %v, want %v", s.PendingEmail.Email, err, domain.ErrUserNotFound)
			}
		}
	},

	"several users may have the same pending e-mail, and one of them verifies it": func(t *testing.T, store ports.Store) {
		ada, ben, cem := user("ada"), user("ben"), user("cem")
		ben.PendingEmail.Email, cem.PendingEmail.Email = ada.PendingEmail.Email, ada.PendingEmail.Email
		addUsers(t, store, ada, ben)
		addUsers(t, store, user("cem"))
		saveUser(t, store, cem)

		verified := func(s domain.UserState) domain.UserState {
			s.Email, s.PendingEmail = s.PendingEmail.Email, domain.PendingEmail{}
			return s
		}
		saveUser(t, store, verified(ben))
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Save(t.Context(), domain.RestoreUser(verified(ada))) })
		wantError(t, err, domain.ErrEmailTaken)
		for _, s := range []domain.UserState{ada, verified(ben), cem} {
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
		got, err := userByEmail(t, store, ada.PendingEmail.Email)
		wantSame(t, got, err, verified(ben))
	},

	"a pending e-mail may equal the e-mail of another user": func(t *testing.T, store ports.Store) {
		ada, ben, cem := user("ada"), user("ben"), user("cem")
		ben.PendingEmail.Email = ada.Email
		cem.Email = ada.PendingEmail.Email
		addUsers(t, store, ada, ben, cem)
		for _, s := range []domain.UserState{ada, ben, cem} {
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
			got, err = userByEmail(t, store, s.Email)
			wantSame(t, got, err, s)
		}
	},

	"of concurrent users that verify one address, one gets it": func(t *testing.T, store ports.Store) {
		pending := func(i int) domain.UserState {
			s := user(fmt.Sprint("user", i))
			s.PendingEmail = domain.PendingEmail{Email: "ada@example.org", Code: domain.EmailCodeDigest{0: byte(i)}, ExpiresAt: hour(9)}
			return s
		}
		for i := range concurrentCallers {
			addUsers(t, store, pending(i))
		}
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				u, err := tx.Users.ByID(t.Context(), pending(i).ID)
				if err != nil {
					return err
				}
				if err := u.VerifyEmail([]domain.EmailCodeDigest{{0: byte(i)}}, hour(8)); err != nil {
					return err
				}
				yieldToOthers()
				return tx.Users.Save(t.Context(), u)
			})
		}), domain.ErrEmailTaken)
		for i := range concurrentCallers {
			want := pending(i)
			if i == won {
				want.Email, want.EmailVerifiedAt, want.PendingEmail = "ada@example.org", hour(8), domain.PendingEmail{}
			}
			got, err := userByID(t, store, want.ID)
			wantSame(t, got, err, want)
		}
	},

	"concurrent wrong codes are all counted": func(t *testing.T, store ports.Store) {
		want := user("ada")
		want.PendingEmail.Failures, want.PendingEmail.ExpiresAt = 0, hour(9)
		addUsers(t, store, want)
		const attempts = 4 // fewer than invalidate a code
		for _, err := range concurrently(attempts, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				u, err := tx.Users.ByID(t.Context(), want.ID)
				if err != nil {
					return err
				}
				if err := u.VerifyEmail(nil, hour(8)); !errors.Is(err, domain.ErrInvalidCode) {
					return fmt.Errorf("verifying without a code: %w", err)
				}
				yieldToOthers()
				return tx.Users.Save(t.Context(), u)
			})
		}) {
			wantError(t, err, nil)
		}
		want.PendingEmail.Failures = attempts
		got, err := userByID(t, store, want.ID)
		wantSame(t, got, err, want)
	},
}
