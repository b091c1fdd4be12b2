package stepup

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish ends a step-up: the session that it was begun in is as fresh as after a sign-in. It stays the same session, carried by
// another cookie, or another pair of tokens, from then on; what was issued before is not fresh.
type Finish struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Random       io.Reader
	Issuer       *signingkeys.Issuer
	Challenges   *ceremony.Challenges
	Audit        *audit.Log
	PasskeyUsage *ceremony.PasskeyUsage
	Lockout      domain.LockoutKey
}

// FinishInput is what the client made of the options.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
}

// SteppedUp is a session after a step-up.
type SteppedUp struct {
	Session   *domain.Session
	Token     domain.SessionToken    // of a browser, in the place of the one before; zero for a program
	Tokens    *signingkeys.TokenPair // of a program, likewise; nil for a browser
	ExpiresIn time.Duration          // until the session's last moment
	// Anomaly is what was odd about the use of the passkey and allowed by policy.
	Anomaly    domain.Anomaly
	Credential *domain.Credential
}

// Execute returns the session with its new AuthTime. It fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyUnknown also for somebody else's passkey, domain.ErrPasskeySuspended, or a *domain.Rejection; the
// challenge is spent all the same.
func (f *Finish) Execute(ctx context.Context, actor identity.Principal, answer FinishInput) (SteppedUp, error) {
	now := f.Clock.Now()
	attempt := domain.EventState{Kind: domain.EventStepUpRefused, UserID: actor.User.ID(), SessionID: actor.Session.ID()}
	known, err := f.lookUp(ctx, actor, answer, now)
	if err != nil {
		return SteppedUp{}, f.fail(ctx, actor, answer, attempt, err, now)
	}
	stepped, err := f.stepUp(ctx, actor, answer, known, now)
	if err != nil {
		attempt.CredentialID, attempt.PasskeyName = known.credential.ID(), known.credential.Name()
		return SteppedUp{}, f.fail(ctx, actor, answer, attempt, err, now)
	}
	return stepped, nil
}

func (f *Finish) fail(ctx context.Context, actor identity.Principal, answer FinishInput, attempt domain.EventState, cause error, now time.Time) error {
	event, err := f.Audit.Failure(actor.Client, now, attempt, cause)
	return f.Challenges.Fail(ctx, answer.ChallengeID, event, errors.Join(cause, err))
}

func (f *Finish) stepUp(ctx context.Context, actor identity.Principal, answer FinishInput, known knownPasskey, now time.Time) (SteppedUp, error) {
	assertion, err := f.RelyingParty.VerifyAuthentication(known.state, answer.Credential, actor.User, known.credential)
	if err != nil {
		return SteppedUp{}, err
	}
	carrier, err := actor.Session.NewSecret(f.Issuer.RefreshKeys, f.Random)
	if err != nil {
		return SteppedUp{}, err
	}
	var stepped SteppedUp
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		use, err := f.PasskeyUsage.Record(ctx, tx, known.credential.ID(), assertion, actor.Client, domain.EventStepUpRefused, now)
		if err != nil {
			return err
		}
		if use.Rejection != nil {
			return ports.CommitWith(use.Rejection)
		}
		actor.Session.StepUp(use.Credential, carrier, now)
		stepped = SteppedUp{
			Session: actor.Session, Token: carrier.Token, ExpiresIn: actor.Session.ExpiresAt().Sub(now),
			Anomaly: use.Anomaly, Credential: use.Credential,
		}
		if err := tx.Sessions.Save(ctx, actor.Session); err != nil {
			return err
		}
		// As good as signing in: it opens the way of recovery codes again.
		if err := tx.Lockouts.Clear(ctx, f.Lockout.Account(actor.User.ID())); err != nil {
			return err
		}
		return f.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{
			Kind: domain.EventSteppedUp, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
			CredentialID: use.Credential.ID(), PasskeyName: use.Credential.Name(),
		})
	})
	if err == nil && actor.Session.Transport() == domain.TransportBearer {
		// After the commit, since AuthTime is known then. Should it fail, the session is lost, as with any lost answer.
		stepped.Tokens, err = f.Issuer.IssuePair(ctx, stepped.Session, carrier.RefreshToken, now)
	}
	if err != nil {
		return SteppedUp{}, err
	}
	return stepped, nil
}

type knownPasskey struct {
	state      []byte
	credential *domain.Credential
}

func (f *Finish) lookUp(ctx context.Context, actor identity.Principal, answer FinishInput, now time.Time) (known knownPasskey, err error) {
	err = f.Store.View(ctx, func(tx ports.Tx) error {
		_, state, err := f.Challenges.Peek(ctx, tx, answer.ChallengeID, domain.PurposeStepUp, actor.ChallengeContext(answer.Binding), now)
		if err != nil {
			return err
		}
		known.state = state
		id, err := domain.NewCredentialID(answer.Credential.ID)
		if err != nil {
			return err
		}
		if known.credential, err = tx.Credentials.ByID(ctx, id); err != nil {
			return err
		}
		if known.credential.UserID() != actor.User.ID() {
			return domain.ErrPasskeyUnknown
		}
		return nil
	})
	return known, err
}
