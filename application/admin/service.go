// Package admin holds the use cases of the operator, who works on the server itself.
package admin

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service holds the use cases of the operator.
type Service struct {
	Store    ports.Store
	Clock    ports.Clock
	Random   io.Reader
	Audit    *audit.Log
	Notifier notify.Notifier
	Keys     domain.KeyRing[domain.RecoveryGrantToken]
	Lockout  domain.LockoutKey
	// RecoveryURL returns the address of the page that redeems a recovery grant.
	RecoveryURL RecoveryURL
}

// RecoveryURL builds the link of a recovery grant. The link contains the token.
type RecoveryURL func(domain.RecoveryGrantToken) domain.Secret
