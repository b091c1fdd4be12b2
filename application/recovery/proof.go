package recovery

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Proof is what somebody says and shows: a code of the app together with the account's name, a backup code, or both.
type Proof struct {
	User       UserRef
	TOTPCode   string // "" if none was shown
	BackupCode string // likewise
}

// UserRef is what an account is called by.
type UserRef struct {
	Email domain.Email
	ID    domain.UserID
}

func (n UserRef) find(ctx context.Context, tx ports.Tx) (*domain.User, error) {
	if n.Email != "" {
		return tx.Users.ByEmail(ctx, n.Email)
	}
	return tx.Users.ByID(ctx, n.ID)
}

func (n UserRef) String() string {
	if n.Email != "" {
		return string(n.Email)
	}
	return n.ID.String()
}

func (c Proof) validate(policy domain.RecoveryPolicy) error {
	missing := func(field, why string) error { return domain.Invalid(field, "required", why) }
	var faults []error
	if c.TOTPCode == "" && c.BackupCode == "" {
		faults = append(faults, missing("backup_code", "show a backup code, or the account's name and a code of its app"))
	}
	if policy == domain.RecoveryBoth {
		if c.TOTPCode == "" {
			faults = append(faults, missing("totp_code", "here both a code of the app and a backup code are needed"))
		}
		if c.BackupCode == "" && c.TOTPCode != "" {
			faults = append(faults, missing("backup_code", "here both a code of the app and a backup code are needed"))
		}
	}
	if c.TOTPCode != "" && c.User == (UserRef{}) {
		faults = append(faults, missing("email", "a code of an app goes with the account's e-mail address or user_id"))
	}
	return domain.JoinInvalid(faults...)
}

// parsedCodes are those of a claim; zero where none was shown.
type parsedCodes struct {
	totp   domain.TOTPCode
	backup domain.BackupCode
}

// parse returns domain.ErrInvalidCode for a code of the wrong length or alphabet. That is no guess and is not counted: it is right for
// no account, so the answer depends on nothing but the claim.
func (c Proof) parse() (typed parsedCodes, err error) {
	if c.TOTPCode != "" {
		if typed.totp, err = domain.ParseTOTPCode(c.TOTPCode); err != nil {
			return parsedCodes{}, err
		}
	}
	if c.BackupCode != "" {
		if typed.backup, err = domain.ParseBackupCode(c.BackupCode); err != nil {
			return parsedCodes{}, err
		}
	}
	return typed, nil
}
