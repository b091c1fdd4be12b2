package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"
)

// Lockout counts wrong recovery codes against one account, or one caller, and makes them wait; likewise letters that nobody asked for,
// against a mailbox. It never keeps a passkey from signing in.
type Lockout struct{ state LockoutSnapshot }

// LockoutSnapshot is a lockout's state as storage keeps it.
type LockoutSnapshot struct {
	Subject     LockoutSubject
	Failures    int       // in a row
	LockedUntil time.Time // zero if never
	UpdatedAt   time.Time
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

func (k LockoutKey) Unknown(name string) LockoutSubject { return k.subject("unknown", name) }
func (k LockoutKey) Named(name string, from Network) LockoutSubject {
	return k.subject("named", string(from)+"\x00"+name)
}
func (k LockoutKey) Address(from Network) LockoutSubject { return k.subject("address", string(from)) }
func (k LockoutKey) Mailbox(at Email) LockoutSubject     { return k.subject("mailbox", string(at)) }

func (k LockoutKey) subject(kind, name string) LockoutSubject {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(kind + "\x00" + name))
	return LockoutSubject(mac.Sum(nil))
}

const (
	freeFailures = 5 // wrong codes before the first wait
	firstWait    = 15 * time.Minute
	longestWait  = 24 * time.Hour
	closedAfter  = 20 // wrong codes in a row; NIST SP 800-63B-4, section 3.2.2, allows a hundred
)

// NewLockout counts nothing yet.
func NewLockout(subject LockoutSubject) *Lockout { return &Lockout{LockoutSnapshot{Subject: subject}} }

// RestoreLockout is storage's way back from a snapshot.
func RestoreLockout(s LockoutSnapshot) *Lockout { return &Lockout{s} }

// Snapshot is storage's way in.
func (l *Lockout) Snapshot() LockoutSnapshot { return l.state }

// Open returns a *Wait while no code may be tried. After twenty wrong ones in a row that is for good, until somebody signs
// in by passkey.
func (l *Lockout) Open(now time.Time) error {
	if l.Closed() {
		return &Wait{Until: now.Add(longestWait), For: longestWait}
	}
	if now.Before(l.state.LockedUntil) {
		return &Wait{Until: l.state.LockedUntil, For: l.state.LockedUntil.Sub(now)}
	}
	return nil
}

// Closed reports whether waiting is over for good, until somebody signs in by passkey.
func (l *Lockout) Closed() bool { return l.state.Failures >= closedAfter }

// Cool forgets what was counted more than a day ago: for addresses, which many people share.
func (l *Lockout) Cool(now time.Time) {
	if now.Sub(l.state.UpdatedAt) >= longestWait {
		l.state.Failures, l.state.LockedUntil = 0, time.Time{}
	}
}

// Relent takes a closed way for one that only has to wait: for addresses, which nobody signs in for.
func (l *Lockout) Relent() { l.state.Failures = min(l.state.Failures, closedAfter-1) }

// Fail counts a wrong code. From the fifth on each one makes the next wait longer: a quarter of an hour, doubled each time,
// up to a day.
func (l *Lockout) Fail(now time.Time) {
	l.state.Failures++
	l.state.UpdatedAt = now
	if over := l.state.Failures - freeFailures; over >= 0 {
		wait := longestWait
		if over < 7 { // 2^7 quarters of an hour are more than a day
			wait = min(firstWait<<over, longestWait)
		}
		l.state.LockedUntil = now.Add(wait)
	}
}

// Wait is ErrRateLimited with the time when it ends.
type Wait struct {
	Until time.Time
	For   time.Duration
}

func (w *Wait) Error() string { return ErrRateLimited.Message }
func (w *Wait) Unwrap() error { return ErrRateLimited }
