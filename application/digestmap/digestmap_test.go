package digestmap

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func digest(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func TestMap_KeepsTheLatestValues(t *testing.T) {
	var m Map[int]
	const puts = 100_000
	for i := range puts {
		m.Put(digest(i), i)
		if got, found := m.Get(digest(i)); !found || got != i {
			t.Fatalf("%d: got %d, %t", i, got, found)
		}
	}
	kept := 0
	for i := range puts {
		if value, found := m.Get(digest(i)); found {
			if kept++; value != i {
				t.Errorf("%d: got %d", i, value)
			}
		}
	}
	if kept < shards*half || kept > 2*shards*half {
		t.Errorf("%d values, want between %d and %d", kept, shards*half, 2*shards*half)
	}
	if _, found := m.Get(digest(puts - half/2)); !found {
		t.Error("a recent value was dropped")
	}
}

func TestMap_PutReplacesTheValue(t *testing.T) {
	var m Map[int]
	m.Put(digest(1), 1)
	for i := 2; i < 3*shards*half && len(m.shards[digest(1)[0]%shards].old) == 0; i++ {
		m.Put(digest(i), i)
	}
	m.Put(digest(1), 2) // the first value is among the old ones
	if got, found := m.Get(digest(1)); !found || got != 2 {
		t.Errorf("got %d, %t", got, found)
	}
}

func TestMap_TakesOnce(t *testing.T) {
	var m Map[int]
	for i := range half + 1 { // in one shard: the first is among the older half
		var digest [sha256.Size]byte
		digest[1] = byte(i)
		m.Put(digest, i)
	}
	for _, i := range []byte{0, half} {
		var digest [sha256.Size]byte
		digest[1] = i
		if got, found := m.Take(digest); !found || got != int(i) {
			t.Errorf("%d: got %d, %t", i, got, found)
		}
		if got, found := m.Take(digest); found {
			t.Errorf("%d: got %d again", i, got)
		}
	}
}
