// Package application holds the use cases: one folder per capability, one file per use case. A capability is a Service with a
// method per use case; a use case that is not part of one yet is a struct with the method Execute.
package application

import (
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/application/transfer"
)

// UseCases are all use cases, as the HTTP API, the command line, the jobs and the acceptance tests receive them.
type UseCases struct {
	SignUp      *signup.Service
	Login       *login.Service
	StepUp      *stepup.Service
	Challenges  *ceremony.Service
	Sessions    *sessions.Service
	Passkeys    *passkeys.Service
	Account     *account.Service
	Recovery    *recovery.Service
	SigningKeys SigningKeys
	Admin       *admin.Service
	Transfer    *transfer.Service
	RateLimit   *ratelimit.Service
	Maintenance Maintenance
	Outbox      *outbox.Service
}

// SigningKeys are the use cases of the keys that sign access tokens.
type SigningKeys struct {
	Publish *signingkeys.Publish
	List    *signingkeys.List
	Rotate  *signingkeys.Rotate
}

// Maintenance are the use cases that jobs and the start of the server execute.
type Maintenance struct {
	AcquireLease       *maintenance.AcquireLease
	DeleteExpired      *maintenance.DeleteExpired
	Ready              *maintenance.Ready
	CheckRPID          *maintenance.CheckRPID
	RefreshSigningKeys *signingkeys.Refresh
}
