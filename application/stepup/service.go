// Package stepup confirms with a passkey that the user of a session is present, before a sensitive operation.
package stepup

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/ports"
)

// Service confirms the user of a session.
type Service struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Random       io.Reader
	Issuer       *signingkeys.Issuer
	Challenges   *ceremony.Service
	Audit        *audit.Log
	PasskeyUsage *ceremony.PasskeyUsage
}
