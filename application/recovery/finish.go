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
	Challenges    *ceremony.Service
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

// Execute verifies the new passkey, consumes the recovery grant and its backup code, stores the passkey, revokes all earlier
// sessions and returns a new one. The passkey is added even beyond the limit of passkeys: its owner has no other one and
// reviews them afterwards. It returns the errors of ceremony.Service.Finish, domain.ErrRecoveryGrantInvalid,
// domain.ErrInvalidCode if the backup code was consumed meanwhile, domain.ErrPasskeyAlreadyRegistered,
// domain.ErrUserDisabled, or a *domain.Rejection; then the grant is not consumed.
func (f *Finish) Execute(ctx context.Context, in FinishInput) (sessions.SignIn, error) {
	now := f.Clock.Now()
	var owner *domain.User
	var signIn sessions.SignIn
	err := f.Challenges.Finish(ctx, ceremony.Answer{
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
			registration, err := f.RelyingParty.VerifyRegistration(state, in.Credential)
			if err != nil {
				return err
			}
			credential, err := domain.NewCredential(owner.ID(), "", registration, now)
			if err != nil {
				return err
			}
			signIn, err = f.SessionIssuer.NewRecovered(ctx, owner, credential, in.Client, now)
			return err
		},
		Commit: func(tx ports.Tx) error { return f.commit(ctx, tx, &signIn, in, now) },
		Failure: func(cause error) *domain.Event {
			if owner == nil {
				return nil
			}
			return f.Audit.Failure(in.Client, now, domain.EventState{Kind: domain.EventRecoveryRefused, UserID: owner.ID()}, cause)
		},
	}, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	return signIn, nil
}

func (f *Finish) commit(ctx context.Context, tx ports.Tx, signIn *sessions.SignIn, in FinishInput, now time.Time) error {
	grant, err := tx.RecoveryGrants.Take(ctx, in.Token.Digest())
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
	if signIn.User, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
		return err
	}
	if err := signIn.User.RequireEnabled(); err != nil {
		return err
	}
	if err := ceremony.AddCredential(ctx, tx, f.Decoys, signIn.Credential); err != nil {
		return err
	}
	app, err := tx.TOTPs.Get(ctx, grant.UserID())
	if err != nil {
		return err
	}
	app.CancelSetup()
	if err := tx.TOTPs.Save(ctx, app); err != nil {
		return err
	}
	// The lost device may still be signed in.
	e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: string(domain.EventRecovered)}
	if _, err := sessions.RevokeSessions(ctx, tx, f.Audit, grant.UserID(), nil, in.Client, e, now); err != nil {
		return err
	}
	return f.SessionIssuer.Store(ctx, tx, signIn, in.Client, domain.EventRecovered, now)
}
