package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TOTP is a user's authenticator app, a recovery factor (RFC 6238). An app is valid after its first code is confirmed. Until then a
// confirmed app stays valid while another is in setup.
type TOTP struct{ state TOTPState }

// TOTPState is the state of an authenticator app as it is stored.
type TOTPState struct {
	UserID        UserID
	Secret        []byte    `export:"secret,omitempty"`      // encrypted; nil until an app is confirmed
	ConfirmedAt   time.Time `export:"confirmed_at,omitzero"` // zero with it
	LastStep      TOTPStep  `export:"step"`                  // the latest time step of an accepted code
	PendingSecret []byte    `export:"pending,omitempty"`     // encrypted; nil if no app is in setup
	PendingAt     time.Time `export:"pending_at,omitzero"`   // zero with it
}

// TOTPStep is the number of 30-second intervals since the Unix epoch (RFC 6238, section 4.2).
type TOTPStep int64

// TOTPCode is a code of an authenticator app: six digits.
type TOTPCode struct{ Secret }

const totpCodeLength = 6

// ParseTOTPCode parses a typed code, normalized by normalizeCode. It returns ErrInvalidCode for anything else.
func ParseTOTPCode(s string) (TOTPCode, error) {
	digits := normalizeCode(s)
	if len(digits) != totpCodeLength || strings.Trim(digits, "0123456789") != "" {
		return TOTPCode{}, ErrInvalidCode
	}
	return TOTPCode{NewSecret(digits)}, nil
}

// NewTOTP returns the state of a user without an authenticator app.
func NewTOTP(owner UserID) *TOTP { return &TOTP{TOTPState{UserID: owner}} }

// RestoreTOTP returns the authenticator app with the given state.
func RestoreTOTP(s TOTPState) *TOTP { return &TOTP{s.clone()} }

// State returns a copy of the state, for storage.
func (t *TOTP) State() TOTPState { return t.state.clone() }

func (s TOTPState) clone() TOTPState {
	s.Secret, s.PendingSecret = slices.Clone(s.Secret), slices.Clone(s.PendingSecret)
	return s
}

func (t *TOTP) UserID() UserID         { return t.state.UserID }
func (t *TOTP) Confirmed() bool        { return t.state.Secret != nil }
func (t *TOTP) ConfirmedAt() time.Time { return t.state.ConfirmedAt }

// Secret returns the encrypted secret of the confirmed app, or nil.
func (t *TOTP) Secret() []byte { return slices.Clone(t.state.Secret) }

// totpSetupTTL is how long the setup of an app may take. An unconfirmed secret is invalid afterwards.
const totpSetupTTL = 15 * time.Minute

// BeginSetup sets the encrypted secret of a new app. The confirmed app stays valid until Confirm.
func (t *TOTP) BeginSetup(encryptedSecret []byte, now time.Time) {
	t.state.PendingSecret, t.state.PendingAt = slices.Clone(encryptedSecret), now
}

// CancelSetup removes the unconfirmed secret, for example after a recovery: an attacker may have begun the setup.
func (t *TOTP) CancelSetup() { t.state.PendingSecret, t.state.PendingAt = nil, time.Time{} }

// PendingSecret returns the encrypted secret of the app in setup, or ErrInvalidCode if there is none or its setup has expired.
func (t *TOTP) PendingSecret(now time.Time) ([]byte, error) {
	if t.state.PendingSecret == nil || now.Sub(t.state.PendingAt) > totpSetupTTL {
		return nil, ErrInvalidCode
	}
	return slices.Clone(t.state.PendingSecret), nil
}

// Confirm replaces the confirmed app with the one in setup, after a valid code of the given step, and consumes that code.
func (t *TOTP) Confirm(step TOTPStep, now time.Time) {
	t.state.Secret, t.state.ConfirmedAt, t.state.LastStep = t.state.PendingSecret, now, step
	t.state.PendingSecret, t.state.PendingAt = nil, time.Time{}
}

// ErrCodeReused is ErrInvalidCode for a correct code that was consumed before: it is rejected, and it is not a guess.
var ErrCodeReused = fmt.Errorf("the code was used before: %w", ErrInvalidCode)

// Accept consumes the codes of the step and of all earlier steps, since an attacker may have seen one (RFC 6238, section 5.2). It
// returns ErrCodeReused if they are consumed, and ErrInvalidCode without a confirmed app.
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
