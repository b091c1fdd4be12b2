package login

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

// FinishInput is the client's response to the options of Begin.
type FinishInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
	Client      identity.Client
}

// Finish verifies the assertion, records the use of the passkey and returns a new session. It returns the errors of
// ceremony.Service.Finish, domain.ErrPasskeyUnknown, domain.ErrPasskeySuspended, domain.ErrUserDisabled, or a
// *domain.Rejection. A rejected attempt is recorded in the account's audit log.
func (s *Service) Finish(ctx context.Context, in FinishInput) (sessions.SignIn, error) {
	now := s.Clock.Now()
	decoy := s.Decoys.Contains(domain.CredentialID(in.Credential.ID)) // computed for every id, for equal work
	var (
		known     passkey
		unknown   bool // the passkey is not stored
		assertion domain.Assertion
		signIn    sessions.SignIn
	)
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeLogin, By: domain.ChallengeContext{Browser: in.Binding},
		Load: func(tx ports.Tx) (err error) {
			known, err = s.load(ctx, tx, in.Credential)
			return err
		},
		Verify: func(_ *domain.Challenge, state []byte) (err error) {
			if unknown = known.credential == nil; unknown {
				// RejectUnknown verifies a decoy, and any passkey if the options listed some, like a stored one with a wrong
				// signature, so that neither the response nor its time reveals which ids are decoys.
				return s.RelyingParty.RejectUnknown(state, in.Credential, decoy)
			}
			if assertion, err = s.RelyingParty.VerifyAuthentication(state, in.Credential, known.owner, known.credential); err != nil {
				return err
			}
			signIn, err = s.SessionIssuer.New(ctx, known.owner, known.credential, in.Client, now)
			signIn.NearLimit = s.Limit.Near(known.sessionCount)
			return err
		},
		Commit: func(tx ports.Tx) error { return s.commit(ctx, tx, &signIn, assertion, in.Client, now) },
		Failure: func(cause error) *domain.Event {
			e := domain.EventState{Kind: domain.EventSignInRefused}
			if unknown {
				return s.Audit.FailureAnonymous(in.Client, now, e, cause, s.Lockout.UnknownName(string(in.Credential.ID)))
			}
			if known.credential != nil {
				e.UserID, e.CredentialID, e.PasskeyName = known.owner.ID(), known.credential.ID(), known.credential.Name()
			}
			return s.Audit.Failure(in.Client, now, e, cause)
		},
	}, now)
	if err != nil {
		return sessions.SignIn{}, err
	}
	return signIn, nil
}

// passkey is a stored passkey with its owner and the number of the owner's sessions, counted up to a sample. The zero passkey
// is one that is not stored.
type passkey struct {
	credential   *domain.Credential
	owner        *domain.User
	sessionCount int
}

// load executes the same queries for a passkey that is not stored.
func (s *Service) load(ctx context.Context, tx ports.Tx, answer ports.AuthenticationAnswer) (passkey, error) {
	id, err := domain.NewCredentialID(answer.ID)
	if err != nil {
		return passkey{}, err
	}
	credential, owner, sessions, err := tx.Credentials.ByIDWithOwner(ctx, id, s.Limit.Sample())
	if errors.Is(err, domain.ErrPasskeyUnknown) {
		return passkey{}, nil
	}
	return passkey{credential, owner, sessions}, err
}

func (s *Service) commit(ctx context.Context, tx ports.Tx, signIn *sessions.SignIn, assertion domain.Assertion, client identity.Client, now time.Time) error {
	// Read again: the account may have been disabled or deleted since, or the passkey used.
	passkeys, user, hasLockout, err := tx.Credentials.ListWithOwner(ctx, signIn.User.ID(), s.Lockout.Account(signIn.User.ID()))
	if err != nil {
		return err
	}
	if err := user.RequireEnabled(); err != nil {
		return err
	}
	used, err := passkeys.ByID(signIn.Credential.ID())
	if err != nil {
		return domain.ErrPasskeyUnknown // it was removed
	}
	if signIn.Anomaly, err = s.PasskeyUsage.Record(ctx, tx, used, assertion, client, domain.EventSignInRefused, hasLockout, now); err != nil {
		return err
	}
	signIn.User, signIn.Credential, signIn.AcceptedCredentials = user, used, passkeys
	return s.SessionIssuer.Store(ctx, tx, signIn, client, domain.EventSignedIn, now)
}
