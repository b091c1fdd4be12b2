package httpapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadline_IsThatOfContext(t *testing.T) {
	background := context.Background()
	for name, begin := range map[string]func() (ctx context.Context, end func()){
		"context":  func() (context.Context, func()) { return context.WithTimeout(background, time.Minute) },
		"deadline": func() (context.Context, func()) { d := &deadline{at: time.Now().Add(time.Minute)}; return d, d.end },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				ctx, end := begin()
				if at, set := ctx.Deadline(); !set || !at.Equal(now.Add(time.Minute)) || ctx.Err() != nil {
					t.Errorf("at the start: deadline %v, %v, error %v", at, set, ctx.Err())
				}
				end()
				wantDone(ctx, t, "ended", context.Canceled)

				ctx, end = begin()
				waiting, cancel := context.WithCancel(ctx)
				derived := context.AfterFunc(ctx, func() {})
				time.Sleep(time.Minute - time.Nanosecond)
				if ctx.Err() != nil || waiting.Err() != nil {
					t.Errorf("before the deadline: %v, %v", ctx.Err(), waiting.Err())
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				wantDone(ctx, t, "expired", context.DeadlineExceeded)
				wantDone(waiting, t, "derived of expired", context.DeadlineExceeded)
				if derived() {
					t.Error("the function of AfterFunc was not called")
				}
				cancel()
				end()
				wantDone(ctx, t, "expired, then ended", context.DeadlineExceeded)

				ctx, end = begin()
				time.Sleep(time.Minute)
				wantDone(ctx, t, "expired before anything waits", context.DeadlineExceeded)
				end()

				ctx, end = begin()
				waiting, cancel = context.WithTimeout(ctx, time.Hour)
				end()
				wantDone(waiting, t, "derived of ended", context.Canceled)
				cancel()
			})
		})
	}
}

func wantDone(ctx context.Context, t *testing.T, name string, want error) {
	t.Helper()
	synctest.Wait()
	if !errors.Is(ctx.Err(), want) {
		t.Errorf("%s: error %v, want %v", name, ctx.Err(), want)
	}
	select {
	case <-ctx.Done():
	default:
		t.Errorf("%s: not done", name)
	}
}

func TestDeadline_StartsNoTimerUnlessSomethingWaits(t *testing.T) {
	d := &deadline{at: time.Now().Add(time.Minute)}
	_, _ = d.Deadline()
	d.Value("a key")
	if err := d.Err(); err != nil || d.started != nil {
		t.Errorf("error %v, context %v", err, d.started)
	}
	d.end()
	if d.started != nil {
		t.Errorf("ending started %v", d.started)
	}
}
