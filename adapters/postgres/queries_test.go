package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
)

// Every query finds its rows by an index and reads them in its order, so that its time does not grow with the table. The planner is told
// to avoid everything else, so that what is left of it has no other way.
func TestQueries_UseIndexes(t *testing.T) {
	harmless := map[string]string{ // where there is little to sort or to read
		"ListPasskeysByUser":   "Incremental Sort", // those made in one microsecond
		"ListSigningKeys":      "Seq Scan",
		"DeleteExpiredBuckets": "Seq Scan", // of what callers of the last minutes left; an index on time would be written at each call
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
			if harmless[name] != "" && strings.Contains(plan, harmless[name]) {
				continue
			}
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
				t.Errorf("%s:\n%s", name, plan)
			}
			// An index that is read from end to end is still an index: a million passkeys of this RP id are not to be counted.
			if name == "CountPasskeysOfOtherRPIDs" && strings.Count(plan, "Index Cond") != 2 {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d queries were found: where are the others?", checked)
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
