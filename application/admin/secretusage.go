package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SecretUsage tells the operator which secret what is stored still needs, so that none is thrown away too early.
type SecretUsage struct{ Store ports.Store }

// SecretUsageCounts counts by secret, in the order in which they were given.
type SecretUsageCounts struct {
	SigningKeys, TOTPs                    []int // signing keys, and authenticator apps that count
	UndecryptableKeys, UndecryptableTOTPs int   // that none of the secrets opens
	// OldestBackupCodes is when the oldest set of backup codes was made: zero for none. Under which secret, nothing tells.
	OldestBackupCodes time.Time
}

// Execute tries each secret, given by what seals under it alone.
func (s *SecretUsage) Execute(ctx context.Context, secrets []ports.Sealer) (SecretUsageCounts, error) {
	needs := SecretUsageCounts{SigningKeys: make([]int, len(secrets)), TOTPs: make([]int, len(secrets))}
	if err := s.countKeys(ctx, secrets, &needs); err != nil {
		return needs, err
	}
	const page = 100
	var last domain.UserID
	for {
		var users []*domain.User
		var factors []factors
		err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
			factors = nil
			if users, err = tx.Users.List(ctx, last, page); err != nil {
				return err
			}
			for _, user := range users {
				of, err := factorsOf(ctx, tx, user.ID())
				if err != nil {
					return err
				}
				factors = append(factors, of)
			}
			return nil
		})
		if err != nil {
			return needs, err
		}
		for _, of := range factors {
			needs.add(of, secrets)
		}
		if len(users) < page {
			return needs, nil
		}
		last = users[len(users)-1].ID()
	}
}

func (s *SecretUsage) countKeys(ctx context.Context, secrets []ports.Sealer, needs *SecretUsageCounts) error {
	var keys domain.SigningKeys
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		countDecryptable(secrets, needs.SigningKeys, &needs.UndecryptableKeys, func(secret ports.Sealer) bool {
			return signingkeys.RequireDecryptable(domain.SigningKeys{key}, secret) == nil
		})
	}
	return nil
}

// factors are what a user has to recover with.
type factors struct {
	totp             *domain.TOTP
	codesLeft        int // that are left
	codesGeneratedAt time.Time
}

func factorsOf(ctx context.Context, tx ports.Tx, id domain.UserID) (of factors, err error) {
	if of.totp, err = tx.TOTPs.Get(ctx, id); err != nil {
		return factors{}, err
	}
	of.codesLeft, of.codesGeneratedAt, err = tx.BackupCodes.Count(ctx, id)
	return of, err
}

func (n *SecretUsageCounts) add(of factors, secrets []ports.Sealer) {
	if of.totp.Confirmed() {
		countDecryptable(secrets, n.TOTPs, &n.UndecryptableTOTPs, func(secret ports.Sealer) bool { return recovery.Decryptable(of.totp, secret) })
	}
	if of.codesLeft > 0 && (n.OldestBackupCodes.IsZero() || of.codesGeneratedAt.Before(n.OldestBackupCodes)) {
		n.OldestBackupCodes = of.codesGeneratedAt
	}
}

// countDecryptable adds one to the first secret that opens, or to lost.
func countDecryptable(secrets []ports.Sealer, opened []int, lost *int, opens func(ports.Sealer) bool) {
	for i, secret := range secrets {
		if opens(secret) {
			opened[i]++
			return
		}
	}
	*lost++
}
