// Package digestmap has a map for values of tokens that can be found again.
package digestmap

import (
	"crypto/sha256"
	"sync"
)

// A Map holds at most 2*shards*half values.
const (
	shards = 16
	half   = 128
)

// Map keeps the values of the tokens that were put last, by the SHA-256 digest of the token. A full shard drops the older half of
// its values. The zero Map is empty. Several goroutines may use a Map at the same time.
type Map[V any] struct {
	shards [shards]shard[V]
}

type shard[V any] struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]V
}

// Get returns the value of the token, if the map still has it.
func (m *Map[V]) Get(digest [sha256.Size]byte) (value V, found bool) {
	s := &m.shards[digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, found = s.young[digest]; !found {
		value, found = s.old[digest]
	}
	return value, found
}

// Take is Get that removes the value.
func (m *Map[V]) Take(digest [sha256.Size]byte) (value V, found bool) {
	s := &m.shards[digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, values := range []map[[sha256.Size]byte]V{s.young, s.old} {
		if value, found = values[digest]; found {
			delete(values, digest)
			return value, true
		}
	}
	return value, false
}

// Put sets the value of the token.
func (m *Map[V]) Put(digest [sha256.Size]byte, value V) {
	s := &m.shards[digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) == half {
		s.young, s.old = make(map[[sha256.Size]byte]V), s.young
	}
	s.young[digest] = value
}
