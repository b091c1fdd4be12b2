// Package application is what Keylodge does: one folder a capability, one file a use case, each with one Execute.
package application

import (
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
)

// UseCases is the whole product: what the HTTP API, the jobs and the acceptance stories all receive.
type UseCases struct {
	SignUp       SignUp
	Login        Login
	Sessions     Sessions
	Housekeeping Housekeeping
}

// SignUp makes accounts.
type SignUp struct {
	Begin  *signup.Begin
	Finish *signup.Finish
}

// Login signs people in.
type Login struct {
	Begin  *login.Begin
	Finish *login.Finish
}

// Sessions serves people who are signed in.
type Sessions struct {
	Authenticate *sessions.Authenticate
	SignOut      *sessions.SignOut
}

// Housekeeping runs by itself.
type Housekeeping struct {
	Sweep *housekeeping.Sweep
	Ready *housekeeping.Ready
}
