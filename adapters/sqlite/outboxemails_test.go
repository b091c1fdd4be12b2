package sqlite

import "testing"

// Only an e-mail of kind email_code has a code.
func TestSchema_CodesOnlyInCodeEmails(t *testing.T) {
	s := openFilled(t)
	for name, statement := range map[string]string{
		"an email_code without a code":     "UPDATE outbox_emails SET code = NULL WHERE kind = 'email_code'",
		"an email_code with an empty code": "UPDATE outbox_emails SET code = x'' WHERE kind = 'email_code'",
		"a notification with a code":       "UPDATE outbox_emails SET code = x'01' WHERE kind = 'passkey_removed'",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
