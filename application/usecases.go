// Package application holds the use cases: one folder a capability, with one Service that has a method and a file a use case.
package application

import (
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/forwardauth"
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

// UseCases holds the Service of each capability, for the HTTP API, the command line, the jobs and the acceptance tests.
type UseCases struct {
	SignUp        *signup.Service
	Login         *login.Service
	StepUp        *stepup.Service
	Challenges    *ceremony.Service
	Sessions      *sessions.Service
	Authorization *authorization.Service
	ForwardAuth   *forwardauth.Service
	Passkeys      *passkeys.Service
	Account       *account.Service
	Recovery      *recovery.Service
	SigningKeys   *signingkeys.Service
	Admin         *admin.Service
	APIKeys       *apikeys.Service
	Transfer      *transfer.Service
	RateLimit     *ratelimit.Service
	Maintenance   *maintenance.Service
	Outbox        *outbox.Service
}
