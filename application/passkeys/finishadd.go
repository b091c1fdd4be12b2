package passkeys

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FinishAddInput is the client's response to the options of BeginAdd.
type FinishAddInput struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.RegistrationAnswer
	Name        domain.PasskeyName
}

// Added is a new passkey, with its owner and all of the owner's passkeys.
type Added struct {
	User                *domain.User
	Credential          *domain.Credential
	AcceptedCredentials domain.Passkeys
}

// FinishAdd verifies and stores the new passkey. It returns the errors of ceremony.Service.Finish,
// domain.ErrPasskeyAlreadyRegistered, domain.ErrPasskeyLimitReached, domain.ErrStepUpRequired if the presented token was
// issued before a step-up, or a *domain.Rejection.
func (s *Service) FinishAdd(ctx context.Context, principal identity.Principal, in FinishAddInput) (Added, error) {
	now := s.Clock.Now()
	var credential *domain.Credential
	var attestation domain.Attestation
	var added Added
	err := s.Challenges.Finish(ctx, ceremony.Answer{
		ChallengeID: in.ChallengeID, Purpose: domain.PurposeAddPasskey, By: principal.ChallengeContext(in.Binding),
		Verify: func(_ *domain.Challenge, state []byte) error {
			registration, err := s.RelyingParty.VerifyRegistration(state, in.Credential)
			if err != nil {
				return err
			}
			attestation = registration.Attestation
			credential, err = domain.NewCredential(principal.User.ID(), in.Name, registration, now)
			return err
		},
		Commit: func(tx ports.Tx) (err error) {
			added, err = s.add(ctx, tx, principal, credential, attestation, now)
			return err
		},
		Failure: func(cause error) *domain.Event {
			return s.Audit.Failure(principal.Client, now, domain.EventState{
				Kind: domain.EventPasskeyAddRefused, UserID: principal.User.ID(), SessionID: principal.Session.ID(),
			}, cause)
		},
	}, now)
	if err != nil {
		return Added{}, err
	}
	return added, nil
}

func (s *Service) add(
	ctx context.Context, tx ports.Tx, principal identity.Principal, credential *domain.Credential, attestation domain.Attestation, now time.Time,
) (Added, error) {
	principal, err := principal.Reload(ctx, tx, now)
	if err != nil {
		return Added{}, err
	}
	// After a step-up since BeginAdd, a token issued before it must not add a passkey.
	if err := principal.RequirePasskey(); err != nil {
		return Added{}, err
	}
	present, err := tx.Credentials.ListByUser(ctx, principal.User.ID())
	if err != nil {
		return Added{}, err
	}
	if err := domain.Passkeys(present).CheckLimit(s.Limit); err != nil {
		return Added{}, err
	}
	if err := ceremony.AddCredential(ctx, tx, s.Decoys, credential, attestation); err != nil {
		return Added{}, err
	}
	added := Added{User: principal.User, Credential: credential, AcceptedCredentials: slices.Concat(present, domain.Passkeys{credential})}
	return added, s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{
		Kind: domain.EventPasskeyAdded, UserID: principal.User.ID(), SessionID: principal.Session.ID(),
		CredentialID: credential.ID(), PasskeyName: credential.Name(),
	})
}
