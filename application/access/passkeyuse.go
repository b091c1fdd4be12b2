package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Examiner notes the uses of passkeys and what is odd about them.
type Examiner struct {
	Policy domain.UsePolicy
	Log    *SecurityLog
}

// Use is what came of using a passkey.
type Use struct {
	Credential *domain.Credential
	Finding    domain.Finding
	// Refusal is why it does not count. It leaves a mark: the unit of work is to be kept all the same, and the refusal told
	// afterwards. With a finding it is a *RefusedFinding.
	Refusal error
}

// RefusedFinding is the refusal of a use of a passkey because of a finding. It says whose passkey it was, for the operator.
type RefusedFinding struct {
	Finding    domain.Finding
	Credential *domain.Credential // as it is afterwards, perhaps suspended
	cause      error
}

func (r *RefusedFinding) Error() string { return r.cause.Error() }
func (r *RefusedFinding) Unwrap() error { return r.cause }

// Record notes a verified assertion on the passkey as it is now, inside a unit of work, and enters in the log what was odd
// about it and, as an event of the given kind, that it was refused.
func (x *Examiner) Record(ctx context.Context, tx ports.Tx, id domain.CredentialID, a domain.Assertion, visitor Visitor, refused domain.EventKind, now time.Time) (Use, error) {
	// Read again: another use may have moved the counter since the assertion was verified.
	credential, err := tx.Credentials.ByID(ctx, id)
	if err != nil {
		return Use{}, err
	}
	use := Use{Credential: credential}
	use.Finding, use.Refusal = credential.RecordUse(a, x.Policy, now)
	if err := tx.Credentials.Save(ctx, credential); err != nil {
		return Use{}, err
	}
	about := domain.EventSnapshot{UserID: credential.UserID(), CredentialID: id, PasskeyName: credential.Name()}
	if use.Finding.Alarming() {
		found := about
		found.Kind, found.Reason = domain.EventPasskeyFlagged, string(use.Finding)
		if credential.Status() == domain.CredentialSuspended {
			found.Kind = domain.EventPasskeySuspended
		}
		if err := x.Log.Enter(ctx, tx, visitor, now, found); err != nil {
			return Use{}, err
		}
	}
	if use.Refusal == nil {
		return use, nil
	}
	if use.Finding != domain.FindingNone {
		use.Refusal = &RefusedFinding{use.Finding, credential, use.Refusal}
	}
	about.Kind = refused
	event, err := x.Log.Refused(visitor, now, about, use.Refusal)
	if err != nil || event == nil {
		return use, err
	}
	_, err = Keep(ctx, tx, event)
	return use, err
}
