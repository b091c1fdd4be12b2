package ports

import (
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TOTPCodes makes and judges the codes of authenticator apps: RFC 6238 with SHA-1, six digits and half minutes, which is
// what all apps know.
type TOTPCodes interface {
	// Generate draws a secret of 160 bits for an account of that name.
	Generate(account string) (TOTPKey, error)
	// DecoySecret returns a new secret of no account. A code for an account without an app is verified with it.
	DecoySecret() domain.Secret
	// FindStep returns the half minute whose code this is: the present one, the one before or the one after; else
	// domain.ErrInvalidCode. It takes the same time whichever of them it is.
	FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error)
}

// TOTPKey is what a person needs to set up their app. It is shown once.
type TOTPKey struct {
	Secret domain.Secret // in Base32, as apps take it
	URI    domain.Secret // otpauth://totp/…
	QR     []byte        // the URI as a QR code: a PNG image
}
