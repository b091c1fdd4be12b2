package recovery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Redeem takes recovery codes and gives a grant for them.
type Redeem struct {
	Policy  domain.RecoveryPolicy
	Store   ports.Store
	Codes   ports.TOTPCodes
	Sealer  ports.Sealer
	Clock   ports.Clock
	Random  io.Reader
	Audit   *audit.Log
	Peppers domain.BackupCodePeppers
	Keys    domain.RecoveryGrantKeys
	Lockout domain.LockoutKey
}

// IssuedGrant is what a claim buys.
type IssuedGrant struct {
	Token     domain.RecoveryGrantToken
	ExpiresAt time.Time
}

// Execute fails with domain.ErrInvalidCode whatever is wrong with the claim, an account that is not there or shut included,
// with a *domain.RetryAfterError after too many wrong ones, with domain.ErrRecoveryOff, or with a *domain.InvalidInput for a claim that
// the policy could never accept.
func (r *Redeem) Execute(ctx context.Context, claim Proof, visitor identity.Client) (IssuedGrant, error) {
	if err := errors.Join(r.Policy.RequireEnabled(), claim.validate(r.Policy)); err != nil {
		return IssuedGrant{}, err
	}
	typed, err := claim.parse()
	if err != nil {
		return IssuedGrant{}, err
	}
	now := r.Clock.Now()
	seen, err := r.lookUp(ctx, claim, visitor)
	if err != nil {
		return IssuedGrant{}, err
	}
	attempt, err := r.verify(typed, seen, now)
	if err != nil {
		return IssuedGrant{}, err
	}
	var granted IssuedGrant
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		// Read inside this unit of work: of many guesses at once each sees the count of those before.
		counts, err := r.loadLockouts(ctx, tx, seen, now)
		if err != nil {
			return err
		}
		granted = IssuedGrant{}
		attempt := attempt
		attempt.wrongCode = attempt.wrongCode || counts.locked
		grant, token, err := r.issueGrant(ctx, tx, attempt, now)
		if errors.Is(err, domain.ErrInvalidCode) {
			if !errors.Is(err, domain.ErrCodeReused) { // a repeated right code, for example after a lost answer, is no guess
				if err := counts.recordFailure(ctx, tx, now); err != nil {
					return err
				}
			}
			if err := r.recordRejection(ctx, tx, seen, counts.lockedNow, visitor, now); err != nil {
				return err
			}
			return ports.CommitWith(counts.rejection)
		}
		if err != nil {
			return err
		}
		granted = IssuedGrant{Token: token, ExpiresAt: grant.ExpiresAt()}
		if seen.namesUser {
			if err := tx.Lockouts.Clear(ctx, seen.accountSubject); err != nil {
				return err
			}
		}
		return r.Audit.Record(ctx, tx, visitor, now, domain.EventState{Kind: domain.EventRecoveryGranted, UserID: grant.UserID(), Changed: factorNames(grant.Factors())})
	})
	if err != nil {
		return IssuedGrant{}, err
	}
	return granted, nil
}

// lookup is what there was to be seen of the account before anything was judged.
type lookup struct {
	user           domain.UserID // zero for an unknown name, and for a claim without a name
	totp           *domain.TOTP
	namesUser      bool
	callerSubject  domain.LockoutSubject // the network, with the name that it says if it says one
	accountSubject domain.LockoutSubject // of a claim by name
}

// lookUp finds the account by its name. An unknown name is looked up and counted against all the same, so that it takes the same
// time.
func (r *Redeem) lookUp(ctx context.Context, claim Proof, visitor identity.Client) (lookup, error) {
	network := domain.NetworkOf(visitor.IP)
	s := lookup{namesUser: claim.TOTPCode != "", callerSubject: r.Lockout.Network(network)}
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		if s.namesUser {
			s.callerSubject = r.Lockout.NameAndNetwork(claim.User.String(), network)
			var err error
			if s.user, s.accountSubject, err = r.findAccount(ctx, tx, claim.User); err != nil {
				return err
			}
		}
		var err error
		s.totp, err = tx.TOTPs.Get(ctx, s.user)
		return err
	})
	return s, err
}

func (r *Redeem) findAccount(ctx context.Context, tx ports.Tx, name UserRef) (domain.UserID, domain.LockoutSubject, error) {
	user, err := name.find(ctx, tx)
	if errors.Is(err, domain.ErrUserNotFound) {
		return domain.UserID{}, r.Lockout.UnknownName(name.String()), nil
	}
	if err != nil {
		return domain.UserID{}, domain.LockoutSubject{}, err
	}
	return user.ID(), r.Lockout.Account(user.ID()), nil
}

// lockouts are the two counts of wrong codes.
//
// The caller's decides what a refused caller is answered: it knows nothing of the account, so that neither guesses from elsewhere nor
// a sign-in by the owner show in it. It makes nothing wrong that is right, since other people may share the network.
//
// The account's, of a claim by name, is what stops guesses: while it is locked every code is wrong. No answer shows that it is: a
// wait that ended early would disclose that the owner signed in, hence that there is an account.
type lockouts struct {
	caller, account   *domain.Lockout // account is nil for a claim without a name
	rejection         error           // domain.ErrInvalidCode, or a *domain.RetryAfterError
	locked, lockedNow bool            // of the account; closed by this attempt
}

func (r *Redeem) loadLockouts(ctx context.Context, tx ports.Tx, s lookup, now time.Time) (c lockouts, err error) {
	if c.caller, err = tx.Lockouts.Get(ctx, s.callerSubject); err != nil {
		return lockouts{}, err
	}
	c.caller.ResetIfStale(now)
	if c.rejection = c.caller.RequireUnblocked(now); c.rejection == nil {
		c.rejection = domain.ErrInvalidCode
	}
	if s.namesUser {
		if c.account, err = tx.Lockouts.Get(ctx, s.accountSubject); err != nil {
			return lockouts{}, err
		}
		c.locked = c.account.Blocked(now)
	}
	return c, nil
}

// recordFailure counts a wrong code, unless there is a wait already. The counts are saved in any case, so that the same work is done.
func (c *lockouts) recordFailure(ctx context.Context, tx ports.Tx, now time.Time) error {
	if !c.caller.Blocked(now) {
		c.caller.RecordFailure(now)
		c.caller.CapBelowLock()
	}
	if c.account != nil && !c.locked {
		c.account.RecordFailure(now)
		c.lockedNow = c.account.Locked()
	}
	if err := tx.Lockouts.Save(ctx, c.caller); err != nil || c.account == nil {
		return err
	}
	return tx.Lockouts.Save(ctx, c.account)
}

// issueGrant spends what is spent at once and opens the grant, or returns domain.ErrInvalidCode. A backup code is spent later,
// by the enrolment that it buys: whoever loses the answer, or the power, on the way has lost no code.
func (r *Redeem) issueGrant(ctx context.Context, tx ports.Tx, a attempt, now time.Time) (*domain.RecoveryGrant, domain.RecoveryGrantToken, error) {
	owner, paidWith := a.user, domain.BackupCodeDigest{}
	var by []domain.RecoveryFactor
	if a.namesUser {
		app, err := tx.TOTPs.Get(ctx, a.user)
		if err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		if a.wrongCode || !bytes.Equal(app.Secret(), a.totp.Secret()) {
			return nil, domain.RecoveryGrantToken{}, domain.ErrInvalidCode
		}
		if err := app.Accept(a.step); err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		by = append(by, domain.FactorTOTP)
	}
	if a.hasBackupCode {
		holder, digest, err := tx.BackupCodes.FindOwner(ctx, a.backupCodeDigests)
		if err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		if a.namesUser && holder != owner {
			return nil, domain.RecoveryGrantToken{}, domain.ErrInvalidCode
		}
		owner, paidWith = holder, digest
		by = append(by, domain.FactorBackupCode)
	}
	user, err := tx.Users.ByID(ctx, owner)
	if errors.Is(err, domain.ErrUserNotFound) || err == nil && user.Disabled() {
		return nil, domain.RecoveryGrantToken{}, domain.ErrInvalidCode
	}
	if err != nil {
		return nil, domain.RecoveryGrantToken{}, err
	}
	if a.hasBackupCode {
		// The same code again: its answer was lost.
		grant, err := tx.RecoveryGrants.ByUser(ctx, owner)
		if err == nil && grant.BackupCode() == paidWith && !grant.Expired(now) {
			if token, found := grant.RederiveToken(r.Keys); found {
				return grant, token, nil
			}
		} else if err != nil && !errors.Is(err, domain.ErrRecoveryGrantInvalid) {
			return nil, domain.RecoveryGrantToken{}, err
		}
	}
	grant, token, err := domain.NewRecoveryGrant(owner, by, paidWith, r.Keys, now, r.Random)
	if err != nil {
		return nil, domain.RecoveryGrantToken{}, err
	}
	return grant, token, tx.RecoveryGrants.Put(ctx, grant)
}

// recordRejection enters the refusal in the log: for an unknown name, in nobody's.
func (r *Redeem) recordRejection(ctx context.Context, tx ports.Tx, s lookup, closed bool, visitor identity.Client, now time.Time) error {
	e := domain.EventState{Kind: domain.EventRecoveryRefused, UserID: s.user, Reason: domain.ErrInvalidCode.Code}
	enter := func(e domain.EventState) error {
		if s.user.IsZero() {
			return r.Audit.RecordAnonymous(ctx, tx, visitor, now, e, s.callerSubject)
		}
		return r.Audit.Record(ctx, tx, visitor, now, e)
	}
	if err := enter(e); err != nil || !closed {
		return err
	}
	return enter(domain.EventState{Kind: domain.EventRecoveryLocked, UserID: s.user})
}

func factorNames(by []domain.RecoveryFactor) []string {
	list := make([]string, len(by))
	for i, factor := range by {
		list[i] = string(factor)
	}
	return list
}
