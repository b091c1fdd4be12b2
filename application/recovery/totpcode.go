package recovery

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// totpResult is the result of verifying a TOTP code; the zero value is a wrong code.
type totpResult struct {
	valid bool
	step  domain.TOTPStep
}

// verifyTOTP verifies the code with the account's secret, or, for equal work, with a decoy if the account has no usable one.
func (s *Service) verifyTOTP(acct account, code domain.TOTPCode, now time.Time) (totpResult, error) {
	if code.IsZero() {
		return totpResult{}, nil
	}
	secret, decoy := s.totpSecret(acct)
	step, err := s.Codes.FindStep(secret, code, now)
	if errors.Is(err, domain.ErrInvalidCode) {
		return totpResult{}, nil
	}
	return totpResult{valid: !decoy, step: step}, err
}

// totpSecret returns a decoy for an account without a confirmed app, and for one whose secret cannot be decrypted: an error would
// reveal that the account exists. The doctor reports such apps.
func (s *Service) totpSecret(acct account) (secret domain.Secret, decoy bool) {
	if acct.totp.Confirmed() {
		if plain, err := s.Sealer.Open(acct.totp.Secret(), additionalData(acct.id)); err == nil {
			return domain.NewSecret(string(plain)), false
		}
	}
	return s.Codes.DecoySecret(), true
}

// consumeTOTP consumes the verified code, unless the app was replaced since. It returns domain.ErrInvalidCode or domain.ErrCodeReused.
func consumeTOTP(ctx context.Context, tx ports.Tx, acct account, totp totpResult, blocked bool) error {
	app, err := tx.TOTPs.Get(ctx, acct.id)
	if err != nil {
		return err
	}
	if !totp.valid || blocked || !bytes.Equal(app.Secret(), acct.totp.Secret()) {
		return domain.ErrInvalidCode
	}
	if err := app.Accept(totp.step); err != nil {
		return err
	}
	return tx.TOTPs.Save(ctx, app)
}
