// Package application is what Keylodge does: one folder a capability, one file a use case, each with one Execute.
package application

import (
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/application/transfer"
)

// UseCases is the whole product: what the HTTP API, the commands, the jobs and the acceptance stories all receive.
type UseCases struct {
	SignUp      *signup.Service
	Login       *login.Service
	StepUp      *stepup.Service
	Challenges  *ceremony.Service
	Sessions    Sessions
	Passkeys    *passkeys.Service
	Account     Account
	Recovery    Recovery
	SigningKeys SigningKeys
	Admin       *admin.Service
	Transfer    *transfer.Service
	Maintenance Maintenance
	Outbox      *outbox.Service
}

// Sessions serves people and programs that are signed in.
type Sessions struct {
	Authenticate     *sessions.Authenticate
	Refresh          *sessions.Refresh
	IssueAccessToken *sessions.IssueAccessToken
	SignOut          *sessions.SignOut
	List             *sessions.List
	Revoke           *sessions.Revoke
	RevokeOthers     *sessions.RevokeOthers
}

// Account lets people look after their account.
type Account struct {
	Change       *account.Change
	SendCode     *account.SendCode
	ConfirmEmail *account.ConfirmEmail
	Delete       *account.Delete
	Events       *account.Events
}

// Recovery lets people back in who have lost their passkeys, and look after what they would do it with.
type Recovery struct {
	*recovery.Service
	Finish *recovery.Finish
}

// SigningKeys are those of access tokens.
type SigningKeys struct {
	Publish *signingkeys.Publish
	List    *signingkeys.List
	Rotate  *signingkeys.Rotate
}

// Maintenance runs by itself.
type Maintenance struct {
	AcquireLease       *maintenance.AcquireLease
	DeleteExpired      *maintenance.DeleteExpired
	Ready              *maintenance.Ready
	CheckRPID          *maintenance.CheckRPID
	LastSeen           *sessions.LastSeen
	RefreshSigningKeys *signingkeys.Refresh
}
