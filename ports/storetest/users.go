package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var users = rules{
	"Search finds the beginning of an address, a name or its last word": func(t *testing.T, store ports.Store) {
		named := func(id, email, name string) domain.UserState {
			u := user(id)
			u.Email, u.DisplayName = domain.Email(email), domain.DisplayName(name)
			return u
		}
		ada, ben := named("ada", "lovelace@example.org", "Ada Lovelace"), named("ben", "ben@example.org", "Zoë Müller-Lüdenscheidt")
		cem, dan := named("cem", "cem@example.org", "ÉMILE  Du Châtelet"), named("dan", "dan@example.org", "Ǆ 50%_off")
		nameless := named("eva", "eva@example.org", "")
		addUsers(t, store, ada, ben, cem, dan, nameless)
		search := func(text string, limit int) string {
			found, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.User, error) {
				return tx.Users.Search(ctx, text, limit)
			})
			if err != nil {
				t.Fatal(err)
			}
			names := ""
			for _, u := range found {
				local, _, _ := strings.Cut(string(u.Email()), "@")
				names += local + " "
			}
			return strings.TrimSpace(names)
		}
		for text, want := range map[string]string{
			"LOVE": "lovelace", "ada": "lovelace", "ada love": "lovelace", "velace": "", "ben@": "ben", "Ben@Example.org": "ben",
			"zoe": "ben", "ZOË": "ben", "zoe\u0308": "ben", "müller": "ben", "muller-lud": "ben", "emile du": "cem", "émile  du": "cem", "chatelet": "cem", "Du": "",
			"dž 50%": "dan", "50%_": "dan", "50": "dan", "%": "", "_": "", "e": "eva cem", "": "", " ": "", "\x00": "", "\xff": "",
		} {
			if got := search(text, 9); got != want {
				t.Errorf("%q: found %q, want %q", text, got, want)
			}
		}
		if got := search("e", 1); got != "eva" {
			t.Errorf("at most one: %q", got)
		}
		ada.DisplayName, ada.Email, ada.EmailVerifiedAt = "Countess", "", time.Time{}
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Save(ctx, domain.RestoreUser(ada)) })
		if got := search("lovelace", 9) + search("ada", 9); got != "" {
			t.Errorf("under the former name: %q", got)
		}
		found, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.User, error) {
			return tx.Users.Search(ctx, "count", 9)
		})
		wantList(t, found, err, ada)
	},

	"every field is stored": func(t *testing.T, store ports.Store) {
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
		ada.Email, ada.EmailVerifiedAt, ada.DisplayName, ada.Locale, ada.Groups, ada.DisabledAt = "", time.Time{}, "", "", nil, time.Time{}
		ada.PendingEmail = domain.PendingEmail{}
		addUsers(t, store, ada)
		got, err := userByID(t, store, ada.ID)
		wantSame(t, got, err, ada)
	},

	"several users may have no address, and an empty address finds none": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		ada.Email, ada.EmailVerifiedAt = "", time.Time{}
		ben.Email, ben.EmailVerifiedAt = "", time.Time{}
		addUsers(t, store, ada, ben)
		_, err := userByEmail(t, store, "")
		wantError(t, err, domain.ErrUserNotFound)
	},

	"an unknown user is not found, not saved and not removed": func(t *testing.T, store ports.Store) {
		for name, write := range map[string]func(tx ports.Tx) error{
			"Save":   func(tx ports.Tx) error { return tx.Users.Save(t.Context(), domain.RestoreUser(user("ada"))) },
			"Remove": func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), userID("ada")) },
		} {
			if err := store.Update(t.Context(), write); !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%s: got %v, want %v", name, err, domain.ErrUserNotFound)
			}
		}
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

	"a duplicate address is rejected": func(t *testing.T, store ports.Store) {
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

	"a duplicate id is rejected with another error": func(t *testing.T, store ports.Store) {
		ada, duplicate := user("ada"), user("ben")
		duplicate.ID = ada.ID
		addUsers(t, store, ada)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), domain.RestoreUser(duplicate)) })
		if err == nil || errors.Is(err, domain.ErrEmailTaken) {
			t.Fatalf("got %v, want an error other than %v", err, domain.ErrEmailTaken)
		}
		got, err := userByID(t, store, ada.ID)
		wantSame(t, got, err, ada)
	},

	"of concurrent callers that add one address, one succeeds": func(t *testing.T, store ports.Store) {
		pending := func(i int) domain.UserState {
			s := user(fmt.Sprint("user", i))
			s.Email = "ada@example.org"
			return s
		}
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), domain.RestoreUser(pending(i))) })
		}), domain.ErrEmailTaken)
		for i := range concurrentCallers {
			got, err := userByID(t, store, pending(i).ID)
			if i == won {
				wantSame(t, got, err, pending(i))
			} else {
				wantError(t, err, domain.ErrUserNotFound)
			}
		}
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
		before, other := user("ada"), user("ben")
		before.DisabledAt = time.Time{}
		after := before
		after.Email = "countess@example.org"
		after.EmailVerifiedAt = time.Time{}
		after.PendingEmail = domain.PendingEmail{}
		after.DisplayName = ""
		after.Locale = ""
		after.Groups = nil
		after.DisabledAt = hour(20)
		wantChanged(t, before, after, "ID", "Handle", "CreatedAt")
		addUsers(t, store, before, other)
		for _, state := range []domain.UserState{after, before} {
			saveUser(t, store, state)
			got, err := userByID(t, store, before.ID)
			wantSame(t, got, err, state)
		}
		got, err := userByID(t, store, other.ID)
		wantSame(t, got, err, other)
	},

	"after a change of address the user is found by the new one, and the old one is free": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		previous := ada.Email
		addUsers(t, store, ada, ben)
		ada.Email = "countess@example.org"
		saveUser(t, store, ada)
		got, err := userByEmail(t, store, ada.Email)
		wantSame(t, got, err, ada)
		_, err = userByEmail(t, store, previous)
		wantError(t, err, domain.ErrUserNotFound)
		ben.Email = previous
		saveUser(t, store, ben)
		got, err = userByEmail(t, store, previous)
		wantSame(t, got, err, ben)
	},

	"several users may remove their address": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		for _, name := range []string{"ada", "ben"} {
			s := user(name)
			s.Email, s.EmailVerifiedAt = "", time.Time{}
			saveUser(t, store, s)
			got, err := userByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"a change to the address of another user is rejected": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		addUsers(t, store, ada, ben)
		changed := ben
		changed.Email = ada.Email
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Save(t.Context(), domain.RestoreUser(changed)) })
		wantError(t, err, domain.ErrEmailTaken)
		got, err := userByEmail(t, store, ada.Email)
		wantSame(t, got, err, ada)
		got, err = userByEmail(t, store, ben.Email)
		wantSame(t, got, err, ben)
	},

	"of concurrent callers that change to one address, one succeeds": func(t *testing.T, store ports.Store) {
		name := func(i int) string { return fmt.Sprint("user", i) }
		for i := range concurrentCallers {
			addUsers(t, store, user(name(i)))
		}
		changed := func(i int) domain.UserState {
			s := user(name(i))
			s.Email = "ada@example.org"
			return s
		}
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Save(t.Context(), domain.RestoreUser(changed(i))) })
		}), domain.ErrEmailTaken)
		for i := range concurrentCallers {
			want := user(name(i))
			if i == won {
				want = changed(i)
			}
			got, err := userByID(t, store, want.ID)
			wantSame(t, got, err, want)
		}
	},

	"List returns all users in pages, by id": func(t *testing.T, store ports.Store) {
		page := func(after domain.UserID, limit int) ([]domain.UserID, error) {
			all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.User, error) {
				return tx.Users.List(ctx, after, limit)
			})
			return idsOf(all), err
		}
		wantPages(t, nil, page)
		var ids []domain.UserID
		for i, name := range []string{"ada", "ben", "cem", "dua", "eve", "fay"} {
			s := user(name)
			s.ID = domain.NewUserID(hour(3-i/2), randomSource(name)) // two in each millisecond
			s.CreatedAt = hour(i)
			ids = append(ids, s.ID)
			addUsers(t, store, s)
		}
		slices.SortFunc(ids, compareIDs)
		wantPages(t, ids, page)

		removed := ids[2]
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, removed) })
		remaining, err := page(removed, 99)
		if err != nil || !slices.Equal(remaining, ids[3:]) {
			t.Fatalf("after a removed user: got %v, %v; want %v", remaining, err, ids[3:])
		}
		listed, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.User, error) {
			return tx.Users.List(ctx, removed, 1)
		})
		wantError(t, err, nil)
		got, err := userByID(t, store, ids[3])
		wantSame(t, got, err, listed[0].State())
	},
}

func saveUser(t *testing.T, store ports.Store, s domain.UserState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Save(ctx, domain.RestoreUser(s)) })
}

func userByEmail(t *testing.T, store ports.Store, email domain.Email) (*domain.User, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.User, error) { return tx.Users.ByEmail(ctx, email) })
}
