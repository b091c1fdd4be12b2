package jobs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var sessionLifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}

type clock struct{}

func (clock) Now() time.Time { return time.Now().UTC() }

// newKeyManager is one over the store, under a secret of zeros.
func newSigningKeys(t *testing.T, store ports.Store) *signingkeys.Service {
	t.Helper()
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, masterkey.Size)))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}
	return &signingkeys.Service{Store: store, TokenKeys: jwt.New(), Sealer: sealer, Clock: clock{}, Rotation: rotation}
}

// runningJobs are jobs in the background. Their log may be read once they stand still; stop ends them and waits for that.
type runningJobs struct {
	log      *bytes.Buffer
	sessions *sessions.Service
	stop     func()
}

// startJobs sends no mail.
func startJobs(t *testing.T, store ports.Store) runningJobs {
	t.Helper()
	return startJobsWith(t, store, &outbox.Service{})
}

func startJobsWith(t *testing.T, store ports.Store, emails *outbox.Service) runningJobs {
	t.Helper()
	log, service := &bytes.Buffer{}, &sessions.Service{Store: store, Clock: clock{}, Lifetime: sessionLifetime}
	work := jobs.New(application.UseCases{
		Maintenance: &maintenance.Service{Store: store, Clock: clock{}},
		SigningKeys: newSigningKeys(t, store),
		Outbox:      emails,
		Sessions:    service,
		RateLimit:   &ratelimit.Service{},
	}, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		work.Run(ctx)
		close(stopped)
	}()
	synctest.Wait()
	return runningJobs{log, service, func() {
		cancel()
		<-stopped
	}}
}

// advance lets time pass and every job do what is due by then.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func update(t *testing.T, store ports.Store, fn func(ports.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// addExpiredChallenge puts a challenge into the store that is long over.
func addExpiredChallenge(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	challenge := domain.NewChallenge(domain.PurposeLogin, domain.ChallengeContext{}, []byte("state"), nil, 0, time.Now().Add(-time.Hour), rand.Reader)
	update(t, store, func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), challenge) })
	return challenge.ID()
}

func exists(t *testing.T, store ports.Store, id domain.ChallengeID) bool {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Challenges.ByID(t.Context(), id)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// addSession puts a session into the store that began so long ago.
func addSession(t *testing.T, store ports.Store, ago time.Duration) domain.SessionID {
	t.Helper()
	ada := domain.NewPendingUser("", "Ada", time.Now(), rand.Reader)
	key, err := domain.NewCredential(ada.UserID, "", sqlitestore.Registration("id"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	session, _ := domain.OpenSession(key, domain.Device{}, sessionLifetime, time.Now().UTC().Add(-ago), rand.Reader)
	update(t, store, func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.ToUser(time.Now())), tx.Sessions.Add(t.Context(), session))
	})
	return session.ID()
}

// lastSeenAt is when the store says that the session was used last.
func lastSeenAt(t *testing.T, store ports.Store, id domain.SessionID) (at time.Time) {
	t.Helper()
	err := store.View(context.WithoutCancel(t.Context()), func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(t.Context(), id)
		if err == nil {
			at = session.State().LastSeenAt
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// signingKeyIDs are the ids of the signing keys.
func signingKeyIDs(t *testing.T, store ports.Store) (ids []string) {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		all, err := tx.SigningKeys.All(t.Context())
		for _, key := range all {
			ids = append(ids, key.ID())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestRun_DeletesExpiredEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		left := addExpiredChallenge(t, store)
		defer startJobs(t, store).stop()
		if exists(t, store, left) {
			t.Error("what was left before the start is still there")
		}
		for range 3 {
			left := addExpiredChallenge(t, store)
			advance(time.Minute - time.Nanosecond)
			if !exists(t, store, left) {
				t.Error("it sweeps more often than every minute")
			}
			advance(time.Nanosecond)
			if exists(t, store, left) {
				t.Error("a minute later it is still there")
			}
		}
	})
}

func TestRun_RefreshesKeysEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		defer startJobs(t, store).stop()
		for range 3 {
			made := signingKeyIDs(t, store)
			if len(made) != 1 {
				t.Fatalf("there are the keys %q", made)
			}
			update(t, store, func(tx ports.Tx) error { return tx.SigningKeys.Remove(t.Context(), made[0]) })
			advance(30*time.Second - time.Nanosecond)
			if len(signingKeyIDs(t, store)) != 0 {
				t.Error("it looks more often than every half minute")
			}
			advance(time.Nanosecond)
		}
	})
}

func TestRun_WritesLastSeenEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		defer run.stop()
		advance(5 * time.Minute)
		for range 3 {
			used := time.Now().UTC()
			before := lastSeenAt(t, store, id)
			run.sessions.RecordUse(id, "", used)
			advance(time.Second - time.Nanosecond)
			if now := lastSeenAt(t, store, id); !now.Equal(before) {
				t.Errorf("it writes more often than every second: %s", now)
			}
			advance(time.Nanosecond)
			if now := lastSeenAt(t, store, id); !now.Equal(used) {
				t.Errorf("a second later it was used at %s, not at %s", now, used)
			}
			advance(2 * time.Minute)
		}
	})
}

func TestRun_WritesPendingLastSeenOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		advance(5*time.Minute + time.Second/2) // between two looks
		used := time.Now().UTC()
		run.sessions.RecordUse(id, "", used)
		run.stop()
		if now := lastSeenAt(t, store, id); !now.Equal(used) {
			t.Errorf("it was used at %s, not at %s", now, used)
		}
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}

// interruptedStore is a store that somebody is told to stop using in the middle of a unit of work.
type interruptedStore struct {
	ports.Store
	waiting atomic.Bool
}

func (s *interruptedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.waiting.CompareAndSwap(true, false) {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Update(ctx, fn)
}

func TestRun_CompletesLastSeenWriteOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &interruptedStore{Store: sqlitestore.NewInBubble(t)}
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		advance(5*time.Minute + time.Second/2)
		used := time.Now().UTC()
		run.sessions.RecordUse(id, "", used)
		store.waiting.Store(true)
		advance(time.Second / 2)
		if store.waiting.Load() {
			t.Fatal("it did not begin to write")
		}
		run.stop()
		if now := lastSeenAt(t, store, id); !now.Equal(used) {
			t.Errorf("it was used at %s, not at %s", now, used)
		}
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}

// slowStore takes a second to delete a session.
type slowStore struct{ ports.Store }

type slowSessions struct{ ports.Sessions }

func (s slowStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = slowSessions{tx.Sessions}
		return fn(tx)
	})
}

func (s slowSessions) DeleteExpired(ctx context.Context, ended time.Time, upTo int) (int, error) {
	n, err := s.Sessions.DeleteExpired(ctx, ended, upTo)
	time.Sleep(time.Duration(n) * time.Second)
	return n, err
}

// Very many sessions that end at once take several runs: that is progress, and no error.
func TestRun_DeletesExpiredOverSeveralRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		first := addSession(t, store, 48*time.Hour)
		update(t, store, func(tx ports.Tx) error {
			session, err := tx.Sessions.ByID(t.Context(), first)
			for i := range 99 {
				another := session.State()
				another.ID = domain.NewSessionID(time.Now(), rand.Reader)
				another.Token = domain.TokenDigest{byte(i)}
				err = errors.Join(err, tx.Sessions.Add(t.Context(), domain.RestoreSession(another)))
			}
			return err
		})
		run := startJobs(t, slowStore{store})
		advance(5 * time.Minute)
		log := run.log.String()
		if strings.Contains(log, "level=ERROR") || strings.Count(log, `level=INFO msg="expired data is being deleted; the next run continues"`) != 2 {
			t.Errorf("it says %s", log)
		}
		update(t, store, func(tx ports.Tx) error {
			if _, err := tx.Sessions.ByID(t.Context(), first); !errors.Is(err, domain.ErrSessionNotFound) {
				t.Errorf("a session is left: %v", err)
			}
			return nil
		})
		run.stop()
	})
}

func TestRun_LogsDeletedCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		run := startJobs(t, store)
		if run.log.Len() > 0 {
			t.Errorf("with nothing to sweep it says %s", run.log)
		}
		old := domain.NewEvent(domain.EventState{Kind: domain.EventAccountDeleted}, time.Now().Add(-500*24*time.Hour), rand.Reader)
		stale := domain.NewNotificationEmail("ada@example.org", domain.UserID{}, domain.EmailKindRecovered, old.State(), time.Now().Add(-5*24*time.Hour), rand.Reader)
		for line, leaves := range map[string]func(){
			"challenges=1 sessions=0 grants=0 lockouts=0 messages=0 events=0": func() { addExpiredChallenge(t, store) },
			"challenges=0 sessions=1 grants=0 lockouts=0 messages=0 events=0": func() { addSession(t, store, 48*time.Hour) },
			"challenges=0 sessions=0 grants=0 lockouts=0 messages=1 events=0": func() { update(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), stale) }) },
			"challenges=0 sessions=0 grants=0 lockouts=0 messages=0 events=1": func() { update(t, store, func(tx ports.Tx) error { return tx.Events.Add(t.Context(), old) }) },
		} {
			leaves()
			advance(time.Minute)
			if !strings.Contains(run.log.String(), "level=DEBUG msg=swept "+line) {
				t.Errorf("it says %q", run.log)
			}
		}
		run.log.Reset()
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("told to stop it says %s", run.log)
		}
	})
}

// flakyStore is a store that is down until it is mended.
type flakyStore struct {
	ports.Store
	down atomic.Bool
}

func (s *flakyStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.View(ctx, fn)
}

func (s *flakyStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestRun_LogsAndRetriesFailedJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: sqlitestore.NewInBubble(t)}
		left, id := addExpiredChallenge(t, store), addSession(t, store, 0)
		store.down.Store(true)
		run := startJobs(t, store)
		defer run.stop()
		used := time.Now().UTC().Add(5 * time.Minute)
		run.sessions.RecordUse(id, "", used)
		advance(time.Second)
		for _, job := range []string{"sweeping", "keeping the signing keys", "writing down when sessions were used"} {
			if line := `level=ERROR msg="` + job + ` failed; it is tried again soon"`; strings.Count(run.log.String(), line) != 1 {
				t.Errorf("of %s after an outage it says %q", job, run.log)
			}
		}
		run.log.Reset()
		store.down.Store(false)
		if !exists(t, store, left) || len(signingKeyIDs(t, store)) != 0 || lastSeenAt(t, store, id).Equal(used) {
			t.Error("something was written during the outage")
		}
		advance(time.Minute)
		if exists(t, store, left) || len(signingKeyIDs(t, store)) != 1 || !lastSeenAt(t, store, id).Equal(used) {
			t.Error("it did not try again")
		}
		if strings.Contains(run.log.String(), "level=ERROR") {
			t.Errorf("afterwards it says %q", run.log)
		}
	})
}

// hangingStore is a store that answers nobody before they give up.
type hangingStore struct{ ports.Store }

func (hangingStore) View(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingStore) Update(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// Nor does it keep a job: else a connection of the store's would be gone with it for as long as the network swallows everything.
func TestRun_TimesOutHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobsWith(t, hangingStore{}, &outbox.Service{Policy: domain.EmailOn, Store: hangingStore{}, Clock: clock{}})
		run.sessions.RecordUse(id, "", time.Now().UTC().Add(5*time.Minute))
		advance(10 * time.Minute)
		for _, doing := range []string{"sweeping", "keeping the signing keys", "sending mail", "writing down when sessions were used"} {
			if told := strings.Count(run.log.String(), "\""+doing+" failed; it is tried again soon\""); told < 3 {
				t.Errorf("%s: told %d times", doing, told)
			}
		}
		run.stop()
	})
}

func TestRun_StopsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := startJobs(t, hangingStore{})
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}
