package postgres

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/ports"
)

// The schema rejects a statement that deletes a user without the steps of Remove.
func TestSchema_RequiresAnonymisedEvents(t *testing.T) {
	s, _ := openFilled(t)
	for name, statement := range map[string]string{
		"a user before the events are anonymized": "DELETE FROM users",
		"the user of an event before its details": "UPDATE events SET user_id = NULL",
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}

// New tables and columns are searched as well, because initialRows must fill them.
func TestUsersRemove_LeavesNoRows(t *testing.T) {
	s, url := openFilled(t)
	db := connect(t, url)
	const ada = "019a0000-0000-7000-0000-000000000001"
	traces := append(queryColumn(t, db, "SELECT id::text FROM sessions"), ada, "ada@example.org")
	for _, trace := range traces {
		if !strings.Contains(contentsOf(t, db), trace) {
			t.Fatalf("%s is missing before the test", trace)
		}
	}
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByEmail(t.Context(), "ada@example.org")
		if err != nil {
			return err
		}
		return tx.Users.Remove(t.Context(), user.ID())
	}); err != nil {
		t.Fatal(err)
	}
	left := contentsOf(t, db)
	for _, trace := range traces {
		if strings.Contains(left, trace) {
			t.Errorf("%s is still in:\n%s", trace, left)
		}
	}
	if n := queryColumn(t, db, "SELECT count(*)::text FROM webauthn_challenges WHERE pending_user_id IS NULL"); n[0] != "0" {
		t.Errorf("%s challenges of the removed user are left", n[0])
	}
}

// openFilled opens a database with rows in all tables.
func openFilled(t *testing.T) (*Store, string) {
	t.Helper()
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, db := openAt(t, url), connect(t, url)
	if err := exec(t.Context(), db, initialRows); err != nil {
		t.Fatal(err)
	}
	return s, url
}
