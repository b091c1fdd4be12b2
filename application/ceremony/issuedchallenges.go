package ceremony

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/keylodge/keylodge/application/digestmap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// issuedChallenges keeps some thousand challenges that this process has issued, so that the first response to one reads it from no
// database. It decides nothing: the challenge may have been consumed or deleted, which the transaction that consumes it detects.
type issuedChallenges struct {
	byKey digestmap.Map[*domain.Challenge]
}

// put keeps the challenge, unless it is deleted with its session or recovery grant: a response then has to find none.
func (i *issuedChallenges) put(c *domain.Challenge, by domain.ChallengeContext) {
	if by.SessionID.IsZero() && by.RecoveryGrant == (domain.TokenDigest{}) {
		i.byKey.Put(keyOf(c.ID()), c)
	}
}

// find is ports.Challenges.ByID. It returns a challenge from memory once only, and none that has expired: the database has what a later
// response finds.
func (i *issuedChallenges) find(ctx context.Context, tx ports.Tx, id domain.ChallengeID, now time.Time) (*domain.Challenge, error) {
	if c, found := i.byKey.Take(keyOf(id)); found && now.Before(c.ExpiresAt()) {
		return c, nil
	}
	return tx.Challenges.ByID(ctx, id)
}

// keyOf spreads the ids, which begin with the time, over the map.
func keyOf(id domain.ChallengeID) [sha256.Size]byte { return sha256.Sum256([]byte(id.String())) }
