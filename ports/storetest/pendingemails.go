package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// pendingEmails are the addresses that users say are theirs. Users as such are tried with a claim in every field.
var pendingEmails = rules{
	"one is put, counted on, replaced and withdrawn": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		claim := ada.PendingEmail
		counted := claim
		counted.Failures++
		fresh := domain.PendingEmail{Email: "countess@example.com", Code: domain.EmailCodeDigest{31: 1}, ExpiresAt: hour(30)}
		wantChanged(t, claim, fresh)
		ada.PendingEmail = domain.PendingEmail{}
		addUsers(t, store, ada, ben)
		for _, state := range []domain.PendingEmail{claim, counted, fresh, {}, fresh} {
			ada.PendingEmail = state
			saveUser(t, store, ada)
			got, err := userByID(t, store, ada.ID)
			wantSame(t, got, err, ada)
		}
		got, err := userByID(t, store, ben.ID)
		wantSame(t, got, err, ben)
	},

	"one is whatever its code's digest is": func(t *testing.T, store ports.Store) {
		for i, digest := range []domain.EmailCodeDigest{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}} {
			s := user(fmt.Sprint("claimant", i))
			s.PendingEmail.Code = digest
			addUsers(t, store, s)
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"one finds nobody": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		ben.Email, ben.EmailVerifiedAt = "", time.Time{}
		addUsers(t, store, ada, ben)
		for _, s := range []domain.UserState{ada, ben} {
			if _, err := userByEmail(t, store, s.PendingEmail.Email); !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%s: got %v, want %v", s.PendingEmail.Email, err, domain.ErrUserNotFound)
			}
		}
	},

	"many may claim one address, and only one has it": func(t *testing.T, store ports.Store) {
		ada, ben, cem := user("ada"), user("ben"), user("cem")
		ben.PendingEmail.Email, cem.PendingEmail.Email = ada.PendingEmail.Email, ada.PendingEmail.Email
		addUsers(t, store, ada, ben)
		addUsers(t, store, user("cem"))
		saveUser(t, store, cem)

		proved := func(s domain.UserState) domain.UserState {
			s.Email, s.PendingEmail = s.PendingEmail.Email, domain.PendingEmail{}
			return s
		}
		saveUser(t, store, proved(ben))
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Save(t.Context(), domain.RestoreUser(proved(ada))) })
		wantError(t, err, domain.ErrEmailTaken)
		for _, s := range []domain.UserState{ada, proved(ben), cem} {
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
		got, err := userByEmail(t, store, ada.PendingEmail.Email)
		wantSame(t, got, err, proved(ben))
	},

	"an address that somebody has may be claimed, and one that is claimed may be somebody's": func(t *testing.T, store ports.Store) {
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

	"of many who prove one address at once one gets it": func(t *testing.T, store ports.Store) {
		claimant := func(i int) domain.UserState {
			s := user(fmt.Sprint("claimant", i))
			s.PendingEmail = domain.PendingEmail{Email: "ada@example.org", Code: domain.EmailCodeDigest{0: byte(i)}, ExpiresAt: hour(9)}
			return s
		}
		for i := range concurrentCallers {
			addUsers(t, store, claimant(i))
		}
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				u, err := tx.Users.ByID(t.Context(), claimant(i).ID)
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
			want := claimant(i)
			if i == won {
				want.Email, want.EmailVerifiedAt, want.PendingEmail = "ada@example.org", hour(8), domain.PendingEmail{}
			}
			got, err := userByID(t, store, want.ID)
			wantSame(t, got, err, want)
		}
	},

	"of many wrong codes at once each counts": func(t *testing.T, store ports.Store) {
		want := user("ada")
		want.PendingEmail.Failures, want.PendingEmail.ExpiresAt = 0, hour(9)
		addUsers(t, store, want)
		const tries = 4 // fewer than end a code
		for _, err := range concurrently(tries, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				u, err := tx.Users.ByID(t.Context(), want.ID)
				if err != nil {
					return err
				}
				if err := u.VerifyEmail(nil, hour(8)); !errors.Is(err, domain.ErrInvalidCode) {
					return fmt.Errorf("proving with no code: %w", err)
				}
				yieldToOthers()
				return tx.Users.Save(t.Context(), u)
			})
		}) {
			wantError(t, err, nil)
		}
		want.PendingEmail.Failures = tries
		got, err := userByID(t, store, want.ID)
		wantSame(t, got, err, want)
	},
}
