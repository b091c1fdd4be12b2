package signup

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Finish ends a sign-up: the new passkey is verified, and the user, the passkey and the first session appear together.
type Finish struct {
	Policy            domain.RegistrationPolicy
	Store             ports.Store
	RelyingParty      ports.RelyingParty
	Clock             ports.Clock
	Challenges        *ceremony.Challenges
	SessionIssuer     *sessions.SessionIssuer
	EmailVerification *emailverify.Service
	Decoys            domain.Decoys
}

// FinishInput is what the client made of the options.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	PasskeyName domain.PasskeyName
	Client      identity.Client
}

// Execute returns the new user's first session. Where mail is sent their address waits for its code. It fails with
// domain.ErrRegistrationClosed, also if the sign-up began before, domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyAlreadyRegistered, domain.ErrEmailTaken, or a *domain.Rejection; the challenge is spent all the same.
func (f *Finish) Execute(ctx context.Context, answer FinishInput) (sessions.SignIn, error) {
	grant, err := f.signUp(ctx, answer)
	if err != nil {
		return sessions.SignIn{}, f.Challenges.Fail(ctx, answer.ChallengeID, nil, err)
	}
	return grant, nil
}

func (f *Finish) signUp(ctx context.Context, answer FinishInput) (sessions.SignIn, error) {
	if err := f.Policy.RequireOpen(); err != nil {
		return sessions.SignIn{}, err
	}
	now := f.Clock.Now()
	var challenge *domain.Challenge
	var state []byte
	err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
		challenge, state, err = f.Challenges.Peek(ctx, tx, answer.ChallengeID, domain.PurposeSignUp, domain.ChallengeContext{Browser: answer.Binding}, now)
		return err
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	registration, err := f.RelyingParty.VerifyRegistration(state, answer.Credential)
	if err != nil {
		return sessions.SignIn{}, err
	}
	user := challenge.PendingUser().ToUser(now)
	claimed, draft, err := f.generateEmailCode(user, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	credential, err := domain.NewCredential(user.ID(), answer.PasskeyName, registration, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	grant, err := f.SessionIssuer.New(ctx, user, credential, answer.Client, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		// First of all: whoever does not get the challenge writes nothing.
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		if err := f.addUser(ctx, tx, user, claimed, draft, now); err != nil {
			return err
		}
		if err := ceremony.AddCredential(ctx, tx, f.Decoys, credential); err != nil {
			return err
		}
		return f.SessionIssuer.Store(ctx, tx, &grant, answer.Client, domain.EventSignedUp, now)
	})
	if err != nil {
		return sessions.SignIn{}, err
	}
	return grant, nil
}

// generateEmailCode takes the address from the user where it has to be proved first, and draws the code.
func (f *Finish) generateEmailCode(user *domain.User, now time.Time) (domain.Email, emailverify.PendingCode, error) {
	email := user.Email()
	if email == "" || !f.EmailVerification.Policy.Enabled() {
		return "", emailverify.PendingCode{}, nil
	}
	user.SetEmail("")
	draft, err := f.EmailVerification.GenerateCode(user.ID(), now)
	return email, draft, err
}

func (f *Finish) addUser(ctx context.Context, tx ports.Tx, user *domain.User, claimed domain.Email, draft emailverify.PendingCode, now time.Time) error {
	var message *domain.OutboxEmail
	if claimed != "" {
		var err error
		message, err = f.EmailVerification.Request(ctx, tx, user, claimed, draft, now)
		// A stranger's requests keep nobody from signing up; another code can be sent later.
		if err != nil && !errors.Is(err, domain.ErrRateLimited) {
			return err
		}
	}
	if err := tx.Users.Add(ctx, user); err != nil || message == nil {
		return err
	}
	return tx.OutboxEmails.Add(ctx, message)
}
