package login

import (
	"context"
	"errors"
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
	Log          *access.SecurityLog
	Examiner     *access.Examiner
	Decoys       domain.Decoys
	Lockout      domain.LockoutKey
	Limit        domain.SessionLimit
}

// Answer is what the client made of the options.
type Answer struct {
	ChallengeID domain.ChallengeID
	Binding     domain.Binding
	Credential  ports.AuthenticationAnswer
	Visitor     access.Visitor
}

// Execute returns the new session. It fails with domain.ErrChallengeNotFound, domain.ErrChallengeExpired,
// domain.ErrPasskeyUnknown, domain.ErrPasskeySuspended, domain.ErrUserDisabled, or a *domain.Rejection; the challenge is
// spent all the same, and the owner of the passkey finds the attempt in their log.
func (f *Finish) Execute(ctx context.Context, answer Answer) (access.Grant, error) {
	now := f.Clock.Now()
	decoy := f.Decoys.Include(domain.CredentialID(answer.Credential.ID)) // computed for every id, for the time it takes
	known, err := f.lookUp(ctx, answer, now)
	if errors.Is(err, domain.ErrPasskeyUnknown) {
		return access.Grant{}, f.refuseUnknown(ctx, answer, known, decoy, now)
	}
	if err != nil {
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, nil, err)
	}
	grant, err := f.signIn(ctx, answer, known, now)
	if err != nil {
		event, eventErr := f.Log.Refused(answer.Visitor, now, domain.EventSnapshot{
			Kind: domain.EventSignInRefused, UserID: known.owner.ID(), CredentialID: known.credential.ID(), PasskeyName: known.credential.Name(),
		}, err)
		return access.Grant{}, f.Desk.Refuse(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
	}
	return grant, nil
}

// refuseUnknown refuses a passkey that is not stored. A decoy, and any passkey where some were asked for, is refused like a stored
// one whose key did not sign, and the same rows are written, so that answers do not disclose which ids are decoys.
func (f *Finish) refuseUnknown(ctx context.Context, answer Answer, known knownPasskey, decoy bool, now time.Time) error {
	err := f.RelyingParty.RejectUnknown(known.ceremony, answer.Credential, decoy)
	event, eventErr := f.Log.RefusedNameless(answer.Visitor, now, domain.EventSnapshot{Kind: domain.EventSignInRefused}, err,
		f.Lockout.Unknown(string(answer.Credential.ID)))
	return f.Desk.Refuse(ctx, answer.ChallengeID, event, errors.Join(err, eventErr))
}

func (f *Finish) signIn(ctx context.Context, answer Answer, known knownPasskey, now time.Time) (access.Grant, error) {
	assertion, err := f.RelyingParty.VerifyAuthentication(known.ceremony, answer.Credential, known.owner, known.credential)
	if err != nil {
		return access.Grant{}, err
	}
	grant, err := f.Door.Open(ctx, known.owner, known.credential, answer.Visitor, now)
	if err != nil {
		return access.Grant{}, err
	}
	grant.NearLimit = f.Limit.Near(known.sessions)
	var refusal error
	err = f.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, answer.ChallengeID); err != nil {
			return err
		}
		// Read again: the account may have been shut or deleted since.
		if grant.User, err = tx.Users.ByID(ctx, known.owner.ID()); errors.Is(err, domain.ErrUserNotFound) {
			return domain.ErrPasskeyUnknown // the account went, and its passkeys with it
		} else if err != nil {
			return err
		}
		if err := grant.User.Enabled(); err != nil {
			return err
		}
		use, err := f.Examiner.Record(ctx, tx, known.credential.ID(), assertion, answer.Visitor, domain.EventSignInRefused, now)
		if err != nil {
			return err
		}
		if refusal = use.Refusal; refusal != nil {
			return nil // commit the mark that it left; it is an error afterwards
		}
		grant.Credential, grant.Finding = use.Credential, use.Finding
		// Whoever guesses at recovery codes locks that way and never this one; this one opens that again.
		if err := tx.Lockouts.Clear(ctx, f.Lockout.Account(grant.User.ID())); err != nil {
			return err
		}
		return f.Door.Admit(ctx, tx, &grant, answer.Visitor, domain.EventSignedIn, now)
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return access.Grant{}, err
	}
	return grant, nil
}

type knownPasskey struct {
	ceremony   []byte
	credential *domain.Credential
	owner      *domain.User
	sessions   int // of the owner, up to a sample
}

func (f *Finish) lookUp(ctx context.Context, answer Answer, now time.Time) (known knownPasskey, err error) {
	err = f.Store.View(ctx, func(tx ports.Tx) error {
		_, state, err := f.Desk.Look(ctx, tx, answer.ChallengeID, domain.PurposeLogin, domain.Respondent{Browser: answer.Binding}, now)
		if err != nil {
			return err
		}
		known.ceremony = state
		id, err := domain.NewCredentialID(answer.Credential.ID)
		if err != nil {
			return err
		}
		if known.credential, err = tx.Credentials.ByID(ctx, id); errors.Is(err, domain.ErrPasskeyUnknown) {
			_, nobody := tx.Users.ByID(ctx, domain.UserID{}) // for the time it takes
			if nobody != nil && !errors.Is(nobody, domain.ErrUserNotFound) {
				return nobody
			}
			if _, listErr := tx.Sessions.Live(ctx, domain.UserID{}, now, domain.SessionID{}, f.Limit.Sample()); listErr != nil { // likewise
				return listErr
			}
			return err
		} else if err != nil {
			return err
		}
		if known.owner, err = tx.Users.ByID(ctx, known.credential.UserID()); err != nil {
			return err
		}
		active, err := tx.Sessions.Live(ctx, known.owner.ID(), now, domain.SessionID{}, f.Limit.Sample())
		known.sessions = len(active)
		return err
	})
	return known, err
}
