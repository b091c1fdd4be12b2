package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var outboxEmails = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		m := outboxEmail("ada", "code")
		wantComplete(t, m)
		addUsers(t, store, user("ada"), user("ben"))
		addEmails(t, store, outboxEmail("ben", "code"), m)
		wantEmails(t, store, outboxEmail("ben", "code"), m)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		m := outboxEmail("ada", "code")
		m = domain.OutboxEmailState{ID: m.ID, To: m.To, Kind: domain.EmailKindAddressTaken, DueAt: m.DueAt, ExpiresAt: m.ExpiresAt}
		addEmails(t, store, m)
		wantEmails(t, store, m)
	},

	"a duplicate id is rejected": func(t *testing.T, store ports.Store) {
		first, duplicate := outboxEmail("ada", "code"), outboxEmail("ben", "code")
		duplicate.ID = first.ID
		addUsers(t, store, user("ada"), user("ben"))
		addEmails(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), domain.RestoreOutboxEmail(duplicate)) })
		if err == nil {
			t.Fatal("the duplicate was added")
		}
		wantEmails(t, store, first)
	},

	"Add rejects an unknown user and accepts no user": func(t *testing.T, store ports.Store) {
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.OutboxEmails.Add(t.Context(), domain.RestoreOutboxEmail(outboxEmail("ada", "code")))
		})
		if err == nil {
			t.Fatal("an e-mail of an unknown user was added")
		}
		wantEmails(t, store)
		addEmails(t, store, emailWithoutUser("ada"))
		wantEmails(t, store, emailWithoutUser("ada"))
	},

	"e-mails that differ by id only are distinct": func(t *testing.T, store ports.Store) {
		one, other := outboxEmail("ada", "one"), outboxEmail("ada", "one")
		other.ID = outboxEmail("ada", "other").ID
		addUsers(t, store, user("ada"))
		addEmails(t, store, one, other)
		wantEmails(t, store, one, other)
		removeEmail(t, store, one.ID)
		wantEmails(t, store, other)
	},

	"ListDue returns due e-mails, earliest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		var due []domain.OutboxEmailState
		for tag, at := range map[string]time.Time{
			"for days": now.Add(-48 * time.Hour), "for hours": now.Add(-2 * time.Hour), "for long enough": now.Add(-time.Microsecond),
			"just now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			m := outboxEmail("ada", tag)
			m.DueAt = at
			if tag == "for hours" {
				m.UserID = domain.UserID{}
			}
			addEmails(t, store, m)
			if !at.After(now) {
				due = append(due, m)
			}
		}
		slices.SortFunc(due, func(a, b domain.OutboxEmailState) int { return a.DueAt.Compare(b.DueAt) })
		for limit := range len(due) + 2 {
			listed, err := dueEmails(t, store, now, limit)
			wantList(t, listed, err, due[:min(limit, len(due))]...)
		}
		listed, err := dueEmails(t, store, hour(-99), 9)
		wantList(t, listed, err)
	},

	"List returns all e-mails in pages, by id": func(t *testing.T, store ports.Store) {
		page := func(after domain.OutboxEmailID, limit int) ([]domain.OutboxEmailID, error) {
			list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.OutboxEmail, error) {
				return tx.OutboxEmails.List(ctx, after, limit)
			})
			return idsOf(list), err
		}
		wantPages(t, nil, page)
		addUsers(t, store, user("ada"), user("ben"))
		var want []domain.OutboxEmailID
		for i := range 6 { // two in each millisecond, of two users and without a user
			m := outboxEmail([]string{"ada", "ben"}[i%2], fmt.Sprint("e-mail", i))
			if i == 3 {
				m = emailWithoutUser("ada")
			}
			m.ID = domain.NewOutboxEmailID(hour(3-i/2), randomSource(fmt.Sprint("e-mail", i)))
			m.DueAt, m.ExpiresAt = hour(1000*i), hour(i)
			addEmails(t, store, m)
			want = append(want, m.ID)
		}
		slices.SortFunc(want, compareIDs)
		wantPages(t, want, page)
	},

	"Count returns the number of e-mails": func(t *testing.T, store ports.Store) {
		count := func() (int, error) {
			return get(t, store, func(ctx context.Context, tx ports.Tx) (int, error) { return tx.OutboxEmails.Count(ctx) })
		}
		if n, err := count(); n != 0 || err != nil {
			t.Errorf("without e-mails: %d, %v", n, err)
		}
		addEmails(t, store, emailWithoutUser("ada"), emailWithoutUser("ben"), emailWithoutUser("carol"))
		if n, err := count(); n != 3 || err != nil {
			t.Errorf("with three e-mails: %d, %v", n, err)
		}
	},

	"List returns every field": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addEmails(t, store, outboxEmail("ada", "code"))
		list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.OutboxEmail, error) {
			return tx.OutboxEmails.List(ctx, domain.OutboxEmailID{}, 9)
		})
		wantList(t, list, err, outboxEmail("ada", "code"))
	},

	"an expired e-mail is due until it is deleted": func(t *testing.T, store ports.Store) {
		expired := outboxEmail("ada", "expired")
		expired.DueAt, expired.ExpiresAt = hour(1), hour(2)
		addUsers(t, store, user("ada"))
		addEmails(t, store, expired)
		listed, err := dueEmails(t, store, hour(3), 9)
		wantList(t, listed, err, expired)
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
		before, others := outboxEmail("ada", "code"), []domain.OutboxEmailState{outboxEmail("ada", "notice"), emailWithoutUser("ben")}
		after := before
		after.Attempts, after.DueAt = 0, hour(30)
		wantChanged(t, before, after, "ID", "UserID", "To", "Locale", "Kind", "Details", "Code", "ExpiresAt")
		addUsers(t, store, user("ada"))
		addEmails(t, store, append(others, before)...)
		for _, state := range []domain.OutboxEmailState{after, before} {
			saveEmail(t, store, state)
			wantEmails(t, store, append(others, state)...)
		}
	},

	"a postponed e-mail is due at its new time": func(t *testing.T, store ports.Store) {
		m := domain.RestoreOutboxEmail(outboxEmail("ada", "code"))
		addUsers(t, store, user("ada"))
		addEmails(t, store, m.State())
		m.BeginAttempt(hour(50))
		saveEmail(t, store, m.State())
		due := m.State().DueAt
		listed, err := dueEmails(t, store, due.Add(-time.Microsecond), 9)
		wantList(t, listed, err)
		listed, err = dueEmails(t, store, due, 9)
		wantList(t, listed, err, m.State())
	},

	"Save does not restore a removed e-mail": func(t *testing.T, store ports.Store) {
		remaining := emailWithoutUser("ada")
		remaining.ExpiresAt = hour(99)
		addEmails(t, store, remaining)
		for cause, end := range map[string]func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error{
			"removed": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				return tx.OutboxEmails.Remove(ctx, m.ID)
			},
			"expired": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				_, err := tx.OutboxEmails.DeleteExpired(ctx, m.ExpiresAt, 9)
				return err
			},
			"removed with its user": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				return tx.Users.Remove(ctx, m.UserID)
			},
		} {
			removed := outboxEmail(cause, "code")
			addUsers(t, store, user(cause))
			addEmails(t, store, removed)
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return end(ctx, tx, removed) })
			wantEmails(t, store, remaining)
			saveEmail(t, store, removed)
			wantEmails(t, store, remaining)
		}
	},

	"Remove removes one, and a missing one is no error": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addEmails(t, store, outboxEmail("ada", "code"), outboxEmail("ada", "notice"), emailWithoutUser("ada"), emailWithoutUser("ben"))
		for range 2 {
			removeEmail(t, store, outboxEmail("ada", "code").ID)
			wantEmails(t, store, outboxEmail("ada", "notice"), emailWithoutUser("ada"), emailWithoutUser("ben"))
		}
		for range 2 {
			removeEmail(t, store, emailWithoutUser("ada").ID)
			wantEmails(t, store, outboxEmail("ada", "notice"), emailWithoutUser("ben"))
		}
	},

	"returned aggregates are copies": func(t *testing.T, store ports.Store) {
		given := domain.RestoreOutboxEmail(outboxEmail("ada", "code"))
		addUsers(t, store, user("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.OutboxEmails.Add(ctx, given) })
		given.BeginAttempt(hour(60))
		listed, err := dueEmails(t, store, hour(50), 9)
		wantList(t, listed, err, outboxEmail("ada", "code"))
		listed[0].BeginAttempt(hour(61))
		wantEmails(t, store, outboxEmail("ada", "code"))
	},

	"DeleteExpired deletes expired e-mails, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		tags := []string{"oldest", "older", "just now", "soon", "later"}
		addUsers(t, store, user("ada"))
		for tag, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "just now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			m := outboxEmail("ada", tag)
			m.ExpiresAt = at
			if tag == "older" {
				m.UserID = domain.UserID{}
			}
			addEmails(t, store, m)
		}
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[just now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.OutboxEmails.DeleteExpired(ctx, now, 2)
				return err
			})
			ids := idsOf(allEmails(t, store))
			remaining := []string{}
			for _, tag := range tags {
				if slices.Contains(ids, outboxEmail("ada", tag).ID) {
					remaining = append(remaining, tag)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

func saveEmail(t *testing.T, store ports.Store, s domain.OutboxEmailState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return tx.OutboxEmails.Save(ctx, domain.RestoreOutboxEmail(s))
	})
}

func removeEmail(t *testing.T, store ports.Store, id domain.OutboxEmailID) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.OutboxEmails.Remove(ctx, id) })
}
