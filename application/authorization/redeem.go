package authorization

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Redemption is what an application presents.
type Redemption struct {
	Code     string
	Verifier string
	ReturnTo string
	Client   identity.Client
}

// Redeem exchanges an authorization code for a session by bearer tokens, which continues the session that issued the code. It returns
// domain.ErrAuthorizationCodeInvalid whatever is wrong with the redemption, and domain.ErrUserDisabled. A rejected redemption redeems
// the code too. A second redemption revokes the session from the first, records the reason as an event of the user, and returns
// domain.ErrAuthorizationCodeReused.
func (s *Service) Redeem(ctx context.Context, in Redemption) (sessions.SignIn, error) {
	secret, err := domain.ParseAuthorizationCode(in.Code)
	if err != nil {
		return sessions.SignIn{}, err
	}
	address, _ := s.Applications.ParseReturnTo(in.ReturnTo) // an invalid one is zero, which matches no code
	in.ReturnTo = address.String()
	in.Client.Application = address.Application().Name
	now := s.Clock.Now()
	var issuer issuingSession
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		_, issuer, err = s.load(ctx, tx, secret)
		return err
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	signIn, err := s.SessionIssuer.NewContinued(ctx, issuer.session, issuer.user, in.Client, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	signIn.NearLimit = true // the sessions are not counted before
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		code, _, err := s.redeem(ctx, tx, secret, in, now)
		if err != nil {
			return err
		}
		code.Opened(signIn.Session)
		if err := tx.AuthorizationCodes.Redeem(ctx, code); err != nil {
			return err
		}
		return s.SessionIssuer.Store(ctx, tx, &signIn, in.Client, domain.EventApplicationSignedIn, now)
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	return signIn, nil
}

// RedeemForwardAuth exchanges an authorization code for the session that issued it, to be presented to an application behind a reverse
// proxy. It returns the errors of Redeem.
func (s *Service) RedeemForwardAuth(ctx context.Context, in Redemption) (identity.Principal, error) {
	secret, err := domain.ParseAuthorizationCode(in.Code)
	if err != nil {
		return identity.Principal{}, err
	}
	now := s.Clock.Now()
	var issuer issuingSession
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		var code *domain.AuthorizationCode
		if code, issuer, err = s.redeem(ctx, tx, secret, in, now); err != nil {
			return err
		}
		return tx.AuthorizationCodes.Redeem(ctx, code)
	})
	if err != nil {
		return identity.Principal{}, err
	}
	return identity.Principal{User: issuer.user, Session: issuer.session, Client: in.Client}, nil
}

// redeem checks a redemption and returns the redeemed code, which the caller stores, with the session that issued it. After a rejected
// redemption the transaction must commit: it has stored that the code is redeemed, and revoked the session from the first redemption.
func (s *Service) redeem(ctx context.Context, tx ports.Tx, secret domain.AuthorizationCodeSecret, in Redemption, now time.Time) (*domain.AuthorizationCode, issuingSession, error) {
	verifier, _ := domain.ParseCodeVerifier(in.Verifier) // a malformed one is zero, which matches no code
	code, issuer, err := s.load(ctx, tx, secret)
	if err != nil {
		return nil, issuer, err
	}
	switch err := code.Redeem(in.ReturnTo, verifier, issuer.session, now); {
	case errors.Is(err, domain.ErrAuthorizationCodeReused):
		if err := s.revokeIssued(ctx, tx, code, in.Client, now); err != nil {
			return nil, issuer, err
		}
		if code.IssuedSession().IsZero() {
			err = domain.ErrAuthorizationCodeInvalid // the first redemption failed or was for forward auth
		}
		return nil, issuer, ports.CommitWith(err)
	case err != nil:
		if err := tx.AuthorizationCodes.Redeem(ctx, code); err != nil {
			return nil, issuer, err
		}
		return nil, issuer, ports.CommitWith(err)
	}
	return code, issuer, nil
}

// issuingSession is the session that issued a code, with its user.
type issuingSession struct {
	session *domain.Session
	user    *domain.User
}

func (s *Service) load(ctx context.Context, tx ports.Tx, secret domain.AuthorizationCodeSecret) (code *domain.AuthorizationCode, issuer issuingSession, err error) {
	if code, err = tx.AuthorizationCodes.ByDigest(ctx, secret.Digest()); err != nil {
		return nil, issuer, err
	}
	if issuer.session, issuer.user, err = tx.Sessions.ByIDWithUser(ctx, code.SessionID()); err != nil {
		return nil, issuer, err
	}
	return code, issuer, issuer.user.RequireEnabled()
}

// revokeIssued revokes the session that the first redemption of a code opened, unless it has ended.
func (s *Service) revokeIssued(ctx context.Context, tx ports.Tx, code *domain.AuthorizationCode, client identity.Client, now time.Time) error {
	if code.IssuedSession().IsZero() {
		return nil
	}
	session, err := tx.Sessions.ByID(ctx, code.IssuedSession())
	if errors.Is(err, domain.ErrSessionNotFound) {
		return nil
	}
	if err != nil || !session.Active(now) {
		return err
	}
	return sessions.RevokeSession(ctx, tx, s.Audit, session, client, domain.EventState{Kind: domain.EventAuthorizationCodeReused}, now)
}
