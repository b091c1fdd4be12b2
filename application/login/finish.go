package login

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish ends a sign-in: the assertion is verified, the use of the passkey is recorded, and a session opens.
type Finish struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
	Door         *access.Door
	Policy       domain.UsePolicy
}

// Answer is what the client made of the options.
type Answer struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
	Visitor     access.Visitor
}

// Execute returns the new session. It fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyUnknown, domain.ErrPasskeySuspended, or a *domain.Rejection; the challenge is spent all the same.
func (f *Finish) Execute(ctx context.Context, answer Answer) (access.Grant, error) {
	grant, err := f.signIn(ctx, answer)
	if err != nil {
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, err)
	}
	return grant, nil
}

func (f *Finish) signIn(ctx context.Context, answer Answer) (access.Grant, error) {
	now := f.Clock.Now()
	known, err := f.lookUp(ctx, answer, now)
	if err != nil {
		return access.Grant{}, err
	}
	assertion, err := f.RelyingParty.VerifyAuthentication(known.ceremony, answer.Credential, known.owner, known.credential)
	if err != nil {
		return access.Grant{}, err
	}
	session, token, err := f.Door.Open(known.credential, answer.Visitor, now)
	if err != nil {
		return access.Grant{}, err
	}
	grant := access.Grant{User: known.owner, Session: session, Token: token}
	var refusal error
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		// Read again: another sign-in may have moved the counter since.
		grant.Credential, err = tx.Credentials.ByID(ctx, known.credential.ID())
		if err != nil {
			return err
		}
		grant.Finding, refusal = grant.Credential.RecordUse(assertion, f.Policy, now)
		if err := tx.Credentials.Save(ctx, grant.Credential); err != nil {
			return err
		}
		if refusal != nil {
			return nil // commit the mark that it left; it is an error afterwards
		}
		grant.Accepted, err = f.Door.Admit(ctx, tx, session, answer.Visitor, now)
		return err
	})
	if err != nil {
		return access.Grant{}, err
	}
	if refusal != nil {
		return access.Grant{}, refusal
	}
	return grant, nil
}

type knownPasskey struct {
	ceremony   []byte
	credential *domain.Credential
	owner      *domain.User
}

func (f *Finish) lookUp(ctx context.Context, answer Answer, now time.Time) (known knownPasskey, err error) {
	err = f.Store.View(ctx, func(tx ports.Tx) error {
		challenge, err := tx.Challenges.ByID(ctx, answer.ChallengeID)
		if err != nil {
			return err
		}
		if known.ceremony, err = challenge.Redeem(domain.PurposeLogin, answer.Binding, now); err != nil {
			return err
		}
		id, err := domain.NewCredentialID(answer.Credential.ID)
		if err != nil {
			return err
		}
		if known.credential, err = tx.Credentials.ByID(ctx, id); err != nil {
			return err
		}
		known.owner, err = tx.Users.ByID(ctx, known.credential.UserID())
		return err
	})
	return known, err
}
