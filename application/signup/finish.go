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

// FinishInput is the client's response to the options of Begin.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	PasskeyName domain.PasskeyName
	Client      identity.Client
}

// Finish verifies the new passkey, stores the user and the passkey, and returns the first session. If the server sends
// e-mail, the user's address is pending until it is verified. It returns the errors of ceremony.Service.Finish,
// domain.ErrRegistrationClosed, also if registration was open at Begin, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrEmailTaken, or a *domain.Rejection.
func (s *Service) Finish(ctx context.Context, in FinishInput) (sessions.SignIn, error) {
	if err := s.Policy.RequireOpen(); err != nil {
		return sessions.SignIn{}, s.Challenges.Reject(ctx, in.ChallengeID, err)
	}
	now := s.Clock.Now()
	var (
		pending     domain.Email // of the user, to be verified
		code        emailverify.PendingCode
		signIn      sessions.SignIn
		attestation domain.Attestation
	)
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeSignUp, By: domain.ChallengeContext{Browser: in.Binding},
		Verify: func(challenge *domain.Challenge, state []byte) error {
			registration, err := s.RelyingParty.VerifyRegistration(state, in.Credential)
			if err != nil {
				return err
			}
			attestation = registration.Attestation
			user := challenge.PendingUser().ToUser(now)
			if pending, code, err = s.generateEmailCode(user, now); err != nil {
				return err
			}
			credential, err := domain.NewCredential(user.ID(), in.PasskeyName, registration, now)
			if err != nil {
				return err
			}
			signIn, err = s.SessionIssuer.New(ctx, user, credential, in.Client, now)
			return err
		},
		Commit: func(tx ports.Tx) error {
			if err := s.addUser(ctx, tx, signIn.User, pending, code, now); err != nil {
				return err
			}
			if err := ceremony.AddCredential(ctx, tx, s.Decoys, signIn.Credential, attestation); err != nil {
				return err
			}
			signIn.AcceptedCredentials = domain.Passkeys{signIn.Credential}
			return s.SessionIssuer.Store(ctx, tx, &signIn, in.Client, domain.EventSignedUp, now)
		},
	}, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	return signIn, nil
}

// generateEmailCode removes an address that must be verified from the user and returns it with its code.
func (s *Service) generateEmailCode(user *domain.User, now time.Time) (domain.Email, emailverify.PendingCode, error) {
	email := user.Email()
	if email == "" || !s.EmailVerification.Policy.Enabled() {
		return "", emailverify.PendingCode{}, nil
	}
	user.SetEmail("")
	code, err := s.EmailVerification.GenerateCode(user.ID(), now)
	return email, code, err
}

func (s *Service) addUser(ctx context.Context, tx ports.Tx, user *domain.User, pending domain.Email, code emailverify.PendingCode, now time.Time) error {
	var email *domain.OutboxEmail
	if pending != "" {
		var err error
		email, err = s.EmailVerification.Request(ctx, tx, user, pending, code, now)
		// Another client's requests must not prevent a sign-up; the user can request another code later.
		if err != nil && !errors.Is(err, domain.ErrRateLimited) {
			return err
		}
	}
	if err := tx.Users.Add(ctx, user); err != nil || email == nil {
		return err
	}
	return tx.OutboxEmails.Add(ctx, email)
}
