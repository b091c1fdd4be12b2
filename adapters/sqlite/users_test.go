package sqlite

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/ports"
)

// Whoever forgets what Remove does, in a statement here or by hand, is stopped by the schema.
func TestSchema_RequiresAnonymisedEvents(t *testing.T) {
	s := openFilled(t)
	for name, statement := range map[string]string{
		"a user before their events":   "DELETE FROM users",
		"the name before what it told": "UPDATE events SET user_id = NULL",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: it could be removed", name)
		}
	}
}

// A claim to an address is whole or there is none, and it is written as addresses are compared.
func TestSchema_PendingEmailColumnsAllOrNone(t *testing.T) {
	s := openFilled(t)
	const none = "UPDATE users SET claimed_email = NULL, claim_code = NULL, claim_failures = NULL, claim_expires_at = NULL"
	for _, set := range []string{
		"claimed_email = NULL", "claim_code = NULL", "claim_failures = NULL", "claim_expires_at = NULL",
		"claimed_email = ''", "claimed_email = 'Countess@example.org'", "claim_code = zeroblob(31)", "claim_failures = -1",
	} {
		if _, err := s.db.ExecContext(t.Context(), "UPDATE users SET "+set); err == nil {
			t.Errorf("a claim could be given %s", set)
		}
	}
	if _, err := s.db.ExecContext(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{
		"claimed_email = 'countess@example.org'", "claim_code = zeroblob(32)", "claim_failures = 0", "claim_expires_at = 1",
	} {
		if _, err := s.db.ExecContext(t.Context(), "UPDATE users SET "+set); err == nil {
			t.Errorf("without a claim, there could be %s", set)
		}
	}
}

// A table or column that a migration adds is looked through as well, since releases has to fill it.
func TestUsersRemove_LeavesNoRows(t *testing.T) {
	s := openFilled(t)
	const ada = "019a0000-0000-7000-0000-000000000001"
	traces := append(queryColumn(t, s.db, "SELECT id FROM sessions"), ada, "ada@example.org", "countess@example.org")
	for _, trace := range traces {
		if !strings.Contains(contentsOf(t, s.db), trace) {
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
	left := contentsOf(t, s.db)
	for _, trace := range traces {
		if strings.Contains(left, trace) {
			t.Errorf("%s is still in:\n%s", trace, left)
		}
	}
	if n := queryColumn(t, s.db, "SELECT count(*) FROM webauthn_challenges WHERE applicant_user_id IS NULL"); n[0] != "0" {
		t.Errorf("%s challenges of the removed user are left", n[0])
	}
}

// openFilled opens a database with what an installation may hold.
func openFilled(t *testing.T) *Store {
	t.Helper()
	s := openNew(t)
	for _, rows := range rowsByVersion {
		if _, err := s.db.ExecContext(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
