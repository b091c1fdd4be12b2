package jobs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

// start runs a sweeper in the background. Its log may be read once it stands still; stop ends it and waits for that.
func start(t *testing.T, store ports.Store) (log *bytes.Buffer, stop func()) {
	t.Helper()
	log = &bytes.Buffer{}
	sweeper := jobs.NewSweeper(application.UseCases{
		Housekeeping: application.Housekeeping{Sweep: &housekeeping.Sweep{Store: store, Clock: clock{}}},
	}, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		sweeper.Run(ctx)
		close(stopped)
	}()
	synctest.Wait()
	return log, func() {
		cancel()
		<-stopped
	}
}

// leave puts a challenge into the store that is long over.
func leave(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	challenge, err := domain.NewChallenge(domain.PurposeLogin, domain.Binding{}, nil, nil, 0, time.Now().Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), challenge) }); err != nil {
		t.Fatal(err)
	}
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

func TestItSweepsAtOnceAndThenEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		left := leave(t, store)
		_, stop := start(t, store)
		defer stop()
		if isThere(t, store, left) {
			t.Error("what was left before the start is still there")
		}
		for range 3 {
			left := leave(t, store)
			time.Sleep(time.Minute - time.Nanosecond)
			synctest.Wait()
			if !isThere(t, store, left) {
				t.Error("it sweeps more often than every minute")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if isThere(t, store, left) {
				t.Error("a minute later it is still there")
			}
		}
	})
}

func TestItSaysWhatItSweptAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		log, stop := start(t, store)
		if log.Len() > 0 {
			t.Errorf("with nothing to sweep it says %s", log)
		}
		leave(t, store)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(log.String(), "level=DEBUG msg=swept challenges=1 sessions=0") {
			t.Errorf("it says %q", log)
		}
		log.Reset()
		stop()
		if log.Len() > 0 {
			t.Errorf("told to stop it says %s", log)
		}
	})
}

// troubled is a store whose next unit of work fails.
type troubled struct {
	ports.Store
	failing bool
}

func (s *troubled) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.failing {
		s.failing = false
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestASweepThatFailedIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &troubled{Store: memory.New()}
		left := leave(t, store)
		store.failing = true
		log, stop := start(t, store)
		defer stop()
		if !strings.Contains(log.String(), "level=ERROR") || !isThere(t, store, left) {
			t.Errorf("after an outage it says %q", log)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if isThere(t, store, left) {
			t.Error("it did not try again")
		}
	})
}

// hanging is a store that answers nobody before they give up.
type hanging struct{ ports.Store }

func (hanging) Update(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestASweepUnderWayStopsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, stop := start(t, hanging{})
		stop()
		if log.Len() > 0 {
			t.Errorf("it says %s", log)
		}
	})
}
