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
	"every field is stored": func(t *testing.T, store ports.Store) {
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

	"an event remains after its session and passkey are removed": func(t *testing.T, store ports.Store) {
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

	"a duplicate id is rejected": func(t *testing.T, store ports.Store) {
		first, duplicate := event("ada", "phone"), event("ben", "phone")
		duplicate.ID = first.ID
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(duplicate)) })
		if err == nil {
			t.Fatal("the duplicate was added")
		}
		got, err := eventsOf(t, store, userID("ada"))
		wantList(t, got, err, first)
		got, err = eventsOf(t, store, userID("ben"))
		wantList(t, got, err)
	},

	"an event without a user has no personal data": func(t *testing.T, store ports.Store) {
		full := event("anonymous", "phone")
		anonymous := anonymized(full)
		for i := range reflect.TypeFor[domain.EventState]().NumField() {
			name := reflect.TypeFor[domain.EventState]().Field(i).Name
			if slices.Contains(anonymizedFields, name) || name == "Key" { // a rejected sign-in without an account has a key
				continue
			}
			personal := anonymous
			reflect.ValueOf(&personal).Elem().Field(i).Set(reflect.ValueOf(full).Field(i))
			err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(personal)) })
			if err == nil {
				t.Errorf("an event without a user but with %s was added", name)
			}
		}
		addEvents(t, store, anonymous)
		got, err := eventsOf(t, store, domain.UserID{})
		wantList(t, got, err, anonymous)
	},

	"a repetition key is unique, is found, and is removed with the user": func(t *testing.T, store ports.Store) {
		adas, duplicate := event("ada", "phone"), event("ben", "phone")
		duplicate.Key = adas.Key
		withoutUser := anonymized(event("anonymous", "phone"))
		withoutUser.Key = repetitionKey("anonymous")
		withoutKey := event("ada", "without key")
		withoutKey.Key, withoutKey.Repeats, withoutKey.LastAt, withoutKey.OtherIPs = domain.RepetitionKey{}, 0, time.Time{}, nil
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, adas, withoutUser, withoutKey)
		if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Events.Add(t.Context(), domain.RestoreEvent(duplicate)) }); err == nil {
			t.Fatal("the duplicate was added")
		}
		for _, want := range []domain.EventState{adas, withoutUser} {
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

	"Save stores the mutable fields only": func(t *testing.T, store ports.Store) {
		before := event("ada", "phone")
		before.Repeats, before.LastAt, before.OtherIPs = 0, time.Time{}, nil
		after := before
		after.SessionID, after.CredentialID, after.PasskeyName = domain.SessionID{}, "", ""
		after.Repeats, after.LastAt, after.OtherIPs = 7, hour(30), []string{"192.0.2.8"}
		wantChanged(t, before, after, "ID", "UserID", "Kind", "At", "Actor", "DeviceName", "IP", "Reason", "Changed", "RequestID", "APIKey", "Invite", "Key")
		other := event("ada", "laptop")
		addUsers(t, store, user("ada"))
		addEvents(t, store, before, other)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Events.Save(ctx, domain.RestoreEvent(after)) })
		got, err := eventByKey(t, store, before.Key)
		wantSame(t, got, err, after)
		got, err = eventByKey(t, store, other.Key)
		wantSame(t, got, err, other)
		err = store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.Events.Save(t.Context(), domain.RestoreEvent(event("ada", "unknown")))
		})
		wantError(t, err, domain.ErrEventNotFound)
	},

	"List returns the events of all users and of none, oldest first, in pages": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		all := []domain.EventState{event("ada", "phone"), event("ben", "phone"), anonymized(event("anonymous", "phone")), event("ada", "laptop"), event("ben", "tablet")}
		for i := range all {
			if all[i].ID = domain.NewEventID(hour(i), randomSource(fmt.Sprint("event ", i))); i%2 == 1 {
				all[i].Kind = domain.EventSignedIn
			}
		}
		addEvents(t, store, all[3], all[0], all[4], all[2], all[1])
		end := domain.FirstEventID(hour(99))
		list := func(after domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
			return get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
				return tx.Events.List(ctx, after, end, limit, kinds...)
			})
		}
		got, err := list(domain.EventID{}, 3)
		wantList(t, got, err, all[:3]...)
		got, err = list(all[2].ID, 3)
		wantList(t, got, err, all[3:]...)
		got, err = list(all[4].ID, 3)
		wantList(t, got, err)
		got, err = list(domain.EventID{}, 9, domain.EventSignedIn)
		wantList(t, got, err, all[1], all[3])
		got, err = list(all[1].ID, 9, domain.EventSignedIn, domain.EventPasskeySuspended)
		wantList(t, got, err, all[2:]...)
		end = all[3].ID
		got, err = list(all[0].ID, 9)
		wantList(t, got, err, all[1:3]...)
	},

	"ListByUserAfter returns the events of one user, oldest first, in pages": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		all := []domain.EventState{event("ada", "phone"), event("ada", "laptop"), event("ada", "tablet"), event("ada", "watch")}
		for i := range all {
			if all[i].ID = domain.NewEventID(hour(i), randomSource(fmt.Sprint("event ", i))); i%2 == 1 {
				all[i].Kind = domain.EventSignedIn
			}
		}
		addEvents(t, store, all[3], event("ben", "phone"), all[0], anonymized(event("anonymous", "phone")), all[2], all[1])
		end := domain.FirstEventID(hour(99))
		list := func(after domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
			return get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
				return tx.Events.ListByUserAfter(ctx, userID("ada"), after, end, limit, kinds...)
			})
		}
		got, err := list(domain.EventID{}, 3)
		wantList(t, got, err, all[:3]...)
		got, err = list(all[2].ID, 3)
		wantList(t, got, err, all[3:]...)
		got, err = list(all[3].ID, 3)
		wantList(t, got, err)
		got, err = list(domain.EventID{}, 9, domain.EventSignedIn)
		wantList(t, got, err, all[1], all[3])
		end = all[3].ID
		got, err = list(all[0].ID, 9)
		wantList(t, got, err, all[1:3]...)
	},

	"concurrent repetitions are all counted": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		repetition := func(i int) *domain.Event {
			return domain.NewEvent(domain.EventState{
				UserID: userID("ada"), Kind: domain.EventSignInRefused, Reason: "signature_invalid", IP: fmt.Sprint("192.0.2.", i%4),
			}, hour(0), randomSource(fmt.Sprint("event ", i)))
		}
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				earlier, err := tx.Events.ByKey(t.Context(), repetition(i).Key())
				if errors.Is(err, domain.ErrEventNotFound) {
					return tx.Events.Add(t.Context(), repetition(i))
				}
				if err != nil {
					return err
				}
				earlier.AddRepetition(repetition(i))
				return tx.Events.Save(t.Context(), earlier)
			})
		}) {
			wantError(t, err, nil)
		}
		events, err := eventsOf(t, store, userID("ada"))
		if err != nil || len(events) != 1 || events[0].Count() != concurrentCallers || len(events[0].IPs()) != 4 {
			t.Errorf("%d events: %+v, %v", len(events), events, err)
		}
	},

	"ListByUser filters by kind": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		ids := map[domain.EventKind][]domain.EventID{}
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
					ids[domain.EventKind(owner)+kind] = append(ids[domain.EventKind(owner)+kind], e.ID)
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
			wantPages(t, ids[owner+domain.EventPasskeyAdded], page(domain.EventPasskeyAdded))
			both := slices.Concat(ids[owner+domain.EventSignedIn], ids[owner+domain.EventSignedOut])
			slices.SortFunc(both, func(a, b domain.EventID) int { return compareIDs(b, a) })
			wantPages(t, both, page(domain.EventSignedOut, domain.EventSignedIn))
			wantPages(t, nil, page(domain.EventRecovered))
		}
	},

	"ListByUser returns the user's events in pages, newest id first": func(t *testing.T, store ports.Store) {
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
		for i := range 6 { // two in each millisecond, with those of another user and anonymous ones between them
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

	"DeleteExpired deletes old events, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		at := func(tag string, at time.Time) domain.EventState {
			e := event("ada", tag)
			e.At = at
			return e
		}
		anonymousEvent := anonymized(at("anonymous", now.Add(-3*time.Hour)))
		addUsers(t, store, user("ada"))
		addEvents(t, store,
			at("just now", now), at("old", now.Add(-2*time.Hour)), at("too new", now.Add(time.Microsecond)), anonymousEvent,
			at("less old", now.Add(-time.Hour)), at("new", now.Add(time.Hour)))
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[less old just now too new new]"},
			{"2", "[too new new]"},
			{"0", "[too new new]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.Events.DeleteExpired(ctx, now, 2)
				return err
			})
			events, err := eventsOf(t, store, userID("ada"))
			wantError(t, err, nil)
			anonymous, err := eventsOf(t, store, domain.UserID{})
			wantList(t, anonymous, err)
			remaining := []string{}
			for _, tag := range []string{"old", "less old", "just now", "too new", "new"} {
				if slices.Contains(idsOf(events), event("ada", tag).ID) {
					remaining = append(remaining, tag)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}
