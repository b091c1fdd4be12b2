package domain_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// lockoutWithFailures returns a lockout with consecutive failures, each at the end of the delay before it, and the time of the last.
func lockoutWithFailures(t *testing.T, times int) (*domain.Lockout, time.Time) {
	t.Helper()
	l, now := domain.NewLockout(domain.LockoutSubject{7}), noon
	for range times {
		if until := l.State().LockedUntil; until.After(now) {
			now = until
		}
		l.RecordFailure(now)
	}
	return l, now
}

// wantBackoff fails the test unless the next attempt is allowed exactly after the given delay.
func wantBackoff(t *testing.T, l *domain.Lockout, now time.Time, want time.Duration) {
	t.Helper()
	var retry *domain.RetryAfterError
	err := l.RequireUnblocked(now)
	switch {
	case l.Blocked(now) != (err != nil):
		t.Errorf("blocked %t, error %v", l.Blocked(now), err)
	case want == 0 && err != nil:
		t.Errorf("got %v, want no delay", err)
	case want != 0 && (!errors.As(err, &retry) || retry.Delay != want || !retry.Until.Equal(now.Add(want))):
		t.Errorf("got %+v, want %s", err, want)
	}
}

const lockAfter = 20 // consecutive failures

// Requirement: ASVS-6.1.1
func TestLockout_Backoff(t *testing.T) {
	const m, h = time.Minute, time.Hour
	schedule := []time.Duration{0, 0, 0, 0, 0, 15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 480 * m, 960 * m, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h}
	for failures, want := range schedule {
		l, now := lockoutWithFailures(t, failures)
		wantBackoff(t, l, now, want)
		if is := l.State(); is.Failures != failures || failures > 0 && !is.UpdatedAt.Equal(now) || is.LockedUntil.IsZero() != (want == 0) {
			t.Errorf("%d failures: %+v", failures, is)
		}
		if want == 0 {
			continue
		}
		wantBackoff(t, l, now.Add(time.Second), want-time.Second)
		wantBackoff(t, l, now.Add(want-1), 1)
		wantBackoff(t, l, now.Add(want), 0)
	}
	if len(schedule) != lockAfter {
		t.Errorf("locked after %d, want %d", lockAfter, len(schedule))
	}
}

// Requirement: ASVS-6.1.1
func TestLockout_Check_locked(t *testing.T) {
	for failures := lockAfter; failures <= 100; failures++ {
		l, now := lockoutWithFailures(t, failures)
		if is := l.State(); !is.LockedUntil.Equal(now.Add(24 * time.Hour)) {
			t.Errorf("%d failures: %+v at %s", failures, is, now)
		}
		for _, after := range []time.Duration{0, 24*time.Hour - 1, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
			wantBackoff(t, l, now.Add(after), 24*time.Hour)
		}
	}
}

// Requirement: NIST-3.2.2
func TestLockout_Locked(t *testing.T) {
	for failures := range 25 {
		if l, _ := lockoutWithFailures(t, failures); l.Locked() != (failures >= lockAfter) {
			t.Errorf("%d failures: locked %t", failures, l.Locked())
		}
	}
}

func TestLockout_CapBelowLock(t *testing.T) {
	l, now := lockoutWithFailures(t, 20)
	l.CapBelowLock()
	wantBackoff(t, l, now, 24*time.Hour)
	wantBackoff(t, l, now.Add(24*time.Hour-1), 1)
	wantBackoff(t, l, now.Add(24*time.Hour), 0)

	l.RecordFailure(now.Add(24 * time.Hour)) // from now on each failure delays by a day
	l.CapBelowLock()
	wantBackoff(t, l, now.Add(24*time.Hour), 24*time.Hour)
	wantBackoff(t, l, now.Add(48*time.Hour), 0)

	for _, failures := range []int{0, 4, 5, 19} {
		l, _ := lockoutWithFailures(t, failures)
		before := l.State()
		if l.CapBelowLock(); l.State() != before {
			t.Errorf("not locked: was %+v, became %+v", before, l.State())
		}
	}
}

func TestRetryAfterError_UnwrapsToRateLimited(t *testing.T) {
	l, now := lockoutWithFailures(t, 5)
	err := l.RequireUnblocked(now)
	var of *domain.Error
	if !errors.Is(err, domain.ErrRateLimited) || !errors.As(err, &of) || of != domain.ErrRateLimited || err.Error() != domain.ErrRateLimited.Message {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, domain.ErrInvalidCode) {
		t.Error("the error is taken for a wrong code")
	}
}

func TestLockout_StateRoundTrip(t *testing.T) {
	l, _ := lockoutWithFailures(t, 7)
	if is := l.State(); domain.RestoreLockout(is).State() != is || is.Subject != (domain.LockoutSubject{7}) {
		t.Errorf("got %+v", is)
	}
}

func TestLockoutKey_SubjectsDiffer(t *testing.T) {
	key := domain.LockoutKey(bytes.Repeat([]byte{1}, 32))
	again := domain.LockoutKey(bytes.Clone(key))
	if key.Account(adasID) != again.Account(adasID) || key.UnknownName("x") != again.UnknownName("x") || key.Network("x") != again.Network("x") ||
		key.Mailbox("x") != again.Mailbox("x") {
		t.Error("a subject is not stable")
	}
	other := domain.LockoutKey(bytes.Repeat([]byte{2}, 32))
	if key.Account(adasID) != other.Account(adasID) {
		t.Error("the subject of an account depends on the key")
	}
	seen := map[domain.LockoutSubject]string{}
	for name, subject := range map[string]domain.LockoutSubject{
		"her account":             key.Account(adasID),
		"a name like her id":      key.UnknownName(adasID.String()),
		"an address like her id":  key.Network(domain.Network(adasID.String())),
		"another account":         key.Account(domain.UserID{}),
		"a name":                  key.UnknownName("ada@example.org"),
		"another name":            key.UnknownName("ada@example.or"),
		"no name":                 key.UnknownName(""),
		"a name from a host":      key.NameAndNetwork("ada@example.org", "192.0.2.1"),
		"the name from another":   key.NameAndNetwork("ada@example.org", "192.0.2.10"),
		"another name from it":    key.NameAndNetwork("ada@example.or", "192.0.2.1"),
		"a name, another key's":   other.NameAndNetwork("ada@example.org", "192.0.2.1"),
		"an address":              key.Network("192.0.2.1"),
		"another address":         key.Network("192.0.2.10"),
		"a name, another key":     other.UnknownName("ada@example.org"),
		"an address, another key": other.Network("192.0.2.1"),
		"a mailbox like a name":   key.Mailbox("ada@example.org"),
		"a mailbox like a host":   key.Mailbox("192.0.2.1"),
		"another mailbox":         key.Mailbox("ada@example.or"),
		"a mailbox, another key":  other.Mailbox("ada@example.org"),
	} {
		if before, found := seen[subject]; found {
			t.Errorf("%s and %s are the same", name, before)
		}
		seen[subject] = name
	}
}

func TestLockout_ResetIfStale(t *testing.T) {
	counter := domain.NewLockout(domain.LockoutKey{}.Network("203.0.113.9"))
	for range 7 {
		counter.RecordFailure(noon)
	}
	before := counter.State()
	counter.ResetIfStale(noon.Add(24*time.Hour - time.Microsecond))
	if counter.State() != before {
		t.Errorf("just before a day: %+v", counter.State())
	}
	counter.ResetIfStale(noon.Add(24 * time.Hour))
	if is := counter.State(); is.Failures != 0 || !is.LockedUntil.IsZero() || is.Subject != before.Subject {
		t.Errorf("after a day: %+v", is)
	}
}
