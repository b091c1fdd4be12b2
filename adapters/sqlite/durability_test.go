package sqlite

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Requirement: Durability-crashes
func TestOpen_WriterDurabilityPragmas(t *testing.T) {
	s := openNew(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q; %v", pragma, got, want, err)
		}
	}
}

// After a crash of the process everything written remains; after a power cut only what has reached the disk.
// Requirement: Durability-crashes
func TestUpdate_SurvivesPowerCut(t *testing.T) {
	t.Run("with the store's settings", func(t *testing.T) {
		lost, revived, partial := simulatePowerCuts(t.Context(), t)
		if lost+revived+partial > 0 {
			t.Errorf("lost %d, restored %d that were removed, %d Updates are partial", lost, revived, partial)
		}
	})
	t.Run("with asynchronous commits", func(t *testing.T) { // shows that the test detects a loss
		lost, revived, partial := simulatePowerCuts(ports.WithAsyncCommit(t.Context()), t)
		if lost == 0 || partial > 0 {
			t.Errorf("lost %d, want some; %d Updates are partial", lost, partial)
		}
		t.Logf("lost %d, restored %d that were removed", lost, revived) // the latter needs a checkpoint at the right moment
	})
}

// simulatePowerCuts has callers add challenges, two in each Update, and take them again. Before each such Update, one with an
// asynchronous commit adds two others. It counts the wrong states after power cuts at random moments: acknowledged challenges that are
// lost, taken ones that exist again, and Updates of which one half remains.
func simulatePowerCuts(ctx context.Context, t *testing.T) (lost, revived, partial int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	var mu sync.Mutex
	added, taken := map[int]bool{}, map[int]bool{} // acknowledged Updates, by the first number of the two
	set := func(state map[int]bool, i int, present bool) {
		mu.Lock()
		defer mu.Unlock()
		if present {
			state[i] = true
		} else {
			delete(state, i)
		}
	}
	addAndTake := func(i int) error {
		addPair := func(ctx context.Context, i int) error {
			return s.Update(ctx, func(tx ports.Tx) error { return errors.Join(addNumbered(i, tx), addNumbered(i+1, tx)) })
		}
		earlier := i + 500_000
		if err := addPair(ports.WithAsyncCommit(ctx), earlier); err != nil {
			return err
		}
		if err := addPair(ctx, i); err != nil {
			return err
		}
		set(added, earlier, true)
		set(added, i, true)
		if i%4 != 0 {
			return nil
		}
		set(added, i, false) // until the result is known
		err := s.Update(ctx, func(tx ports.Tx) error {
			first := tx.Challenges.Consume(t.Context(), numberedID(i))
			second := tx.Challenges.Consume(t.Context(), numberedID(i+1))
			return errors.Join(first, second)
		})
		set(taken, i, err == nil)
		return err
	}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var pause sync.RWMutex // pauses the callers while the state after a cut is checked
	const writers, cuts = 8, 15
	for c := range writers {
		callers.Go(func() {
			for i := c * 1_000_000; ; i += 2 {
				select {
				case <-stop:
					return
				default:
				}
				pause.RLock()
				err := addAndTake(i)
				pause.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	acknowledged := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(added) + len(taken)
	}
	for range cuts {
		for before := acknowledged(); acknowledged() < before+writers && !t.Failed(); { // also on a slow machine
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond))))
		mu.Lock()
		wantPresent, wantAbsent := maps.Clone(added), maps.Clone(taken)
		mu.Unlock()
		folder := t.TempDir()
		disk.afterPowerCut(t, folder, random)
		pause.Lock()
		after := openAt(t, filepath.Join(folder, "keylodge.db"))
		present := numbersIn(t, after)
		for i := range wantPresent {
			if !present[i] {
				lost++
			}
		}
		for i := range wantAbsent {
			if present[i] {
				revived++
			}
		}
		for i := range present {
			if !present[i^1] { // the other challenge of the same Update
				partial++
			}
		}
		var result string
		if err := after.db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
			t.Errorf("integrity_check: %q, %v", result, err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
		pause.Unlock()
	}
	close(stop)
	callers.Wait()
	if len(added) < cuts || len(taken) < cuts {
		t.Errorf("only %d challenges were added and %d taken", len(added), len(taken))
	}
	return lost, revived, partial
}

func numbersIn(t *testing.T, s *Store) map[int]bool {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT id FROM webauthn_challenges")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	numbers := map[int]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		number, err := strconv.ParseInt(strings.ReplaceAll(id, "-", "")[16:], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		numbers[int(number)] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// While the disk fails, every waiting caller gets an error and none of the writes remains. The first write after that succeeds.
// Requirement: Durability-outages
func TestUpdate_UnavailableWhileDiskFails(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(d *fakeDisk, err error)
		end   func(d *fakeDisk)
		cause error
	}{
		"disk full":    {failWrites, restoreWrites, sqlite3.FULL},
		"failed write": {failWrites, restoreWrites, sqlite3.IOERR_WRITE},
		"failed sync":  {func(d *fakeDisk, err error) { d.syncs.Store(&err) }, func(d *fakeDisk) { d.syncs.Store(nil) }, sqlite3.IOERR_FSYNC},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keylodge.db")
			s, disk := openOnDisk(t, path)
			emptyUpdate := func() error { return s.Update(t.Context(), noop) }
			add(t, s, 50)
			c.begin(disk, c.cause)
			if err := emptyUpdate(); err != nil {
				t.Errorf("before the failure is detected, an empty Update got %v", err)
			}
			for i, err := range updateTogether(t, s, 3, addNumbered, noop) {
				if !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("caller %d got %v", i, err)
				}
			}
			if err := emptyUpdate(); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("during the failure, an empty Update got %v", err)
			}
			if _, err := find(t, s, 50); err != nil {
				t.Errorf("reading during the failure: %v", err)
			}
			wantChallenges(t, s, 1)
			c.end(disk)
			if err := emptyUpdate(); err != nil {
				t.Errorf("after the failure: %v", err)
			}
			written := disk.writeCount.Load()
			if err := emptyUpdate(); err != nil || disk.writeCount.Load() != written {
				t.Errorf("an empty Update after the recovery wrote %d times, %v", disk.writeCount.Load()-written, err)
			}
			add(t, s, 100)
			wantChallenges(t, s, 2)
		})
	}
}

func failWrites(d *fakeDisk, err error) { d.writes.Store(&err) }
func restoreWrites(d *fakeDisk)         { d.writes.Store(nil) }

// A read error is an outage. It must not look like an unknown user or an ended session.
func TestView_ReadErrorIsUnavailable(t *testing.T) {
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	add(t, s, 0)
	var err error = sqlite3.IOERR_READ
	disk.reads.Store(&err)
	if _, err := find(t, s, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	disk.reads.Store(nil)
	if _, err := find(t, s, 0); err != nil {
		t.Errorf("after the failure: %v", err)
	}
}
