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

var messages = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		m := message("ada", "code")
		wantComplete(t, m)
		addUsers(t, store, user("ada"), user("ben"))
		addMessages(t, store, message("ben", "code"), m)
		wantMessages(t, store, message("ben", "code"), m)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		m := message("ada", "code")
		m = domain.MessageSnapshot{ID: m.ID, To: m.To, Kind: domain.MessageAddressTaken, DueAt: m.DueAt, ExpiresAt: m.ExpiresAt}
		addMessages(t, store, m)
		wantMessages(t, store, m)
	},

	"an id is added once": func(t *testing.T, store ports.Store) {
		first, again := message("ada", "code"), message("ben", "code")
		again.ID = first.ID
		addUsers(t, store, user("ada"), user("ben"))
		addMessages(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Messages.Add(t.Context(), domain.RestoreMessage(again)) })
		if err == nil {
			t.Fatal("the second was added")
		}
		wantMessages(t, store, first)
	},

	"one of a user who is not there is not added, and one of nobody is": func(t *testing.T, store ports.Store) {
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.Messages.Add(t.Context(), domain.RestoreMessage(message("ada", "code")))
		})
		if err == nil {
			t.Fatal("one of an unknown user was added")
		}
		wantMessages(t, store)
		addMessages(t, store, farewell("ada"))
		wantMessages(t, store, farewell("ada"))
	},

	"one is told from another by its id alone": func(t *testing.T, store ports.Store) {
		one, other := message("ada", "one"), message("ada", "one")
		other.ID = message("ada", "other").ID
		addUsers(t, store, user("ada"))
		addMessages(t, store, one, other)
		wantMessages(t, store, one, other)
		removeMessage(t, store, one.ID)
		wantMessages(t, store, other)
	},

	"those that are due are listed, the one that has been so for longest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		var due []domain.MessageSnapshot
		for tag, at := range map[string]time.Time{
			"for days": now.Add(-48 * time.Hour), "for hours": now.Add(-2 * time.Hour), "for long enough": now.Add(-time.Microsecond),
			"just now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			m := message("ada", tag)
			m.DueAt = at
			if tag == "for hours" {
				m.UserID = domain.UserID{}
			}
			addMessages(t, store, m)
			if !at.After(now) {
				due = append(due, m)
			}
		}
		slices.SortFunc(due, func(a, b domain.MessageSnapshot) int { return a.DueAt.Compare(b.DueAt) })
		for limit := range len(due) + 2 {
			listed, err := dueMessages(t, store, now, limit)
			wantList(t, listed, err, due[:min(limit, len(due))]...)
		}
		listed, err := dueMessages(t, store, hour(-99), 9)
		wantList(t, listed, err)
	},

	"one that has expired is due until it is swept": func(t *testing.T, store ports.Store) {
		expired := message("ada", "expired")
		expired.DueAt, expired.ExpiresAt = hour(1), hour(2)
		addUsers(t, store, user("ada"))
		addMessages(t, store, expired)
		listed, err := dueMessages(t, store, hour(3), 9)
		wantList(t, listed, err, expired)
	},

	"all that can change is saved": func(t *testing.T, store ports.Store) {
		before, bystanders := message("ada", "code"), []domain.MessageSnapshot{message("ada", "notice"), farewell("ben")}
		after := before
		after.Attempts, after.DueAt = 0, hour(30)
		wantChanged(t, before, after, "ID", "UserID", "To", "Kind", "About", "Code", "ExpiresAt")
		addUsers(t, store, user("ada"))
		addMessages(t, store, append(bystanders, before)...)
		for _, state := range []domain.MessageSnapshot{after, before} {
			saveMessage(t, store, state)
			wantMessages(t, store, append(bystanders, state)...)
		}
	},

	"one that is put off is due at its new time": func(t *testing.T, store ports.Store) {
		m := domain.RestoreMessage(message("ada", "code"))
		addUsers(t, store, user("ada"))
		addMessages(t, store, m.Snapshot())
		m.Attempt(hour(50))
		saveMessage(t, store, m.Snapshot())
		again := m.Snapshot().DueAt
		listed, err := dueMessages(t, store, again.Add(-time.Microsecond), 9)
		wantList(t, listed, err)
		listed, err = dueMessages(t, store, again, 9)
		wantList(t, listed, err, m.Snapshot())
	},

	"one that is gone stays gone, whichever way it went": func(t *testing.T, store ports.Store) {
		kept := farewell("ada")
		kept.ExpiresAt = hour(99)
		addMessages(t, store, kept)
		for how, end := range map[string]func(ctx context.Context, tx ports.Tx, m domain.MessageSnapshot) error{
			"removed": func(ctx context.Context, tx ports.Tx, m domain.MessageSnapshot) error {
				return tx.Messages.Remove(ctx, m.ID)
			},
			"swept": func(ctx context.Context, tx ports.Tx, m domain.MessageSnapshot) error {
				_, err := tx.Messages.Sweep(ctx, m.ExpiresAt, 9)
				return err
			},
			"gone with its user": func(ctx context.Context, tx ports.Tx, m domain.MessageSnapshot) error {
				return tx.Users.Remove(ctx, m.UserID)
			},
		} {
			going := message(how, "code")
			addUsers(t, store, user(how))
			addMessages(t, store, going)
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return end(ctx, tx, going) })
			wantMessages(t, store, kept)
			saveMessage(t, store, going)
			wantMessages(t, store, kept)
		}
	},

	"one is removed, and one that is not there is no error": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addMessages(t, store, message("ada", "code"), message("ada", "notice"), farewell("ada"), farewell("ben"))
		for range 2 {
			removeMessage(t, store, message("ada", "code").ID)
			wantMessages(t, store, message("ada", "notice"), farewell("ada"), farewell("ben"))
		}
		for range 2 {
			removeMessage(t, store, farewell("ada").ID)
			wantMessages(t, store, message("ada", "notice"), farewell("ben"))
		}
	},

	"what comes out is a copy": func(t *testing.T, store ports.Store) {
		given := domain.RestoreMessage(message("ada", "code"))
		addUsers(t, store, user("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Messages.Add(ctx, given) })
		given.Attempt(hour(60))
		listed, err := dueMessages(t, store, hour(50), 9)
		wantList(t, listed, err, message("ada", "code"))
		listed[0].Attempt(hour(61))
		wantMessages(t, store, message("ada", "code"))
	},

	"sweeping takes the expired, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		tags := []string{"oldest", "older", "just now", "soon", "later"}
		addUsers(t, store, user("ada"))
		for tag, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "just now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			m := message("ada", tag)
			m.ExpiresAt = at
			if tag == "older" {
				m.UserID = domain.UserID{}
			}
			addMessages(t, store, m)
		}
		for _, step := range []struct{ swept, left string }{
			{"2", "[just now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.Messages.Sweep(ctx, now, 2)
				return err
			})
			waiting := idsOf(allMessages(t, store))
			left := []string{}
			for _, tag := range tags {
				if slices.Contains(waiting, message("ada", tag).ID) {
					left = append(left, tag)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
			}
		}
	},
}

func saveMessage(t *testing.T, store ports.Store, s domain.MessageSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Messages.Save(ctx, domain.RestoreMessage(s)) })
}

func removeMessage(t *testing.T, store ports.Store, id domain.MessageID) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Messages.Remove(ctx, id) })
}
