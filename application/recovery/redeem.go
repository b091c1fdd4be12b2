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
	typed, err := claim.parse()
	if err != nil {
		return Granted{}, err
	}
	now := r.Clock.Now()
	seen, err := r.look(ctx, claim, visitor)
	if err != nil {
		return Granted{}, err
	}
	attempt, err := r.judge(typed, seen, now)
	if err != nil {
		return Granted{}, err
	}
	var granted Granted
	var refusal error
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		// Read inside this unit of work: of many guesses at once each sees the count of those before.
		counts, err := r.counts(ctx, tx, seen, now)
		if err != nil {
			return err
		}
		granted, refusal = Granted{}, nil
		attempt := attempt
		attempt.wrong = attempt.wrong || counts.locked
		grant, token, err := r.grant(ctx, tx, attempt, now)
		if errors.Is(err, domain.ErrInvalidCode) {
			refusal = counts.refusal
			if !errors.Is(err, domain.ErrCodeShownBefore) { // a repeated right code, for example after a lost answer, is no guess
				if err := counts.fail(ctx, tx, now); err != nil {
					return err
				}
			}
			return r.refuse(ctx, tx, seen, counts.closed, visitor, now) // commits the count; the error is returned afterwards
		}
		if err != nil {
			return err
		}
		granted = Granted{Token: token, ExpiresAt: grant.ExpiresAt()}
		if seen.byName {
			if err := tx.Lockouts.Clear(ctx, seen.account); err != nil {
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
	user    domain.UserID // zero for an unknown name, and for a claim without a name
	app     *domain.TOTP
	byName  bool
	caller  domain.LockoutSubject // the network, with the name that it says if it says one
	account domain.LockoutSubject // of a claim by name
}

// look finds the account by its name. An unknown name is looked up and counted against all the same, so that it takes the same
// time.
func (r *Redeem) look(ctx context.Context, claim Claim, visitor access.Visitor) (seen, error) {
	network := domain.NetworkOf(visitor.IP)
	s := seen{byName: claim.TOTPCode != "", caller: r.Lockout.Address(network)}
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		if s.byName {
			s.caller = r.Lockout.Named(claim.Name.String(), network)
			var err error
			if s.user, s.account, err = r.account(ctx, tx, claim.Name); err != nil {
				return err
			}
		}
		var err error
		s.app, err = tx.TOTPs.Of(ctx, s.user)
		return err
	})
	return s, err
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

// counts are the two counts of wrong codes.
//
// The caller's decides what a refused caller is answered: it knows nothing of the account, so that neither guesses from elsewhere nor
// a sign-in by the owner show in it. It makes nothing wrong that is right, since other people may share the network.
//
// The account's, of a claim by name, is what stops guesses: while it is locked every code is wrong. No answer shows that it is: a
// wait that ended early would disclose that the owner signed in, hence that there is an account.
type counts struct {
	caller, account *domain.Lockout // account is nil for a claim without a name
	refusal         error           // domain.ErrInvalidCode, or a *domain.Wait
	locked, closed  bool            // of the account; closed by this attempt
}

func (r *Redeem) counts(ctx context.Context, tx ports.Tx, s seen, now time.Time) (c counts, err error) {
	if c.caller, err = tx.Lockouts.Of(ctx, s.caller); err != nil {
		return counts{}, err
	}
	c.caller.Cool(now)
	if c.refusal = c.caller.Open(now); c.refusal == nil {
		c.refusal = domain.ErrInvalidCode
	}
	if s.byName {
		if c.account, err = tx.Lockouts.Of(ctx, s.account); err != nil {
			return counts{}, err
		}
		c.locked = c.account.Open(now) != nil
	}
	return c, nil
}

// fail counts a wrong code, unless there is a wait already. The counts are saved in any case, so that the same work is done.
func (c *counts) fail(ctx context.Context, tx ports.Tx, now time.Time) error {
	if c.caller.Open(now) == nil {
		c.caller.Fail(now)
		c.caller.Relent()
	}
	if c.account != nil && !c.locked {
		c.account.Fail(now)
		c.closed = c.account.Closed()
	}
	if err := tx.Lockouts.Save(ctx, c.caller); err != nil || c.account == nil {
		return err
	}
	return tx.Lockouts.Save(ctx, c.account)
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

// refuse enters the refusal in the log: for an unknown name, in nobody's.
func (r *Redeem) refuse(ctx context.Context, tx ports.Tx, s seen, closed bool, visitor access.Visitor, now time.Time) error {
	e := domain.EventSnapshot{Kind: domain.EventRecoveryRefused, UserID: s.user, Reason: domain.ErrInvalidCode.Code}
	enter := func(e domain.EventSnapshot) error {
		if s.user.IsZero() {
			return r.Log.EnterNameless(ctx, tx, visitor, now, e, s.caller)
		}
		return r.Log.Enter(ctx, tx, visitor, now, e)
	}
	if err := enter(e); err != nil || !closed {
		return err
	}
	return enter(domain.EventSnapshot{Kind: domain.EventRecoveryClosed, UserID: s.user})
}

func names(by []domain.RecoveryFactor) []string {
	list := make([]string, len(by))
	for i, factor := range by {
		list[i] = string(factor)
	}
	return list
}
