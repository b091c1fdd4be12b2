// Package sessions authenticates the holders of sessions, and lists, refreshes and revokes sessions. SessionIssuer creates them.
package sessions

import (
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service holds the use cases of sessions. RecordUse and WriteLastSeen share its memory, so a server has one Service.
type Service struct {
	Store    *sessioncache.Store
	Clock    ports.Clock
	Issuer   *signingkeys.Issuer
	Audit    *audit.Log
	Lifetime domain.SessionLifetime

	uses pendingUses
}
