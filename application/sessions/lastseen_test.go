package sessions_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestWriteLastSeen_RevokedMeanwhile(t *testing.T) {
	h := newFixture(t)
	actor, token := h.addUser("Ada").signIn(0)
	if _, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	h.store.beforeUpdate = func() {
		if err := h.signOut(actor, 2*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	h.flushLastSeen()
	if is := h.storedSession(actor.Session.ID()); is.RevokedAt.IsZero() || !is.LastSeenAt.Equal(noon) || !is.IdleEndsAt.Equal(noon.Add(lifetime.IdleTTL)) || is.Device.IP != "" {
		t.Errorf("left %+v", is)
	}
	for range 2 {
		if _, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("got %v", err)
		}
	}
}

// A use that is written late cannot bring a session back that has ended of itself.
func TestWriteLastSeen_UseAfterExpiry(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	h.service.RecordUse(actor.Session.ID(), "203.0.113.9", noon.Add(lifetime.IdleTTL))
	h.flushLastSeen()
	if is := h.storedSession(actor.Session.ID()); !is.LastSeenAt.Equal(noon) || !is.IdleEndsAt.Equal(noon.Add(lifetime.IdleTTL)) {
		t.Errorf("left %+v", is)
	}
}

func TestWriteLastSeen_WritesLatestUse(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	one, _ := ada.signIn(0)
	two, _ := ada.signIn(0)
	unused, _ := ada.signIn(0)
	gone, _ := newFixture(t).addUser("Ben").signIn(0)
	h.service.RecordUse(one.Session.ID(), "203.0.113.9", noon.Add(2*time.Minute))
	h.service.RecordUse(two.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute))
	h.service.RecordUse(one.Session.ID(), "203.0.113.11", noon.Add(3*time.Minute))
	h.service.RecordUse(gone.Session.ID(), "", noon)
	if n := h.flushLastSeen(); n != 3 || h.store.writes != 1 {
		t.Errorf("%d noted sessions took %d units of work", n, h.store.writes)
	}
	for name, c := range map[string]struct {
		id    domain.SessionID
		after time.Duration
		ip    string
	}{
		"used twice": {one.Session.ID(), 3 * time.Minute, "203.0.113.11"},
		"used once":  {two.Session.ID(), 2 * time.Minute, "203.0.113.10"},
		"not used":   {unused.Session.ID(), 0, ""},
	} {
		if is := h.storedSession(c.id); !is.LastSeenAt.Equal(noon.Add(c.after)) || !is.IdleEndsAt.Equal(noon.Add(c.after+lifetime.IdleTTL)) || is.Device.IP != c.ip {
			t.Errorf("%s: left %+v", name, is)
		}
	}
	if n := h.flushLastSeen(); n != 0 || h.store.writes != 1 {
		t.Errorf("a second time %d sessions were written", n)
	}
}

func TestWriteLastSeen_WaitsForConcurrentCall(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	h.service.RecordUse(actor.Session.ID(), "203.0.113.9", noon.Add(2*time.Minute))
	second := make(chan error, 1)
	h.store.beforeUpdate = func() {
		go func() {
			_, err := h.service.WriteLastSeen(t.Context())
			second <- err
		}()
		storetest.AwaitBlocked(t, 1, "sessions.(*Service).WriteLastSeen")
		select {
		case <-second:
			t.Error("the second call returned while the first was writing")
		default:
		}
	}
	h.flushLastSeen()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

// Another node may have written a later use.
func TestWriteLastSeen_KeepsLaterStoredUse(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	otherNode := &sessions.Service{Store: h.store, Clock: clock(noon), Lifetime: lifetime}
	otherNode.RecordUse(actor.Session.ID(), "203.0.113.9", noon.Add(5*time.Minute))
	h.service.RecordUse(actor.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute))
	if _, err := otherNode.WriteLastSeen(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.flushLastSeen()
	if is := h.storedSession(actor.Session.ID()); !is.LastSeenAt.Equal(noon.Add(5*time.Minute)) || is.Device.IP != "203.0.113.9" {
		t.Errorf("left %+v", is)
	}
}

// One unit of work is small, so that nobody who signs in waits for it.
func TestWriteLastSeen_WritesInBatches(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	ids := make([]domain.SessionID, 2*256+1)
	for i := range ids {
		actor, _ := ada.signIn(0)
		ids[i] = actor.Session.ID()
		h.service.RecordUse(ids[i], "", noon.Add(time.Minute))
	}
	if n := h.flushLastSeen(); n != len(ids) || h.store.writes != 3 {
		t.Errorf("%d sessions took %d units of work", n, h.store.writes)
	}
	for _, id := range ids {
		if is := h.storedSession(id); !is.LastSeenAt.Equal(noon.Add(time.Minute)) {
			t.Fatalf("left %+v", is)
		}
	}
}

func TestWriteLastSeen_RequeuesAfterStoreError(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	one, _ := ada.signIn(0)
	two, _ := ada.signIn(0)
	h.service.RecordUse(one.Session.ID(), "203.0.113.9", noon.Add(time.Minute))
	h.service.RecordUse(two.Session.ID(), "203.0.113.9", noon.Add(time.Minute))
	h.store.unavailable = true
	h.store.beforeUpdate = func() { h.service.RecordUse(two.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute)) }
	if n, err := h.service.WriteLastSeen(t.Context()); !errors.Is(err, domain.ErrUnavailable) || n != 0 {
		t.Errorf("during an outage: %d, %v", n, err)
	}
	h.store.unavailable = false
	if n := h.flushLastSeen(); n != 2 {
		t.Errorf("after it: %d", n)
	}
	// What was noted during the attempt is newer than what came back from it.
	for id, want := range map[domain.SessionID]struct {
		after time.Duration
		ip    string
	}{one.Session.ID(): {time.Minute, "203.0.113.9"}, two.Session.ID(): {2 * time.Minute, "203.0.113.10"}} {
		if is := h.storedSession(id); !is.LastSeenAt.Equal(noon.Add(want.after)) || is.Device.IP != want.ip {
			t.Errorf("left %+v", is)
		}
	}
}

func TestWriteLastSeen_RequeuesAfterLookupError(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	service := &sessions.Service{Store: failingSessionsStore{h.store}, Clock: clock(noon), Lifetime: lifetime}
	service.RecordUse(actor.Session.ID(), "", noon.Add(time.Minute))
	for range 2 {
		if n, err := service.WriteLastSeen(t.Context()); !errors.Is(err, domain.ErrUnavailable) || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// A long outage costs a limited memory. Sessions that are noted already can still be noted anew.
func TestWriteLastSeen_BoundsPending(t *testing.T) {
	const room = 100_000
	h := newFixture(t)
	ada := h.addUser("Ada")
	known, _ := ada.signIn(0)
	late, _ := ada.signIn(0)
	h.service.RecordUse(known.Session.ID(), "", noon.Add(time.Minute))
	for range room - 1 {
		id := domain.NewSessionID(noon, rand.Reader)
		h.service.RecordUse(id, "", noon)
	}
	h.service.RecordUse(late.Session.ID(), "", noon.Add(time.Minute))
	h.service.RecordUse(known.Session.ID(), "", noon.Add(2*time.Minute))
	if n := h.flushLastSeen(); n != room {
		t.Errorf("%d were noted", n)
	}
	if is := h.storedSession(known.Session.ID()); !is.LastSeenAt.Equal(noon.Add(2 * time.Minute)) {
		t.Errorf("the one that was known: %+v", is)
	}
	if is := h.storedSession(late.Session.ID()); !is.LastSeenAt.Equal(noon) {
		t.Errorf("the one that came too late: %+v", is)
	}
}

// Requests note while the job writes.
func TestWriteLastSeen_ConcurrentRecordUse(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	ids := make([]domain.SessionID, 16)
	for i := range ids {
		actor, _ := ada.signIn(0)
		ids[i] = actor.Session.ID()
	}
	var noting sync.WaitGroup
	for _, id := range ids {
		noting.Go(func() {
			for seconds := range 100 {
				h.service.RecordUse(id, "", noon.Add(time.Duration(seconds)*time.Second))
			}
			h.service.RecordUse(id, "", noon.Add(30*time.Minute))
		})
	}
	for range 10 {
		h.flushLastSeen()
	}
	noting.Wait()
	h.flushLastSeen()
	for _, id := range ids {
		if is := h.storedSession(id); !is.LastSeenAt.Equal(noon.Add(30 * time.Minute)) {
			t.Errorf("left %+v", is)
		}
	}
}

// Between a use and its writing down the session may run out; whoever ends all others then passes it by as over.
func TestWriteLastSeen_ExpiredBeforeWrite(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	end := noon.Add(lifetime.IdleTTL)
	for _, c := range []struct {
		at      time.Time
		written bool
	}{{end, false}, {end.Add(-time.Microsecond), true}} {
		late := &sessions.Service{Store: h.store, Clock: clock(c.at), Lifetime: lifetime}
		late.RecordUse(actor.Session.ID(), "", end.Add(-time.Second))
		if _, err := late.WriteLastSeen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := h.storedSession(actor.Session.ID()).IdleEndsAt; after.After(end) != c.written {
			t.Errorf("written at %s: it ends at %s", c.at, after)
		}
	}
}
