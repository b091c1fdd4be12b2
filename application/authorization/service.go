// Package authorization returns signed-in users to applications with an authorization code, and opens the session of an application
// that redeems the code.
package authorization

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service issues and redeems authorization codes.
type Service struct {
	Store         ports.Store
	Clock         ports.Clock
	Random        io.Reader
	Applications  domain.Applications
	SessionIssuer *sessions.SessionIssuer
	Audit         *audit.Log
}
