package login

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish ends a sign-in: the assertion is verified, the use of the passkey is recorded, and a session opens.
type Finish struct {
	Store         ports.Store
	RelyingParty  ports.RelyingParty
	Clock         ports.Clock
	Challenges    *ceremony.Challenges
	SessionIssuer *sessions.SessionIssuer
	Audit         *audit.Log
	PasskeyUsage  *ceremony.PasskeyUsage
	Decoys        domain.Decoys
	Lockout       domain.LockoutKey
	Limit         domain.SessionLimit
}

// FinishInput is what the client made of the options.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
	Client      identity.Client
}

// Execute returns the new session. It fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyUnknown, domain.ErrPasskeySuspended, domain.ErrUserDisabled, or a *domain.Rejection; the challenge is
// spent all the same, and the owner of the passkey finds the attempt in their log.
func (f *Finish) Execute(ctx context.Context, answer FinishInput) (sessions.SignIn, error) {
	now := f.Clock.Now()
	decoy := f.Decoys.Contains(domain.CredentialID(answer.Credential.ID)) // computed for every id, for the time it takes
	known, err := f.lookUp(ctx, answer, now)
	if errors.Is(err, domain.ErrPasskeyUnknown) {
		return sessions.SignIn{}, f.rejectUnknown(ctx, answer, known, decoy, now)
	}
	if err != nil {
		return sessions.SignIn{}, f.Challenges.Fail(ctx, answer.ChallengeID, nil, err)
	}
	grant, err := f.signIn(ctx, answer, known, now)
	if err != nil {
		event, eventErr := f.Audit.Failure(answer.Client, now, domain.EventState{
			Kind: domain.EventSignInRefused, UserID: known.owner.ID(), CredentialID: known.credential.ID(), PasskeyName: known.credential.Name(),
		}, err)
		return sessions.SignIn{}, f.Challenges.Fail(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return grant, nil
}

// rejectUnknown refuses a passkey that is not stored. A decoy, and any passkey where some were asked for, is refused like a stored
// one whose key did not sign, and the same rows are written, so that answers do not disclose which ids are decoys.
func (f *Finish) rejectUnknown(ctx context.Context, answer FinishInput, known knownPasskey, decoy bool, now time.Time) error {
	err := f.RelyingParty.RejectUnknown(known.state, answer.Credential, decoy)
	event, eventErr := f.Audit.FailureAnonymous(answer.Client, now, domain.EventState{Kind: domain.EventSignInRefused}, err,
		f.Lockout.UnknownName(string(answer.Credential.ID)))
	return f.Challenges.Fail(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
}

func (f *Finish) signIn(ctx context.Context, answer FinishInput, known knownPasskey, now time.Time) (sessions.SignIn, error) {
	assertion, err := f.RelyingParty.VerifyAuthentication(known.state, answer.Credential, known.owner, known.credential)
	if err != nil {
		return sessions.SignIn{}, err
	}
	grant, err := f.SessionIssuer.New(ctx, known.owner, known.credential, answer.Client, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	grant.NearLimit = f.Limit.Near(known.sessionCount)
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		// Read again: the account may have been shut or deleted since.
		if grant.User, err = tx.Users.ByID(ctx, known.owner.ID()); errors.Is(err, domain.ErrUserNotFound) {
			return domain.ErrPasskeyUnknown // the account went, and its passkeys with it
		} else if err != nil {
			return err
		}
		if err := grant.User.RequireEnabled(); err != nil {
			return err
		}
		use, err := f.PasskeyUsage.Record(ctx, tx, known.credential.ID(), assertion, answer.Client, domain.EventSignInRefused, now)
		if err != nil {
			return err
		}
		if use.Rejection != nil {
			return ports.CommitWith(use.Rejection)
		}
		grant.Credential, grant.Anomaly = use.Credential, use.Anomaly
		// Whoever guesses at recovery codes locks that way and never this one; this one opens that again.
		if err := tx.Lockouts.Clear(ctx, f.Lockout.Account(grant.User.ID())); err != nil {
			return err
		}
		return f.SessionIssuer.Store(ctx, tx, &grant, answer.Client, domain.EventSignedIn, now)
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	return grant, nil
}

type knownPasskey struct {
	state        []byte
	credential   *domain.Credential
	owner        *domain.User
	sessionCount int // of the owner, up to a sample
}

func (f *Finish) lookUp(ctx context.Context, answer FinishInput, now time.Time) (known knownPasskey, err error) {
	err = f.Store.View(ctx, func(tx ports.Tx) error {
		_, state, err := f.Challenges.Peek(ctx, tx, answer.ChallengeID, domain.PurposeLogin, domain.ChallengeContext{Browser: answer.Binding}, now)
		if err != nil {
			return err
		}
		known.state = state
		id, err := domain.NewCredentialID(answer.Credential.ID)
		if err != nil {
			return err
		}
		if known.credential, err = tx.Credentials.ByID(ctx, id); errors.Is(err, domain.ErrPasskeyUnknown) {
			_, nobody := tx.Users.ByID(ctx, domain.UserID{}) // for the time it takes
			if nobody != nil && !errors.Is(nobody, domain.ErrUserNotFound) {
				return nobody
			}
			if _, listErr := tx.Sessions.ListActive(ctx, domain.UserID{}, now, domain.SessionID{}, f.Limit.Sample()); listErr != nil { // likewise
				return listErr
			}
			return err
		} else if err != nil {
			return err
		}
		if known.owner, err = tx.Users.ByID(ctx, known.credential.UserID()); err != nil {
			return err
		}
		active, err := tx.Sessions.ListActive(ctx, known.owner.ID(), now, domain.SessionID{}, f.Limit.Sample())
		known.sessionCount = len(active)
		return err
	})
	return known, err
}
