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
// e-mail, the user's address is pending until it is verified. The invite is consumed with the creation of the user, and not by a failed
// attempt. It returns the errors of ceremony.Service.Finish, the errors of domain.RegistrationPolicy.RequireSignUp and
// domain.Invite.RequireActive, also if Begin succeeded, domain.ErrPasskeyAlreadyRegistered, domain.ErrEmailTaken, or a
// *domain.Rejection.
func (s *Service) Finish(ctx context.Context, in FinishInput) (sessions.SignIn, error) {
	now := s.Clock.Now()
	var (
		pending     domain.Email // of the user, to be verified
		code        emailverify.PendingCode
		invite      domain.InviteID
		signIn      sessions.SignIn
		attestation domain.Attestation
	)
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeSignUp, By: domain.ChallengeContext{Browser: in.Binding},
		Verify: func(challenge *domain.Challenge, state []byte) error {
			applicant := challenge.PendingUser()
			if err := s.Policy.RequireSignUp(applicant.Invited()); err != nil {
				return err
			}
			registration, err := s.RelyingParty.VerifyRegistration(state, in.Credential)
			if err != nil {
				return err
			}
			attestation = registration.Attestation
			user := applicant.ToUser(now)
			invite = applicant.Invite
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
			used, err := useInvite(ctx, tx, invite, signIn.User, now)
			if err != nil {
				return err
			}
			if err := s.addUser(ctx, tx, signIn.User, pending, code, now); err != nil {
				return err
			}
			if used != nil {
				if err := s.endInvite(ctx, tx, used, signIn.User, in.Client, now); err != nil {
					return err
				}
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

// useInvite returns the invite after its use by the user; nil without one.
func useInvite(ctx context.Context, tx ports.Tx, id domain.InviteID, user *domain.User, now time.Time) (*domain.Invite, error) {
	if id.IsZero() {
		return nil, nil
	}
	invite, err := tx.Invites.ByID(ctx, id)
	if errors.Is(err, domain.ErrInviteNotFound) {
		return nil, domain.ErrInviteInvalid
	}
	if err != nil {
		return nil, err
	}
	err = invite.Use(user, now)
	return invite, err
}

// endInvite stores the use of the invite by a user who has just been stored.
func (s *Service) endInvite(ctx context.Context, tx ports.Tx, invite *domain.Invite, user *domain.User, client identity.Client, now time.Time) error {
	if err := tx.Invites.End(ctx, invite); err != nil {
		return err
	}
	return s.Audit.Record(ctx, tx, client, now, domain.EventState{Kind: domain.EventInviteUsed, UserID: user.ID(), Invite: invite.ID()})
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
