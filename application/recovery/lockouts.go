package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// lockouts are the two counters of wrong codes.
//
// The counter of the caller selects the error of a rejected attempt. It does not depend on the account, so that it reveals
// neither guesses from other networks nor a sign-in by the owner. It never rejects a right code: others may share the network.
//
// The counter of the account, if the proof names one, bounds the guesses: while the account is blocked, every code is wrong.
// No response depends on it: a block that ends early would reveal that the owner signed in, and that the account exists.
type lockouts struct {
	caller         *domain.Lockout
	account        *domain.Lockout // nil if the proof names none
	rejection      error           // domain.ErrInvalidCode, or a *domain.RetryAfterError
	accountBlocked bool            // before this attempt
}

func (s *Service) loadLockouts(ctx context.Context, tx ports.Tx, acct account, now time.Time) (l lockouts, err error) {
	if l.caller, err = tx.Lockouts.Get(ctx, acct.caller); err != nil {
		return lockouts{}, err
	}
	l.caller.ResetIfStale(now)
	if l.rejection = l.caller.RequireUnblocked(now); l.rejection == nil {
		l.rejection = domain.ErrInvalidCode
	}
	if acct.named {
		if l.account, err = tx.Lockouts.Get(ctx, acct.subject); err != nil {
			return lockouts{}, err
		}
		l.accountBlocked = l.account.Blocked(now)
	}
	return l, nil
}

// recordFailure counts a wrong code, unless the subject is blocked already. It saves the counters in either case, for equal
// work.
func (l lockouts) recordFailure(ctx context.Context, tx ports.Tx, now time.Time) error {
	if !l.caller.Blocked(now) {
		l.caller.RecordFailure(now)
		l.caller.CapBelowLock()
	}
	if l.account != nil && !l.accountBlocked {
		l.account.RecordFailure(now)
	}
	if err := tx.Lockouts.Save(ctx, l.caller); err != nil || l.account == nil {
		return err
	}
	return tx.Lockouts.Save(ctx, l.account)
}

// recordRejection counts the wrong code and records the event, for an unknown name anonymously. A reused code is not
// counted: it was right, and is repeated for example after a lost response.
func (s *Service) recordRejection(ctx context.Context, tx ports.Tx, acct account, counts lockouts, cause error, client identity.Client, now time.Time) error {
	if !errors.Is(cause, domain.ErrCodeReused) {
		if err := counts.recordFailure(ctx, tx, now); err != nil {
			return err
		}
	}
	record := func(e domain.EventState) error {
		if acct.id.IsZero() {
			return s.Audit.RecordAnonymous(ctx, tx, client, now, e, acct.caller)
		}
		return s.Audit.Record(ctx, tx, client, now, e)
	}
	err := record(domain.EventState{Kind: domain.EventRecoveryRefused, UserID: acct.id, Reason: domain.ErrInvalidCode.Code})
	if err != nil || counts.account == nil || counts.accountBlocked || !counts.account.Locked() {
		return err
	}
	return record(domain.EventState{Kind: domain.EventRecoveryLocked, UserID: acct.id})
}
