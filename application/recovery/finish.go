package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FinishInput is the response of the client to the options.
type FinishInput struct {
	Token       domain.RecoveryGrantToken
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Client      identity.Client
}

// Finish verifies the new passkey, consumes the recovery grant and its backup code, stores the passkey, revokes all earlier
// sessions and returns a new one. The passkey is added even beyond the limit of passkeys: its owner has no other one and
// reviews the others afterwards. It returns the errors of ceremony.Service.Finish, domain.ErrRecoveryGrantInvalid,
// domain.ErrInvalidCode if the backup code was consumed meanwhile, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrUserDisabled, or a *domain.Rejection; then the grant is not consumed.
func (s *Service) Finish(ctx context.Context, in FinishInput) (sessions.SignIn, error) {
	now := s.Clock.Now()
	var owner *domain.User
	var attestation domain.Attestation
	var signIn sessions.SignIn
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeRecovery,
		By: domain.ChallengeContext{Browser: in.Binding, RecoveryGrant: in.Token.Digest()},
		Load: func(tx ports.Tx) error {
			grant, err := tx.RecoveryGrants.ByToken(ctx, in.Token.Digest())
			if err != nil {
				return err
			}
			user, err := tx.Users.ByID(ctx, grant.UserID())
			if err == nil {
				owner = user
			}
			return err
		},
		Verify: func(_ *domain.Challenge, state []byte) error {
			registration, err := s.RelyingParty.VerifyRegistration(state, in.Credential)
			if err != nil {
				return err
			}
			attestation = registration.Attestation
			credential, err := domain.NewCredential(owner.ID(), "", registration, now)
			if err != nil {
				return err
			}
			signIn, err = s.SessionIssuer.NewRecovered(ctx, owner, credential, in.Client, now)
			return err
		},
		Commit: func(tx ports.Tx) error { return s.commit(ctx, tx, &signIn, attestation, in, now) },
		Failure: func(cause error) *domain.Event {
			if owner == nil {
				return nil
			}
			return s.Audit.Failure(in.Client, now, domain.EventState{Kind: domain.EventRecoveryRefused, UserID: owner.ID()}, cause)
		},
	}, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	return signIn, nil
}

func (s *Service) commit(
	ctx context.Context, tx ports.Tx, signIn *sessions.SignIn, attestation domain.Attestation, in FinishInput, now time.Time,
) error {
	grant, err := tx.RecoveryGrants.Take(ctx, in.Token.Digest())
	if err != nil {
		return err
	}
	if err := errors.Join(grant.RequireUnexpired(now), grant.RequireFactors(s.Policy)); err != nil {
		return err
	}
	if code := grant.BackupCode(); code != (domain.BackupCodeDigest{}) {
		if err := tx.BackupCodes.Consume(ctx, code); err != nil {
			return err
		}
	}
	if signIn.User, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
		return err
	}
	if err := signIn.User.RequireEnabled(); err != nil {
		return err
	}
	if err := ceremony.AddCredential(ctx, tx, s.Decoys, signIn.Credential, attestation); err != nil {
		return err
	}
	if signIn.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, grant.UserID()); err != nil {
		return err
	}
	app, err := tx.TOTPs.Get(ctx, grant.UserID())
	if err != nil {
		return err
	}
	app.CancelSetup() // an attacker may have begun the setup
	if err := tx.TOTPs.Save(ctx, app); err != nil {
		return err
	}
	// The lost device may still be signed in.
	e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: string(domain.EventRecovered)}
	if _, err := sessions.RevokeSessions(ctx, tx, s.Audit, grant.UserID(), nil, in.Client, e, now); err != nil {
		return err
	}
	return s.SessionIssuer.Store(ctx, tx, signIn, in.Client, domain.EventRecovered, now)
}
