package login

import (
	"context"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
)

// Plan is the ways of a sign-in, the best first, and the ceremony that all ways with a passkey share.
type Plan struct {
	Ways     []domain.SignInWay
	Ceremony ceremony.Begun
}

// Plan returns the ways that the browser should offer and, as Begin does, the options of the first one.
func (s *Service) Plan(ctx context.Context, capabilities domain.ClientCapabilities, email domain.Email, browser domain.Binding) (Plan, error) {
	begun, err := s.Begin(ctx, email, browser)
	return Plan{domain.PlanSignIn(capabilities, email != "", s.Recovery), begun}, err
}
