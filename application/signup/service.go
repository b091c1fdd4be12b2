// Package signup creates accounts. A passkey is required; a display name and an e-mail address are optional.
package signup

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service signs users up.
type Service struct {
	Policy            domain.RegistrationPolicy
	Store             ports.Store
	RelyingParty      ports.RelyingParty
	Clock             ports.Clock
	Random            io.Reader
	Challenges        *ceremony.Service
	SessionIssuer     *sessions.SessionIssuer
	EmailVerification *emailverify.Service
	Decoys            domain.Decoys
	Audit             *audit.Log
}
