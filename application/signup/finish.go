package signup

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish ends a sign-up: the new passkey is verified, and the user, the passkey and the first session appear together.
type Finish struct {
	Policy       domain.RegistrationPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
	Door         *access.Door
	Claims       *mail.Claims
	Decoys       domain.Decoys
}

// Answer is what the client made of the options.
type Answer struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	PasskeyName domain.PasskeyName
	Visitor     access.Visitor
}

// Execute returns the new user's first session. Where mail is sent their address waits for its code. It fails with
// domain.ErrRegistrationClosed, also if the sign-up began before, domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyAlreadyRegistered, domain.ErrEmailTaken, or a *domain.Rejection; the challenge is spent all the same.
func (f *Finish) Execute(ctx context.Context, answer Answer) (access.Grant, error) {
	grant, err := f.admit(ctx, answer)
	if err != nil {
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, nil, err)
	}
	return grant, nil
}

func (f *Finish) admit(ctx context.Context, answer Answer) (access.Grant, error) {
	if err := f.Policy.Admits(); err != nil {
		return access.Grant{}, err
	}
	now := f.Clock.Now()
	var challenge *domain.Challenge
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		challenge, state, err = f.Desk.Look(ctx, tx, answer.ChallengeID, domain.PurposeSignUp, domain.Respondent{Browser: answer.Binding}, now)
		return err
	})
	if err != nil {
		return access.Grant{}, err
	}
	registration, err := f.RelyingParty.VerifyRegistration(state, answer.Credential)
	if err != nil {
		return access.Grant{}, err
	}
	user := challenge.Applicant().Admit(now)
	claimed, draft, err := f.claim(user, now)
	if err != nil {
		return access.Grant{}, err
	}
	credential, err := domain.NewCredential(user.ID(), answer.PasskeyName, registration, now)
	if err != nil {
		return access.Grant{}, err
	}
	grant, err := f.Door.Open(ctx, user, credential, answer.Visitor, now)
	if err != nil {
		return access.Grant{}, err
	}
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		// First of all: whoever does not get the challenge writes nothing.
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		if err := f.addUser(ctx, tx, user, claimed, draft, now); err != nil {
			return err
		}
		if err := access.Register(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		return f.Door.Admit(ctx, tx, &grant, answer.Visitor, domain.EventSignedUp, now)
	})
	if err != nil {
		return access.Grant{}, err
	}
	return grant, nil
}

// claim takes the address from the user where it has to be proved first, and draws the code.
func (f *Finish) claim(user *domain.User, now time.Time) (domain.Email, mail.Draft, error) {
	email := user.Email()
	if email == "" || f.Claims.Policy == domain.MailOff {
		return "", mail.Draft{}, nil
	}
	user.MoveTo("")
	draft, err := f.Claims.Draw(user.ID(), now)
	return email, draft, err
}

func (f *Finish) addUser(ctx context.Context, tx ports.Tx, user *domain.User, claimed domain.Email, draft mail.Draft, now time.Time) error {
	var message *domain.Message
	if claimed != "" {
		var err error
		message, err = f.Claims.Enter(ctx, tx, user, claimed, draft, now)
		// A stranger's requests keep nobody from signing up; another code can be sent later.
		if err != nil && !errors.Is(err, domain.ErrRateLimited) {
			return err
		}
	}
	if err := tx.Users.Add(ctx, user); err != nil || message == nil {
		return err
	}
	return tx.Messages.Add(ctx, message)
}
