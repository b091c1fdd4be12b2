package access

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// PasskeyUsage notes the uses of passkeys and what is odd about them.
type PasskeyUsage struct {
	Policy domain.UsePolicy
	Audit  *AuditLog
}

// UseResult is what came of using a passkey.
type UseResult struct {
	Credential *domain.Credential
	Anomaly    domain.Anomaly
	// Rejection is why it does not count. It leaves a mark: the unit of work is to be kept all the same, and the refusal told
	// afterwards. With a finding it is a *AnomalyError.
	Rejection error
}

// AnomalyError is the refusal of a use of a passkey because of a finding. It says whose passkey it was, for the operator.
type AnomalyError struct {
	Anomaly    domain.Anomaly
	Credential *domain.Credential // as it is afterwards, perhaps suspended
	cause      error
}

func (r *AnomalyError) Error() string { return r.cause.Error() }
func (r *AnomalyError) Unwrap() error { return r.cause }

// Record notes a verified assertion on the passkey as it is now, inside a unit of work, and enters in the log what was odd
// about it and, as an event of the given kind, that it was refused.
func (x *PasskeyUsage) Record(ctx context.Context, tx ports.Tx, id domain.CredentialID, a domain.Assertion, visitor Client, refused domain.EventKind, now time.Time) (UseResult, error) {
	// Read again: another use may have moved the counter since the assertion was verified.
	credential, err := tx.Credentials.ByID(ctx, id)
	if err != nil {
		return UseResult{}, err
	}
	use := UseResult{Credential: credential}
	use.Anomaly, use.Rejection = credential.RecordUse(a, x.Policy, now)
	if err := tx.Credentials.Save(ctx, credential); err != nil {
		return UseResult{}, err
	}
	about := domain.EventState{UserID: credential.UserID(), CredentialID: id, PasskeyName: credential.Name()}
	if use.Anomaly.IndicatesClone() {
		found := about
		found.Kind, found.Reason = domain.EventPasskeyFlagged, string(use.Anomaly)
		if credential.Status() == domain.CredentialSuspended {
			found.Kind = domain.EventPasskeySuspended
		}
		if err := x.Audit.Record(ctx, tx, visitor, now, found); err != nil {
			return UseResult{}, err
		}
	}
	if use.Rejection == nil {
		return use, nil
	}
	if use.Anomaly != domain.AnomalyNone {
		use.Rejection = &AnomalyError{use.Anomaly, credential, use.Rejection}
	}
	about.Kind = refused
	event, err := x.Audit.Failure(visitor, now, about, use.Rejection)
	if err != nil || event == nil {
		return use, err
	}
	_, err = StoreEvent(ctx, tx, event)
	return use, err
}
