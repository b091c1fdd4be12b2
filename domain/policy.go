package domain

import "time"

// CounterPolicy says what happens if the signature counter of a device-bound passkey does not increase: its key may have been copied
// (WebAuthn Level 3, section 6.1.1).
type CounterPolicy string

const (
	CounterReject  CounterPolicy = "reject"  // reject this use, set CloneWarning
	CounterFlag    CounterPolicy = "flag"    // accept it, set CloneWarning
	CounterSuspend CounterPolicy = "suspend" // reject this use, set CloneWarning and suspend the passkey
)

// BackupEligibilityPolicy says what happens if the BE flag of a passkey changes after registration. The specification forbids it
// (section 7.2, step 19); some password managers change it nevertheless.
type BackupEligibilityPolicy string

const (
	BackupEligibilityReject          BackupEligibilityPolicy = "reject"
	BackupEligibilityAcceptAndRecord BackupEligibilityPolicy = "accept-and-record"
)

// UsePolicy says how anomalies are handled.
type UsePolicy struct {
	Counter           CounterPolicy
	BackupEligibility BackupEligibilityPolicy
}

// RegistrationPolicy says who may sign up.
type RegistrationPolicy string

const (
	RegistrationOpen   RegistrationPolicy = "open"
	RegistrationInvite RegistrationPolicy = "invite" // with an invite only
	RegistrationClosed RegistrationPolicy = "closed"
)

// RequireSignUp returns ErrRegistrationClosed, or ErrInviteRequired for a sign-up without a required invite.
func (p RegistrationPolicy) RequireSignUp(invited bool) error {
	switch {
	case p == RegistrationOpen, p == RegistrationInvite && invited:
		return nil
	case p == RegistrationInvite:
		return ErrInviteRequired
	}
	return ErrRegistrationClosed
}

// RequireInvites returns ErrInvitesNotAccepted if no invite allows a sign-up.
func (p RegistrationPolicy) RequireInvites() error {
	if p.RequireSignUp(true) != nil {
		return ErrInvitesNotAccepted
	}
	return nil
}

// RecoveryPolicy is the set of factors that account recovery requires.
type RecoveryPolicy string

const (
	RecoveryAny  RecoveryPolicy = "any"  // a code of the authenticator app, or a backup code
	RecoveryBoth RecoveryPolicy = "both" // one code of each (NIST SP 800-63B-4, section 4.2.2.2)
	RecoveryOff  RecoveryPolicy = "off"
)

// Enabled reports whether the server offers account recovery by codes.
func (p RecoveryPolicy) Enabled() bool { return p != RecoveryOff }

// RequireEnabled returns ErrRecoveryOff if recovery is disabled.
func (p RecoveryPolicy) RequireEnabled() error {
	if !p.Enabled() {
		return ErrRecoveryOff
	}
	return nil
}

// StepUpTTL is how long after a passkey assertion sensitive actions are allowed.
type StepUpTTL time.Duration

// PasskeyLimit is the maximum number of passkeys of an account.
type PasskeyLimit int
