package domain

import (
	"cmp"
	"slices"
)

// SessionLimit is how many sessions an account may have at once; 0 sets no limit.
type SessionLimit int

// exactBelow is the size from which a limit is only enforced for an account that is half way there: a look-up for every sign-in
// would make parallel sign-ins of different accounts conflict on PostgreSQL.
const exactBelow = 32

// Sample is how many of an account's sessions need to be counted to know whether it is near its limit.
func (l SessionLimit) Sample() int { return int(l) / 2 }

// Near reports whether another session could exceed the limit, with others that are opened at the same time.
func (l SessionLimit) Near(sampled int) bool {
	return l > 0 && (l < exactBelow || sampled >= l.Sample())
}

// Excess returns the sessions that must end before another one is added: the least recently used ones, the older first among those
// of one time.
func (l SessionLimit) Excess(active []*Session) []*Session {
	if l <= 0 || len(active) < int(l) {
		return nil
	}
	sorted := slices.SortedStableFunc(slices.Values(active), func(a, b *Session) int {
		return cmp.Or(a.state.LastSeenAt.Compare(b.state.LastSeenAt), a.state.CreatedAt.Compare(b.state.CreatedAt))
	})
	return sorted[:len(active)-int(l)+1]
}
