package sessions_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestWriteLastSeen_RevokedMeanwhile(t *testing.T) {
	f := newFixture(t)
	principal, token := f.addUser("Ada").signIn(0)
	if _, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	f.store.beforeUpdate = func() {
		if err := f.signOut(principal, 2*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	f.flushLastSeen()
	if state := f.storedSession(principal.Session.ID()); state.RevokedAt.IsZero() || !state.LastSeenAt.Equal(noon) || !state.IdleEndsAt.Equal(noon.Add(lifetime.IdleTTL)) || state.Device.IP != "" {
		t.Errorf("stored %+v", state)
	}
	for range 2 {
		if _, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("got %v", err)
		}
	}
}

// A use that is stored after the session expired does not make it active again.
func TestWriteLastSeen_UseAfterExpiry(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	f.service.RecordUse(principal.Session.ID(), "203.0.113.9", noon.Add(lifetime.IdleTTL))
	f.flushLastSeen()
	if state := f.storedSession(principal.Session.ID()); !state.LastSeenAt.Equal(noon) || !state.IdleEndsAt.Equal(noon.Add(lifetime.IdleTTL)) {
		t.Errorf("stored %+v", state)
	}
}

func TestWriteLastSeen_WritesLatestUse(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	one, _ := ada.signIn(0)
	two, _ := ada.signIn(0)
	unused, _ := ada.signIn(0)
	gone, _ := newFixture(t).addUser("Ben").signIn(0)
	f.service.RecordUse(one.Session.ID(), "203.0.113.9", noon.Add(2*time.Minute))
	f.service.RecordUse(two.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute))
	f.service.RecordUse(one.Session.ID(), "203.0.113.11", noon.Add(3*time.Minute))
	f.service.RecordUse(gone.Session.ID(), "", noon)
	if n := f.flushLastSeen(); n != 3 || f.store.writes != 1 {
		t.Errorf("%d sessions in %d updates, want 3 in 1", n, f.store.writes)
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
		if state := f.storedSession(c.id); !state.LastSeenAt.Equal(noon.Add(c.after)) || !state.IdleEndsAt.Equal(noon.Add(c.after+lifetime.IdleTTL)) || state.Device.IP != c.ip {
			t.Errorf("%s: stored %+v", name, state)
		}
	}
	if n := f.flushLastSeen(); n != 0 || f.store.writes != 1 {
		t.Errorf("second call: %d sessions, want 0", n)
	}
}

func TestWriteLastSeen_WaitsForConcurrentCall(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	f.service.RecordUse(principal.Session.ID(), "203.0.113.9", noon.Add(2*time.Minute))
	second := make(chan error, 1)
	f.store.beforeUpdate = func() {
		go func() {
			_, err := f.service.WriteLastSeen(t.Context())
			second <- err
		}()
		storetest.AwaitBlocked(t, 1, "sessions.(*Service).WriteLastSeen")
		select {
		case err := <-second:
			t.Errorf("the second call returned %v while the first was writing", err)
		default:
		}
	}
	f.flushLastSeen()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

// Another node may have stored a later use.
func TestWriteLastSeen_KeepsLaterStoredUse(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	otherNode := &sessions.Service{Store: sessioncache.New(f.store), Clock: clock(noon), Lifetime: lifetime}
	otherNode.RecordUse(principal.Session.ID(), "203.0.113.9", noon.Add(5*time.Minute))
	f.service.RecordUse(principal.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute))
	if _, err := otherNode.WriteLastSeen(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.flushLastSeen()
	if state := f.storedSession(principal.Session.ID()); !state.LastSeenAt.Equal(noon.Add(5*time.Minute)) || state.Device.IP != "203.0.113.9" {
		t.Errorf("stored %+v", state)
	}
}

// A transaction is small, so that sign-ins do not wait long for it.
func TestWriteLastSeen_WritesInBatches(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	ids := make([]domain.SessionID, 2*256+1)
	for i := range ids {
		principal, _ := ada.signIn(0)
		ids[i] = principal.Session.ID()
		f.service.RecordUse(ids[i], "", noon.Add(time.Minute))
	}
	if n := f.flushLastSeen(); n != len(ids) || f.store.writes != 3 {
		t.Errorf("%d sessions in %d updates, want 3 updates", n, f.store.writes)
	}
	for _, id := range ids {
		if state := f.storedSession(id); !state.LastSeenAt.Equal(noon.Add(time.Minute)) {
			t.Fatalf("stored %+v", state)
		}
	}
}

func TestWriteLastSeen_RequeuesAfterStoreError(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	one, _ := ada.signIn(0)
	two, _ := ada.signIn(0)
	f.service.RecordUse(one.Session.ID(), "203.0.113.9", noon.Add(time.Minute))
	f.service.RecordUse(two.Session.ID(), "203.0.113.9", noon.Add(time.Minute))
	f.store.unavailable = true
	f.store.beforeUpdate = func() { f.service.RecordUse(two.Session.ID(), "203.0.113.10", noon.Add(2*time.Minute)) }
	if n, err := f.service.WriteLastSeen(t.Context()); !errors.Is(err, domain.ErrUnavailable) || n != 0 {
		t.Errorf("during the outage: %d, %v", n, err)
	}
	f.store.unavailable = false
	if n := f.flushLastSeen(); n != 2 {
		t.Errorf("after the outage: %d sessions, want 2", n)
	}
	// A use that was recorded during the failed update is newer than the requeued one.
	for id, want := range map[domain.SessionID]struct {
		after time.Duration
		ip    string
	}{one.Session.ID(): {time.Minute, "203.0.113.9"}, two.Session.ID(): {2 * time.Minute, "203.0.113.10"}} {
		if state := f.storedSession(id); !state.LastSeenAt.Equal(noon.Add(want.after)) || state.Device.IP != want.ip {
			t.Errorf("stored %+v", state)
		}
	}
}

func TestWriteLastSeen_RequeuesAfterLookupError(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	service := &sessions.Service{Store: sessioncache.New(failingSessionsStore{f.store}), Clock: clock(noon), Lifetime: lifetime}
	service.RecordUse(principal.Session.ID(), "", noon.Add(time.Minute))
	for range 2 {
		if n, err := service.WriteLastSeen(t.Context()); !errors.Is(err, domain.ErrUnavailable) || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// The memory of pending uses is bounded. Beyond the bound, a later use of a pending session is still recorded.
func TestWriteLastSeen_BoundsPending(t *testing.T) {
	const maxPending = 100_000
	f := newFixture(t)
	ada := f.addUser("Ada")
	pending, _ := ada.signIn(0)
	excess, _ := ada.signIn(0)
	f.service.RecordUse(pending.Session.ID(), "", noon.Add(time.Minute))
	for range maxPending - 1 {
		id := domain.NewSessionID(noon, rand.Reader)
		f.service.RecordUse(id, "", noon)
	}
	f.service.RecordUse(excess.Session.ID(), "", noon.Add(time.Minute))
	f.service.RecordUse(pending.Session.ID(), "", noon.Add(2*time.Minute))
	if n := f.flushLastSeen(); n != maxPending {
		t.Errorf("%d uses were recorded", n)
	}
	if state := f.storedSession(pending.Session.ID()); !state.LastSeenAt.Equal(noon.Add(2 * time.Minute)) {
		t.Errorf("the pending session: %+v", state)
	}
	if state := f.storedSession(excess.Session.ID()); !state.LastSeenAt.Equal(noon) {
		t.Errorf("the session beyond the bound: %+v", state)
	}
}

// Requests record uses while the job writes.
func TestWriteLastSeen_ConcurrentRecordUse(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	ids := make([]domain.SessionID, 16)
	for i := range ids {
		principal, _ := ada.signIn(0)
		ids[i] = principal.Session.ID()
	}
	var recording sync.WaitGroup
	for _, id := range ids {
		recording.Go(func() {
			for seconds := range 100 {
				f.service.RecordUse(id, "", noon.Add(time.Duration(seconds)*time.Second))
			}
			f.service.RecordUse(id, "", noon.Add(30*time.Minute))
		})
	}
	for range 10 {
		f.flushLastSeen()
	}
	recording.Wait()
	f.flushLastSeen()
	for _, id := range ids {
		if state := f.storedSession(id); !state.LastSeenAt.Equal(noon.Add(30 * time.Minute)) {
			t.Errorf("stored %+v", state)
		}
	}
}

// A session may expire between its use and the write. RevokeOthers skips it then, so the write must not make it active again.
func TestWriteLastSeen_ExpiredBeforeWrite(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	end := noon.Add(lifetime.IdleTTL)
	for _, c := range []struct {
		at     time.Time
		stored bool
	}{{end, false}, {end.Add(-time.Microsecond), true}} {
		service := &sessions.Service{Store: sessioncache.New(f.store), Clock: clock(c.at), Lifetime: lifetime}
		service.RecordUse(principal.Session.ID(), "", end.Add(-time.Second))
		if _, err := service.WriteLastSeen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if idleEnd := f.storedSession(principal.Session.ID()).IdleEndsAt; idleEnd.After(end) != c.stored {
			t.Errorf("written at %s: idle end %s", c.at, idleEnd)
		}
	}
}
