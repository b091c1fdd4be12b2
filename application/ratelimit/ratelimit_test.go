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

// fakeSharedBuckets are shared buckets that can be unavailable. They count the calls of Take.
type fakeSharedBuckets struct {
	ports.Buckets
	mu          sync.Mutex
	unavailable bool
	blocked     chan struct{} // if not nil, Take waits until it is closed
	taken       int
}

func (r *fakeSharedBuckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	r.mu.Lock()
	r.taken++
	unavailable, blocked := r.unavailable, r.blocked
	r.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if unavailable {
		return nil, fmt.Errorf("no route: %w", domain.ErrUnavailable)
	}
	return r.Buckets.Take(ctx, from...)
}

func (r *fakeSharedBuckets) setUnavailable(unavailable bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unavailable = unavailable
}

func (r *fakeSharedBuckets) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// recordingObserver records the calls of its methods.
type recordingObserver struct {
	mu    sync.Mutex
	calls []string
}

func (w *recordingObserver) add(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *recordingObserver) Unavailable(error) { w.add("unavailable") }
func (w *recordingObserver) Recovered()        { w.add("recovered") }
func (w *recordingObserver) Fallback(rejected bool) {
	w.add(map[bool]string{true: "rejected", false: "local"}[rejected])
}

func (w *recordingObserver) requireCalls(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.calls) != fmt.Sprint(want) {
		t.Errorf("observed %q, want %q", w.calls, want)
	}
	w.calls = nil
}

type fixture struct {
	t        *testing.T
	clock    *clock
	shared   *fakeSharedBuckets
	observer *recordingObserver
	service  *ratelimit.Service
}

var limits = domain.RateLimits{
	domain.RateLogin.PerNetwork():    {Quota: 10, Window: 10 * time.Minute},
	domain.RateLogin.PerAccount():    {Quota: 3, Window: 3 * time.Minute},
	domain.RateRecovery.PerNetwork(): {Quota: 2, Window: 2 * time.Minute},
	domain.RateStepUp.PerAccount():   {Quota: 2, Window: 2 * time.Minute},
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, observer: &recordingObserver{}}
	f.shared = &fakeSharedBuckets{Buckets: buckets.New(f.clock, buckets.Max)}
	f.service = &ratelimit.Service{
		Limits: limits, Key: domain.RateKey("key"), Clock: f.clock, Shared: f.shared, Local: buckets.New(f.clock, buckets.Max), Observer: f.observer,
	}
	return f
}

func (f *fixture) call(class domain.RateClass, caller ratelimit.Caller) ([]ratelimit.LimitStatus, error) {
	return f.service.Allow(f.t.Context(), class, caller)
}

func (f *fixture) requireResult(class domain.RateClass, caller ratelimit.Caller, want error) []ratelimit.LimitStatus {
	f.t.Helper()
	statuses, err := f.call(class, caller)
	if !errors.Is(err, want) {
		f.t.Errorf("%s by %+v: got %v, want %v", class, caller, err, want)
	}
	return statuses
}

var (
	officeNetwork = domain.NetworkOf("192.0.2.1")
	homeNetwork   = domain.NetworkOf("2001:db8::1")
	adaEmail      = "ada@example.org"
)

func TestAllow_ReturnsLimitStatus(t *testing.T) {
	f := newFixture(t)
	statuses := f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	if len(statuses) != 2 || statuses[0].Policy != "login" || statuses[0].Remaining != 9 || statuses[1].Policy != "login-account" || statuses[1].Remaining != 2 {
		t.Fatalf("got %+v", statuses)
	}
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
	statuses, err := f.call(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail})
	var wait *domain.RetryAfterError
	if !errors.As(err, &wait) || wait.Delay < 59*time.Second || wait.Delay > 61*time.Second || !wait.Until.Equal(f.clock.Now().Add(wait.Delay)) {
		t.Fatalf("the fourth call: %v", err)
	}
	if len(statuses) != 2 || statuses[1].Allowed || statuses[1].Remaining != 0 {
		t.Errorf("got %+v", statuses)
	}
	f.clock.advance(wait.Delay)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, nil)
}

// A client that exhausts the bucket of Ada's address and its network limits neither Ada on another network nor other requests.
func TestAllow_CallersDoNotBlockEachOther(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		_, _ = f.call(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail})
	}
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: adaEmail}, domain.ErrRateLimited)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: homeNetwork, AccountName: adaEmail}, nil)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork, AccountName: "ben@example.org"}, nil)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
}

func TestAllow_SignedInCallersCountByUser(t *testing.T) {
	f := newFixture(t)
	one, other := domain.UserID{}, domain.UserID{}
	for i, id := range []string{"01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"} {
		parsed, err := domain.ParseUserID(id)
		if err != nil {
			t.Fatal(err)
		}
		*[]*domain.UserID{&one, &other}[i] = parsed
	}
	for range 2 {
		f.requireResult(domain.RateStepUp, ratelimit.Caller{User: one}, nil)
	}
	f.requireResult(domain.RateStepUp, ratelimit.Caller{User: one}, domain.ErrRateLimited)
	f.requireResult(domain.RateStepUp, ratelimit.Caller{User: other}, nil)
	for range 20 { // this policy has no limit
		f.requireResult(domain.RateStepUp, ratelimit.Caller{Network: officeNetwork}, nil)
	}
}

func TestAllow_WithoutLimits(t *testing.T) {
	f := newFixture(t)
	f.service.Limits = nil
	for range 50 {
		if statuses := f.requireResult(domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}, nil); len(statuses) != 0 {
			t.Fatalf("got %+v", statuses)
		}
	}
	if f.shared.calls() != 0 {
		t.Errorf("the shared buckets were used %d times", f.shared.calls())
	}
}

// While the shared buckets are unavailable, requests that accept guessable codes are rejected, and all others use local
// buckets. The observer is called once, and one request at a time tries the store again.
func TestLimiter_FailsClosedOnlyForSecrets(t *testing.T) {
	f := newFixture(t)
	caller := ratelimit.Caller{Network: officeNetwork}
	f.requireResult(domain.RateRecovery, caller, nil)
	f.observer.requireCalls(t)

	f.shared.setUnavailable(true)
	before := f.shared.calls()
	f.requireResult(domain.RateLogin, caller, nil)
	f.observer.requireCalls(t, "unavailable", "local")
	f.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	f.requireResult(domain.RateCode, caller, nil) // no limit in this test
	f.observer.requireCalls(t, "rejected")
	for range 9 {
		f.requireResult(domain.RateLogin, caller, nil)
	}
	f.requireResult(domain.RateLogin, caller, domain.ErrRateLimited)
	if calls := f.shared.calls() - before; calls != 1 {
		t.Errorf("%d calls at the same time used the unavailable store", calls)
	}
	f.clock.advance(time.Minute)
	f.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	if calls := f.shared.calls() - before; calls != 2 {
		t.Errorf("after a minute, %d calls had used it", calls)
	}
	f.observer.requireCalls(t, "local", "local", "local", "local", "local", "local", "local", "local", "local", "local", "rejected")

	f.shared.setUnavailable(false)
	f.requireResult(domain.RateRecovery, caller, domain.ErrLimiterUnavailable)
	f.clock.advance(time.Minute)
	f.requireResult(domain.RateRecovery, caller, nil)
	f.observer.requireCalls(t, "rejected", "recovered")
	f.requireResult(domain.RateLogin, caller, nil)
	f.observer.requireCalls(t)
}

// While one request probes the store, the others do not wait for it.
func TestLimiter_ProbesWithOneCall(t *testing.T) {
	f := newFixture(t)
	f.shared.setUnavailable(true)
	f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
	f.shared.mu.Lock()
	f.shared.unavailable, f.shared.blocked = false, make(chan struct{})
	f.shared.mu.Unlock()
	f.clock.advance(time.Minute)
	before := f.shared.calls()
	probe := make(chan error, 1)
	go func() {
		_, err := f.service.Allow(context.Background(), domain.RateLogin, ratelimit.Caller{Network: homeNetwork})
		probe <- err
	}()
	for f.shared.calls() == before && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		f.requireResult(domain.RateLogin, ratelimit.Caller{Network: officeNetwork}, nil)
	}
	if calls := f.shared.calls() - before; calls != 1 {
		t.Errorf("%d calls used the store, want 1", calls)
	}
	close(f.shared.blocked)
	if err := <-probe; err != nil {
		t.Error(err)
	}
}

func TestLimiter_CanceledCallIsNotAFailure(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.service.Allow(ctx, domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.observer.requireCalls(t)
	f.requireResult(domain.RateRecovery, ratelimit.Caller{Network: officeNetwork}, nil)
}

// A client that floods an empty bucket causes no queries of the shared store.
func TestLimiter_CachesDenials(t *testing.T) {
	f := newFixture(t)
	caller := ratelimit.Caller{Network: officeNetwork}
	for range 2 {
		f.requireResult(domain.RateRecovery, caller, nil)
	}
	f.requireResult(domain.RateRecovery, caller, domain.ErrRateLimited)
	before := f.shared.calls()
	f.clock.advance(30 * time.Second)
	for range 1000 {
		statuses, err := f.call(domain.RateRecovery, caller)
		var wait *domain.RetryAfterError
		if !errors.As(err, &wait) || wait.Delay > 31*time.Second || len(statuses) != 1 || statuses[0].Allowed {
			t.Fatalf("got %+v, %v", statuses, err)
		}
	}
	if calls := f.shared.calls() - before; calls != 0 {
		t.Errorf("the shared store was used %d times", calls)
	}
	f.clock.advance(31 * time.Second)
	f.requireResult(domain.RateRecovery, caller, nil)
}
