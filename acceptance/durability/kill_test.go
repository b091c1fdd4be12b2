package durability

import (
	"database/sql"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

var (
	rounds = flag.Int("rounds", 50, "number of kills under load")
	seed   = flag.Uint64("seed", 0, "seed of the random choices; 0 for a new one")
)

var chosenSeed = sync.OnceValue(func() uint64 {
	if *seed == 0 {
		return uint64(time.Now().UnixNano())
	}
	return *seed
})

// After a kill, acknowledged writes are stored, consumed values stay consumed, and each unanswered write is stored in full or
// not at all.
// Requirement: WebAuthn-7.2-22, Durability-crashes
func TestKill_LosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(chosenSeed(), 0))
	s := newServer(t, t.TempDir())
	load := newLoad(t, s)
	var busy, longestStart time.Duration
	kills := 0
	s.Start()
	for kills < *rounds && !t.Failed() {
		started := time.Now()
		working := load.start((*worker).run)
		s.awaitAnswers(random.IntN(800))
		time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond)))) // so that kills do not always follow a response
		s.Kill()
		kills++
		busy += time.Since(started)
		working.Wait()
		if random.IntN(5) == 0 { // kill it again while it starts
			s.Launch()
			time.Sleep(time.Duration(random.IntN(int(60 * time.Millisecond))))
			s.Kill()
			kills++
		}
		started = time.Now()
		s.Start()
		longestStart = max(longestStart, time.Since(started))
		load.run((*worker).verifyAll)
		requireIntegrity(t, s)
	}
	load.run((*worker).verifyFormer)
	sum, accounts := load.sum()
	if strings.Contains(s.Logs(), `"level":"ERROR"`) {
		t.Error("the log has errors")
	}
	requireCoverage(t, sum)
	acknowledged := total(sum.acknowledged)
	t.Logf("%d kills; %d writes acknowledged in %.1f s of load, %.0f a second; longest start %d ms",
		kills, acknowledged, busy.Seconds(), float64(acknowledged)/busy.Seconds(), longestStart.Milliseconds())
	t.Logf("acknowledged: %s", formatCounts(sum.acknowledged))
	t.Logf("unanswered: %d, of which committed: %d (%s)", total(sum.unanswered), total(sum.committed), formatCounts(sum.unanswered))
	t.Logf("%d accounts verified by %d requests, of which %d sent consumed values", accounts, sum.verified, sum.consumed)
	if !t.Failed() {
		t.Log("lost: 0; resurrected: 0; partial writes: 0")
	}
}

// requireCoverage fails the test if an action never happened, or if no kill hit a write at the relevant moment.
func requireCoverage(t *testing.T, sum tally) {
	t.Helper()
	if *rounds < 50 {
		return
	}
	for _, kind := range []string{
		"challenge", "sign-up", "sign-in", "sign-out", "revocation", "refresh", "reuse", "rename", "step-up", "backup codes",
		"redeemed code", "enrolment", "app set up", "app confirmed", "redeemed app code", "deletion",
	} {
		if sum.acknowledged[kind] == 0 {
			t.Errorf("no such action was acknowledged: %s", kind)
		}
	}
	if committed := total(sum.committed); committed == 0 || committed == total(sum.unanswered) {
		t.Errorf("of %d unanswered writes %d were committed: want some and not all", total(sum.unanswered), committed)
	}
}

func formatCounts(counts map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(parts, ", ")
}

// requireIntegrity runs SQLite's integrity checks on a separate connection.
func requireIntegrity(t *testing.T, s *server) {
	t.Helper()
	db, err := driver.Open("file:" + s.database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if result := column(t, db, "PRAGMA integrity_check"); !slices.Equal(result, []string{"ok"}) {
		t.Errorf("integrity check failed: %q", result)
	}
	if result := column(t, db, `SELECT "table" || ' ' || rowid FROM pragma_foreign_key_check`); len(result) > 0 {
		t.Errorf("foreign key check failed: %q", result)
	}
}

func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}
