package maintenance_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

// seed stores n challenges, n sessions of one user with an authorization code each, n e-mails, n invites and a recovery grant, which expire at noon, and n events and lockouts of
// noon.
func seed(t *testing.T, store ports.Store, n int) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		ada := domain.NewPendingUser("", "Ada", noon, rand.Reader)
		key, err := domain.NewCredential(ada.UserID, "", sqlitestore.Registration("id"), noon)
		if err != nil {
			return err
		}
		if err := tx.Users.Add(t.Context(), ada.ToUser(noon)); err != nil {
			return err
		}
		grant, _ := domain.NewRecoveryGrant(ada.UserID, nil, domain.BackupCodeDigest{}, domain.KeyRing[domain.RecoveryGrantToken]{nil}, noon.Add(-10*time.Minute), rand.Reader)
		if err := tx.RecoveryGrants.Put(t.Context(), grant); err != nil {
			return err
		}
		for i := range n {
			lockout := domain.NewLockout(domain.LockoutKey{}.UnknownName(fmt.Sprint(i)))
			lockout.RecordFailure(noon)
			if err := tx.Lockouts.Save(t.Context(), lockout); err != nil {
				return err
			}
			challenge := domain.NewChallenge(domain.PurposeLogin, domain.ChallengeContext{}, []byte("state"), nil, 0, noon, rand.Reader)
			session, _ := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{}, noon, rand.Reader)
			event := domain.NewEvent(domain.EventState{Kind: domain.EventSignedUp, UserID: ada.UserID}, noon, rand.Reader)
			email := domain.NewNotificationEmail("ada@example.org", "", ada.UserID, domain.EmailKindRecovered, event.State(), noon.Add(-4*24*time.Hour), rand.Reader)
			code := domain.RestoreAuthorizationCode(domain.AuthorizationCodeState{
				Digest: sha256.Sum256([]byte(session.ID().String())), SessionID: session.ID(), AuthTime: noon, ReturnTo: "https://app.example.org/", CreatedAt: noon.Add(-time.Minute), ExpiresAt: noon,
			})
			invite, _, err := domain.NewInvite("", nil, time.Hour, noon.Add(-time.Hour), rand.Reader)
			if err != nil {
				return err
			}
			err = errors.Join(
				tx.Invites.Add(t.Context(), invite), tx.Challenges.Add(t.Context(), challenge), tx.Sessions.Add(t.Context(), session), tx.AuthorizationCodes.Add(t.Context(), code), tx.Events.Add(t.Context(), event), tx.OutboxEmails.Add(t.Context(), email),
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

func TestDeleteExpired_Retention(t *testing.T) {
	for after, want := range map[time.Duration]maintenance.Deleted{
		-1:                {},
		0:                 {RecoveryGrants: 1, OutboxEmails: 3},
		5*time.Minute - 1: {RecoveryGrants: 1, OutboxEmails: 3},
		5 * time.Minute:   {Challenges: 3, RecoveryGrants: 1, OutboxEmails: 3},
		time.Hour - 1:     {Challenges: 3, RecoveryGrants: 1, OutboxEmails: 3},
		time.Hour:         {Challenges: 3, AuthorizationCodes: 3, RecoveryGrants: 1, OutboxEmails: 3},
		24*time.Hour - 1:  {Challenges: 3, AuthorizationCodes: 3, RecoveryGrants: 1, OutboxEmails: 3},
		24 * time.Hour:    {Challenges: 3, AuthorizationCodes: 3, Sessions: 3, RecoveryGrants: 1, OutboxEmails: 3},

		30*24*time.Hour - 1:  {Challenges: 3, AuthorizationCodes: 3, Sessions: 3, RecoveryGrants: 1, OutboxEmails: 3},
		30 * 24 * time.Hour:  {Challenges: 3, AuthorizationCodes: 3, Sessions: 3, RecoveryGrants: 1, OutboxEmails: 3, Invites: 3},
		400*24*time.Hour - 1: {Challenges: 3, AuthorizationCodes: 3, Sessions: 3, RecoveryGrants: 1, OutboxEmails: 3, Invites: 3},
		400 * 24 * time.Hour: {Challenges: 3, AuthorizationCodes: 3, Sessions: 3, RecoveryGrants: 1, OutboxEmails: 3, Invites: 3, Lockouts: 3, Events: 3},
	} {
		store := sqlitestore.New(t)
		seed(t, store, 3)
		deleted, err := (&maintenance.Service{Store: store, Clock: clock(noon.Add(after))}).DeleteExpired(t.Context())
		if err != nil || deleted != want {
			t.Errorf("%s after noon: deleted %+v, %v; want %+v", after, deleted, err, want)
		}
	}
}

// batchRecorder records the number of sessions that each transaction deletes, and the pauses. On its clock, each row and each commit takes
// time.
type batchRecorder struct {
	ports.Store
	clock               *fakeClock
	rowDuration, commit time.Duration
	deleted             int   // sessions
	sizes               []int // of the batches that deleted sessions
	pauses              []time.Duration
}

type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

type recordedSessions struct {
	ports.Sessions
	*batchRecorder
	async bool
}

func (c *batchRecorder) Update(ctx context.Context, fn func(ports.Tx) error) error {
	before := c.deleted
	err := c.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = recordedSessions{tx.Sessions, c, ports.HasAsyncCommit(ctx)}
		return fn(tx)
	})
	if c.deleted > before {
		c.sizes = append(c.sizes, c.deleted-before)
	}
	c.clock.now = c.clock.now.Add(c.commit)
	return err
}

func (c recordedSessions) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	if !c.async {
		return 0, errors.New("the commit of the batch is not asynchronous")
	}
	n, err := c.Sessions.DeleteExpired(ctx, before, limit)
	c.deleted += n
	c.clock.now = c.clock.now.Add(time.Duration(n) * c.rowDuration)
	return n, err
}

func (c *batchRecorder) pause(_ context.Context, d time.Duration) error {
	c.pauses = append(c.pauses, d)
	c.clock.now = c.clock.now.Add(d)
	return nil
}

// A batch ends with the first row after 1 ms. How long the commit takes does not change it: smaller batches would only add commits.
func TestDeleteExpired_BatchesByTime(t *testing.T) {
	for name, c := range map[string]struct {
		row, commit time.Duration
		want        []int
	}{
		"fast":         {0, 0, []int{32, 32, 32}},
		"medium":       {100 * time.Microsecond, 0, []int{11, 11, 11}},
		"slow rows":    {4 * time.Millisecond, 0, []int{1, 1, 1}},
		"slow commits": {100 * time.Microsecond, 10 * time.Millisecond, []int{11, 11, 11}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &batchRecorder{Store: sqlitestore.New(t), clock: &fakeClock{noon.Add(24 * time.Hour)}, rowDuration: c.row, commit: c.commit}
			seed(t, store, 600)
			deleted, err := (&maintenance.Service{Store: store, Clock: store.clock, Pause: store.pause}).DeleteExpired(t.Context())
			if err != nil || deleted.Sessions != 600 || deleted.Unfinished || !slices.Equal(store.sizes[:len(c.want)], c.want) {
				t.Errorf("deleted %+v, %v, in batches of %v", deleted, err, store.sizes)
			}
		})
	}
}

// After each full batch, the writer is free for as long as the batch occupied it, with its commit, but at least for 5 ms.
func TestDeleteExpired_PausesAsLongAsBatch(t *testing.T) {
	const row, commit, minPause = 50 * time.Microsecond, 4500 * time.Microsecond, 5 * time.Millisecond
	store := &batchRecorder{Store: sqlitestore.New(t), clock: &fakeClock{noon.Add(24 * time.Hour)}, rowDuration: row, commit: commit}
	seed(t, store, 40)
	if _, err := (&maintenance.Service{Store: store, Clock: store.clock, Pause: store.pause}).DeleteExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A full batch of challenges, one of authorization codes, one of sessions, whose rows take time, and so on.
	want := []time.Duration{minPause, minPause, 21*row + commit, minPause}
	if !slices.Equal(store.pauses, want) {
		t.Errorf("paused %v after batches of %v, want %v", store.pauses, store.sizes, want)
	}
}

// The end of the context ends a pause, so that a server can stop.
func TestDeleteExpired_StopsInPause(t *testing.T) {
	store := sqlitestore.New(t)
	seed(t, store, 40)
	ctx, cancel := context.WithCancel(t.Context())
	pause := func(ctx context.Context, _ time.Duration) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	deleted, err := (&maintenance.Service{Store: store, Clock: clock(noon.Add(24 * time.Hour)), Pause: pause}).DeleteExpired(ctx)
	if !errors.Is(err, context.Canceled) || deleted != (maintenance.Deleted{Challenges: 32}) {
		t.Errorf("deleted %+v, %v", deleted, err)
	}
}

// Records that remain after the maximum run time are deleted by the next run, without an error. Every kind has a batch in each run.
func TestDeleteExpired_UnfinishedAfterMaxRunTime(t *testing.T) {
	store := &batchRecorder{Store: sqlitestore.New(t), clock: &fakeClock{noon.Add(24 * time.Hour)}, rowDuration: time.Second}
	seed(t, store, 100)
	service := &maintenance.Service{Store: store, Clock: store.clock, Pause: store.pause}
	deleted, err := service.DeleteExpired(t.Context())
	if err != nil || !deleted.Unfinished || deleted.Sessions < 20 || deleted.Sessions > 30 || deleted.Challenges != 100 || deleted.OutboxEmails != 32 {
		t.Errorf("deleted %+v, %v", deleted, err)
	}
	for runs := 0; deleted.Unfinished && runs < 10; runs++ {
		next, err := service.DeleteExpired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		deleted.Sessions += next.Sessions
		deleted.Unfinished = next.Unfinished
	}
	if deleted.Unfinished || deleted.Sessions != 100 {
		t.Errorf("after all runs: %+v", deleted)
	}
}

// failingAfter is a store whose updates fail after the remaining ones.
type failingAfter struct {
	ports.Store
	remaining int
}

func (s *failingAfter) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.remaining == 0 {
		return domain.ErrUnavailable
	}
	s.remaining--
	return s.Store.Update(ctx, fn)
}

// Batches before an error stay deleted and are counted.
func TestDeleteExpired_KeepsBatchesBeforeAnError(t *testing.T) {
	for updates, want := range map[int]maintenance.Deleted{
		0:  {},
		1:  {Challenges: 32},
		2:  {Challenges: 48},
		3:  {Challenges: 48, AuthorizationCodes: 32},
		4:  {Challenges: 48, AuthorizationCodes: 48},
		5:  {Challenges: 48, AuthorizationCodes: 48, Sessions: 32},
		6:  {Challenges: 48, AuthorizationCodes: 48, Sessions: 48},
		7:  {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1},
		8:  {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 32},
		9:  {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48},
		10: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 32},
		11: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 48},
		12: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 48, OutboxEmails: 32},
		13: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 48, OutboxEmails: 48},
		14: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 48, OutboxEmails: 48, Events: 32},
		15: {Challenges: 48, AuthorizationCodes: 48, Sessions: 48, RecoveryGrants: 1, Invites: 48, Lockouts: 48, OutboxEmails: 48, Events: 48},
	} {
		t.Run(fmt.Sprint(updates), func(t *testing.T) {
			store := &failingAfter{sqlitestore.New(t), 1}
			seed(t, store, 48)
			store.remaining = updates
			deleted, err := (&maintenance.Service{Store: store, Clock: clock(noon.Add(400 * 24 * time.Hour))}).DeleteExpired(t.Context())
			if deleted != want || (err == nil) != (updates == 15) || err != nil && !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("deleted %+v, %v; want %+v", deleted, err, want)
			}
		})
	}
}

// failingUsersStore is a store whose lookups of users fail.
type failingUsersStore struct{ ports.Store }

type failingUsers struct{ ports.Users }

func (d failingUsersStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return d.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = failingUsers{}
		return fn(tx)
	})
}

func (failingUsers) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

// readOnlyStore is a store whose updates fail.
type readOnlyStore struct{ ports.Store }

func (readOnlyStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestReady(t *testing.T) {
	if err := (&maintenance.Service{Store: sqlitestore.New(t)}).Ready(t.Context()); err != nil {
		t.Errorf("empty store: %v", err)
	}
	if err := (&maintenance.Service{Store: failingUsersStore{sqlitestore.New(t)}}).Ready(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("failing reads: got %v", err)
	}
	if err := (&maintenance.Service{Store: readOnlyStore{sqlitestore.New(t)}}).Ready(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("failing writes: got %v", err)
	}
}
