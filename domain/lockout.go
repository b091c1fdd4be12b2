package domain

import (
	"crypto/sha256"
	"time"
)

// Lockout counts wrong recovery codes against one account, or one caller, and makes them wait; likewise letters that nobody asked for,
// against a mailbox. It never keeps a passkey from signing in.
type Lockout struct{ state LockoutState }

// LockoutState is a lockout's state as storage keeps it.
type LockoutState struct {
	Subject     LockoutSubject `export:"subject"`
	Failures    int            `export:"failures"`              // in a row
	LockedUntil time.Time      `export:"locked_until,omitzero"` // zero if never
	UpdatedAt   time.Time      `export:"updated_at"`
}

// LockoutSubject is what wrong codes count against: an account, by either of its names; an unknown name, so that the same work is
// done for it; a name together with the network that said it, known or not; a network; or a mailbox.
type LockoutSubject [sha256.Size]byte

// LockoutKey keeps the names that strangers try out of the database.
type LockoutKey []byte

// Account does without the key, since an id is no secret: what is closed stays so when the server's secret is replaced.
func (LockoutKey) Account(id UserID) LockoutSubject {
	return LockoutSubject(sha256.Sum256([]byte("account\x00" + id.String())))
}

func (k LockoutKey) UnknownName(name string) LockoutSubject { return k.subject("unknown", name) }
func (k LockoutKey) NameAndNetwork(name string, from Network) LockoutSubject {
	return k.subject("named", string(from)+"\x00"+name)
}
func (k LockoutKey) Network(from Network) LockoutSubject { return k.subject("address", string(from)) }
func (k LockoutKey) Mailbox(at Email) LockoutSubject     { return k.subject("mailbox", string(at)) }

func (k LockoutKey) subject(kind, name string) LockoutSubject {
	return LockoutSubject(hmacSHA256(k, []byte(kind+"\x00"+name)))
}

const (
	allowedFailures = 5 // wrong codes before the first wait
	initialBackoff  = 15 * time.Minute
	maxBackoff      = 24 * time.Hour
	lockAfter       = 20 // wrong codes in a row; NIST SP 800-63B-4, section 3.2.2, allows a hundred
)

// NewLockout counts nothing yet.
func NewLockout(subject LockoutSubject) *Lockout { return &Lockout{LockoutState{Subject: subject}} }

// RestoreLockout is storage's way back from a snapshot.
func RestoreLockout(s LockoutState) *Lockout { return &Lockout{s} }

// State is storage's way in.
func (l *Lockout) State() LockoutState { return l.state }

// Blocked reports whether attempts are rejected: the subject is locked, or it has to wait.
func (l *Lockout) Blocked(now time.Time) bool { return l.Locked() || now.Before(l.state.LockedUntil) }

// RequireUnblocked returns a *RetryAfterError if attempts are rejected.
func (l *Lockout) RequireUnblocked(now time.Time) error {
	if l.Locked() {
		return &RetryAfterError{Until: now.Add(maxBackoff), Delay: maxBackoff}
	}
	if l.Blocked(now) {
		return &RetryAfterError{Until: l.state.LockedUntil, Delay: l.state.LockedUntil.Sub(now)}
	}
	return nil
}

// Locked reports whether waiting is over for good, until somebody signs in by passkey.
func (l *Lockout) Locked() bool { return l.state.Failures >= lockAfter }

// ResetIfStale forgets what was counted more than a day ago: for addresses, which many people share.
func (l *Lockout) ResetIfStale(now time.Time) {
	if now.Sub(l.state.UpdatedAt) >= maxBackoff {
		l.state.Failures, l.state.LockedUntil = 0, time.Time{}
	}
}

// CapBelowLock takes a closed way for one that only has to wait: for addresses, which nobody signs in for.
func (l *Lockout) CapBelowLock() { l.state.Failures = min(l.state.Failures, lockAfter-1) }

// RecordFailure counts a wrong code. From the fifth on each one makes the next wait longer: a quarter of an hour, doubled each time,
// up to a day.
func (l *Lockout) RecordFailure(now time.Time) {
	l.state.Failures++
	l.state.UpdatedAt = now
	if over := l.state.Failures - allowedFailures; over >= 0 {
		wait := maxBackoff
		if over < 7 { // 2^7 quarters of an hour are more than a day
			wait = min(initialBackoff<<over, maxBackoff)
		}
		l.state.LockedUntil = now.Add(wait)
	}
}

// RetryAfterError is ErrRateLimited with the time when it ends.
type RetryAfterError struct {
	Until time.Time
	Delay time.Duration
}

func (w *RetryAfterError) Error() string { return ErrRateLimited.Message }
func (w *RetryAfterError) Unwrap() error { return ErrRateLimited }
