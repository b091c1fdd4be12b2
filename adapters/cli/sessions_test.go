package cli_test

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
)

func TestSessionsRevoke_ByID(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	for n := 1; n <= 3; n++ {
		f.addSession(t, sessionOf(ada, n))
	}
	if text := f.mustSucceed(t, "sessions revoke "+sessionID(1).String()); text != "Session "+sessionID(1).String()+" is revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	wantJSON(t, f.mustSucceed(t, "sessions revoke --json "+sessionID(2).String()), map[string]any{"session_id": sessionID(2).String(), "sessions_revoked": 1.0})
	if left := f.showAccount(t, ada).Sessions; len(left) != 1 || left[0]["id"] != sessionID(3).String() {
		t.Errorf("remaining sessions: %v", left)
	}
	for _, id := range []string{sessionID(1).String(), sessionID(4).String()} {
		f.mustFail(t, "sessions revoke "+id, cli.ExitNotFound)
	}
}

func TestSessionsRevoke_ByAddress(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	for n, ip := range []string{"192.0.2.7", "192.0.2.8", "198.51.100.7", ""} {
		s := sessionOf([]domain.UserState{ada, ben}[n%2], n+1)
		s.Device.IP = ip
		f.addSession(t, s)
	}
	if text := f.mustSucceed(t, "sessions revoke --address 192.0.2.0/24 --dry-run"); text != "2 sessions would be revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	wantJSON(t, f.mustSucceed(t, "sessions revoke --address 192.0.2.0/24 --json --dry-run --user "+ben.ID.String()), map[string]any{"sessions_matched": 1.0, "sessions_revoked": 0.0})
	wantJSON(t, f.mustSucceed(t, "sessions revoke --address 192.0.2.0/24 --json"), map[string]any{"sessions_matched": 2.0, "sessions_revoked": 2.0})
	if text := f.mustSucceed(t, "sessions revoke --address 192.0.2.0/24"); text != "0 sessions revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	if left := f.showAccount(t, ada).Sessions; len(left) != 1 || left[0]["id"] != sessionID(3).String() {
		t.Errorf("remaining sessions: %v", left)
	}
	for line, want := range map[string]string{
		"sessions revoke --address 192.0.2.0/33":                       "192.0.2.0/24",
		"sessions revoke --address 192.0.2.7 " + sessionID(3).String(): "--address",
		"sessions revoke --user ada@example.org --dry-run":             "--address",
		"sessions revoke --address 192.0.2.7 --user nothing":           "e-mail",
	} {
		if why := f.mustFail(t, line, cli.ExitUsage); !strings.Contains(why, want) {
			t.Errorf("%q: %s", line, why)
		}
	}
	f.mustFail(t, "sessions revoke --address 192.0.2.7 --user carol@example.org", cli.ExitNotFound)
}

func TestSessionsRevoke_ByUser(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	f.addSession(t, sessionOf(ada, 1))
	f.addSession(t, sessionOf(ada, 2))
	f.addSession(t, sessionOf(ben, 3))
	wantJSON(t, f.mustSucceed(t, "sessions revoke --json --user ada@example.org"), map[string]any{"user_id": ada.ID.String(), "sessions_revoked": 2.0})
	if text := f.mustSucceed(t, "sessions revoke --user ada@example.org"); text != "User ada@example.org: 0 sessions revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	if text := f.mustSucceed(t, "sessions revoke --user "+ben.ID.String()); text != "User "+ben.ID.String()+": 1 session revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
}
