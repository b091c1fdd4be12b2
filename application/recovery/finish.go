package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish enrols the passkey that a grant bought.
type Finish struct {
	Policy       domain.RecoveryPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
	Door         *access.Door
	Log          *access.SecurityLog
	Decoys       domain.Decoys
}

// Answer is what the client made of the options.
type Answer struct {
	Token       domain.GrantToken
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Visitor     access.Visitor
}

// Execute lets the passkey join, spends the grant and the backup code that paid for it, ends every earlier session and
// opens a new one, all in one unit of work. The passkey joins whatever the limit says: its owner has no other to come back
// with, and reviews them afterwards. It fails with domain.ErrInvalidGrant, domain.ErrInvalidCode if the backup code was spent
// meanwhile, domain.ErrChallengeNotFound, domain.ErrChallengeExpired, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrUserDisabled, or a *domain.Rejection; the challenge is spent all the same, and the grant is not.
func (f *Finish) Execute(ctx context.Context, answer Answer) (access.Grant, error) {
	now := f.Clock.Now()
	respondent := domain.Respondent{Browser: answer.Binding, Grant: answer.Token.Digest()}
	var owner *domain.User
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		if _, state, err = f.Desk.Look(ctx, tx, answer.ChallengeID, domain.PurposeRecovery, respondent, now); err != nil {
			return err
		}
		grant, err := tx.Grants.ByToken(ctx, answer.Token.Digest())
		if err != nil {
			return err
		}
		owner, err = tx.Users.ByID(ctx, grant.UserID())
		return err
	})
	if err != nil {
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, nil, err)
	}
	entered, err := f.enrol(ctx, answer, owner, state, now)
	if err != nil {
		event, eventErr := f.Log.Refused(answer.Visitor, now, domain.EventSnapshot{Kind: domain.EventRecoveryRefused, UserID: owner.ID()}, err)
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return entered, nil
}

func (f *Finish) enrol(ctx context.Context, answer Answer, owner *domain.User, state []byte, now time.Time) (access.Grant, error) {
	registration, err := f.RelyingParty.VerifyRegistration(state, answer.Credential)
	if err != nil {
		return access.Grant{}, err
	}
	credential, err := domain.NewCredential(owner.ID(), "", registration, now)
	if err != nil {
		return access.Grant{}, err
	}
	entered, err := f.Door.OpenRecovered(ctx, owner, credential, answer.Visitor, now)
	if err != nil {
		return access.Grant{}, err
	}
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		grant, err := tx.Grants.Take(ctx, answer.Token.Digest())
		if err != nil {
			return err
		}
		if err := errors.Join(grant.Usable(now), grant.PaidFor(f.Policy)); err != nil {
			return err
		}
		if code := grant.Code(); code != (domain.CodeDigest{}) {
			if err := tx.BackupCodes.Spend(ctx, code); err != nil {
				return err
			}
		}
		if entered.User, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
			return err
		}
		if err := entered.User.Enabled(); err != nil {
			return err
		}
		if err := access.Register(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		app, err := tx.TOTPs.Of(ctx, owner.ID())
		if err != nil {
			return err
		}
		app.GiveUp()
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return err
		}
		// Whoever had the lost device may still be signed in on it.
		none := func(*domain.Session) bool { return false }
		e := domain.EventSnapshot{Kind: domain.EventSessionRevoked, Reason: string(domain.EventRecovered)}
		if _, err := f.Log.EndAll(ctx, tx, owner.ID(), none, answer.Visitor, e, now); err != nil {
			return err
		}
		return f.Door.Admit(ctx, tx, &entered, answer.Visitor, domain.EventRecovered, now)
	})
	if err != nil {
		return access.Grant{}, err
	}
	return entered, nil
}
