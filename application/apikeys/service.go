// Package apikeys holds the use cases about API keys, which the programs of the operator present to the admin API.
package apikeys

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service creates, lists, revokes and checks API keys.
type Service struct {
	Store  ports.Store
	Clock  ports.Clock
	Random io.Reader
	Audit  *audit.Log
}

// Key is an API key with its status at the time of the call.
type Key struct {
	*domain.APIKey
	Status domain.APIKeyStatus
}
