package housekeeping_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

// leave puts n challenges, n sessions of one user and n messages into the store and a grant, which all end at noon, and n
// events and lockouts of then.
func leave(t *testing.T, store ports.Store, n int) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		ada, err := domain.NewApplicant("", "Ada", noon, rand.Reader)
		if err != nil {
			return err
		}
		key, err := domain.NewCredential(ada.UserID, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, noon)
		if err != nil {
			return err
		}
		if err := tx.Users.Add(t.Context(), ada.Admit(noon)); err != nil {
			return err
		}
		grant, _, err := domain.NewGrant(ada.UserID, nil, domain.CodeDigest{}, domain.GrantKeys{nil}, noon.Add(-10*time.Minute), rand.Reader)
		if err != nil {
			return err
		}
		if err := tx.Grants.Put(t.Context(), grant); err != nil {
			return err
		}
		for i := range n {
			wrong := domain.NewLockout(domain.LockoutKey{}.Unknown(fmt.Sprint(i)))
			wrong.Fail(noon)
			if err := tx.Lockouts.Save(t.Context(), wrong); err != nil {
				return err
			}
			challenge, err := domain.NewChallenge(domain.PurposeLogin, domain.Respondent{}, nil, nil, 0, noon, rand.Reader)
			if err != nil {
				return err
			}
			session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{}, noon, rand.Reader)
			if err != nil {
				return err
			}
			event, err := domain.NewEvent(domain.EventSnapshot{UserID: ada.UserID}, noon, rand.Reader)
			if err != nil {
				return err
			}
			message, err := domain.NewNotice("ada@example.org", ada.UserID, domain.MessageRecovered, event.Snapshot(), noon.Add(-4*24*time.Hour), rand.Reader)
			if err != nil {
				return err
			}
			err = errors.Join(
				tx.Challenges.Add(t.Context(), challenge), tx.Sessions.Add(t.Context(), session), tx.Events.Add(t.Context(), event), tx.Messages.Add(t.Context(), message),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsOverIsKeptForAWhileAndThenSwept(t *testing.T) {
	for after, want := range map[time.Duration]housekeeping.Swept{
		-1:                {},
		0:                 {Grants: 1, Messages: 3},
		5*time.Minute - 1: {Grants: 1, Messages: 3},
		5 * time.Minute:   {Challenges: 3, Grants: 1, Messages: 3},
		24*time.Hour - 1:  {Challenges: 3, Grants: 1, Messages: 3},
		24 * time.Hour:    {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3},

		400*24*time.Hour - 1: {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3},
		400 * 24 * time.Hour: {Challenges: 3, Sessions: 3, Grants: 1, Messages: 3, Lockouts: 3, Events: 3},
	} {
		store := memory.New()
		leave(t, store, 3)
		swept, err := (&housekeeping.Sweep{Store: store, Clock: clock(noon.Add(after))}).Execute(t.Context())
		if err != nil || swept != want {
			t.Errorf("%s after its end: swept %+v, %v; want %+v", after, swept, err, want)
		}
	}
}

// counted notes how many rows each unit of work deleted, and how long the sweep paused after it. Each row and each commit takes a while.
type counted struct {
	ports.Store
	clock       *movingClock
	row, commit time.Duration
	sizes       []int
	pauses      []time.Duration
}

type movingClock struct{ now time.Time }

func (c *movingClock) Now() time.Time { return c.now }

type countedSessions struct {
	ports.Sessions
	*counted
}

func (c *counted) Update(ctx context.Context, fn func(ports.Tx) error) error {
	err := c.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = countedSessions{tx.Sessions, c}
		return fn(tx)
	})
	c.clock.now = c.clock.now.Add(c.commit)
	return err
}

func (c countedSessions) Sweep(ctx context.Context, ended time.Time, upTo int) (int, error) {
	n, err := c.Sessions.Sweep(ctx, ended, upTo)
	c.sizes = append(c.sizes, n)
	c.clock.now = c.clock.now.Add(time.Duration(n) * c.row)
	return n, err
}

func (c *counted) pause(_ context.Context, d time.Duration) error {
	c.pauses = append(c.pauses, d)
	c.clock.now = c.clock.now.Add(d)
	return nil
}

// A batch takes up to three milliseconds with its commit, however long a row takes. A slow commit makes it no smaller than 16 rows.
func TestSweep_batchesByTime(t *testing.T) {
	for name, c := range map[string]struct {
		row, commit time.Duration
		want        []int
	}{
		"fast":          {0, 0, []int{16, 32, 64, 128, 128, 128, 104}},
		"slow rows":     {4 * time.Millisecond, 0, []int{16, 8, 4, 2, 1, 1, 1}},
		"in between":    {120 * time.Microsecond, 0, []int{16, 16, 16}},
		"with a commit": {20 * time.Microsecond, time.Millisecond, []int{16, 32, 32, 32}},
		"slow commits":  {0, 10 * time.Millisecond, []int{16, 16, 16, 16}},
		"slow both":     {4 * time.Millisecond, 10 * time.Millisecond, []int{16, 8, 4, 2, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &counted{Store: memory.New(), clock: &movingClock{noon.Add(24 * time.Hour)}, row: c.row, commit: c.commit}
			leave(t, store, 600)
			swept, err := (&housekeeping.Sweep{Store: store, Clock: store.clock, Pause: store.pause}).Execute(t.Context())
			if err != nil || swept.Sessions != 600 || swept.Unfinished || !slices.Equal(store.sizes[:len(c.want)], c.want) {
				t.Errorf("swept %+v, %v, in batches of %v", swept, err, store.sizes)
			}
		})
	}
}

// After each full batch the sweep leaves the writer to others for as long as the batch held it, its commit included.
func TestSweep_pausesForAsLongAsABatchTook(t *testing.T) {
	const row, commit = 100 * time.Microsecond, 1400 * time.Microsecond
	store := &counted{Store: memory.New(), clock: &movingClock{noon.Add(24 * time.Hour)}, row: row, commit: commit}
	leave(t, store, 40)
	if _, err := (&housekeeping.Sweep{Store: store, Clock: store.clock, Pause: store.pause}).Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A full batch of challenges, two of sessions, one of messages; the fast ones are followed by one of 32, which is not full.
	want := []time.Duration{commit, 16*row + commit, 16*row + commit, commit}
	if !slices.Equal(store.pauses, want) {
		t.Errorf("paused %v after batches of %v, want %v", store.pauses, store.sizes, want)
	}
}

// A server that stops does not wait for the pause to end.
func TestSweep_stopsInAPause(t *testing.T) {
	store := memory.New()
	leave(t, store, 40)
	ctx, cancel := context.WithCancel(t.Context())
	pausing := func(ctx context.Context, _ time.Duration) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	swept, err := (&housekeeping.Sweep{Store: store, Clock: clock(noon.Add(24 * time.Hour)), Pause: pausing}).Execute(ctx)
	if !errors.Is(err, context.Canceled) || swept != (housekeeping.Swept{Challenges: 16}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
}

// More than a slice of time holds is left for the next one, which is no error, and other kinds are not kept waiting.
func TestSweep_isUnfinishedAfterItsSlice(t *testing.T) {
	store := &counted{Store: memory.New(), clock: &movingClock{noon.Add(24 * time.Hour)}, row: time.Second}
	leave(t, store, 100)
	sweep := &housekeeping.Sweep{Store: store, Clock: store.clock, Pause: store.pause}
	swept, err := sweep.Execute(t.Context())
	if err != nil || !swept.Unfinished || swept.Sessions < 20 || swept.Sessions > 30 || swept.Challenges != 100 || swept.Messages != 16 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	for runs := 0; swept.Unfinished && runs < 10; runs++ {
		rest, err := sweep.Execute(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		swept.Sessions += rest.Sessions
		swept.Unfinished = rest.Unfinished
	}
	if swept.Unfinished || swept.Sessions != 100 {
		t.Errorf("later: %+v", swept)
	}
}

// patient lets so many units of work pass and then has an outage.
type patient struct {
	ports.Store
	left int
}

func (p *patient) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if p.left == 0 {
		return domain.ErrUnavailable
	}
	p.left--
	return p.Store.Update(ctx, fn)
}

// What an outage interrupts is kept as far as it came, and counted.
func TestSweep_keepsWhatItDidBeforeAnOutage(t *testing.T) {
	for units, want := range map[int]housekeeping.Swept{
		0:  {},
		1:  {Challenges: 16},
		3:  {Challenges: 48}, // the third finds nothing, which ends the challenges
		4:  {Challenges: 48, Sessions: 16},
		6:  {Challenges: 48, Sessions: 48},
		7:  {Challenges: 48, Sessions: 48, Grants: 1},
		8:  {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 16},
		10: {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 48},
		11: {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 48, Messages: 16},
		13: {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 48, Messages: 48},
		14: {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 48, Messages: 48, Events: 16},
		16: {Challenges: 48, Sessions: 48, Grants: 1, Lockouts: 48, Messages: 48, Events: 48},
	} {
		t.Run(fmt.Sprint(units), func(t *testing.T) {
			store := &patient{memory.New(), 1}
			leave(t, store, 48)
			store.left = units
			swept, err := (&housekeeping.Sweep{Store: store, Clock: clock(noon.Add(400 * 24 * time.Hour))}).Execute(t.Context())
			if swept != want || (err == nil) != (units == 16) || err != nil && !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("swept %+v, %v; want %+v", swept, err, want)
			}
		})
	}
}

// deaf is a store that is reached and cannot look anything up.
type deaf struct{ ports.Store }

type deafUsers struct{ ports.Users }

func (d deaf) View(ctx context.Context, fn func(ports.Tx) error) error {
	return d.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = deafUsers{}
		return fn(tx)
	})
}

func (deafUsers) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

// stiff is a store that nothing can be written to.
type stiff struct{ ports.Store }

func (stiff) Update(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }

func TestItIsReadyWhileTheStoreAnswers(t *testing.T) {
	if err := (&housekeeping.Ready{Store: memory.New()}).Execute(t.Context()); err != nil {
		t.Errorf("an empty store is not ready: %v", err)
	}
	if err := (&housekeeping.Ready{Store: deaf{memory.New()}}).Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a store that cannot look anything up: got %v", err)
	}
	if err := (&housekeeping.Ready{Store: stiff{memory.New()}}).Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a store that cannot be written: got %v", err)
	}
}
