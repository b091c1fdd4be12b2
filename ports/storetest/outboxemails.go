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
	"every field is kept": func(t *testing.T, store ports.Store) {
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

	"an id is added once": func(t *testing.T, store ports.Store) {
		first, again := outboxEmail("ada", "code"), outboxEmail("ben", "code")
		again.ID = first.ID
		addUsers(t, store, user("ada"), user("ben"))
		addEmails(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), domain.RestoreOutboxEmail(again)) })
		if err == nil {
			t.Fatal("the second was added")
		}
		wantEmails(t, store, first)
	},

	"one of a user who is not there is not added, and one of nobody is": func(t *testing.T, store ports.Store) {
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.OutboxEmails.Add(t.Context(), domain.RestoreOutboxEmail(outboxEmail("ada", "code")))
		})
		if err == nil {
			t.Fatal("one of an unknown user was added")
		}
		wantEmails(t, store)
		addEmails(t, store, emailWithoutUser("ada"))
		wantEmails(t, store, emailWithoutUser("ada"))
	},

	"one is told from another by its id alone": func(t *testing.T, store ports.Store) {
		one, other := outboxEmail("ada", "one"), outboxEmail("ada", "one")
		other.ID = outboxEmail("ada", "other").ID
		addUsers(t, store, user("ada"))
		addEmails(t, store, one, other)
		wantEmails(t, store, one, other)
		removeEmail(t, store, one.ID)
		wantEmails(t, store, other)
	},

	"those that are due are listed, the one that has been so for longest first, so many and no more": func(t *testing.T, store ports.Store) {
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

	"all are listed by id, due or not, page by page": func(t *testing.T, store ports.Store) {
		page := func(after domain.OutboxEmailID, limit int) ([]domain.OutboxEmailID, error) {
			list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.OutboxEmail, error) {
				return tx.OutboxEmails.List(ctx, after, limit)
			})
			return idsOf(list), err
		}
		wantPages(t, nil, page)
		addUsers(t, store, user("ada"), user("ben"))
		var want []domain.OutboxEmailID
		for i := range 6 { // by twos in one millisecond, of two people and of nobody
			m := outboxEmail([]string{"ada", "ben"}[i%2], fmt.Sprint("message", i))
			if i == 3 {
				m = emailWithoutUser("ada")
			}
			m.ID = domain.NewOutboxEmailID(hour(3-i/2), randomSource(fmt.Sprint("message", i)))
			m.DueAt, m.ExpiresAt = hour(1000*i), hour(i)
			addEmails(t, store, m)
			want = append(want, m.ID)
		}
		slices.SortFunc(want, compareIDs)
		wantPages(t, want, page)
	},

	"those that are listed are whole": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addEmails(t, store, outboxEmail("ada", "code"))
		list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.OutboxEmail, error) {
			return tx.OutboxEmails.List(ctx, domain.OutboxEmailID{}, 9)
		})
		wantList(t, list, err, outboxEmail("ada", "code"))
	},

	"one that has expired is due until it is swept": func(t *testing.T, store ports.Store) {
		expired := outboxEmail("ada", "expired")
		expired.DueAt, expired.ExpiresAt = hour(1), hour(2)
		addUsers(t, store, user("ada"))
		addEmails(t, store, expired)
		listed, err := dueEmails(t, store, hour(3), 9)
		wantList(t, listed, err, expired)
	},

	"all that can change is saved": func(t *testing.T, store ports.Store) {
		before, bystanders := outboxEmail("ada", "code"), []domain.OutboxEmailState{outboxEmail("ada", "notice"), emailWithoutUser("ben")}
		after := before
		after.Attempts, after.DueAt = 0, hour(30)
		wantChanged(t, before, after, "ID", "UserID", "To", "Kind", "Details", "Code", "ExpiresAt")
		addUsers(t, store, user("ada"))
		addEmails(t, store, append(bystanders, before)...)
		for _, state := range []domain.OutboxEmailState{after, before} {
			saveEmail(t, store, state)
			wantEmails(t, store, append(bystanders, state)...)
		}
	},

	"one that is put off is due at its new time": func(t *testing.T, store ports.Store) {
		m := domain.RestoreOutboxEmail(outboxEmail("ada", "code"))
		addUsers(t, store, user("ada"))
		addEmails(t, store, m.State())
		m.BeginAttempt(hour(50))
		saveEmail(t, store, m.State())
		again := m.State().DueAt
		listed, err := dueEmails(t, store, again.Add(-time.Microsecond), 9)
		wantList(t, listed, err)
		listed, err = dueEmails(t, store, again, 9)
		wantList(t, listed, err, m.State())
	},

	"one that is gone stays gone, whichever way it went": func(t *testing.T, store ports.Store) {
		kept := emailWithoutUser("ada")
		kept.ExpiresAt = hour(99)
		addEmails(t, store, kept)
		for how, end := range map[string]func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error{
			"removed": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				return tx.OutboxEmails.Remove(ctx, m.ID)
			},
			"swept": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				_, err := tx.OutboxEmails.DeleteExpired(ctx, m.ExpiresAt, 9)
				return err
			},
			"gone with its user": func(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
				return tx.Users.Remove(ctx, m.UserID)
			},
		} {
			going := outboxEmail(how, "code")
			addUsers(t, store, user(how))
			addEmails(t, store, going)
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return end(ctx, tx, going) })
			wantEmails(t, store, kept)
			saveEmail(t, store, going)
			wantEmails(t, store, kept)
		}
	},

	"one is removed, and one that is not there is no error": func(t *testing.T, store ports.Store) {
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

	"what comes out is a copy": func(t *testing.T, store ports.Store) {
		given := domain.RestoreOutboxEmail(outboxEmail("ada", "code"))
		addUsers(t, store, user("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.OutboxEmails.Add(ctx, given) })
		given.BeginAttempt(hour(60))
		listed, err := dueEmails(t, store, hour(50), 9)
		wantList(t, listed, err, outboxEmail("ada", "code"))
		listed[0].BeginAttempt(hour(61))
		wantEmails(t, store, outboxEmail("ada", "code"))
	},

	"sweeping takes the expired, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
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
		for _, step := range []struct{ swept, left string }{
			{"2", "[just now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.OutboxEmails.DeleteExpired(ctx, now, 2)
				return err
			})
			waiting := idsOf(allEmails(t, store))
			left := []string{}
			for _, tag := range tags {
				if slices.Contains(waiting, outboxEmail("ada", tag).ID) {
					left = append(left, tag)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
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
