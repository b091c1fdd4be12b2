package sqlite

import "testing"

// Whoever forgets what Remove does, in a statement here or by hand, is stopped by the schema.
func TestNobodyLeavesTheirNameInTheEvents(t *testing.T) {
	s := openNew(t)
	for _, rows := range releases {
		if _, err := s.db.ExecContext(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	for name, statement := range map[string]string{
		"a user before their events":   "DELETE FROM users",
		"the name before what it told": "UPDATE events SET user_id = NULL",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: it could be removed", name)
		}
	}
}
