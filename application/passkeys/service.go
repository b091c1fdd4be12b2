// Package passkeys lets users list, add, rename and remove their own passkeys.
package passkeys

import (
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service lists and changes the passkeys of a signed-in user.
type Service struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Challenges   *ceremony.Service
	Audit        *audit.Log
	StepUp       domain.StepUpTTL
	Limit        domain.PasskeyLimit
	Decoys       domain.Decoys
}
