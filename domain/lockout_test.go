package domain_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// failed is a lockout with so many failures in a row, each as soon as the wait before it was over, and when the last was.
func failed(t *testing.T, times int) (*domain.Lockout, time.Time) {
	t.Helper()
	l, now := domain.NewLockout(domain.LockoutSubject{7}), noon
	for range times {
		if until := l.Snapshot().LockedUntil; until.After(now) {
			now = until
		}
		l.Fail(now)
	}
	return l, now
}

// waits fails the test unless the lockout stays shut until exactly that long after now.
func waits(t *testing.T, l *domain.Lockout, now time.Time, want time.Duration) {
	t.Helper()
	var wait *domain.Wait
	switch err := l.Open(now); {
	case want == 0 && err != nil:
		t.Errorf("got %v, want no wait", err)
	case want != 0 && (!errors.As(err, &wait) || wait.For != want || !wait.Until.Equal(now.Add(want))):
		t.Errorf("got %+v, want %s", err, want)
	}
}

const closedAfter = 20 // wrong codes in a row

func TestWaitsGrowWithWrongCodes(t *testing.T) {
	const m, h = time.Minute, time.Hour
	schedule := []time.Duration{0, 0, 0, 0, 0, 15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 480 * m, 960 * m, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h, 24 * h}
	for failures, want := range schedule {
		l, now := failed(t, failures)
		waits(t, l, now, want)
		if is := l.Snapshot(); is.Failures != failures || failures > 0 && !is.UpdatedAt.Equal(now) || is.LockedUntil.IsZero() != (want == 0) {
			t.Errorf("%d wrong codes: %+v", failures, is)
		}
		if want == 0 {
			continue
		}
		waits(t, l, now.Add(time.Second), want-time.Second)
		waits(t, l, now.Add(want-1), 1)
		waits(t, l, now.Add(want), 0)
	}
	if len(schedule) != closedAfter {
		t.Errorf("closed after %d, want %d", closedAfter, len(schedule))
	}
}

func TestAfterTwentyWrongCodesTheWayIsClosed(t *testing.T) {
	for failures := closedAfter; failures <= 100; failures++ {
		l, now := failed(t, failures)
		if is := l.Snapshot(); !is.LockedUntil.Equal(now.Add(24 * time.Hour)) {
			t.Errorf("%d wrong codes: %+v at %s", failures, is, now)
		}
		for _, after := range []time.Duration{0, 24*time.Hour - 1, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
			waits(t, l, now.Add(after), 24*time.Hour)
		}
	}
}

func TestAWayIsClosedFromTheTwentiethWrongCodeOn(t *testing.T) {
	for failures := range 25 {
		if l, _ := failed(t, failures); l.Closed() != (failures >= closedAfter) {
			t.Errorf("%d wrong codes: closed %t", failures, l.Closed())
		}
	}
}

func TestAWayThatRelentsOpensAgain(t *testing.T) {
	l, now := failed(t, 20)
	l.Relent()
	waits(t, l, now, 24*time.Hour)
	waits(t, l, now.Add(24*time.Hour-1), 1)
	waits(t, l, now.Add(24*time.Hour), 0)

	l.Fail(now.Add(24 * time.Hour)) // and each wrong code costs a day from there on
	l.Relent()
	waits(t, l, now.Add(24*time.Hour), 24*time.Hour)
	waits(t, l, now.Add(48*time.Hour), 0)

	for _, failures := range []int{0, 4, 5, 19} {
		l, _ := failed(t, failures)
		before := l.Snapshot()
		if l.Relent(); l.Snapshot() != before {
			t.Errorf("not closed: was %+v, became %+v", before, l.Snapshot())
		}
	}
}

func TestAWaitSaysNoMoreThanThatTheRateIsLimited(t *testing.T) {
	l, now := failed(t, 5)
	err := l.Open(now)
	var of *domain.Error
	if !errors.Is(err, domain.ErrRateLimited) || !errors.As(err, &of) || of != domain.ErrRateLimited || err.Error() != domain.ErrRateLimited.Message {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, domain.ErrInvalidCode) {
		t.Error("a wait is taken for a wrong code")
	}
}

func TestALockoutIsKeptAsItIs(t *testing.T) {
	l, _ := failed(t, 7)
	if is := l.Snapshot(); domain.RestoreLockout(is).Snapshot() != is || is.Subject != (domain.LockoutSubject{7}) {
		t.Errorf("got %+v", is)
	}
}

func TestSubjectsAreToldApartByKindNameAndKey(t *testing.T) {
	key := domain.LockoutKey(bytes.Repeat([]byte{1}, 32))
	again := domain.LockoutKey(bytes.Clone(key))
	if key.Account(adasID) != again.Account(adasID) || key.Unknown("x") != again.Unknown("x") || key.Address("x") != again.Address("x") ||
		key.Mailbox("x") != again.Mailbox("x") {
		t.Error("a subject is not itself")
	}
	other := domain.LockoutKey(bytes.Repeat([]byte{2}, 32))
	if key.Account(adasID) != other.Account(adasID) {
		t.Error("an account that is closed opens with another key")
	}
	seen := map[domain.LockoutSubject]string{}
	for name, subject := range map[string]domain.LockoutSubject{
		"her account":             key.Account(adasID),
		"a name like her id":      key.Unknown(adasID.String()),
		"an address like her id":  key.Address(domain.Network(adasID.String())),
		"somebody else's account": key.Account(domain.UserID{}),
		"a name":                  key.Unknown("ada@example.org"),
		"another name":            key.Unknown("ada@example.or"),
		"no name":                 key.Unknown(""),
		"a name from a host":      key.Named("ada@example.org", "192.0.2.1"),
		"the name from another":   key.Named("ada@example.org", "192.0.2.10"),
		"another name from it":    key.Named("ada@example.or", "192.0.2.1"),
		"a name, another key's":   other.Named("ada@example.org", "192.0.2.1"),
		"an address":              key.Address("192.0.2.1"),
		"another address":         key.Address("192.0.2.10"),
		"a name, another key":     other.Unknown("ada@example.org"),
		"an address, another key": other.Address("192.0.2.1"),
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

func TestAnAddressIsForgivenAfterADay(t *testing.T) {
	wrong := domain.NewLockout(domain.LockoutKey{}.Address("203.0.113.9"))
	for range 7 {
		wrong.Fail(noon)
	}
	before := wrong.Snapshot()
	wrong.Cool(noon.Add(24*time.Hour - time.Microsecond))
	if wrong.Snapshot() != before {
		t.Errorf("a moment before: %+v", wrong.Snapshot())
	}
	wrong.Cool(noon.Add(24 * time.Hour))
	if is := wrong.Snapshot(); is.Failures != 0 || !is.LockedUntil.IsZero() || is.Subject != before.Subject {
		t.Errorf("after a day: %+v", is)
	}
}
