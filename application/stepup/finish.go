package stepup

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/tokens"
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
	Issuer       *tokens.Issuer
	Desk         *ceremony.Desk
	Log          *access.SecurityLog
	Examiner     *access.Examiner
	Lockout      domain.LockoutKey
}

// Answer is what the client made of the options.
type Answer struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
}

// Stepped is a session after a step-up.
type Stepped struct {
	Session   *domain.Session
	Token     domain.SessionToken // of a browser, in the place of the one before; zero for a program
	Tokens    *tokens.Pair        // of a program, likewise; nil for a browser
	ExpiresIn time.Duration       // until the session's last moment
	// Finding is what was odd about the use of the passkey and allowed by policy.
	Finding    domain.Finding
	Credential *domain.Credential
}

// Execute returns the session with its new AuthTime. It fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyUnknown also for somebody else's passkey, domain.ErrPasskeySuspended, or a *domain.Rejection; the
// challenge is spent all the same.
func (f *Finish) Execute(ctx context.Context, actor access.Actor, answer Answer) (Stepped, error) {
	now := f.Clock.Now()
	attempt := domain.EventSnapshot{Kind: domain.EventStepUpRefused, UserID: actor.User.ID(), SessionID: actor.Session.ID()}
	known, err := f.lookUp(ctx, actor, answer, now)
	if err != nil {
		return Stepped{}, f.refuse(ctx, actor, answer, attempt, err, now)
	}
	stepped, err := f.stepUp(ctx, actor, answer, known, now)
	if err != nil {
		attempt.CredentialID, attempt.PasskeyName = known.credential.ID(), known.credential.Name()
		return Stepped{}, f.refuse(ctx, actor, answer, attempt, err, now)
	}
	return stepped, nil
}

func (f *Finish) refuse(ctx context.Context, actor access.Actor, answer Answer, attempt domain.EventSnapshot, cause error, now time.Time) error {
	event, err := f.Log.Refused(actor.Visitor, now, attempt, cause)
	return f.Desk.Refuse(ctx, answer.ChallengeID, event, errors.Join(cause, err))
}

func (f *Finish) stepUp(ctx context.Context, actor access.Actor, answer Answer, known knownPasskey, now time.Time) (Stepped, error) {
	assertion, err := f.RelyingParty.VerifyAuthentication(known.ceremony, answer.Credential, actor.User, known.credential)
	if err != nil {
		return Stepped{}, err
	}
	carrier, err := actor.Session.NewCarrier(f.Issuer.RefreshKeys, f.Random)
	if err != nil {
		return Stepped{}, err
	}
	var stepped Stepped
	var refusal error
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		actor, err := actor.Confirm(ctx, tx, now)
		if err != nil {
			return err
		}
		use, err := f.Examiner.Record(ctx, tx, known.credential.ID(), assertion, actor.Visitor, domain.EventStepUpRefused, now)
		if err != nil {
			return err
		}
		if refusal = use.Refusal; refusal != nil {
			return nil // commit the mark that it left; it is an error afterwards
		}
		actor.Session.StepUp(use.Credential, carrier, now)
		stepped = Stepped{
			Session: actor.Session, Token: carrier.Token, ExpiresIn: actor.Session.ExpiresAt().Sub(now),
			Finding: use.Finding, Credential: use.Credential,
		}
		if err := tx.Sessions.Save(ctx, actor.Session); err != nil {
			return err
		}
		// As good as signing in: it opens the way of recovery codes again.
		if err := tx.Lockouts.Clear(ctx, f.Lockout.Account(actor.User.ID())); err != nil {
			return err
		}
		return f.Log.Enter(ctx, tx, actor.Visitor, now, domain.EventSnapshot{
			Kind: domain.EventSteppedUp, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
			CredentialID: use.Credential.ID(), PasskeyName: use.Credential.Name(),
		})
	})
	if err == nil {
		err = refusal
	}
	if err == nil && actor.Session.Transport() == domain.TransportBearer {
		// After the commit, since AuthTime is known then. Should it fail, the session is lost, as with any lost answer.
		stepped.Tokens, err = f.Issuer.Pair(ctx, stepped.Session, carrier.Refresh, now)
	}
	if err != nil {
		return Stepped{}, err
	}
	return stepped, nil
}

type knownPasskey struct {
	ceremony   []byte
	credential *domain.Credential
}

func (f *Finish) lookUp(ctx context.Context, actor access.Actor, answer Answer, now time.Time) (known knownPasskey, err error) {
	err = f.Store.View(ctx, func(tx ports.Tx) error {
		_, state, err := f.Desk.Look(ctx, tx, answer.ChallengeID, domain.PurposeStepUp, actor.Respondent(answer.Binding), now)
		if err != nil {
			return err
		}
		known.ceremony = state
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
