package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SecretUsageCounts counts encrypted data by the secret that decrypts it.
type SecretUsageCounts struct {
	SigningKeys, TOTPs                    []int // one count a secret; confirmed authenticator apps only
	UndecryptableKeys, UndecryptableTOTPs int   // that no secret decrypts
	// OldestBackupCodes is the time at which the oldest set of backup codes was generated; zero if there is none. The secret
	// under which a set was hashed is not known.
	OldestBackupCodes time.Time
}

// SecretUsage counts the data that each secret decrypts, so that the operator knows which secrets are still needed. Each sealer must
// decrypt with one secret only.
func (s *Service) SecretUsage(ctx context.Context, secrets []ports.Sealer) (SecretUsageCounts, error) {
	counts := SecretUsageCounts{SigningKeys: make([]int, len(secrets)), TOTPs: make([]int, len(secrets))}
	var keys domain.SigningKeys
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	if err != nil {
		return counts, err
	}
	for _, key := range keys {
		countDecryptable(secrets, counts.SigningKeys, &counts.UndecryptableKeys, func(secret ports.Sealer) bool {
			return signingkeys.Decryptable(key, secret)
		})
	}
	err = eachUser(ctx, s.Store, func(tx ports.Tx, user *domain.User) ([]recovery.Factors, error) {
		f, err := recovery.LoadFactors(ctx, tx, user.ID())
		return []recovery.Factors{f}, err
	}, func(f recovery.Factors) { counts.add(f, secrets) })
	return counts, err
}

func (c *SecretUsageCounts) add(f recovery.Factors, secrets []ports.Sealer) {
	if f.TOTP.Confirmed() {
		countDecryptable(secrets, c.TOTPs, &c.UndecryptableTOTPs, func(secret ports.Sealer) bool { return recovery.Decryptable(f.TOTP, secret) })
	}
	if f.CodesLeft > 0 && (c.OldestBackupCodes.IsZero() || f.CodesGeneratedAt.Before(c.OldestBackupCodes)) {
		c.OldestBackupCodes = f.CodesGeneratedAt
	}
}

// countDecryptable increments the count of the first secret that decrypts, or else undecryptable.
func countDecryptable(secrets []ports.Sealer, counts []int, undecryptable *int, decrypts func(ports.Sealer) bool) {
	for i, secret := range secrets {
		if decrypts(secret) {
			counts[i]++
			return
		}
	}
	*undecryptable++
}
