// Package recovery lets a user who has lost all passkeys register a new one: a TOTP code or a backup code is redeemed for a recovery
// grant, and the grant authorises the registration of one passkey, and nothing else.
package recovery

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service holds the use cases of account recovery. They return domain.ErrRecoveryOff if the policy disables recovery, except Begin
// and Finish, which check the factors of the grant instead.
type Service struct {
	Policy        domain.RecoveryPolicy
	Store         ports.Store
	RelyingParty  ports.RelyingParty
	Codes         ports.TOTPCodes
	Sealer        ports.Sealer
	Clock         ports.Clock
	Random        io.Reader
	Challenges    *ceremony.Service
	SessionIssuer *sessions.SessionIssuer
	Audit         *audit.Log
	StepUp        domain.StepUpTTL
	Peppers       domain.KeyRing[domain.BackupCode]
	Keys          domain.KeyRing[domain.RecoveryGrantToken]
	Lockout       domain.LockoutKey
	Decoys        domain.Decoys
}

// additionalData binds an encrypted TOTP secret to its owner.
func additionalData(owner domain.UserID) string { return "totp " + owner.String() }

// Decryptable reports whether sealer decrypts the secret of a confirmed authenticator app; true if none is confirmed.
func Decryptable(app *domain.TOTP, sealer ports.Sealer) bool {
	if !app.Confirmed() {
		return true
	}
	_, err := sealer.Open(app.Secret(), additionalData(app.UserID()))
	return err == nil
}
