package domain

import (
	"crypto/sha256"
	"time"
)

// Lockout counts the failed recovery attempts of an account or a client and delays the next one. It also counts verification e-mails
// to a mailbox. It never blocks a sign-in with a passkey.
type Lockout struct{ state LockoutState }

// LockoutState is the state of a lockout as it is stored.
type LockoutState struct {
	Subject     LockoutSubject `export:"subject"`
	Failures    int            `export:"failures"`              // consecutive
	LockedUntil time.Time      `export:"locked_until,omitzero"` // zero if never
	UpdatedAt   time.Time      `export:"updated_at"`
}

// LockoutSubject is the target of failed attempts: an account; a name without an account, so that it takes the same work; a name,
// with or without an account, together with the client's network; a network; or a mailbox.
type LockoutSubject [sha256.Size]byte

// LockoutKey is the HMAC key that hides names, networks and mailboxes in the database.
type LockoutKey []byte

// Account returns the subject of an account. It does not depend on the key, so that an account stays locked when the server's secret
// is replaced.
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
	allowedFailures = 5 // failures before the first delay
	initialBackoff  = 15 * time.Minute
	maxBackoff      = 24 * time.Hour
	lockAfter       = 20 // consecutive failures; NIST SP 800-63B-4, section 3.2.2, allows 100
)

// NewLockout returns a lockout without failures.
func NewLockout(subject LockoutSubject) *Lockout { return &Lockout{LockoutState{Subject: subject}} }

// RestoreLockout returns the lockout with the given state.
func RestoreLockout(s LockoutState) *Lockout { return &Lockout{s} }

// State returns a copy of the state, for storage.
func (l *Lockout) State() LockoutState { return l.state }

// Blocked reports whether attempts are rejected: the subject is locked or has to wait.
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

// Locked reports whether attempts are rejected until the user signs in with a passkey.
func (l *Lockout) Locked() bool { return l.state.Failures >= lockAfter }

// ResetIfStale resets the counter if the last failure is a day ago. It is for subjects that no sign-in unlocks.
func (l *Lockout) ResetIfStale(now time.Time) {
	if now.Sub(l.state.UpdatedAt) >= maxBackoff {
		l.state.Failures, l.state.LockedUntil = 0, time.Time{}
	}
}

// CapBelowLock limits the counter, so that the subject has to wait and is never locked. It is for subjects that no sign-in unlocks.
func (l *Lockout) CapBelowLock() { l.state.Failures = min(l.state.Failures, lockAfter-1) }

// RecordFailure counts a failure. From the fifth on, each one delays the next attempt: by 15 minutes, doubled each time, up to a
// day.
func (l *Lockout) RecordFailure(now time.Time) {
	l.state.Failures++
	l.state.UpdatedAt = now
	if excess := l.state.Failures - allowedFailures; excess >= 0 {
		backoff := maxBackoff
		if excess < 7 { // initialBackoff<<7 exceeds maxBackoff
			backoff = min(initialBackoff<<excess, maxBackoff)
		}
		l.state.LockedUntil = now.Add(backoff)
	}
}

// RetryAfterError is ErrRateLimited with the time of the next allowed attempt.
type RetryAfterError struct {
	Until time.Time
	Delay time.Duration
}

func (w *RetryAfterError) Error() string { return ErrRateLimited.Message }
func (w *RetryAfterError) Unwrap() error { return ErrRateLimited }
