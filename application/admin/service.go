// Package admin holds the use cases of the operator, on the server itself or with an API key.
package admin

import (
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/application/signingkeys"
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
	// Registration says whether invites are accepted.
	Registration domain.RegistrationPolicy
	// InviteURL returns the address of the page where a person signs up with an invite.
	InviteURL InviteURL

	SigningKeys *signingkeys.Service

	operator domain.Operator `wire:"-"`
	client   identity.Client `wire:"-"` // of the operator's program
}

// As returns the use cases for an operator, whose program is the client. The operator of a Service is the command line on the server
// itself, which may do everything. Each use case returns domain.ErrInsufficientScope if the operator lacks the scope for it, which its
// comment names.
func (s *Service) As(operator domain.Operator, client identity.Client) *Service {
	as := *s
	as.operator, as.client = operator, identity.Client{APIKey: operator.APIKeyID(), RequestID: client.RequestID}
	return &as
}

// InviteURL builds the link of an invite. The link contains the token.
type InviteURL func(domain.InviteToken) domain.Secret

// RecoveryURL builds the link of a recovery grant. The link contains the token.
type RecoveryURL func(domain.RecoveryGrantToken) domain.Secret
