package domain_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func newUserID(t *testing.T) domain.UserID {
	t.Helper()
	return domain.NewUserID(noon, rand.Reader)
}

func TestNewEvent_RepetitionKeyPerDay(t *testing.T) {
	ada, ben := newUserID(t), newUserID(t)
	first := domain.EventState{
		UserID: ada, Kind: domain.EventSignInRefused, Reason: "signature_invalid", CredentialID: "key", SessionID: sessionID(t), DeviceName: "curl", IP: "192.0.2.7",
	}
	with := func(e domain.EventState, change func(*domain.EventState)) domain.EventState {
		change(&e)
		return e
	}
	flagged := with(first, func(e *domain.EventState) { e.Kind = domain.EventPasskeyFlagged })
	for name, c := range map[string]struct {
		first, second domain.EventState
		after         time.Duration
		same          bool
	}{
		"the same":                     {first, first, time.Second, true},
		"with another passkey":         {first, with(first, func(e *domain.EventState) { e.CredentialID = "other" }), 0, true},
		"in another session":           {first, with(first, func(e *domain.EventState) { e.SessionID = sessionID(t) }), 0, true},
		"from another address":         {first, with(first, func(e *domain.EventState) { e.IP = "192.0.2.8" }), 0, true},
		"at the end of the day":        {first, first, 12*time.Hour - 1, true},
		"the next day":                 {first, first, 12 * time.Hour, false},
		"for another reason":           {first, with(first, func(e *domain.EventState) { e.Reason = "malformed" }), 0, false},
		"of another kind":              {first, with(first, func(e *domain.EventState) { e.Kind = domain.EventStepUpRefused }), 0, false},
		"of another account":           {first, with(first, func(e *domain.EventState) { e.UserID = ben }), 0, false},
		"a passkey is flagged":         {flagged, flagged, time.Hour, true},
		"another passkey is flagged":   {flagged, with(flagged, func(e *domain.EventState) { e.CredentialID = "other" }), 0, false},
		"a change of the account":      {with(first, func(e *domain.EventState) { e.Kind = domain.EventPasskeyAdded }), with(first, func(e *domain.EventState) { e.Kind = domain.EventPasskeyAdded }), 0, false},
		"recovery by code was blocked": {with(first, func(e *domain.EventState) { e.Kind = domain.EventRecoveryLocked }), with(first, func(e *domain.EventState) { e.Kind = domain.EventRecoveryLocked }), 0, false},
	} {
		one, two := event(t, c.first, noon), event(t, c.second, noon.Add(c.after))
		if same := one.Key() == two.Key() && !one.Key().IsZero(); same != c.same {
			t.Errorf("%s: counted together %t, want %t", name, same, c.same)
		}
	}
}

// A client without access to an account can cause any number of these events. No other event is counted in one entry.
// Requirement: ASVS-16.2.5
func TestEventKind_Repeatable(t *testing.T) {
	repeatable := []domain.EventKind{
		domain.EventSignInRefused, domain.EventStepUpRefused, domain.EventPasskeyAddRefused, domain.EventRecoveryRefused, domain.EventPasskeyFlagged,
	}
	for _, kind := range domain.EventKinds {
		got := !event(t, domain.EventState{Kind: kind}, noon).Key().IsZero()
		if want := slices.Contains(repeatable, kind); got != want || kind.Repeatable() != want {
			t.Errorf("%s: repeatable %t, has a key %t", kind, kind.Repeatable(), got)
		}
	}
}

func TestNewEvent_ResetsRepetitions(t *testing.T) {
	is := event(t, domain.EventState{
		Kind: domain.EventSignedIn, Key: domain.RepetitionKey{1}, Repeats: 7, LastAt: noon, OtherIPs: []string{"192.0.2.8"},
	}, noon).State()
	if !is.Key.IsZero() || is.Repeats != 0 || !is.LastAt.IsZero() || is.OtherIPs != nil {
		t.Errorf("got %+v", is)
	}
}

func TestNewAnonymousEvent_BoundedKeys(t *testing.T) {
	refused := domain.EventState{Kind: domain.EventRecoveryRefused, Reason: "invalid_code"}
	keys := map[domain.RepetitionKey]bool{}
	for i := range 5000 {
		e := domain.NewAnonymousEvent(refused, domain.LockoutKey("key").UnknownName(fmt.Sprint(i)), noon, rand.Reader)
		keys[e.Key()] = true
	}
	if len(keys) != 256 || keys[event(t, refused, noon).Key()] || keys[domain.RepetitionKey{}] {
		t.Errorf("%d keys, want 256, all different from those of users", len(keys))
	}
}

func TestEvent_AddRepetition_counts(t *testing.T) {
	refused := func(after time.Duration, ip string) *domain.Event {
		return event(t, domain.EventState{
			Kind: domain.EventSignInRefused, CredentialID: "key", PasskeyName: "Ada's key", DeviceName: "curl", IP: ip, RequestID: "request" + ip,
		}, noon.Add(after))
	}
	e := refused(0, "192.0.2.1")
	if e.Count() != 1 || !e.LastAt().Equal(noon) || !slices.Equal(e.IPs(), []string{"192.0.2.1"}) {
		t.Errorf("once: %d until %s from %v", e.Count(), e.LastAt(), e.IPs())
	}
	before := e.State()
	e.AddRepetition(refused(2*time.Second, "192.0.2.2"))
	e.AddRepetition(refused(time.Second, "192.0.2.1"))
	e.AddRepetition(refused(time.Second, "")) // from an unknown address
	want := before
	want.Repeats, want.LastAt, want.OtherIPs = 3, noon.Add(2*time.Second), []string{"192.0.2.2"}
	if got := e.State(); e.Count() != 4 || !e.LastAt().Equal(want.LastAt) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for i := range 50 {
		e.AddRepetition(refused(time.Minute, fmt.Sprint("2001:db8::", i)))
	}
	if all := e.IPs(); e.Count() != 54 || len(all) != 10 || all[0] != "192.0.2.1" || all[9] != "2001:db8::7" {
		t.Errorf("%d from %v", e.Count(), all)
	}
	if unknown := refused(0, ""); len(unknown.IPs()) != 0 {
		t.Errorf("from an unknown address: %v", unknown.IPs())
	}
}

func TestEvent_AddRepetition_keepsCommonFields(t *testing.T) {
	session := sessionID(t)
	e := domain.EventState{Kind: domain.EventStepUpRefused, CredentialID: "key", PasskeyName: "Ada's key", SessionID: session}
	first := event(t, e, noon)
	first.AddRepetition(event(t, e, noon))
	if is := first.State(); is.CredentialID != "key" || is.PasskeyName != "Ada's key" || is.SessionID != session {
		t.Errorf("the same: %+v", is)
	}
	e.CredentialID, e.PasskeyName, e.SessionID = "other", "Another", sessionID(t)
	for range 2 { // removed fields stay removed
		first.AddRepetition(event(t, e, noon))
		if is := first.State(); is.CredentialID != "" || is.PasskeyName != "" || !is.SessionID.IsZero() {
			t.Errorf("different ones: %+v", is)
		}
	}
}
