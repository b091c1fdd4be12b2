package recovery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/access"
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
	Log     *access.SecurityLog
	Peppers domain.CodePeppers
	Keys    domain.GrantKeys
	Lockout domain.LockoutKey
}

// Granted is what a claim buys.
type Granted struct {
	Token     domain.GrantToken
	ExpiresAt time.Time
}

// Execute fails with domain.ErrInvalidCode whatever is wrong with the claim, an account that is not there or shut included,
// with a *domain.Wait after too many wrong ones, with domain.ErrRecoveryOff, or with a *domain.InvalidInput for a claim that
// the policy could never accept.
func (r *Redeem) Execute(ctx context.Context, claim Claim, visitor access.Visitor) (Granted, error) {
	if err := errors.Join(r.Policy.On(), claim.check(r.Policy)); err != nil {
		return Granted{}, err
	}
	now := r.Clock.Now()
	seen, err := r.look(ctx, claim, visitor, now)
	if err != nil {
		return Granted{}, err
	}
	attempt, err := r.judge(claim, seen, now)
	if err != nil {
		return Granted{}, err
	}
	var granted Granted
	var refusal error
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		// Again: of many who guess at once each has to wait for those before.
		lockout, wait, err := r.lockout(ctx, tx, seen, now)
		if err != nil {
			return err
		}
		granted, refusal = Granted{}, nil
		grant, token, err := r.grant(ctx, tx, attempt, now)
		if errors.Is(err, domain.ErrInvalidCode) {
			if wait != nil {
				return wait
			}
			refusal = domain.ErrInvalidCode
			if !errors.Is(err, domain.ErrCodeShownBefore) { // as it is by whoever lost the answer, or clicked twice
				if err := r.count(ctx, tx, seen, lockout, now); err != nil {
					return err
				}
			}
			return r.refuse(ctx, tx, seen, lockout, visitor, now) // commit the count; it is an error afterwards
		}
		if err != nil {
			return err
		}
		granted = Granted{Token: token, ExpiresAt: grant.ExpiresAt()}
		if seen.byName {
			if err := tx.Lockouts.Clear(ctx, seen.subject); err != nil {
				return err
			}
		}
		return r.Log.Enter(ctx, tx, visitor, now, domain.EventSnapshot{Kind: domain.EventRecoveryGranted, UserID: grant.UserID(), Changed: names(grant.By())})
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return Granted{}, err
	}
	return granted, nil
}

// seen is what there was to be seen of the account before anything was judged.
type seen struct {
	user    domain.UserID // zero for a name that nobody has, and for a claim that names nobody
	app     *domain.TOTP
	subject domain.LockoutSubject
	byName  bool
}

// look finds the account by the name that it is called by. A name that nobody has is looked up and counted against all the
// same, so that it takes the same time and ends in the same waits.
func (r *Redeem) look(ctx context.Context, claim Claim, visitor access.Visitor, now time.Time) (seen, error) {
	s := seen{byName: claim.TOTPCode != ""}
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		s.subject = r.Lockout.Address(domain.NetworkOf(visitor.IP))
		if s.byName {
			var err error
			if s.user, s.subject, err = r.account(ctx, tx, claim.Name); err != nil {
				return err
			}
		}
		if _, _, err := r.lockout(ctx, tx, s, now); err != nil {
			return err
		}
		var err error
		s.app, err = tx.TOTPs.Of(ctx, s.user)
		return err
	})
	return s, err
}

// lockout returns what was counted, and what the next wrong code is answered with if that is a wait. An account lets no code
// be tried while it waits. An address does: somebody behind it may have a right one, and nobody guesses 80 bits.
func (r *Redeem) lockout(ctx context.Context, tx ports.Tx, s seen, now time.Time) (counted *domain.Lockout, wait, err error) {
	if counted, err = tx.Lockouts.Of(ctx, s.subject); err != nil {
		return nil, nil, err
	}
	if !s.byName {
		counted.Cool(now)
	}
	wait = counted.Open(now)
	if s.byName {
		return counted, nil, wait
	}
	return counted, wait, nil
}

func (r *Redeem) account(ctx context.Context, tx ports.Tx, name Name) (domain.UserID, domain.LockoutSubject, error) {
	user, err := name.find(ctx, tx)
	if errors.Is(err, domain.ErrUserNotFound) {
		return domain.UserID{}, r.Lockout.Unknown(name.String()), nil
	}
	if err != nil {
		return domain.UserID{}, domain.LockoutSubject{}, err
	}
	return user.ID(), r.Lockout.Account(user.ID()), nil
}

// grant spends what is spent at once and opens the grant, or returns domain.ErrInvalidCode. A backup code is spent later,
// by the enrolment that it buys: whoever loses the answer, or the power, on the way has lost no code.
func (r *Redeem) grant(ctx context.Context, tx ports.Tx, a attempt, now time.Time) (*domain.Grant, domain.GrantToken, error) {
	owner, paidWith := a.user, domain.CodeDigest{}
	var by []domain.RecoveryFactor
	if a.byName {
		app, err := tx.TOTPs.Of(ctx, a.user)
		if err != nil {
			return nil, domain.GrantToken{}, err
		}
		if a.wrong || !bytes.Equal(app.Secret(), a.app.Secret()) {
			return nil, domain.GrantToken{}, domain.ErrInvalidCode
		}
		if err := app.Accept(a.step); err != nil {
			return nil, domain.GrantToken{}, err
		}
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return nil, domain.GrantToken{}, err
		}
		by = append(by, domain.ByTOTP)
	}
	if a.paper {
		holder, digest, err := tx.BackupCodes.Owner(ctx, a.digest)
		if err != nil {
			return nil, domain.GrantToken{}, err
		}
		if a.byName && holder != owner {
			return nil, domain.GrantToken{}, domain.ErrInvalidCode
		}
		owner, paidWith = holder, digest
		by = append(by, domain.ByBackupCode)
	}
	user, err := tx.Users.ByID(ctx, owner)
	if errors.Is(err, domain.ErrUserNotFound) || err == nil && user.Enabled() != nil {
		return nil, domain.GrantToken{}, domain.ErrInvalidCode
	}
	if err != nil {
		return nil, domain.GrantToken{}, err
	}
	if a.paper {
		// The same code again: its answer was lost.
		grant, err := tx.Grants.OfUser(ctx, owner)
		if err == nil && grant.Code() == paidWith && grant.Usable(now) == nil {
			if token, found := grant.TokenAgain(r.Keys); found {
				return grant, token, nil
			}
		} else if err != nil && !errors.Is(err, domain.ErrInvalidGrant) {
			return nil, domain.GrantToken{}, err
		}
	}
	grant, token, err := domain.NewGrant(owner, by, paidWith, r.Keys, now, r.Random)
	if err != nil {
		return nil, domain.GrantToken{}, err
	}
	return grant, token, tx.Grants.Put(ctx, grant)
}

// count counts a wrong code.
func (r *Redeem) count(ctx context.Context, tx ports.Tx, s seen, lockout *domain.Lockout, now time.Time) error {
	lockout.Fail(now)
	if !s.byName {
		lockout.Relent()
	}
	return tx.Lockouts.Save(ctx, lockout)
}

// refuse enters the refusal in the log: of a name that nobody has, in nobody's.
func (r *Redeem) refuse(ctx context.Context, tx ports.Tx, s seen, lockout *domain.Lockout, visitor access.Visitor, now time.Time) error {
	e := domain.EventSnapshot{Kind: domain.EventRecoveryRefused, UserID: s.user, Reason: domain.ErrInvalidCode.Code}
	enter := r.Log.Enter
	if s.user.IsZero() {
		enter = r.Log.EnterNameless
	}
	if err := enter(ctx, tx, visitor, now, e); err != nil || !lockout.Closed() {
		return err
	}
	return enter(ctx, tx, visitor, now, domain.EventSnapshot{Kind: domain.EventRecoveryClosed, UserID: s.user})
}

func names(by []domain.RecoveryFactor) []string {
	list := make([]string, len(by))
	for i, factor := range by {
		list[i] = string(factor)
	}
	return list
}
