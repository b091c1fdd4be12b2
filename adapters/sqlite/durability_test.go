package sqlite

import (
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

func TestOpen_WriterDurabilityPragmas(t *testing.T) {
	s := openNew(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q; %v", pragma, got, want, err)
		}
	}
}

// Killing the process leaves what it had written with the operating system; a power cut leaves what had reached the disk.
func TestUpdate_SurvivesPowerCut(t *testing.T) {
	t.Run("as it is", func(t *testing.T) {
		lost, revived, halved := simulatePowerCuts(t, "FULL")
		if lost+revived+halved > 0 {
			t.Errorf("lost %d, alive again %d, half there %d", lost, revived, halved)
		}
	})
	t.Run("without waiting for the disk", func(t *testing.T) { // else this test would not see anything
		lost, revived, _ := simulatePowerCuts(t, "NORMAL")
		if lost == 0 {
			t.Error("nothing is lost")
		}
		t.Logf("lost %d, alive again %d", lost, revived) // the latter takes a checkpoint between the two, which is left to chance
	})
}

// simulatePowerCuts has callers add challenges, two in each unit of work, and take them again, and counts what is wrong after
// power cuts at random moments.
func simulatePowerCuts(t *testing.T, synchronous string) (lost, revived, halved int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	if err := s.writer.exec("PRAGMA synchronous = " + synchronous); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	added, taken := map[int]bool{}, map[int]bool{} // acknowledged; by the first of the two
	note := func(ledger map[int]bool, i int, there bool) {
		mu.Lock()
		defer mu.Unlock()
		if there {
			ledger[i] = true
		} else {
			delete(ledger, i)
		}
	}
	addAndTake := func(i int) error {
		if err := s.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(addNumbered(i, tx), addNumbered(i+1, tx)) }); err != nil {
			return err
		}
		note(added, i, true)
		if i%4 != 0 {
			return nil
		}
		note(added, i, false) // in doubt
		err := s.Update(t.Context(), func(tx ports.Tx) error {
			_, first := tx.Challenges.Take(t.Context(), numberedID(i))
			_, second := tx.Challenges.Take(t.Context(), numberedID(i+1))
			return errors.Join(first, second)
		})
		note(taken, i, err == nil)
		return err
	}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var resting sync.RWMutex // held while a cut is looked at, so that there is not ever more to look at
	const many, cuts = 8, 15
	for c := range many {
		callers.Go(func() {
			for i := c * 1_000_000; ; i += 2 {
				select {
				case <-stop:
					return
				default:
				}
				resting.RLock()
				err := addAndTake(i)
				resting.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sofar := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(added) + len(taken)
	}
	for range cuts {
		for before := sofar(); sofar() < before+many && !t.Failed(); { // however slow the machine is, there is something to lose
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond))))
		mu.Lock()
		wantThere, wantGone := maps.Clone(added), maps.Clone(taken)
		mu.Unlock()
		folder := t.TempDir()
		disk.afterPowerCut(t, folder, random)
		resting.Lock()
		after := openAt(t, filepath.Join(folder, "keylodge.db"))
		there := numbersIn(t, after)
		for i := range wantThere {
			if !there[i] {
				lost++
			}
		}
		for i := range wantGone {
			if there[i] {
				revived++
			}
		}
		for i := range there {
			if !there[i^1] { // its fellow
				halved++
			}
		}
		var sound string
		if err := after.db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
			t.Errorf("the file is not sound: %q %v", sound, err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
		resting.Unlock()
	}
	close(stop)
	callers.Wait()
	if len(added) < cuts || len(taken) < cuts {
		t.Errorf("%d were added and %d taken: too few to tell", len(added), len(taken))
	}
	return lost, revived, halved
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

// Whatever fails, whoever waited is told so, nothing of theirs is kept, and the next one succeeds once it works again.
func TestUpdate_UnavailableWhileDiskFails(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(d *fakeDisk, err error)
		end   func(d *fakeDisk)
		fault error
	}{
		"full":             {failWrites, restoreWrites, sqlite3.FULL},
		"not written":      {failWrites, restoreWrites, sqlite3.IOERR_WRITE},
		"not synchronised": {func(d *fakeDisk, err error) { d.syncs.Store(&err) }, func(d *fakeDisk) { d.syncs.Store(nil) }, sqlite3.IOERR_FSYNC},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keylodge.db")
			s, disk := openOnDisk(t, path)
			nothingAtAll := func() error { return s.Update(t.Context(), noop) }
			add(t, s, 50)
			c.begin(disk, c.fault)
			if err := nothingAtAll(); err != nil {
				t.Errorf("nobody has noticed yet, and got %v", err)
			}
			for i, err := range updateTogether(t, s, 3, addNumbered, noop) {
				if !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("caller %d got %v", i, err)
				}
			}
			if err := nothingAtAll(); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("while it fails, a unit of work that writes nothing got %v", err)
			}
			if _, err := find(t, s, 50); err != nil {
				t.Errorf("reading meanwhile: %v", err)
			}
			wantChallenges(t, s, 1)
			c.end(disk)
			if err := nothingAtAll(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			written := disk.writeCount.Load()
			if err := nothingAtAll(); err != nil || disk.writeCount.Load() != written {
				t.Errorf("it goes on trying: %d writes, %v", disk.writeCount.Load()-written, err)
			}
			add(t, s, 100)
			wantChallenges(t, s, 2)
		})
	}
}

func failWrites(d *fakeDisk, err error) { d.writes.Store(&err) }
func restoreWrites(d *fakeDisk)         { d.writes.Store(nil) }

// A disk that cannot be read is no news about anybody: not that they are unknown, and not that they are signed out.
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
		t.Errorf("afterwards: %v", err)
	}
}
