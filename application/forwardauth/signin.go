package forwardauth

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// Begin returns what the page of this server needs to sign a user in and to return to address by way of the application's callback.
// Browser is a secret that only the user's browser has.
func (s *Service) Begin(address domain.ReturnAddress, browser domain.Secret) (callback domain.ReturnAddress, challenge domain.CodeChallenge) {
	callback = address.ForwardAuthCallback()
	return callback, domain.ForwardAuthVerifier(browser, callback, s.Keys).Challenge()
}

// SignIn is the result of a sign-in: what the browser presents to the application from now on.
type SignIn struct {
	Principal identity.Principal
	Token     domain.Secret
	ExpiresIn time.Duration // of the token
}

// Finish redeems the code that returned to the callback of the application at address. It returns the errors of
// authorization.Service.RedeemForwardAuth: for a browser other than that of Begin, and for an address other than that of Begin, it
// returns domain.ErrAuthorizationCodeInvalid.
func (s *Service) Finish(ctx context.Context, address domain.ReturnAddress, code string, browser domain.Secret, client identity.Client) (SignIn, error) {
	callback := address.ForwardAuthCallback()
	principal, err := s.Authorization.RedeemForwardAuth(ctx, authorization.Redemption{
		Code: code, Verifier: domain.ForwardAuthVerifier(browser, callback, s.Keys).Reveal(), ReturnTo: callback.String(), Client: client,
	})
	if err != nil {
		return SignIn{}, err
	}
	now := s.Clock.Now()
	token := principal.Session.ForwardAuthToken(address.Application(), now)
	return SignIn{principal, token.Sign(s.Keys), token.ExpiresAt.Sub(now)}, nil
}
