// Package login signs users in with a passkey: a discoverable one, or one of the account that they name.
package login

import (
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service signs users in.
type Service struct {
	Store         ports.Store
	RelyingParty  ports.RelyingParty
	Clock         ports.Clock
	Challenges    *ceremony.Service
	SessionIssuer *sessions.SessionIssuer
	Audit         *audit.Log
	PasskeyUsage  *ceremony.PasskeyUsage
	Decoys        domain.Decoys
	Lockout       domain.LockoutKey
	Limit         domain.SessionLimit
	Recovery      domain.RecoveryPolicy
}
