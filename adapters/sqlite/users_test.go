package sqlite

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/ports"
)

// The schema rejects a statement that deletes a user without the steps of Remove.
func TestSchema_RequiresAnonymisedEvents(t *testing.T) {
	s := openFilled(t)
	for name, statement := range map[string]string{
		"a user before the events are anonymized": "DELETE FROM users",
		"the user of an event before its details": "UPDATE events SET user_id = NULL",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}

// A pending e-mail has all its columns or none, in lower case.
func TestSchema_PendingEmailColumnsAllOrNone(t *testing.T) {
	s := openFilled(t)
	const none = "UPDATE users SET pending_email = NULL, pending_email_code = NULL, pending_email_failures = 0, pending_email_expires_at = NULL"
	for _, set := range []string{
		"pending_email = NULL", "pending_email_code = NULL", "pending_email_failures = NULL", "pending_email_expires_at = NULL",
		"pending_email = ''", "pending_email = 'Countess@example.org'", "pending_email_code = zeroblob(31)", "pending_email_failures = -1",
	} {
		if _, err := s.db.ExecContext(t.Context(), "UPDATE users SET "+set); err == nil {
			t.Errorf("a pending e-mail was accepted with %s", set)
		}
	}
	if _, err := s.db.ExecContext(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{
		"pending_email = 'countess@example.org'", "pending_email_code = zeroblob(32)", "pending_email_failures = 1", "pending_email_expires_at = 1",
	} {
		if _, err := s.db.ExecContext(t.Context(), "UPDATE users SET "+set); err == nil {
			t.Errorf("without a pending e-mail, %s was accepted", set)
		}
	}
}

// New tables and columns are searched as well, because initialRows must fill them.
func TestUsersRemove_LeavesNoRows(t *testing.T) {
	s := openFilled(t)
	const ada = "019a0000-0000-7000-0000-000000000001"
	traces := append(queryColumn(t, s.db, "SELECT id FROM sessions"), ada, "ada@example.org", "countess@example.org")
	for _, trace := range traces {
		if !strings.Contains(contentsOf(t, s.db), trace) {
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
	remaining := contentsOf(t, s.db)
	for _, trace := range traces {
		if strings.Contains(remaining, trace) {
			t.Errorf("%s is still in:\n%s", trace, remaining)
		}
	}
	if n := queryColumn(t, s.db, "SELECT count(*) FROM webauthn_challenges WHERE pending_user_id IS NULL"); n[0] != "0" {
		t.Errorf("%s challenges of the removed user remain", n[0])
	}
}

// openFilled opens a database with rows in all tables.
func openFilled(t *testing.T) *Store {
	t.Helper()
	s := openNew(t)
	if _, err := s.db.ExecContext(t.Context(), initialRows); err != nil {
		t.Fatal(err)
	}
	return s
}
