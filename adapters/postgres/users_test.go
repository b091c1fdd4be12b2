package postgres

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/ports"
)

// Whoever forgets what Remove does, in a statement here or by hand, is stopped by the schema.
func TestSchema_RequiresAnonymisedEvents(t *testing.T) {
	s, _ := openFilled(t)
	for name, statement := range map[string]string{
		"a user before their events":   "DELETE FROM users",
		"the name before what it told": "UPDATE events SET user_id = NULL",
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: it could be removed", name)
		}
	}
}

// A table or column that a migration adds is looked through as well, since releases has to fill it.
func TestUsersRemove_LeavesNoRows(t *testing.T) {
	s, url := openFilled(t)
	db := connect(t, url)
	const ada = "019a0000-0000-7000-0000-000000000001"
	traces := append(queryColumn(t, db, "SELECT id::text FROM sessions"), ada, "ada@example.org")
	for _, trace := range traces {
		if !strings.Contains(contentsOf(t, db), trace) {
			t.Fatalf("%s is not there to begin with", trace)
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
	if n := queryColumn(t, db, "SELECT count(*)::text FROM webauthn_challenges WHERE applicant_user_id IS NULL"); n[0] != "0" {
		t.Errorf("%s challenges of the removed user are left", n[0])
	}
}

// openFilled opens a database with what an installation may hold.
func openFilled(t *testing.T) (*Store, string) {
	t.Helper()
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, db := openAt(t, url), connect(t, url)
	for _, rows := range rowsByVersion {
		if err := exec(t.Context(), db, rows); err != nil {
			t.Fatal(err)
		}
	}
	return s, url
}
