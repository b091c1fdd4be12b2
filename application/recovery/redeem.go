package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// IssuedGrant is a recovery grant as its holder receives it.
type IssuedGrant struct {
	Token     domain.RecoveryGrantToken
	ExpiresAt time.Time
}

// Redeem exchanges codes for a recovery grant.
//
// It returns domain.ErrInvalidCode whatever is wrong with the proof, an unknown or disabled account included; after too many wrong
// codes from this caller, a *domain.RetryAfterError; and a *domain.InvalidInput for a proof that the policy cannot accept.
func (s *Service) Redeem(ctx context.Context, proof Proof, client identity.Client) (IssuedGrant, error) {
	if err := errors.Join(s.Policy.RequireEnabled(), proof.validate(s.Policy)); err != nil {
		return IssuedGrant{}, err
	}
	codes, err := proof.parse()
	if err != nil {
		return IssuedGrant{}, err
	}
	now := s.Clock.Now()
	acct, err := s.loadAccount(ctx, proof, client)
	if err != nil {
		return IssuedGrant{}, err
	}
	totp, err := s.verifyTOTP(acct, codes.totp, now) // outside the transaction: cryptography
	if err != nil {
		return IssuedGrant{}, err
	}
	backup := s.backupCodeDigests(codes.backup)
	var issued IssuedGrant
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		// Read in this transaction, so that concurrent guesses are counted one after the other.
		counts, err := s.loadLockouts(ctx, tx, acct, now)
		if err != nil {
			return err
		}
		grant, token, err := s.issueGrant(ctx, tx, acct, totp, backup, counts.accountBlocked, now)
		switch {
		case errors.Is(err, domain.ErrInvalidCode):
			if err := s.recordRejection(ctx, tx, acct, counts, err, client, now); err != nil {
				return err
			}
			return ports.CommitWith(counts.rejection)
		case err != nil:
			return err
		}
		issued = IssuedGrant{Token: token, ExpiresAt: grant.ExpiresAt()}
		if acct.named {
			if err := tx.Lockouts.Clear(ctx, acct.subject); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, tx, client, now, domain.EventState{Kind: domain.EventRecoveryGranted, UserID: grant.UserID(), Changed: factorNames(grant.Factors())})
	})
	if err != nil {
		return IssuedGrant{}, err
	}
	return issued, nil
}

// account is the account that a proof names, as read before any code is verified.
type account struct {
	named   bool
	id      domain.UserID // zero if the proof names none, or an unknown one
	totp    *domain.TOTP
	subject domain.LockoutSubject // zero if the proof names none
	caller  domain.LockoutSubject // the network, together with the name if there is one
}

// loadAccount looks up the account. For an unknown name it executes the same queries and returns a lockout subject of its own,
// so that neither the time nor the waits reveal whether the account exists.
func (s *Service) loadAccount(ctx context.Context, proof Proof, client identity.Client) (account, error) {
	network := domain.NetworkOf(client.IP)
	acct := account{named: proof.namesUser(), caller: s.Lockout.Network(network)}
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		if acct.named {
			acct.caller = s.Lockout.NameAndNetwork(proof.User.String(), network)
			switch user, err := identity.FindUser(ctx, tx, proof.User); {
			case errors.Is(err, domain.ErrUserNotFound):
				acct.id, acct.subject = domain.UserID{}, s.Lockout.UnknownName(proof.User.String())
			case err != nil:
				return err
			default:
				acct.id, acct.subject = user.ID(), s.Lockout.Account(user.ID())
			}
		}
		var err error
		acct.totp, err = tx.TOTPs.Get(ctx, acct.id)
		return err
	})
	return acct, err
}

// issueGrant checks the codes against the store and stores a grant. It returns domain.ErrInvalidCode, and domain.ErrCodeReused for a
// repeated TOTP code. While the account is blocked every TOTP code is wrong.
//
// The TOTP code is consumed here. The backup code is consumed only when the grant is used, so that a client that does not
// receive the response can redeem the code again.
func (s *Service) issueGrant(ctx context.Context, tx ports.Tx, acct account, totp totpResult, backup []domain.BackupCodeDigest, blocked bool, now time.Time) (*domain.RecoveryGrant, domain.RecoveryGrantToken, error) {
	owner, code := acct.id, domain.BackupCodeDigest{}
	var factors []domain.RecoveryFactor
	if acct.named {
		if err := consumeTOTP(ctx, tx, acct, totp, blocked); err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		factors = append(factors, domain.FactorTOTP)
	}
	if len(backup) > 0 {
		var err error
		if owner, code, err = findBackupCode(ctx, tx, acct, backup); err != nil {
			return nil, domain.RecoveryGrantToken{}, err
		}
		factors = append(factors, domain.FactorBackupCode)
	}
	user, err := tx.Users.ByID(ctx, owner)
	if errors.Is(err, domain.ErrUserNotFound) || err == nil && user.Disabled() {
		return nil, domain.RecoveryGrantToken{}, domain.ErrInvalidCode
	}
	if err != nil {
		return nil, domain.RecoveryGrantToken{}, err
	}
	if len(backup) > 0 {
		grant, token, err := s.reissueGrant(ctx, tx, owner, code, now)
		if err != nil || grant != nil {
			return grant, token, err
		}
	}
	grant, token := domain.NewRecoveryGrant(owner, factors, code, s.Keys, now, s.Random)
	return grant, token, tx.RecoveryGrants.Put(ctx, grant)
}

func factorNames(factors []domain.RecoveryFactor) []string {
	names := make([]string, len(factors))
	for i, factor := range factors {
		names[i] = string(factor)
	}
	return names
}
