// Package forwardauth answers reverse proxies that ask about each request to an application, and signs users in to such applications.
package forwardauth

import (
	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service decides about requests to applications with forward auth.
type Service struct {
	Clock         ports.Clock
	Keys          domain.KeyRing[domain.ForwardAuthToken]
	Sessions      *sessions.Service
	Authorization *authorization.Service
}
