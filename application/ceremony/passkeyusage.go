package ceremony

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// PasskeyUsage records the uses of passkeys and their anomalies.
type PasskeyUsage struct {
	Policy domain.UsePolicy
	Audit  *audit.Log
}

// UseResult is the result of the use of a passkey.
type UseResult struct {
	Credential *domain.Credential
	Anomaly    domain.Anomaly
	// Rejection is why the use is rejected. The transaction commits all the same, and the rejection is returned afterwards.
	// With an anomaly it is an *AnomalyError.
	Rejection error
}

// AnomalyError rejects the use of a passkey because of an anomaly. It has the passkey, for the operator's log.
type AnomalyError struct {
	Anomaly    domain.Anomaly
	Credential *domain.Credential // as stored afterwards, perhaps suspended
	cause      error
}

func (e *AnomalyError) Error() string { return e.cause.Error() }
func (e *AnomalyError) Unwrap() error { return e.cause }

// Record records the use of a passkey by a verified assertion inside a transaction, an event for a cloned passkey, and an
// event of the given kind if the use is rejected.
func (u *PasskeyUsage) Record(ctx context.Context, tx ports.Tx, id domain.CredentialID, a domain.Assertion, client identity.Client, rejected domain.EventKind, now time.Time) (UseResult, error) {
	// Read again: another use may have moved the counter since the assertion was verified.
	credential, err := tx.Credentials.ByID(ctx, id)
	if err != nil {
		return UseResult{}, err
	}
	use := UseResult{Credential: credential}
	use.Anomaly, use.Rejection = credential.RecordUse(a, u.Policy, now)
	if err := tx.Credentials.Save(ctx, credential); err != nil {
		return UseResult{}, err
	}
	about := domain.EventState{UserID: credential.UserID(), CredentialID: id, PasskeyName: credential.Name()}
	if use.Anomaly.IndicatesClone() {
		anomaly := about
		anomaly.Kind, anomaly.Reason = domain.EventPasskeyFlagged, string(use.Anomaly)
		if credential.Status() == domain.CredentialSuspended {
			anomaly.Kind = domain.EventPasskeySuspended
		}
		if err := u.Audit.Record(ctx, tx, client, now, anomaly); err != nil {
			return UseResult{}, err
		}
	}
	if use.Rejection == nil {
		return use, nil
	}
	if use.Anomaly != domain.AnomalyNone {
		use.Rejection = &AnomalyError{use.Anomaly, credential, use.Rejection}
	}
	about.Kind = rejected
	event, err := u.Audit.Failure(client, now, about, use.Rejection)
	if err != nil || event == nil {
		return use, err
	}
	_, err = audit.StoreEvent(ctx, tx, event)
	return use, err
}
