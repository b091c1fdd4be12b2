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
	Policy  domain.UsePolicy
	Audit   *audit.Log
	Lockout domain.LockoutKey
}

// AnomalyError is the rejection of a use of a passkey because of an anomaly. It has the passkey, for the operator's log.
type AnomalyError struct {
	Anomaly    domain.Anomaly
	Credential *domain.Credential // as stored after the use; it may be suspended
	cause      error
}

func (e *AnomalyError) Error() string { return e.cause.Error() }
func (e *AnomalyError) Unwrap() error { return e.cause }

// Record records the use of a passkey by a verified assertion inside the transaction that has read the passkey: another use may
// have increased the counter since the verification. It records an event if the passkey may be cloned, and an event of the given
// kind if the use is rejected. The error of a rejected use is a ports.CommitWith, so that these changes are committed; after an
// anomaly it is an *AnomalyError. Record returns an anomaly that the policy allows. An accepted use clears the account's recovery
// lockout, unless hasLockout says that there is none: the owner's sign-in proves that the wrong codes were not theirs.
func (u *PasskeyUsage) Record(
	ctx context.Context, tx ports.Tx, credential *domain.Credential, a domain.Assertion, client identity.Client, rejected domain.EventKind,
	hasLockout bool, now time.Time,
) (domain.Anomaly, error) {
	anomaly, rejection := credential.RecordUse(a, u.Policy, now)
	if err := tx.Credentials.Save(ctx, credential); err != nil {
		return domain.AnomalyNone, err
	}
	e := domain.EventState{UserID: credential.UserID(), CredentialID: credential.ID(), PasskeyName: credential.Name()}
	if anomaly.IndicatesClone() {
		e.Kind, e.Reason = domain.EventPasskeyFlagged, string(anomaly)
		if credential.Status() == domain.CredentialSuspended {
			e.Kind = domain.EventPasskeySuspended
		}
		if err := u.Audit.Record(ctx, tx, client, now, e); err != nil {
			return domain.AnomalyNone, err
		}
	}
	if rejection == nil {
		if !hasLockout {
			return anomaly, nil
		}
		return anomaly, tx.Lockouts.Clear(ctx, u.Lockout.Account(credential.UserID()))
	}
	if anomaly != domain.AnomalyNone {
		rejection = &AnomalyError{anomaly, credential, rejection}
	}
	e.Kind = rejected
	if event := u.Audit.Failure(client, now, e, rejection); event != nil {
		if _, err := audit.StoreEvent(ctx, tx, event); err != nil {
			return domain.AnomalyNone, err
		}
	}
	return domain.AnomalyNone, ports.CommitWith(rejection)
}
