package passkeys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FinishAdd lets a new passkey join the others of its owner.
type FinishAdd struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Challenges   *ceremony.Challenges
	Audit        *audit.Log
	Limit        domain.PasskeyLimit
	Decoys       domain.Decoys
}

// FinishAddInput is what the client made of the options.
type FinishAddInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Name        domain.PasskeyName
}

// Added is a new passkey among all that its owner has now.
type Added struct {
	User                *domain.User
	Credential          *domain.Credential
	AcceptedCredentials domain.Passkeys
}

// Execute fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrPasskeyLimitReached, domain.ErrStepUpRequired if the session was stepped up in since the actor's token was issued, or a *domain.Rejection; the challenge is spent all the same.
func (f *FinishAdd) Execute(ctx context.Context, actor identity.Principal, answer FinishAddInput) (Added, error) {
	now := f.Clock.Now()
	added, err := f.add(ctx, actor, answer, now)
	if err != nil {
		event, eventErr := f.Audit.Failure(actor.Client, now, domain.EventState{
			Kind: domain.EventPasskeyAddRefused, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
		}, err)
		return Added{}, f.Challenges.Fail(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return added, nil
}

func (f *FinishAdd) add(ctx context.Context, actor identity.Principal, answer FinishAddInput, now time.Time) (Added, error) {
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		_, state, err = f.Challenges.Peek(ctx, tx, answer.ChallengeID, domain.PurposeAddPasskey, actor.ChallengeContext(answer.Binding), now)
		return err
	})
	if err != nil {
		return Added{}, err
	}
	registration, err := f.RelyingParty.VerifyRegistration(state, answer.Credential)
	if err != nil {
		return Added{}, err
	}
	credential, err := domain.NewCredential(actor.User.ID(), answer.Name, registration, now)
	if err != nil {
		return Added{}, err
	}
	added := Added{Credential: credential}
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequirePasskey(); err != nil { // there may have been a step-up since Begin: what was issued before it adds nothing
			return err
		}
		var present domain.Passkeys
		if present, err = tx.Credentials.ListByUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		if err := present.CheckLimit(f.Limit); err != nil {
			return err
		}
		if err := ceremony.AddCredential(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		added.User, added.AcceptedCredentials = actor.User, slices.Concat(present, domain.Passkeys{credential})
		return f.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{
			Kind: domain.EventPasskeyAdded, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
			CredentialID: credential.ID(), PasskeyName: credential.Name(),
		})
	})
	if err != nil {
		return Added{}, err
	}
	return added, nil
}
