package stepup

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FinishInput is the client's response to the options of Begin.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
}

// SteppedUp is a session after a step-up.
type SteppedUp struct {
	Session   *domain.Session
	Token     domain.SessionToken    // the new token of a browser; zero for a session by bearer tokens
	Tokens    *signingkeys.TokenPair // the new tokens of a session by bearer tokens; nil for a browser
	ExpiresIn time.Duration          // of the session
	// Anomaly is an anomaly of the passkey's use that the policy allows.
	Anomaly    domain.Anomaly
	Credential *domain.Credential
}

// Finish verifies the assertion, sets the session's AuthTime and replaces its token, or its pair of tokens: tokens issued
// before the step-up do not gain its assurance. It returns the errors of ceremony.Service.Finish,
// domain.ErrPasskeyUnknown, also for another user's passkey, domain.ErrPasskeySuspended, or a *domain.Rejection.
func (s *Service) Finish(ctx context.Context, principal identity.Principal, in FinishInput) (SteppedUp, error) {
	now := s.Clock.Now()
	var (
		credential *domain.Credential
		assertion  domain.Assertion
		secret     domain.SessionSecret
		stepped    SteppedUp
	)
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeStepUp, By: principal.ChallengeContext(in.Binding),
		Load: func(tx ports.Tx) error {
			id, err := domain.NewCredentialID(in.Credential.ID)
			if err != nil {
				return err
			}
			loaded, err := tx.Credentials.ByID(ctx, id)
			if err != nil {
				return err
			}
			if loaded.UserID() != principal.User.ID() {
				return domain.ErrPasskeyUnknown
			}
			credential = loaded
			return nil
		},
		Verify: func(_ *domain.Challenge, state []byte) (err error) {
			if assertion, err = s.RelyingParty.VerifyAuthentication(state, in.Credential, principal.User, credential); err != nil {
				return err
			}
			secret = principal.Session.NewSecret(s.Issuer.RefreshKeys, s.Random)
			return nil
		},
		Commit: func(tx ports.Tx) (err error) {
			stepped, err = s.commit(ctx, tx, principal, credential.ID(), assertion, secret, now)
			return err
		},
		Failure: func(cause error) *domain.Event {
			e := domain.EventState{Kind: domain.EventStepUpRefused, UserID: principal.User.ID(), SessionID: principal.Session.ID()}
			if credential != nil {
				e.CredentialID, e.PasskeyName = credential.ID(), credential.Name()
			}
			return s.Audit.Failure(principal.Client, now, e, cause)
		},
	}, now)
	if err == nil && stepped.Session.Transport() == domain.TransportBearer {
		// The access token is signed after the commit, which sets AuthTime. If signing fails, the client loses the session.
		stepped.Tokens, err = s.Issuer.IssuePair(ctx, stepped.Session, secret.RefreshToken, now)
	}
	if err != nil {
		return SteppedUp{}, err
	}
	return stepped, nil
}

func (s *Service) commit(ctx context.Context, tx ports.Tx, principal identity.Principal, id domain.CredentialID, assertion domain.Assertion, secret domain.SessionSecret, now time.Time) (SteppedUp, error) {
	principal, err := principal.Reload(ctx, tx, now)
	if err != nil {
		return SteppedUp{}, err
	}
	credential, err := tx.Credentials.ByID(ctx, id)
	if err != nil {
		return SteppedUp{}, err
	}
	anomaly, err := s.PasskeyUsage.Record(ctx, tx, credential, assertion, principal.Client, domain.EventStepUpRefused, true, now)
	if err != nil {
		return SteppedUp{}, err
	}
	session := principal.Session
	session.StepUp(credential, secret, now)
	if err := tx.Sessions.Save(ctx, session); err != nil {
		return SteppedUp{}, err
	}
	stepped := SteppedUp{Session: session, Token: secret.Token, ExpiresIn: session.ExpiresAt().Sub(now), Anomaly: anomaly, Credential: credential}
	return stepped, s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{
		Kind: domain.EventSteppedUp, UserID: principal.User.ID(), SessionID: session.ID(), CredentialID: id, PasskeyName: credential.Name(),
	})
}
