package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var users = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		ada := user("ada")
		wantComplete(t, ada)
		addUsers(t, store, user("ben"), ada)
		got, err := userByID(t, store, ada.ID)
		wantSame(t, got, err, ada)
		got, err = userByEmail(t, store, ada.Email)
		wantSame(t, got, err, ada)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		ada := user("ada")
		ada.Email, ada.EmailVerifiedAt, ada.DisplayName = "", time.Time{}, ""
		addUsers(t, store, ada)
		got, err := userByID(t, store, ada.ID)
		wantSame(t, got, err, ada)
	},

	"many may have no address, and it finds none of them": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		ada.Email, ada.EmailVerifiedAt = "", time.Time{}
		ben.Email, ben.EmailVerifiedAt = "", time.Time{}
		addUsers(t, store, ada, ben)
		_, err := userByEmail(t, store, "")
		wantError(t, err, domain.ErrUserNotFound)
	},

	"an unknown user is not found": func(t *testing.T, store ports.Store) {
		_, err := userByID(t, store, userID("ada"))
		wantError(t, err, domain.ErrUserNotFound)
		_, err = userByEmail(t, store, "ada@example.org")
		wantError(t, err, domain.ErrUserNotFound)
	},

	"an address is compared exactly": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		for _, email := range []domain.Email{"Ada@example.org", "ada@example.or", "ada@example.org ", "ad_@example.org", "%", "ada@example.org\x00"} {
			_, err := userByEmail(t, store, email)
			if !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%q: got %v", email, err)
			}
		}
	},

	"an address belongs to one user": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		ben.Email = ada.Email
		addUsers(t, store, ada)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), domain.RestoreUser(ben)) })
		wantError(t, err, domain.ErrEmailTaken)
		_, err = userByID(t, store, ben.ID)
		wantError(t, err, domain.ErrUserNotFound)
		got, err := userByEmail(t, store, ada.Email)
		wantSame(t, got, err, ada)
	},

	"a user id is added once": func(t *testing.T, store ports.Store) {
		ada, again := user("ada"), user("ben")
		again.ID = ada.ID
		addUsers(t, store, ada)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), domain.RestoreUser(again)) })
		if err == nil || errors.Is(err, domain.ErrEmailTaken) {
			t.Fatalf("got %v, want a fault", err)
		}
		got, err := userByID(t, store, ada.ID)
		wantSame(t, got, err, ada)
	},

	"of many who want one address at once one gets it": func(t *testing.T, store ports.Store) {
		applicant := func(i int) domain.UserSnapshot {
			s := user(fmt.Sprint("applicant", i))
			s.Email = "ada@example.org"
			return s
		}
		won := winner(t, atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), domain.RestoreUser(applicant(i))) })
		}), domain.ErrEmailTaken)
		for i := range crowd {
			got, err := userByID(t, store, applicant(i).ID)
			if i == won {
				wantSame(t, got, err, applicant(i))
			} else {
				wantError(t, err, domain.ErrUserNotFound)
			}
		}
	},
}

func userByEmail(t *testing.T, store ports.Store, email domain.Email) (*domain.User, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.User, error) { return tx.Users.ByEmail(ctx, email) })
}
