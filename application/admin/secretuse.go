package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SecretUse tells the operator which secret what is stored still needs, so that none is thrown away too early.
type SecretUse struct{ Store ports.Store }

// SecretNeeds counts by secret, in the order in which they were given.
type SecretNeeds struct {
	Keys, Apps         []int // signing keys, and authenticator apps that count
	LostKeys, LostApps int   // that none of the secrets opens
	// OldestCodes is when the oldest set of backup codes was made: zero for none. Under which secret, nothing tells.
	OldestCodes time.Time
}

// Execute tries each secret, given by what seals under it alone.
func (s *SecretUse) Execute(ctx context.Context, secrets []ports.Sealer) (SecretNeeds, error) {
	needs := SecretNeeds{Keys: make([]int, len(secrets)), Apps: make([]int, len(secrets))}
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
			needs.count(of, secrets)
		}
		if len(users) < page {
			return needs, nil
		}
		last = users[len(users)-1].ID()
	}
}

func (s *SecretUse) countKeys(ctx context.Context, secrets []ports.Sealer, needs *SecretNeeds) error {
	var keys domain.SigningKeys
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		count(secrets, needs.Keys, &needs.LostKeys, func(secret ports.Sealer) bool {
			return tokens.Unreadable(domain.SigningKeys{key}, secret) == nil
		})
	}
	return nil
}

// factors are what a user has to recover with.
type factors struct {
	app   *domain.TOTP
	codes int // that are left
	made  time.Time
}

func factorsOf(ctx context.Context, tx ports.Tx, id domain.UserID) (of factors, err error) {
	if of.app, err = tx.TOTPs.Of(ctx, id); err != nil {
		return factors{}, err
	}
	of.codes, of.made, err = tx.BackupCodes.Stock(ctx, id)
	return of, err
}

func (n *SecretNeeds) count(of factors, secrets []ports.Sealer) {
	if of.app.Confirmed() {
		count(secrets, n.Apps, &n.LostApps, func(secret ports.Sealer) bool { return recovery.Readable(of.app, secret) })
	}
	if of.codes > 0 && (n.OldestCodes.IsZero() || of.made.Before(n.OldestCodes)) {
		n.OldestCodes = of.made
	}
}

// count adds one to the first secret that opens, or to lost.
func count(secrets []ports.Sealer, opened []int, lost *int, opens func(ports.Sealer) bool) {
	for i, secret := range secrets {
		if opens(secret) {
			opened[i]++
			return
		}
	}
	*lost++
}
