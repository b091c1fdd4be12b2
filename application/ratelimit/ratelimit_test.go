package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/buckets"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) wait(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// reachable are shared buckets that can be lost. They count how often they were asked.
type reachable struct {
	ports.Buckets
	mu    sync.Mutex
	lost  bool
	stuck chan struct{} // closed to let those go who ask meanwhile; nil if nobody waits
	asked int
}

func (r *reachable) Take(ctx context.Context, from ...domain.Bucket) ([]domain.Level, error) {
	r.mu.Lock()
	r.asked++
	lost, stuck := r.lost, r.stuck
	r.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if lost {
		return nil, fmt.Errorf("no route: %w", domain.ErrUnavailable)
	}
	return r.Buckets.Take(ctx, from...)
}

func (r *reachable) lose(lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = lost
}

func (r *reachable) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// watch writes down what it hears.
type watch struct {
	mu    sync.Mutex
	heard []string
}

func (w *watch) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, what)
}

func (w *watch) Lost(error)      { w.add("lost") }
func (w *watch) Back()           { w.add("back") }
func (w *watch) Alone(shut bool) { w.add(map[bool]string{true: "shut", false: "alone"}[shut]) }

func (w *watch) hears(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.heard) != fmt.Sprint(want) {
		t.Errorf("the operator hears %q, want %q", w.heard, want)
	}
	w.heard = nil
}

type desk struct {
	t      *testing.T
	clock  *clock
	shared *reachable
	watch  *watch
	admit  *ratelimit.Admit
}

var limits = domain.RateLimits{
	domain.RateLogin.PerAddress():    {Quota: 10, Window: 10 * time.Minute},
	domain.RateLogin.PerAccount():    {Quota: 3, Window: 3 * time.Minute},
	domain.RateRecovery.PerAddress(): {Quota: 2, Window: 2 * time.Minute},
	domain.RateStepUp.PerAccount():   {Quota: 2, Window: 2 * time.Minute},
}

func open(t *testing.T) *desk {
	d := &desk{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, watch: &watch{}}
	d.shared = &reachable{Buckets: buckets.New(d.clock, buckets.Most)}
	d.admit = &ratelimit.Admit{Limits: limits, Key: domain.RateKey("key"), Clock: d.clock,
		Counts: ratelimit.NewCounts(d.shared, buckets.New(d.clock, buckets.Most), d.clock, d.watch)}
	return d
}

func (d *desk) call(class domain.RateClass, caller ratelimit.Caller) ([]ratelimit.Standing, error) {
	return d.admit.Execute(d.t.Context(), class, caller)
}

func (d *desk) wants(class domain.RateClass, caller ratelimit.Caller, want error) []ratelimit.Standing {
	d.t.Helper()
	standings, err := d.call(class, caller)
	if !errors.Is(err, want) {
		d.t.Errorf("%s by %+v: got %v, want %v", class, caller, err, want)
	}
	return standings
}

var (
	office = domain.NetworkOf("192.0.2.1")
	home   = domain.NetworkOf("2001:db8::1")
	ada    = "ada@example.org"
)

func TestACallerHearsHowTheyStand(t *testing.T) {
	d := open(t)
	standings := d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: ada}, nil)
	if len(standings) != 2 || standings[0].Policy != "login" || standings[0].Remaining != 9 || standings[1].Policy != "login-account" || standings[1].Remaining != 2 {
		t.Fatalf("got %+v", standings)
	}
	d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: ada}, nil)
	d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: ada}, nil)
	standings, err := d.call(domain.RateLogin, ratelimit.Caller{From: office, Name: ada})
	var wait *domain.Wait
	if !errors.As(err, &wait) || wait.For < 59*time.Second || wait.For > 61*time.Second || !wait.Until.Equal(d.clock.Now().Add(wait.For)) {
		t.Fatalf("the fourth: %v", err)
	}
	if len(standings) != 2 || standings[1].Taken || standings[1].Remaining != 0 {
		t.Errorf("got %+v", standings)
	}
	d.clock.wait(wait.For)
	d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: ada}, nil)
}

// Whoever says Ada's name until they are stopped has stopped nobody else: not Ada elsewhere, not Ada without a name, not Ben.
func TestNobodyShutsSomebodyElseOut(t *testing.T) {
	d := open(t)
	for range 5 {
		_, _ = d.call(domain.RateLogin, ratelimit.Caller{From: office, Name: ada})
	}
	d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: ada}, domain.ErrRateLimited)
	d.wants(domain.RateLogin, ratelimit.Caller{From: home, Name: ada}, nil)
	d.wants(domain.RateLogin, ratelimit.Caller{From: office, Name: "ben@example.org"}, nil)
	d.wants(domain.RateLogin, ratelimit.Caller{From: office}, nil)
}

func TestWhoeverIsSignedInCountsByWhoTheyAre(t *testing.T) {
	d := open(t)
	one, other := domain.UserID{}, domain.UserID{}
	for i, id := range []string{"01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"} {
		parsed, err := domain.ParseUserID(id)
		if err != nil {
			t.Fatal(err)
		}
		*[]*domain.UserID{&one, &other}[i] = parsed
	}
	for range 2 {
		d.wants(domain.RateStepUp, ratelimit.Caller{User: one}, nil)
	}
	d.wants(domain.RateStepUp, ratelimit.Caller{User: one}, domain.ErrRateLimited)
	d.wants(domain.RateStepUp, ratelimit.Caller{User: other}, nil)
	for range 20 { // there is no limit by that name
		d.wants(domain.RateStepUp, ratelimit.Caller{From: office}, nil)
	}
}

func TestWithoutLimitsNobodyIsCounted(t *testing.T) {
	d := open(t)
	d.admit.Limits = nil
	for range 50 {
		if standings := d.wants(domain.RateRecovery, ratelimit.Caller{From: office}, nil); len(standings) != 0 {
			t.Fatalf("got %+v", standings)
		}
	}
	if d.shared.calls() != 0 {
		t.Errorf("the shared buckets were asked %d times", d.shared.calls())
	}
}

// While the shared counts are out of reach, what can be guessed is shut, and all else is counted by this server alone. It is
// told once, the store is asked again by one call every while, and when it is back all is as before.
func TestAnOutageShutsSecretsAndNothingElse(t *testing.T) {
	d := open(t)
	caller := ratelimit.Caller{From: office}
	d.wants(domain.RateRecovery, caller, nil)
	d.watch.hears(t)

	d.shared.lose(true)
	before := d.shared.calls()
	d.wants(domain.RateLogin, caller, nil)
	d.watch.hears(t, "lost", "alone")
	d.wants(domain.RateRecovery, caller, domain.ErrUncounted)
	d.wants(domain.RateCode, caller, nil) // which has no limit here
	d.watch.hears(t, "shut")
	for range 9 {
		d.wants(domain.RateLogin, caller, nil)
	}
	d.wants(domain.RateLogin, caller, domain.ErrRateLimited)
	if asked := d.shared.calls() - before; asked != 1 {
		t.Errorf("the dead store was asked %d times by calls of the same moment", asked)
	}
	d.clock.wait(time.Minute)
	d.wants(domain.RateRecovery, caller, domain.ErrUncounted)
	if asked := d.shared.calls() - before; asked != 2 {
		t.Errorf("a minute later it was asked %d times", asked)
	}
	d.watch.hears(t, "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "shut") // and not that it is lost

	d.shared.lose(false)
	d.wants(domain.RateRecovery, caller, domain.ErrUncounted)
	d.clock.wait(time.Minute)
	d.wants(domain.RateRecovery, caller, nil)
	d.watch.hears(t, "shut", "back")
	d.wants(domain.RateLogin, caller, nil)
	d.watch.hears(t)
}

// Of those who come while the store is being asked again, one waits for it.
func TestOneCallAsksAStoreThatWasLost(t *testing.T) {
	d := open(t)
	d.shared.lose(true)
	d.wants(domain.RateLogin, ratelimit.Caller{From: office}, nil)
	d.shared.mu.Lock()
	d.shared.lost, d.shared.stuck = false, make(chan struct{})
	d.shared.mu.Unlock()
	d.clock.wait(time.Minute)
	before := d.shared.calls()
	asking := make(chan error, 1)
	go func() {
		_, err := d.admit.Execute(context.Background(), domain.RateLogin, ratelimit.Caller{From: home})
		asking <- err
	}()
	for d.shared.calls() == before && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		d.wants(domain.RateLogin, ratelimit.Caller{From: office}, nil)
	}
	if asked := d.shared.calls() - before; asked != 1 {
		t.Errorf("%d calls asked", asked)
	}
	close(d.shared.stuck)
	if err := <-asking; err != nil {
		t.Error(err)
	}
}

func TestACallerWhoGoesAwayIsNoOutage(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.admit.Execute(ctx, domain.RateRecovery, ratelimit.Caller{From: office}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.watch.hears(t)
	d.wants(domain.RateRecovery, ratelimit.Caller{From: office}, nil)
}

// Whoever hammers on an empty bucket does not keep the shared store busy, and waits no longer for it.
func TestAnEmptyBucketIsNotAskedAgainBeforeItsTime(t *testing.T) {
	d := open(t)
	caller := ratelimit.Caller{From: office}
	for range 2 {
		d.wants(domain.RateRecovery, caller, nil)
	}
	d.wants(domain.RateRecovery, caller, domain.ErrRateLimited)
	before := d.shared.calls()
	d.clock.wait(30 * time.Second)
	for range 1000 {
		standings, err := d.call(domain.RateRecovery, caller)
		var wait *domain.Wait
		if !errors.As(err, &wait) || wait.For > 31*time.Second || len(standings) != 1 || standings[0].Taken {
			t.Fatalf("got %+v, %v", standings, err)
		}
	}
	if asked := d.shared.calls() - before; asked != 0 {
		t.Errorf("the shared store was asked %d times", asked)
	}
	d.clock.wait(31 * time.Second)
	d.wants(domain.RateRecovery, caller, nil)
}
