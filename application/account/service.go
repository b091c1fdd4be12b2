// Package account holds the use cases with which users manage their account.
package account

import (
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service holds the use cases of an account.
type Service struct {
	Store             ports.Store
	Clock             ports.Clock
	Audit             *audit.Log
	Notifier          notify.Notifier
	EmailVerification *emailverify.Service
	StepUp            domain.StepUpTTL
	Lockout           domain.LockoutKey
}
