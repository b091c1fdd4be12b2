package durability

import (
	"database/sql"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

var (
	rounds = flag.Int("rounds", 50, "how often the server is killed under load")
	seed   = flag.Uint64("seed", 0, "of everything that is left to chance; 0 for another one each time")
)

func chosenSeed() uint64 {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	return *seed
}

// However suddenly the process ends, what it acknowledged is there, what was spent stays spent, and what it did not get to
// answer is there as a whole or not at all.
func TestKill_LosesNothingAcknowledged(t *testing.T) {
	random := rand.New(rand.NewPCG(chosenSeed(), 0))
	s := newServer(t, t.TempDir())
	staff := newLoad(t, s)
	var busy, starting time.Duration
	kills := 0
	s.start()
	for kills < *rounds && !t.Failed() {
		begun := time.Now()
		all := staff.start((*worker).run)
		s.awaitAnswers(random.IntN(800))
		time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond)))) // not just after an answer
		s.kill()
		kills++
		busy += time.Since(begun)
		all.Wait()
		if random.IntN(5) == 0 { // and again while it finds its feet
			s.launch()
			time.Sleep(time.Duration(random.IntN(int(60 * time.Millisecond))))
			s.kill()
			kills++
		}
		begun = time.Now()
		s.start()
		starting = max(starting, time.Since(begun))
		staff.run((*worker).verifyAll)
		requireIntegrity(t, s)
	}
	staff.run((*worker).verifyFormer)
	sum, people := staff.sum()
	if strings.Contains(s.log.text(), `"level":"ERROR"`) {
		t.Error("the log tells of errors")
	}
	requireCoverage(t, sum)
	acknowledged := total(sum.acknowledged)
	t.Logf("%d kills; %d writes acknowledged in %.1f s of load, %.0f a second; longest start %d ms",
		kills, acknowledged, busy.Seconds(), float64(acknowledged)/busy.Seconds(), starting.Milliseconds())
	t.Logf("acknowledged: %s", formatCounts(sum.acknowledged))
	t.Logf("in doubt: %d, of which had been kept: %d (%s)", total(sum.unanswered), total(sum.kept), formatCounts(sum.unanswered))
	t.Logf("%d people looked at again, by %d requests, of which %d with what was spent", people, sum.verified, sum.spent)
	if !t.Failed() {
		t.Log("lost: 0; alive again: 0; half there: 0")
	}
}

// requireCoverage makes sure that the figures tell of something.
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
			t.Errorf("nobody did this: %s", kind)
		}
	}
	if kept := total(sum.kept); kept == 0 || kept == total(sum.unanswered) {
		t.Errorf("of %d in doubt %d had been kept: the kills came at one moment only", total(sum.unanswered), kept)
	}
}

func formatCounts(of map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, of[kind]))
	}
	return strings.Join(parts, ", ")
}

// requireIntegrity has SQLite judge the file, through a connection of its own.
func requireIntegrity(t *testing.T, s *server) {
	t.Helper()
	db, err := driver.Open("file:" + s.database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if said := column(t, db, "PRAGMA integrity_check"); !slices.Equal(said, []string{"ok"}) {
		t.Errorf("the file is not sound: %q", said)
	}
	if said := column(t, db, `SELECT "table" || ' ' || rowid FROM pragma_foreign_key_check`); len(said) > 0 {
		t.Errorf("rows that refer to nothing: %q", said)
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
