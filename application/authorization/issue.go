package authorization

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Request is what an application asks for, not yet checked.
type Request struct {
	ReturnTo  string
	Challenge string // S256, base64url
	State     string
}

// Issued is the address that returns to the application with a code.
type Issued struct {
	Location  string
	ExpiresAt time.Time // of the code
}

// Issue issues an authorization code in the session of the principal. It returns a *domain.InvalidInput for a request that is not
// valid, domain.ErrStepUpRequired if the authentication is too old for the application, and domain.ErrUnauthenticated if the
// presented token may not issue codes.
func (s *Service) Issue(ctx context.Context, principal identity.Principal, in Request) (Issued, error) {
	request, err := s.parse(in)
	if err != nil {
		return Issued{}, err
	}
	now := s.Clock.Now()
	var issued Issued
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		code, location, err := domain.IssueAuthorizationCode(principal.Session, principal.AuthContext, request, now, s.Random)
		if err != nil {
			return err
		}
		issued = Issued{Location: location, ExpiresAt: code.State().ExpiresAt}
		return tx.AuthorizationCodes.Add(ctx, code)
	})
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

func (s *Service) parse(in Request) (domain.AuthorizationRequest, error) {
	returnTo, badAddress := s.Applications.ParseReturnTo(in.ReturnTo)
	challenge, badChallenge := domain.ParseCodeChallenge(in.Challenge)
	return domain.AuthorizationRequest{ReturnTo: returnTo, Challenge: challenge, State: in.State}, domain.JoinInvalid(badAddress, badChallenge)
}
