package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TOTP is a user's authenticator app as a way back (RFC 6238). It counts once a code of it was shown; another one that is
// being set up beside it counts for nothing until then.
type TOTP struct{ state TOTPState }

// TOTPState is an authenticator app's state as storage keeps it.
type TOTPState struct {
	UserID        UserID
	Secret        []byte    `export:"secret,omitempty"`      // sealed; nil until the first one is confirmed
	ConfirmedAt   time.Time `export:"confirmed_at,omitzero"` // zero with it
	LastStep      TOTPStep  `export:"step"`                  // the latest time step that a code was accepted for
	PendingSecret []byte    `export:"pending,omitempty"`     // sealed; nil if none is being set up
	PendingAt     time.Time `export:"pending_at,omitzero"`   // zero with it
}

// TOTPStep is the number of half minutes since the Unix epoch (RFC 6238, section 4.2).
type TOTPStep int64

// TOTPCode is a code of an authenticator app: six digits.
type TOTPCode struct{ Secret }

const totpCodeLength = 6

// ParseTOTPCode reads a code as normalizeCode does. It returns ErrInvalidCode for anything that cannot be one.
func ParseTOTPCode(s string) (TOTPCode, error) {
	digits := normalizeCode(s)
	if len(digits) != totpCodeLength || strings.Trim(digits, "0123456789") != "" {
		return TOTPCode{}, ErrInvalidCode
	}
	return TOTPCode{NewSecret(digits)}, nil
}

// NewTOTP begins with nothing.
func NewTOTP(owner UserID) *TOTP { return &TOTP{TOTPState{UserID: owner}} }

// RestoreTOTP is storage's way back from a snapshot.
func RestoreTOTP(s TOTPState) *TOTP { return &TOTP{s.clone()} }

// State is storage's way in.
func (t *TOTP) State() TOTPState { return t.state.clone() }

func (s TOTPState) clone() TOTPState {
	s.Secret, s.PendingSecret = slices.Clone(s.Secret), slices.Clone(s.PendingSecret)
	return s
}

func (t *TOTP) UserID() UserID         { return t.state.UserID }
func (t *TOTP) Confirmed() bool        { return t.state.Secret != nil }
func (t *TOTP) ConfirmedAt() time.Time { return t.state.ConfirmedAt }

// Secret is what codes are judged by, sealed; nil if none is confirmed.
func (t *TOTP) Secret() []byte { return slices.Clone(t.state.Secret) }

// totpSetupTTL is how long an app may take to be set up. A secret that was shown and never used is worth nothing after it.
const totpSetupTTL = 15 * time.Minute

// BeginSetup begins with another app. The present one goes on counting until the new one is confirmed.
func (t *TOTP) BeginSetup(sealed []byte, now time.Time) {
	t.state.PendingSecret, t.state.PendingAt = slices.Clone(sealed), now
}

// CancelSetup forgets what was being set up: whoever began it may not be who the account is back with.
func (t *TOTP) CancelSetup() { t.state.PendingSecret, t.state.PendingAt = nil, time.Time{} }

// PendingSecret is the secret that waits for its first code, sealed, or ErrInvalidCode if none does (any more).
func (t *TOTP) PendingSecret(now time.Time) ([]byte, error) {
	if t.state.PendingSecret == nil || now.Sub(t.state.PendingAt) > totpSetupTTL {
		return nil, ErrInvalidCode
	}
	return slices.Clone(t.state.PendingSecret), nil
}

// Confirm lets the pending app take the place of the one before, since it has shown a code of the given step. That code is
// spent by it.
func (t *TOTP) Confirm(step TOTPStep, now time.Time) {
	t.state.Secret, t.state.ConfirmedAt, t.state.LastStep = t.state.PendingSecret, now, step
	t.state.PendingSecret, t.state.PendingAt = nil, time.Time{}
}

// ErrCodeReused is ErrInvalidCode for a right code of a step that is spent: it buys nothing, and it was no guess.
var ErrCodeReused = fmt.Errorf("shown before: %w", ErrInvalidCode)

// Accept spends the codes of the step and of all before it, or returns ErrCodeReused if they are spent: whoever looks
// over a shoulder must not be able to use a code again (RFC 6238, section 5.2). Without a confirmed app it is ErrInvalidCode.
func (t *TOTP) Accept(step TOTPStep) error {
	if !t.Confirmed() {
		return ErrInvalidCode
	}
	if step <= t.state.LastStep {
		return ErrCodeReused
	}
	t.state.LastStep = step
	return nil
}
