package storetest

import (
	"context"
	"errors"
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
		e = domain.EventState{ID: e.ID, UserID: e.UserID, Kind: e.Kind, At: e.At, Actor: e.Actor}
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
			if _, err := tx.Sessions.DeleteExpired(ctx, hour(99), 9); err != nil {
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
		bare := anonymized(full)
		for i := range reflect.TypeFor[domain.EventState]().NumField() {
			name := reflect.TypeFor[domain.EventState]().Field(i).Name
			if slices.Contains(anonymizedFields, name) || name == "Key" { // strangers' refusals that name no account have one
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

	"a key is added once, is found, and goes with its event's owner": func(t *testing.T, store ports.Store) {
		adas, again := event("ada", "phone"), event("ben", "phone")
		again.Key = adas.Key
		nameless := anonymized(event("nobody", "phone"))
		nameless.Key = repetitionKey("nameless")
		alone := event("ada", "alone")
		alone.Key, alone.Repeats, alone.LastAt, alone.OtherIPs = domain.RepetitionKey{}, 0, time.Time{}, nil
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, adas, nameless, alone)
		if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(again)) }); err == nil {
			t.Fatal("the second was added")
		}
		for _, want := range []domain.EventState{adas, nameless} {
			got, err := eventByKey(t, store, want.Key)
			wantSame(t, got, err, want)
		}
		for _, unknown := range []domain.RepetitionKey{{}, repetitionKey("unknown")} {
			_, err := eventByKey(t, store, unknown)
			wantError(t, err, domain.ErrEventNotFound)
		}
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })
		_, err := eventByKey(t, store, adas.Key)
		wantError(t, err, domain.ErrEventNotFound)
	},

	"repetitions change what they may, and nothing else": func(t *testing.T, store ports.Store) {
		before := event("ada", "phone")
		before.Repeats, before.LastAt, before.OtherIPs = 0, time.Time{}, nil
		after := before
		after.SessionID, after.CredentialID, after.PasskeyName = domain.SessionID{}, "", ""
		after.Repeats, after.LastAt, after.OtherIPs = 7, hour(30), []string{"192.0.2.8"}
		wantChanged(t, before, after, "ID", "UserID", "Kind", "At", "Actor", "DeviceName", "IP", "Reason", "Changed", "RequestID", "Key")
		other := event("ada", "laptop")
		addUsers(t, store, user("ada"))
		addEvents(t, store, before, other)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Events.Save(ctx, domain.RestoreEvent(after)) })
		got, err := eventByKey(t, store, before.Key)
		wantSame(t, got, err, after)
		got, err = eventByKey(t, store, other.Key)
		wantSame(t, got, err, other)
		err = store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Save(t.Context(), domain.RestoreEvent(event("ada", "gone"))) })
		wantError(t, err, domain.ErrEventNotFound)
	},

	"repetitions that come at once are all counted": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		at := func(i int) *domain.Event {
			return domain.NewEvent(domain.EventState{
				UserID: userID("ada"), Kind: domain.EventSignInRefused, Reason: "signature_invalid", IP: fmt.Sprint("192.0.2.", i%4),
			}, hour(0), randomSource(fmt.Sprint("event ", i)))
		}
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				earlier, err := tx.Events.ByKey(t.Context(), at(i).Key())
				if errors.Is(err, domain.ErrEventNotFound) {
					return tx.Events.Add(t.Context(), at(i))
				}
				if err != nil {
					return err
				}
				earlier.AddRepetition(at(i))
				return tx.Events.Save(t.Context(), earlier)
			})
		}) {
			wantError(t, err, nil)
		}
		logged, err := eventsOf(t, store, userID("ada"))
		if err != nil || len(logged) != 1 || logged[0].Count() != concurrentCallers || len(logged[0].IPs()) != 4 {
			t.Errorf("%d entries, the first %+v, %v", len(logged), logged, err)
		}
	},

	"a user's are listed by kind": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		of := map[domain.EventKind][]domain.EventID{}
		for i, kind := range []domain.EventKind{
			domain.EventSignedIn, domain.EventPasskeyAdded, domain.EventSignedIn, domain.EventSignedOut, domain.EventPasskeyAdded,
		} {
			for _, owner := range []string{"ada", "ben", ""} {
				e := event(owner, fmt.Sprint("event", i))
				e.ID, e.Kind = domain.NewEventID(hour(9-i), randomSource(fmt.Sprint(owner, i))), kind
				if owner == "" {
					e = anonymized(e)
				}
				addEvents(t, store, e)
				if owner != "ben" {
					of[domain.EventKind(owner)+kind] = append(of[domain.EventKind(owner)+kind], e.ID)
				}
			}
		}
		for user, owner := range map[domain.UserID]domain.EventKind{userID("ada"): "ada", {}: ""} {
			page := func(kinds ...domain.EventKind) func(domain.EventID, int) ([]domain.EventID, error) {
				return func(before domain.EventID, limit int) ([]domain.EventID, error) {
					all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
						return tx.Events.ListByUser(ctx, user, before, limit, kinds...)
					})
					return idsOf(all), err
				}
			}
			wantPages(t, of[owner+domain.EventPasskeyAdded], page(domain.EventPasskeyAdded))
			both := slices.Concat(of[owner+domain.EventSignedIn], of[owner+domain.EventSignedOut])
			slices.SortFunc(both, func(a, b domain.EventID) int { return compareIDs(b, a) })
			wantPages(t, both, page(domain.EventSignedOut, domain.EventSignedIn))
			wantPages(t, nil, page(domain.EventRecovered))
		}
	},

	"a user's are listed newest first by id, page by page, and nobody else's": func(t *testing.T, store ports.Store) {
		page := func(user domain.UserID) func(domain.EventID, int) ([]domain.EventID, error) {
			return func(before domain.EventID, limit int) ([]domain.EventID, error) {
				all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
					return tx.Events.ListByUser(ctx, user, before, limit)
				})
				return idsOf(all), err
			}
		}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		ids := map[domain.UserID][]domain.EventID{}
		for i := range 6 { // by twos in one millisecond, somebody else's and nobody's among each two
			for _, owner := range []string{"ada", "ben", ""} {
				e := event(owner, fmt.Sprint("event", i))
				e.ID = domain.NewEventID(hour(3-i/2), randomSource(fmt.Sprint(owner, i)))
				e.At = hour(i)
				if owner == "" {
					e = anonymized(e)
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
		wantPageFrom(t, ids[userID("ada")], ids[userID("ben")][2], page(userID("ada")))
	},

	"sweeping takes the old, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		at := func(tag string, at time.Time) domain.EventState {
			e := event("ada", tag)
			e.At = at
			return e
		}
		nobodys := anonymized(at("nobody's", now.Add(-3*time.Hour)))
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
				swept, err = tx.Events.DeleteExpired(ctx, now, 2)
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
