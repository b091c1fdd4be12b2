package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/ports"
)

// Every query finds its rows by an index and reads them in the index's order, so that its time does not grow with the table.
func TestQueries_UseIndexes(t *testing.T) {
	exceptions := map[string]string{ // parts of plans with few rows to sort or to read
		"ListPasskeysByUser":    "USE TEMP B-TREE FOR LAST TERM OF ORDER BY", // passkeys created in the same microsecond
		"ListPasskeysWithOwner": "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
		"PasskeyWithOwner":      "SCAN counted",                                                         // of the subquery's rows
		"CountOutboxEmails":     "SCAN outbox_emails USING COVERING INDEX outbox_emails_expires_at_idx", // few: they are sent or expire
		"ListSigningKeys":       "SCAN signing_keys; USE TEMP B-TREE FOR ORDER BY",
	}
	searches := map[string]string{ // the parts of plans that do not read revoked sessions
		"PasskeyWithOwner":   "(user_id=? AND revoked_at=?)",
		"ListActiveSessions": "(user_id=? AND revoked_at=? AND id<?)",
	}
	s := openNew(t)
	for name, statement := range queryTexts(t) {
		plan := planOf(t, s, statement)
		if want := searches[name]; !strings.Contains(plan, want) {
			t.Errorf("%s: %s, want %s", name, plan, want)
		}
		if rest := strings.Replace(plan, exceptions[name], "", 1); strings.Contains(rest, "SCAN") || strings.Contains(rest, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

// A prepared statement is not compiled again when it runs with other values.
func TestQueries_AreCompiledOnce(t *testing.T) {
	s := openNew(t)
	texts := queryTexts(t)
	errRollback := errors.New("the statements are rolled back")
	err := s.Update(t.Context(), func(ports.Tx) error {
		for name, text := range texts {
			statement, _, err := s.writer.sqlite.Prepare(text)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for value := range 2 {
				for i := range statement.BindCount() {
					if err := statement.BindInt(i+1, value); err != nil {
						t.Error(err)
					}
				}
				_ = statement.Exec() // some tables reject the values
			}
			if n := statement.Status(sqlite3.STMTSTATUS_REPREPARE, false); n != 0 {
				t.Errorf("%s was compiled again %d times", name, n)
			}
			_ = statement.Close() // it returns the error of Exec
		}
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		t.Error(err)
	}
}

// queryTexts returns the statements of db/sqlitedb by their names, with a ? for each argument.
func queryTexts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../db/sqlitedb/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of queries, error %v", len(files), err)
	}
	embedded := regexp.MustCompile(`sqlc\.embed\((\w+)\)`)
	argument := regexp.MustCompile(`sqlc\.narg\(\w+\)|@\w+`)
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range strings.Split(string(text), "-- name: ")[1:] {
			name, statement, _ := strings.Cut(query, " ")
			_, statement, _ = strings.Cut(statement, "\n")
			statement, _, _ = strings.Cut(statement, ";")
			texts[name] = argument.ReplaceAllString(embedded.ReplaceAllString(statement, "$1.*"), "?")
		}
	}
	return texts
}

func planOf(t *testing.T, s *Store, statement string) string {
	t.Helper()
	rows, err := s.connections[0].conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, make([]any, strings.Count(statement, "?"))...)
	if err != nil {
		t.Fatalf("%v in %s", err, statement)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}
