package recovery

import (
	"github.com/keylodge/keylodge/domain"
)

// Proof has the codes that a client redeems: a TOTP code with the name of the account, a backup code, or both.
type Proof struct {
	User       domain.UserRef
	TOTPCode   string // "" for none
	BackupCode string // "" for none
	Fields     ProofFields
}

// ProofFields are the names that validation errors use for the members of a Proof.
type ProofFields struct{ User, TOTPCode, BackupCode string }

// namesUser reports whether the proof is for a named account. A name with a backup code alone is ignored: the code identifies its
// owner.
func (p Proof) namesUser() bool { return p.TOTPCode != "" }

// validate returns an *InvalidInput for a proof that the policy cannot accept.
func (p Proof) validate(policy domain.RecoveryPolicy) error {
	var missing []error
	require := func(field, message string) { missing = append(missing, domain.Invalid(field, "required", message)) }
	if p.TOTPCode == "" && p.BackupCode == "" {
		require(p.Fields.BackupCode, "enter a backup code, or the account's e-mail address or id and a TOTP code")
	}
	if policy == domain.RecoveryBoth {
		const both = "this server needs both a TOTP code and a backup code"
		if p.TOTPCode == "" {
			require(p.Fields.TOTPCode, both)
		}
		if p.BackupCode == "" && p.TOTPCode != "" {
			require(p.Fields.BackupCode, both)
		}
	}
	if p.TOTPCode != "" && p.User == (domain.UserRef{}) {
		require(p.Fields.User, "a TOTP code needs the account's e-mail address or id")
	}
	return domain.JoinInvalid(missing...)
}

// parsedCodes are the codes of a proof; zero for none.
type parsedCodes struct {
	totp   domain.TOTPCode
	backup domain.BackupCode
}

// parse returns domain.ErrInvalidCode for a code of the wrong length or alphabet. Such a code is not counted as a failure: no account
// accepts it, so the response depends on the request alone.
func (p Proof) parse() (codes parsedCodes, err error) {
	if p.TOTPCode != "" {
		if codes.totp, err = domain.ParseTOTPCode(p.TOTPCode); err != nil {
			return parsedCodes{}, err
		}
	}
	if p.BackupCode != "" {
		if codes.backup, err = domain.ParseBackupCode(p.BackupCode); err != nil {
			return parsedCodes{}, err
		}
	}
	return codes, nil
}
