package domain

import (
	"cmp"
	"slices"
)

// SessionLimit is the maximum number of active sessions of an account; 0 is no limit.
type SessionLimit int

// exactBelow is the limit below which every sign-in counts the account's sessions in its transaction. With this limit or a higher one,
// only a sign-in to an account with half as many does: otherwise concurrent sign-ins of different accounts would conflict on PostgreSQL.
const exactBelow = 32

// Sample returns how many of an account's sessions must be counted to know whether it is near its limit.
func (l SessionLimit) Sample() int { return int(l) / 2 }

// Near reports whether another session, together with concurrent ones, could exceed the limit.
func (l SessionLimit) Near(sampled int) bool {
	return l > 0 && (l < exactBelow || sampled >= l.Sample())
}

// Excess returns the sessions that must be revoked before another one is added: the least recently used ones, and the older ones
// among those last used at the same time.
func (l SessionLimit) Excess(active []*Session) []*Session {
	if l <= 0 || len(active) < int(l) {
		return nil
	}
	sorted := slices.SortedStableFunc(slices.Values(active), func(a, b *Session) int {
		return cmp.Or(a.state.LastSeenAt.Compare(b.state.LastSeenAt), a.state.CreatedAt.Compare(b.state.CreatedAt))
	})
	return sorted[:len(active)-int(l)+1]
}
