package passkeys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FinishAdd lets a new passkey join the others of its owner.
type FinishAdd struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
	Log          *access.SecurityLog
	Limit        domain.PasskeyLimit
	Decoys       domain.Decoys
}

// Answer is what the client made of the options.
type Answer struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Name        domain.PasskeyName
}

// Added is a new passkey among all that its owner has now.
type Added struct {
	User       *domain.User
	Credential *domain.Credential
	Accepted   domain.Keyring
}

// Execute fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrPasskeyLimitReached, domain.ErrStepUpRequired if the session was stepped up in since the actor's token was issued, or a *domain.Rejection; the challenge is spent all the same.
func (f *FinishAdd) Execute(ctx context.Context, actor access.Actor, answer Answer) (Added, error) {
	now := f.Clock.Now()
	added, err := f.add(ctx, actor, answer, now)
	if err != nil {
		event, eventErr := f.Log.Refused(actor.Visitor, now, domain.EventSnapshot{
			Kind: domain.EventPasskeyAddRefused, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
		}, err)
		return Added{}, f.Desk.Refuse(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return added, nil
}

func (f *FinishAdd) add(ctx context.Context, actor access.Actor, answer Answer, now time.Time) (Added, error) {
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		_, state, err = f.Desk.Look(ctx, tx, answer.ChallengeID, domain.PurposeAddPasskey, actor.Respondent(answer.Binding), now)
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
		actor, err := actor.Confirm(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequirePasskey(); err != nil { // there may have been a step-up since Begin: what was issued before it adds nothing
			return err
		}
		var present domain.Keyring
		if present, err = tx.Credentials.OfUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		if err := present.Room(f.Limit); err != nil {
			return err
		}
		if err := access.Register(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		added.User, added.Accepted = actor.User, slices.Concat(present, domain.Keyring{credential})
		return f.Log.Enter(ctx, tx, actor.Visitor, now, domain.EventSnapshot{
			Kind: domain.EventPasskeyAdded, UserID: actor.User.ID(), SessionID: actor.Session.ID(),
			CredentialID: credential.ID(), PasskeyName: credential.Name(),
		})
	})
	if err != nil {
		return Added{}, err
	}
	return added, nil
}
