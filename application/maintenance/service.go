// Package maintenance holds the use cases that the server executes at its start, periodically, and for health checks.
package maintenance

import "github.com/keylodge/keylodge/ports"

// Service holds the use cases of maintenance.
type Service struct {
	Store ports.Store
	Clock ports.Clock
	Pause ports.Pause // nil: no pauses
	RPIDs RPIDs
}
