package ports

import (
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TOTPCodes generates the secrets of authenticator apps and verifies their codes: RFC 6238 with SHA-1, six digits and steps of
// 30 seconds, which every app supports.
type TOTPCodes interface {
	// Generate returns a new secret of 160 bits for an account with the given name.
	Generate(account string) (TOTPKey, error)
	// DecoySecret returns a new secret. The code for an account without an app is verified with it, for equal work.
	DecoySecret() domain.Secret
	// FindStep returns the time step of the code: the current one, the previous or the next. Otherwise it returns
	// domain.ErrInvalidCode. Its duration does not depend on the result.
	FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error)
}

// TOTPKey is a secret in the forms that the setup of an authenticator app needs. It is shown once.
type TOTPKey struct {
	Secret domain.Secret // in Base32, as apps accept it
	URI    domain.Secret // otpauth://totp/…
	QR     []byte        // the URI as a QR code: a PNG image
}
