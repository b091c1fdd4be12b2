package domain_test

import (
	"crypto/rand"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func event(t *testing.T, e domain.EventState, now time.Time) *domain.Event {
	t.Helper()
	return domain.NewEvent(e, now, rand.Reader)
}

func TestNewEvent_SetsIDAndTime(t *testing.T) {
	input := domain.EventState{
		ID: domain.EventID{}, At: noon.Add(-time.Hour), Kind: domain.EventAccountChanged, SessionID: sessionID(t), CredentialID: "id",
		PasskeyName: "Ada's key", DeviceName: "curl", IP: "127.0.0.1", Reason: "reason", Changed: []string{"email"}, RequestID: "request-17",
	}
	e := event(t, input, noon)
	want := input
	want.ID, want.At, want.Actor = e.ID(), noon, domain.ActorUser
	if got := e.State(); e.ID().IsZero() || e.Kind() != domain.EventAccountChanged || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if again := event(t, e.State(), noon); again.ID() == e.ID() {
		t.Error("two events share an id")
	}
}

func TestNewEvent_DefaultActor(t *testing.T) {
	for actor, want := range map[domain.Actor]domain.Actor{"": domain.ActorUser, domain.ActorUser: domain.ActorUser, domain.ActorOperator: domain.ActorOperator} {
		if got := event(t, domain.EventState{Actor: actor}, noon).State().Actor; got != want {
			t.Errorf("actor %q became %q", actor, got)
		}
	}
}

// Lists are sorted and paged by id, so that ids must sort by time.
func TestEventID_SortsByTime(t *testing.T) {
	earlier := event(t, domain.EventState{}, noon)
	for _, after := range []time.Duration{time.Millisecond, time.Second, 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
		later := event(t, domain.EventState{}, noon.Add(after))
		if later.ID().String() <= earlier.ID().String() {
			t.Errorf("after %s the id %s does not sort after %s", after, later.ID(), earlier.ID())
		}
		earlier = later
	}
	if parsed, err := domain.ParseEventID(earlier.ID().String()); err != nil || parsed != earlier.ID() {
		t.Errorf("%s came back as %s, %v", earlier.ID(), parsed, err)
	}
	if id, err := domain.ParseEventID("x"); err == nil || !id.IsZero() {
		t.Errorf("an invalid id came back as %s, %v", id, err)
	}
}

func TestEvent_StateIsACopy(t *testing.T) {
	input := domain.EventState{Changed: []string{"email"}}
	e := event(t, input, noon)
	state := e.State()
	restored := domain.RestoreEvent(state)
	input.Changed[0], state.Changed[0] = "input", "state"
	for name, e := range map[string]*domain.Event{"the event": e, "the restored one": restored} {
		if changed := e.State().Changed[0]; changed != "email" {
			t.Errorf("%s became %q", name, changed)
		}
	}
}

// Ids of the same millisecond are random; WithIDAfter keeps the order in which events are recorded.
func TestEvent_WithIDAfter(t *testing.T) {
	id := func(s string) domain.EventID {
		parsed, err := domain.ParseEventID(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, c := range map[string]struct{ own, last, want string }{
		"the first event":  {"01a20846-fe00-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000", "01a20846-fe00-7000-8000-000000000000"},
		"already after it": {"01a20846-fe00-7000-8000-000000000002", "01a20846-fe00-7000-8000-000000000001", "01a20846-fe00-7000-8000-000000000002"},
		"the same":         {"01a20846-fe00-7000-8000-000000000001", "01a20846-fe00-7000-8000-000000000001", "01a20846-fe00-7000-8000-000000000002"},
		"before it":        {"01a20846-fe00-7000-8000-000000000000", "01a20846-fe00-7fff-bfff-000000000007", "01a20846-fe00-7fff-bfff-000000000008"},
		"with a carry":     {"01a20846-fe00-7000-8000-000000000000", "01a20846-fe00-7fff-8000-0000000000ff", "01a20846-fe00-7fff-8000-000000000100"},
		"with six carries": {"01a20846-fe00-7000-8000-000000000000", "01a20846-fe00-7fff-80fe-ffffffffffff", "01a20846-fe00-7fff-80ff-000000000000"},
		"a clock put back": {"01a20846-fdff-7000-8000-000000000000", "01a20846-fe00-7000-8000-000000000001", "01a20846-fe00-7000-8000-000000000002"},
	} {
		t.Run(name, func(t *testing.T) {
			e := domain.RestoreEvent(domain.EventState{ID: id(c.own), Kind: domain.EventSignedIn, At: noon})
			after := e.WithIDAfter(id(c.last))
			if after.ID() != id(c.want) || after.Kind() != domain.EventSignedIn || !after.State().At.Equal(noon) {
				t.Errorf("became %+v", after.State())
			}
			if e.ID() != id(c.own) {
				t.Errorf("the original has the id %s", e.ID())
			}
		})
	}
}
