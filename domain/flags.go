package domain

// AuthenticatorFlags is the flags octet of authenticator data (WebAuthn Level 3, section 6.1).
type AuthenticatorFlags byte

const (
	flagUserPresent    AuthenticatorFlags = 1 << 0
	flagUserVerified   AuthenticatorFlags = 1 << 2
	flagBackupEligible AuthenticatorFlags = 1 << 3
	flagBackedUp       AuthenticatorFlags = 1 << 4
)

func (f AuthenticatorFlags) UserPresent() bool    { return f&flagUserPresent != 0 }
func (f AuthenticatorFlags) UserVerified() bool   { return f&flagUserVerified != 0 }
func (f AuthenticatorFlags) BackupEligible() bool { return f&flagBackupEligible != 0 }
func (f AuthenticatorFlags) BackedUp() bool       { return f&flagBackedUp != 0 }

// Verify returns a *Rejection unless the flags state user presence (section 7.2, step 16), user verification (step 17: the passkey
// is the only factor, and a stolen device must not be sufficient) and a consistent backup state (step 18: only an eligible passkey
// can be backed up).
func (f AuthenticatorFlags) Verify() error {
	switch {
	case !f.UserPresent():
		return Reject(ReasonUserPresenceMissing, "the UP flag is not set")
	case !f.UserVerified():
		return Reject(ReasonUserVerificationMissing, "the UV flag is not set")
	case f.BackedUp() && !f.BackupEligible():
		return Reject(ReasonBackupStateInvalid, "the BS flag is set and the BE flag is not")
	}
	return nil
}

// with returns f with the bits of mask taken from g.
func (f AuthenticatorFlags) with(mask, g AuthenticatorFlags) AuthenticatorFlags {
	return f&^mask | g&mask
}
