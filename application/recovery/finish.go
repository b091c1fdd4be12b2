package recovery

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

// Finish enrols the passkey that a grant bought.
type Finish struct {
	Policy        domain.RecoveryPolicy
	Store         ports.Store
	RelyingParty  ports.RelyingParty
	Clock         ports.Clock
	Challenges    *ceremony.Challenges
	SessionIssuer *sessions.SessionIssuer
	Audit         *audit.Log
	Decoys        domain.Decoys
}

// FinishInput is what the client made of the options.
type FinishInput struct {
	Token       domain.RecoveryGrantToken
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Client      identity.Client
}

// Execute lets the passkey join, spends the grant and the backup code that paid for it, ends every earlier session and
// opens a new one, all in one unit of work. The passkey joins whatever the limit says: its owner has no other to come back
// with, and reviews them afterwards. It fails with domain.ErrRecoveryGrantInvalid, domain.ErrInvalidCode if the backup code was spent
// meanwhile, domain.ErrChallengeNotFound, domain.ErrChallengeExpired, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrUserDisabled, or a *domain.Rejection; the challenge is spent all the same, and the grant is not.
func (f *Finish) Execute(ctx context.Context, answer FinishInput) (sessions.SignIn, error) {
	now := f.Clock.Now()
	respondent := domain.ChallengeContext{Browser: answer.Binding, RecoveryGrant: answer.Token.Digest()}
	var owner *domain.User
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		if _, state, err = f.Challenges.Peek(ctx, tx, answer.ChallengeID, domain.PurposeRecovery, respondent, now); err != nil {
			return err
		}
		grant, err := tx.RecoveryGrants.ByToken(ctx, answer.Token.Digest())
		if err != nil {
			return err
		}
		owner, err = tx.Users.ByID(ctx, grant.UserID())
		return err
	})
	if err != nil {
		return sessions.SignIn{}, f.Challenges.Fail(ctx, answer.ChallengeID, nil, err)
	}
	entered, err := f.enrol(ctx, answer, owner, state, now)
	if err != nil {
		event, eventErr := f.Audit.Failure(answer.Client, now, domain.EventState{Kind: domain.EventRecoveryRefused, UserID: owner.ID()}, err)
		return sessions.SignIn{}, f.Challenges.Fail(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return entered, nil
}

func (f *Finish) enrol(ctx context.Context, answer FinishInput, owner *domain.User, state []byte, now time.Time) (sessions.SignIn, error) {
	registration, err := f.RelyingParty.VerifyRegistration(state, answer.Credential)
	if err != nil {
		return sessions.SignIn{}, err
	}
	credential, err := domain.NewCredential(owner.ID(), "", registration, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	entered, err := f.SessionIssuer.NewRecovered(ctx, owner, credential, answer.Client, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		grant, err := tx.RecoveryGrants.Take(ctx, answer.Token.Digest())
		if err != nil {
			return err
		}
		if err := errors.Join(grant.RequireUnexpired(now), grant.RequireFactors(f.Policy)); err != nil {
			return err
		}
		if code := grant.BackupCode(); code != (domain.BackupCodeDigest{}) {
			if err := tx.BackupCodes.Consume(ctx, code); err != nil {
				return err
			}
		}
		if entered.User, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
			return err
		}
		if err := entered.User.RequireEnabled(); err != nil {
			return err
		}
		if err := ceremony.AddCredential(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, owner.ID())
		if err != nil {
			return err
		}
		app.CancelSetup()
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return err
		}
		// Whoever had the lost device may still be signed in on it.
		none := func(*domain.Session) bool { return false }
		e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: string(domain.EventRecovered)}
		if _, err := sessions.RevokeSessions(ctx, tx, f.Audit, owner.ID(), none, answer.Client, e, now); err != nil {
			return err
		}
		return f.SessionIssuer.Store(ctx, tx, &entered, answer.Client, domain.EventRecovered, now)
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	return entered, nil
}
