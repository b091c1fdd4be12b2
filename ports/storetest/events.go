package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var events = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		e := event("ada", "phone")
		wantComplete(t, e)
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, event("ben", "phone"), e)
		got, err := eventsOf(t, store, userID("ada"))
		wantList(t, got, err, e)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		e := event("ada", "phone")
		e = domain.EventSnapshot{ID: e.ID, UserID: e.UserID, Kind: e.Kind, At: e.At, By: e.By}
		addUsers(t, store, user("ada"))
		addEvents(t, store, e)
		got, err := eventsOf(t, store, userID("ada"))
		wantList(t, got, err, e)
	},

	"sessions and passkeys may go before the events that name them": func(t *testing.T, store ports.Store) {
		e := event("ada", "phone")
		e.CredentialID = "key"
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "key"))
		addSessions(t, store, session("ada", "phone"))
		addEvents(t, store, e)
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			if _, err := tx.Sessions.Sweep(ctx, hour(99), 9); err != nil {
				return err
			}
			return tx.Credentials.Remove(ctx, "key")
		})
		got, err := eventsOf(t, store, userID("ada"))
		wantList(t, got, err, e)
	},

	"an id is added once": func(t *testing.T, store ports.Store) {
		first, again := event("ada", "phone"), event("ben", "phone")
		again.ID = first.ID
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(again)) })
		if err == nil {
			t.Fatal("the second was added")
		}
		got, err := eventsOf(t, store, userID("ada"))
		wantList(t, got, err, first)
		got, err = eventsOf(t, store, userID("ben"))
		wantList(t, got, err)
	},

	"one that is nobody's says nothing about anybody": func(t *testing.T, store ports.Store) {
		full := event("nobody", "phone")
		bare := disowned(full)
		for i := range reflect.TypeFor[domain.EventSnapshot]().NumField() {
			name := reflect.TypeFor[domain.EventSnapshot]().Field(i).Name
			if slices.Contains(ofDisowned, name) {
				continue
			}
			telling := bare
			reflect.ValueOf(&telling).Elem().Field(i).Set(reflect.ValueOf(full).Field(i))
			err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(telling)) })
			if err == nil {
				t.Errorf("one was added that is nobody's and has a %s", name)
			}
		}
		addEvents(t, store, bare)
		got, err := eventsOf(t, store, domain.UserID{})
		wantList(t, got, err, bare)
	},

	"a user's are listed newest first by id, page by page, and nobody else's": func(t *testing.T, store ports.Store) {
		page := func(user domain.UserID) func(domain.EventID, int) ([]domain.EventID, error) {
			return func(before domain.EventID, limit int) ([]domain.EventID, error) {
				all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
					return tx.Events.OfUser(ctx, user, before, limit)
				})
				return idsOf(all), err
			}
		}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		ids := map[domain.UserID][]domain.EventID{}
		for i := range 6 { // by twos in one millisecond, somebody else's and nobody's among each two
			for _, owner := range []string{"ada", "ben", ""} {
				e := event(owner, fmt.Sprint("event", i))
				e.ID = must(domain.NewEventID(hour(3-i/2), source(fmt.Sprint(owner, i))))
				e.At = hour(i)
				if owner == "" {
					e = disowned(e)
				}
				addEvents(t, store, e)
				ids[e.UserID] = append(ids[e.UserID], e.ID)
			}
		}
		for user, want := range ids {
			slices.SortFunc(want, func(a, b domain.EventID) int { return compareIDs(b, a) })
			wantPages(t, want, page(user))
		}
		wantPages(t, nil, page(userID("cem")))
		wantPages(t, nil, page(userID("unknown")))
		wantFrom(t, ids[userID("ada")], ids[userID("ben")][2], page(userID("ada")))
	},

	"sweeping takes the old, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		at := func(tag string, at time.Time) domain.EventSnapshot {
			e := event("ada", tag)
			e.At = at
			return e
		}
		nobodys := disowned(at("nobody's", now.Add(-3*time.Hour)))
		addUsers(t, store, user("ada"))
		addEvents(t, store,
			at("just now", now), at("old", now.Add(-2*time.Hour)), at("too new", now.Add(time.Microsecond)), nobodys,
			at("less old", now.Add(-time.Hour)), at("new", now.Add(time.Hour)))
		for _, step := range []struct{ swept, left string }{
			{"2", "[less old just now too new new]"},
			{"2", "[too new new]"},
			{"0", "[too new new]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.Events.Sweep(ctx, now, 2)
				return err
			})
			logged, err := eventsOf(t, store, userID("ada"))
			wantError(t, err, nil)
			anonymous, err := eventsOf(t, store, domain.UserID{})
			wantList(t, anonymous, err)
			left := []string{}
			for _, tag := range []string{"old", "less old", "just now", "too new", "new"} {
				if slices.Contains(idsOf(logged), event("ada", tag).ID) {
					left = append(left, tag)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
			}
		}
	},
}
