package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TOTP is a user's authenticator app as a way back (RFC 6238). It counts once a code of it was shown; another one that is
// being set up beside it counts for nothing until then.
type TOTP struct{ state TOTPSnapshot }

// TOTPSnapshot is an authenticator app's state as storage keeps it.
type TOTPSnapshot struct {
	UserID      UserID
	Secret      []byte    // sealed; nil until the first one is confirmed
	ConfirmedAt time.Time // zero with it
	Step        TOTPStep  // the latest time step that a code was accepted for
	Pending     []byte    // sealed; nil if none is being set up
	PendingAt   time.Time // zero with it
}

// TOTPStep is the number of half minutes since the Unix epoch (RFC 6238, section 4.2).
type TOTPStep int64

// TOTPCode is a code of an authenticator app: six digits.
type TOTPCode struct{ Secret }

const totpCodeLength = 6

// ParseTOTPCode reads a code as plainCode does. It returns ErrInvalidCode for anything that cannot be one.
func ParseTOTPCode(s string) (TOTPCode, error) {
	digits := plainCode(s)
	if len(digits) != totpCodeLength || strings.Trim(digits, "0123456789") != "" {
		return TOTPCode{}, ErrInvalidCode
	}
	return TOTPCode{NewSecret(digits)}, nil
}

// NewTOTP begins with nothing.
func NewTOTP(owner UserID) *TOTP { return &TOTP{TOTPSnapshot{UserID: owner}} }

// RestoreTOTP is storage's way back from a snapshot.
func RestoreTOTP(s TOTPSnapshot) *TOTP { return &TOTP{s.clone()} }

// Snapshot is storage's way in.
func (t *TOTP) Snapshot() TOTPSnapshot { return t.state.clone() }

func (s TOTPSnapshot) clone() TOTPSnapshot {
	s.Secret, s.Pending = slices.Clone(s.Secret), slices.Clone(s.Pending)
	return s
}

func (t *TOTP) UserID() UserID         { return t.state.UserID }
func (t *TOTP) Confirmed() bool        { return t.state.Secret != nil }
func (t *TOTP) ConfirmedAt() time.Time { return t.state.ConfirmedAt }

// Secret is what codes are judged by, sealed; nil if none is confirmed.
func (t *TOTP) Secret() []byte { return slices.Clone(t.state.Secret) }

// pendingTTL is how long an app may take to be set up. A secret that was shown and never used is worth nothing after it.
const pendingTTL = 15 * time.Minute

// SetUp begins with another app. The present one goes on counting until the new one is confirmed.
func (t *TOTP) SetUp(sealed []byte, now time.Time) {
	t.state.Pending, t.state.PendingAt = slices.Clone(sealed), now
}

// GiveUp forgets what was being set up: whoever began it may not be who the account is back with.
func (t *TOTP) GiveUp() { t.state.Pending, t.state.PendingAt = nil, time.Time{} }

// Pending is the secret that waits for its first code, sealed, or ErrInvalidCode if none does (any more).
func (t *TOTP) Pending(now time.Time) ([]byte, error) {
	if t.state.Pending == nil || now.Sub(t.state.PendingAt) > pendingTTL {
		return nil, ErrInvalidCode
	}
	return slices.Clone(t.state.Pending), nil
}

// Confirm lets the pending app take the place of the one before, since it has shown a code of the given step. That code is
// spent by it.
func (t *TOTP) Confirm(step TOTPStep, now time.Time) {
	t.state.Secret, t.state.ConfirmedAt, t.state.Step = t.state.Pending, now, step
	t.state.Pending, t.state.PendingAt = nil, time.Time{}
}

// ErrCodeShownBefore is ErrInvalidCode for a right code of a step that is spent: it buys nothing, and it was no guess.
var ErrCodeShownBefore = fmt.Errorf("shown before: %w", ErrInvalidCode)

// Accept spends the codes of the step and of all before it, or returns ErrCodeShownBefore if they are spent: whoever looks
// over a shoulder must not be able to use a code again (RFC 6238, section 5.2). Without a confirmed app it is ErrInvalidCode.
func (t *TOTP) Accept(step TOTPStep) error {
	if !t.Confirmed() {
		return ErrInvalidCode
	}
	if step <= t.state.Step {
		return ErrCodeShownBefore
	}
	t.state.Step = step
	return nil
}
