package domain

import "time"

// CounterPolicy says what follows when a device-bound passkey's signature counter fails to advance, which means that
// there are two copies of its key (WebAuthn Level 3, section 6.1.1).
type CounterPolicy string

const (
	CounterReject  CounterPolicy = "reject"  // refuse this sign-in, keep the mark
	CounterFlag    CounterPolicy = "flag"    // allow it, keep the mark
	CounterSuspend CounterPolicy = "suspend" // refuse this one and all that follow
)

// BackupEligibilityPolicy says what follows when a passkey's BE flag differs from the one it registered with. The
// specification forbids it (section 7.2, step 19); some password managers do it all the same.
type BackupEligibilityPolicy string

const (
	BackupEligibilityReject          BackupEligibilityPolicy = "reject"
	BackupEligibilityAcceptAndRecord BackupEligibilityPolicy = "accept-and-record"
)

// UsePolicy is what an installation decided about passkeys that do not behave as the specification expects.
type UsePolicy struct {
	Counter           CounterPolicy
	BackupEligibility BackupEligibilityPolicy
}

// RegistrationPolicy says who may sign up.
type RegistrationPolicy string

const (
	RegistrationOpen   RegistrationPolicy = "open"
	RegistrationClosed RegistrationPolicy = "closed"
)

// Open reports whether sign-up is open to everyone.
func (p RegistrationPolicy) Open() bool { return p == RegistrationOpen }

// RequireOpen returns ErrRegistrationClosed unless sign-up is open.
func (p RegistrationPolicy) RequireOpen() error {
	if !p.Open() {
		return ErrRegistrationClosed
	}
	return nil
}

// RecoveryPolicy is the set of factors that account recovery requires.
type RecoveryPolicy string

const (
	RecoveryAny  RecoveryPolicy = "any"  // a code of the authenticator app, or a backup code
	RecoveryBoth RecoveryPolicy = "both" // one of each (NIST SP 800-63B-4, section 4.2.2.2)
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

// StepUpTTL is how long a passkey's proof is fresh enough for what changes who can open an account.
type StepUpTTL time.Duration

// PasskeyLimit is how many passkeys an account may have.
type PasskeyLimit int
