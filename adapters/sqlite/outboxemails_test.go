package sqlite

import "testing"

// A message that brings a code has one, and no other does.
func TestSchema_CodesOnlyInCodeEmails(t *testing.T) {
	s := openFilled(t)
	for name, statement := range map[string]string{
		"one without its code":  "UPDATE messages SET code = NULL WHERE kind = 'email_code'",
		"one with an empty one": "UPDATE messages SET code = x'' WHERE kind = 'email_code'",
		"a notice with a code":  "UPDATE messages SET code = x'01' WHERE kind = 'passkey_removed'",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("there could be %s", name)
		}
	}
}
