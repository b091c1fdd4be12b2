package ceremony

import (
	"context"

	"github.com/keylodge/keylodge/domain"
)

// RejectMalformed is for an answer that names its challenge and is so far out of shape that there is nothing to verify. It was the
// attempt that the challenge is good for.
type RejectMalformed struct{ Challenges *Challenges }

// Execute spends the challenge, if there is one, and returns cause.
func (t *RejectMalformed) Execute(ctx context.Context, id domain.ChallengeID, cause *domain.Rejection) error {
	return t.Challenges.Fail(ctx, id, nil, cause)
}
