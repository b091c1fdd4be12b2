package memory

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type events struct{ state }

func (e events) Add(_ context.Context, event *domain.Event) error {
	if err := e.writable(); err != nil {
		return err
	}
	s := event.State()
	if _, found := e.events[s.ID]; found {
		return fmt.Errorf("there is an event %s already", s.ID)
	}
	if _, err := e.ByKey(context.Background(), s.Key); err == nil {
		return fmt.Errorf("there is an event with the key %x already", s.Key)
	}
	bare := disowned(s)
	bare.Key = s.Key
	if _, found := e.users[s.UserID]; !found && !reflect.DeepEqual(s, bare) {
		return fmt.Errorf("the event is not of a user who is there, and says whose it is: %s", s.ID)
	}
	e.events[s.ID] = s
	return nil
}

func (e events) ByKey(_ context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	if !key.IsZero() {
		for _, s := range e.events {
			if s.Key == key {
				return domain.RestoreEvent(s), nil
			}
		}
	}
	return nil, domain.ErrEventNotFound
}

func (e events) Save(_ context.Context, event *domain.Event) error {
	if err := e.writable(); err != nil {
		return err
	}
	if _, found := e.events[event.ID()]; !found {
		return domain.ErrEventNotFound
	}
	e.events[event.ID()] = event.State()
	return nil
}

func (e events) ListByUser(_ context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	logged := []*domain.Event{}
	newestFirst := func(a, b domain.EventState) int { return compareIDs(b.ID, a.ID) }
	for _, s := range slices.SortedFunc(maps.Values(e.events), newestFirst) {
		if len(logged) < limit && s.UserID == user && isBefore(s.ID, before) && (len(kinds) == 0 || slices.Contains(kinds, s.Kind)) {
			logged = append(logged, domain.RestoreEvent(s))
		}
	}
	return logged, nil
}

func (e events) DeleteExpired(_ context.Context, before time.Time, limit int) (int, error) {
	if err := e.writable(); err != nil {
		return 0, err
	}
	return sweep(e.events, func(s domain.EventState) time.Time { return s.At }, before, limit), nil
}

// disowned is what stays of an event whose user goes. It names what stays, so that whatever joins the snapshot goes.
func disowned(s domain.EventState) domain.EventState {
	return domain.EventState{ID: s.ID, Kind: s.Kind, At: s.At, Actor: s.Actor, Reason: s.Reason, Repeats: s.Repeats, LastAt: s.LastAt}
}
