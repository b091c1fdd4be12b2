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

	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}

type clock struct{}

func (clock) Now() time.Time { return time.Now().UTC() }

// keyring is one over the store, under a secret of zeros.
func keyring(t *testing.T, store ports.Store) *tokens.Keyring {
	t.Helper()
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, masterkey.Size)))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningEdDSA, Every: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}
	return tokens.NewKeyring(store, jwt.New(), sealer, clock{}, rotation, nil)
}

// running are jobs in the background. Their log may be read once they stand still; stop ends them and waits for that.
type running struct {
	log      *bytes.Buffer
	lastSeen *sessions.LastSeen
	stop     func()
}

// start sends no mail.
func start(t *testing.T, store ports.Store) running {
	t.Helper()
	return startDelivering(t, store, &mail.Deliver{})
}

func startDelivering(t *testing.T, store ports.Store, deliver *mail.Deliver) running {
	t.Helper()
	log, lastSeen := &bytes.Buffer{}, sessions.NewLastSeen(store, clock{}, lifetime)
	work := jobs.New(application.UseCases{
		Housekeeping: application.Housekeeping{
			TakeDuty: &housekeeping.TakeDuty{Store: store, Clock: clock{}},
			Sweep:    &housekeeping.Sweep{Store: store, Clock: clock{}},
			LastSeen: lastSeen,
			KeepKeys: &tokens.KeepKeys{Keyring: keyring(t, store)},
			Deliver:  deliver,
		},
	}, ratelimit.NewCounts(nil, nil, clock{}, nil), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		work.Run(ctx)
		close(stopped)
	}()
	synctest.Wait()
	return running{log, lastSeen, func() {
		cancel()
		<-stopped
	}}
}

// waits lets time pass and every job do what is due by then.
func waits(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func update(t *testing.T, store ports.Store, fn func(ports.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// leave puts a challenge into the store that is long over.
func leave(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	challenge, err := domain.NewChallenge(domain.PurposeLogin, domain.Respondent{}, nil, nil, 0, time.Now().Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	update(t, store, func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), challenge) })
	return challenge.ID()
}

func isThere(t *testing.T, store ports.Store, id domain.ChallengeID) bool {
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

// signsIn puts a session into the store that began so long ago.
func signsIn(t *testing.T, store ports.Store, ago time.Duration) domain.SessionID {
	t.Helper()
	ada, err := domain.NewApplicant("", "Ada", time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := domain.NewCredential(ada.UserID, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := domain.OpenSession(key, domain.Device{}, lifetime, time.Now().UTC().Add(-ago), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	update(t, store, func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.Admit(time.Now())), tx.Sessions.Add(t.Context(), session))
	})
	return session.ID()
}

// lastSeen is when the store says that the session was used last.
func lastSeen(t *testing.T, store ports.Store, id domain.SessionID) (at time.Time) {
	t.Helper()
	err := store.View(context.WithoutCancel(t.Context()), func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(t.Context(), id)
		if err == nil {
			at = session.Snapshot().LastSeenAt
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// keys are the ids of the signing keys.
func keys(t *testing.T, store ports.Store) (ids []string) {
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

func TestItSweepsAtOnceAndThenEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		left := leave(t, store)
		defer start(t, store).stop()
		if isThere(t, store, left) {
			t.Error("what was left before the start is still there")
		}
		for range 3 {
			left := leave(t, store)
			waits(time.Minute - time.Nanosecond)
			if !isThere(t, store, left) {
				t.Error("it sweeps more often than every minute")
			}
			waits(time.Nanosecond)
			if isThere(t, store, left) {
				t.Error("a minute later it is still there")
			}
		}
	})
}

func TestItKeepsTheKeysAtOnceAndThenEveryHalfMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		defer start(t, store).stop()
		for range 3 {
			made := keys(t, store)
			if len(made) != 1 {
				t.Fatalf("there are the keys %q", made)
			}
			update(t, store, func(tx ports.Tx) error { return tx.SigningKeys.Remove(t.Context(), made[0]) })
			waits(30*time.Second - time.Nanosecond)
			if len(keys(t, store)) != 0 {
				t.Error("it looks more often than every half minute")
			}
			waits(time.Nanosecond)
		}
	})
}

func TestItWritesDownEverySecondWhenSessionsWereUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		id := signsIn(t, store, 0)
		run := start(t, store)
		defer run.stop()
		waits(5 * time.Minute)
		for range 3 {
			used := time.Now().UTC()
			before := lastSeen(t, store, id)
			run.lastSeen.Note(id, "", used)
			waits(time.Second - time.Nanosecond)
			if now := lastSeen(t, store, id); !now.Equal(before) {
				t.Errorf("it writes more often than every second: %s", now)
			}
			waits(time.Nanosecond)
			if now := lastSeen(t, store, id); !now.Equal(used) {
				t.Errorf("a second later it was used at %s, not at %s", now, used)
			}
			waits(2 * time.Minute)
		}
	})
}

func TestWhatWasNotedIsWrittenWhenItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		id := signsIn(t, store, 0)
		run := start(t, store)
		waits(5*time.Minute + time.Second/2) // between two looks
		used := time.Now().UTC()
		run.lastSeen.Note(id, "", used)
		run.stop()
		if now := lastSeen(t, store, id); !now.Equal(used) {
			t.Errorf("it was used at %s, not at %s", now, used)
		}
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}

// interrupted is a store that somebody is told to stop using in the middle of a unit of work.
type interrupted struct {
	ports.Store
	waiting atomic.Bool
}

func (s *interrupted) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.waiting.CompareAndSwap(true, false) {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Update(ctx, fn)
}

func TestWhatIsBeingWrittenWhenItStopsIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &interrupted{Store: memory.New()}
		id := signsIn(t, store, 0)
		run := start(t, store)
		waits(5*time.Minute + time.Second/2)
		used := time.Now().UTC()
		run.lastSeen.Note(id, "", used)
		store.waiting.Store(true)
		waits(time.Second / 2)
		if store.waiting.Load() {
			t.Fatal("it did not begin to write")
		}
		run.stop()
		if now := lastSeen(t, store, id); !now.Equal(used) {
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

func (s slowSessions) Sweep(ctx context.Context, ended time.Time, upTo int) (int, error) {
	n, err := s.Sessions.Sweep(ctx, ended, upTo)
	time.Sleep(time.Duration(n) * time.Second)
	return n, err
}

// Very many sessions that end at once take several runs: that is progress, and no error.
func TestRun_sweepsOverSeveralRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		first := signsIn(t, store, 48*time.Hour)
		update(t, store, func(tx ports.Tx) error {
			session, err := tx.Sessions.ByID(t.Context(), first)
			for i := range 99 {
				another := session.Snapshot()
				var idErr error
				another.ID, idErr = domain.NewSessionID(time.Now(), rand.Reader)
				another.Token = domain.TokenDigest{byte(i)}
				err = errors.Join(err, idErr, tx.Sessions.Add(t.Context(), domain.RestoreSession(another)))
			}
			return err
		})
		run := start(t, slowStore{store})
		waits(5 * time.Minute)
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

func TestItSaysWhatItSweptAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		run := start(t, store)
		if run.log.Len() > 0 {
			t.Errorf("with nothing to sweep it says %s", run.log)
		}
		old, err := domain.NewEvent(domain.EventSnapshot{Kind: domain.EventAccountDeleted}, time.Now().Add(-500*24*time.Hour), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		stale, err := domain.NewNotice("ada@example.org", domain.UserID{}, domain.MessageRecovered, old.Snapshot(), time.Now().Add(-5*24*time.Hour), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for line, leaves := range map[string]func(){
			"challenges=1 sessions=0 grants=0 lockouts=0 messages=0 events=0": func() { leave(t, store) },
			"challenges=0 sessions=1 grants=0 lockouts=0 messages=0 events=0": func() { signsIn(t, store, 48*time.Hour) },
			"challenges=0 sessions=0 grants=0 lockouts=0 messages=1 events=0": func() { update(t, store, func(tx ports.Tx) error { return tx.Messages.Add(t.Context(), stale) }) },
			"challenges=0 sessions=0 grants=0 lockouts=0 messages=0 events=1": func() { update(t, store, func(tx ports.Tx) error { return tx.Events.Add(t.Context(), old) }) },
		} {
			leaves()
			waits(time.Minute)
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

// troubled is a store that is down until it is mended.
type troubled struct {
	ports.Store
	down atomic.Bool
}

func (s *troubled) View(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.View(ctx, fn)
}

func (s *troubled) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestAJobThatFailedIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &troubled{Store: memory.New()}
		left, id := leave(t, store), signsIn(t, store, 0)
		store.down.Store(true)
		run := start(t, store)
		defer run.stop()
		used := time.Now().UTC().Add(5 * time.Minute)
		run.lastSeen.Note(id, "", used)
		waits(time.Second)
		for _, job := range []string{"sweeping", "keeping the signing keys", "writing down when sessions were used"} {
			if line := `level=ERROR msg="` + job + ` failed; it is tried again soon"`; strings.Count(run.log.String(), line) != 1 {
				t.Errorf("of %s after an outage it says %q", job, run.log)
			}
		}
		run.log.Reset()
		store.down.Store(false)
		if !isThere(t, store, left) || len(keys(t, store)) != 0 || lastSeen(t, store, id).Equal(used) {
			t.Error("something was written during the outage")
		}
		waits(time.Minute)
		if isThere(t, store, left) || len(keys(t, store)) != 1 || !lastSeen(t, store, id).Equal(used) {
			t.Error("it did not try again")
		}
		if strings.Contains(run.log.String(), "level=ERROR") {
			t.Errorf("afterwards it says %q", run.log)
		}
	})
}

// hanging is a store that answers nobody before they give up.
type hanging struct{ ports.Store }

func (hanging) View(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) Update(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// Nor does it keep a job: else a connection of the store's would be gone with it for as long as the network swallows everything.
func TestAStoreThatSaysNothingIsGivenUpAndAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		id := signsIn(t, store, 0)
		run := startDelivering(t, hanging{}, &mail.Deliver{Policy: domain.MailOn, Store: hanging{}, Clock: clock{}})
		run.lastSeen.Note(id, "", time.Now().UTC().Add(5*time.Minute))
		waits(10 * time.Minute)
		for _, doing := range []string{"sweeping", "keeping the signing keys", "sending mail", "writing down when sessions were used"} {
			if told := strings.Count(run.log.String(), "\""+doing+" failed; it is tried again soon\""); told < 3 {
				t.Errorf("%s: told %d times", doing, told)
			}
		}
		run.stop()
	})
}

func TestJobsUnderWayStopQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := start(t, hanging{})
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}
