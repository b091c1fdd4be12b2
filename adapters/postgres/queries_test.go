package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
)

// Every query finds its rows by an index and reads them in the index's order, so that its time does not grow with the table. The
// planner avoids every other plan, so a plan without an index shows that none can be used.
func TestQueries_UseIndexes(t *testing.T) {
	exceptions := map[string]string{ // few rows to sort or to read
		"ListPasskeysByUser":    "Incremental Sort", // passkeys created in the same microsecond
		"ListPasskeysWithOwner": "Incremental Sort",
		"ListSigningKeys":       "Seq Scan",
		"DeleteExpiredBuckets":  "Seq Scan", // only the buckets of recent clients; an index on the time would be updated by each request
	}
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	db := connect(t, url)
	if err := exec(t.Context(), db, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../db/postgresdb/*.sql.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of queries, error %v", len(files), err)
	}
	query := regexp.MustCompile("(?s)`-- name: (\\w+) :\\w+\n(.*?)\n`")
	checked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range query.FindAllStringSubmatch(string(text), -1) {
			name, plan := match[1], planOf(t, db, match[2])
			checked++
			if exceptions[name] != "" && strings.Contains(plan, exceptions[name]) {
				continue
			}
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
				t.Errorf("%s:\n%s", name, plan)
			}
			// Both conditions must limit the range of the index: a scan of the whole index would count all passkeys of this RP ID.
			if name == "CountPasskeysOfOtherRPIDs" && strings.Count(plan, "Index Cond") != 2 {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d queries were found", checked)
	}
}

func planOf(t *testing.T, db *pgx.Conn, statement string) string {
	t.Helper()
	parameters := 0
	for strings.Contains(statement, fmt.Sprintf("$%d", parameters+1)) {
		parameters++
	}
	nulls := ""
	if parameters > 0 {
		nulls = "(" + strings.Repeat("NULL, ", parameters-1) + "NULL)"
	}
	if err := exec(t.Context(), db, "PREPARE planned AS "+statement); err != nil {
		t.Fatalf("%v in %s", err, statement)
	}
	plan := strings.Join(queryColumn(t, db, "EXPLAIN EXECUTE planned"+nulls), "\n")
	if err := exec(t.Context(), db, "DEALLOCATE planned"); err != nil {
		t.Fatal(err)
	}
	return plan
}
