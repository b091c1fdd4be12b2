package cli_test

import (
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
)

func TestSessionsRevoke_ByID(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	for n := 1; n <= 3; n++ {
		l.addSession(t, sessionOf(ada, n))
	}
	if text := l.mustSucceed(t, "sessions revoke "+sessionID(1).String()); text != "Session "+sessionID(1).String()+" is ended.\n" {
		t.Errorf("it says %q", text)
	}
	wantJSON(t, l.mustSucceed(t, "sessions revoke --json "+sessionID(2).String()), map[string]any{"session_id": sessionID(2).String(), "sessions_revoked": 1.0})
	if left := l.showAccount(t, ada).Sessions; len(left) != 1 || left[0]["id"] != sessionID(3).String() {
		t.Errorf("left are %v", left)
	}
	for _, gone := range []string{sessionID(1).String(), sessionID(4).String()} {
		l.mustFail(t, "sessions revoke "+gone, cli.ExitNotFound)
	}
}

func TestSessionsRevoke_ByUser(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	l.addUser(t, ben)
	l.addSession(t, sessionOf(ada, 1))
	l.addSession(t, sessionOf(ada, 2))
	l.addSession(t, sessionOf(ben, 3))
	wantJSON(t, l.mustSucceed(t, "sessions revoke --json --user ada@example.org"), map[string]any{"user_id": ada.ID.String(), "sessions_revoked": 2.0})
	if text := l.mustSucceed(t, "sessions revoke --user ada@example.org"); text != "User ada@example.org: 0 sessions ended.\n" {
		t.Errorf("it says %q", text)
	}
	if text := l.mustSucceed(t, "sessions revoke --user "+ben.ID.String()); text != "User "+ben.ID.String()+": 1 session ended.\n" {
		t.Errorf("it says %q", text)
	}
}
