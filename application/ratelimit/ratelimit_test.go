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

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeSharedBuckets are shared buckets that can be lost. They count how often they were asked.
type fakeSharedBuckets struct {
	ports.Buckets
	mu          sync.Mutex
	unavailable bool
	blocked     chan struct{} // closed to let those go who ask meanwhile; nil if nobody waits
	asked       int
}

func (r *fakeSharedBuckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	r.mu.Lock()
	r.asked++
	lost, stuck := r.unavailable, r.blocked
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

func (r *fakeSharedBuckets) setUnavailable(lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unavailable = lost
}

func (r *fakeSharedBuckets) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// recordingObserver writes down what it hears.
type recordingObserver struct {
	mu    sync.Mutex
	calls []string
}

func (w *recordingObserver) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, what)
}

func (w *recordingObserver) Unavailable(error) { w.add("lost") }
func (w *recordingObserver) Recovered()        { w.add("back") }
func (w *recordingObserver) Fallback(shut bool) {
	w.add(map[bool]string{true: "shut", false: "alone"}[shut])
}

func (w *recordingObserver) requireCalls(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.calls) != fmt.Sprint(want) {
		t.Errorf("the operator hears %q, want %q", w.calls, want)
	}
	w.calls = nil
}

type fixture struct {
	t        *testing.T
	clock    *clock
	shared   *fakeSharedBuckets
	observer *recordingObserver
	allow    *ratelimit.Allow
}

var limits = domain.RateLimits{
	domain.RateLogin.PerNetwork():    {Quota: 10, Window: 10 * time.Minute},
	domain.RateLogin.PerAccount():    {Quota: 3, Window: 3 * time.Minute},
	domain.RateRecovery.PerNetwork(): {Quota: 2, Window: 2 * time.Minute},
	domain.RateStepUp.PerAccount():   {Quota: 2, Window: 2 * time.Minute},
}

func newFixture(t *testing.T) *fixture {
	d := &fixture{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, observer: &recordingObserver{}}
	d.shared = &fakeSharedBuckets{Buckets: buckets.New(d.clock, buckets.Max)}
	d.allow = &ratelimit.Allow{Limits: limits, Key: domain.RateKey("key"), Clock: d.clock,
		Limiter: ratelimit.NewLimiter(d.shared, buckets.New(d.clock, buckets.Max), d.clock, d.observer)}
	return d
}

func (d *fixture) call(class domain.RateClass, caller ratelimit.Caller) ([]ratelimit.LimitStatus, error) {
	return d.allow.Execute(d.t.Context(), class, caller)
}

func (d *fixture) requireResult(class domain.RateClass, caller ratelimit.Caller, want error) []ratelimit.LimitStatus {
	d.t.Helper()
	standings, err := d.call(class, caller)
	if !errors.Is(err, want) {
		d.t.Errorf("%s by %+v: got %v, want %v", class, caller, err, want)
	}
	return standings
}

var (
	officeNetwork = domain.NetworkOf("192.0.2.1")
	homeNetwork   = domain.NetworkOf("2001:db8::1")
	adaEmail      = "ada@example.org"
)

func TestAllow_ReturnsLimitStatus(t *testing.T) {
	d := newFixture(t)
	standings := d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	if len(standings) != 2 || standings[0].Policy != "login" || standings[0].Remaining != 9 || standings[1].Policy != "login-account" || standings[1].Remaining != 2 {
		t.Fatalf("got %+v", standings)
	}
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	standings, err := d.call(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail})
	var wait *domain.RetryAfterError
	if !errors.As(err, &wait) || wait.Delay < 59*time.Second || wait.Delay > 61*time.Second || !wait.Until.Equal(d.clock.Now().Add(wait.Delay)) {
		t.Fatalf("the fourth: %v", err)
	}
	if len(standings) != 2 || standings[1].Allowed || standings[1].Remaining != 0 {
		t.Errorf("got %+v", standings)
	}
	d.clock.advance(wait.Delay)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
}

// Whoever says Ada's name until they are stopped has stopped nobody else: not Ada elsewhere, not Ada without a name, not Ben.
func TestAllow_CallersDoNotBlockEachOther(t *testing.T) {
	d := newFixture(t)
	for range 5 {
		_, _ = d.call(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail})
	}
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, domain.ErrRateLimited)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: homeNetwork, AccountName: adaEmail}, nil)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: "ben@example.org"}, nil)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
}

func TestAllow_SignedInCallersCountByUser(t *testing.T) {
	d := newFixture(t)
	one, other := domain.UserID{}, domain.UserID{}
	for i, id := range []string{"01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"} {
		parsed, err := domain.ParseUserID(id)
		if err != nil {
			t.Fatal(err)
		}
		*[]*domain.UserID{&one, &other}[i] = parsed
	}
	for range 2 {
		d.requireResult(domain.RateStepUp, ratelimit.Caller{User: one}, nil)
	}
	d.requireResult(domain.RateStepUp, ratelimit.Caller{User: one}, domain.ErrRateLimited)
	d.requireResult(domain.RateStepUp, ratelimit.Caller{User: other}, nil)
	for range 20 { // there is no limit by that name
		d.requireResult(domain.RateStepUp, ratelimit.Caller{Network: officeNetwork}, nil)
	}
}

func TestAllow_WithoutLimits(t *testing.T) {
	d := newFixture(t)
	d.allow.Limits = nil
	for range 50 {
		if standings := d.requireResult(domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}, nil); len(standings) != 0 {
			t.Fatalf("got %+v", standings)
		}
	}
	if d.shared.calls() != 0 {
		t.Errorf("the shared buckets were asked %d times", d.shared.calls())
	}
}

// While the shared counts are out of reach, what can be guessed is shut, and all else is counted by this server alone. It is
// told once, the store is asked again by one call every while, and when it is back all is as before.
func TestLimiter_FailsClosedOnlyForSecrets(t *testing.T) {
	d := newFixture(t)
	caller := ratelimit.Caller{Network: officeNetwork}
	d.requireResult(domain.RateRecovery, caller, nil)
	d.observer.requireCalls(t)

	d.shared.setUnavailable(true)
	before := d.shared.calls()
	d.requireResult(domain.RateLogin, caller, nil)
	d.observer.requireCalls(t, "lost", "alone")
	d.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	d.requireResult(domain.RateCode, caller, nil) // which has no limit here
	d.observer.requireCalls(t, "shut")
	for range 9 {
		d.requireResult(domain.RateLogin, caller, nil)
	}
	d.requireResult(domain.RateLogin, caller, domain.ErrRateLimited)
	if asked := d.shared.calls() - before; asked != 1 {
		t.Errorf("the dead store was asked %d times by calls of the same moment", asked)
	}
	d.clock.advance(time.Minute)
	d.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	if asked := d.shared.calls() - before; asked != 2 {
		t.Errorf("a minute later it was asked %d times", asked)
	}
	d.observer.requireCalls(t, "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "alone", "shut") // and not that it is lost

	d.shared.setUnavailable(false)
	d.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	d.clock.advance(time.Minute)
	d.requireResult(domain.RateRecovery, caller, nil)
	d.observer.requireCalls(t, "shut", "back")
	d.requireResult(domain.RateLogin, caller, nil)
	d.observer.requireCalls(t)
}

// Of those who come while the store is being asked again, one waits for it.
func TestLimiter_ProbesWithOneCall(t *testing.T) {
	d := newFixture(t)
	d.shared.setUnavailable(true)
	d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
	d.shared.mu.Lock()
	d.shared.unavailable, d.shared.blocked = false, make(chan struct{})
	d.shared.mu.Unlock()
	d.clock.advance(time.Minute)
	before := d.shared.calls()
	asking := make(chan error, 1)
	go func() {
		_, err := d.allow.Execute(context.Background(), domain.RateLogin, ratelimit.Caller{Network: homeNetwork})
		asking <- err
	}()
	for d.shared.calls() == before && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		d.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
	}
	if asked := d.shared.calls() - before; asked != 1 {
		t.Errorf("%d calls asked", asked)
	}
	close(d.shared.blocked)
	if err := <-asking; err != nil {
		t.Error(err)
	}
}

func TestLimiter_CanceledCallIsNotAFailure(t *testing.T) {
	d := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.allow.Execute(ctx, domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.observer.requireCalls(t)
	d.requireResult(domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}, nil)
}

// Whoever hammers on an empty bucket does not keep the shared store busy, and waits no longer for it.
func TestLimiter_CachesDenials(t *testing.T) {
	d := newFixture(t)
	caller := ratelimit.Caller{Network: officeNetwork}
	for range 2 {
		d.requireResult(domain.RateRecovery, caller, nil)
	}
	d.requireResult(domain.RateRecovery, caller, domain.ErrRateLimited)
	before := d.shared.calls()
	d.clock.advance(30 * time.Second)
	for range 1000 {
		standings, err := d.call(domain.RateRecovery, caller)
		var wait *domain.RetryAfterError
		if !errors.As(err, &wait) || wait.Delay > 31*time.Second || len(standings) != 1 || standings[0].Allowed {
			t.Fatalf("got %+v, %v", standings, err)
		}
	}
	if asked := d.shared.calls() - before; asked != 0 {
		t.Errorf("the shared store was asked %d times", asked)
	}
	d.clock.advance(31 * time.Second)
	d.requireResult(domain.RateRecovery, caller, nil)
}
