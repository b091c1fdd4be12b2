package cli_test

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestUsersList(t *testing.T) {
	l := newFixture(t)
	const nobody = "ID  CREATED  STATUS  EMAIL  NAME\n"
	if text := l.mustSucceed(t, "users list"); text != nobody {
		t.Errorf("of nobody: %q", text)
	}
	if none := decodeJSON[map[string][]any](t, l.mustSucceed(t, "users list --json")); len(none["users"]) != 0 || none["users"] == nil {
		t.Errorf("of nobody: %v", none)
	}

	l.addUser(t, ada)
	shut := ben
	shut.DisabledAt = noon
	l.addUser(t, shut)
	const both = `ID                                    CREATED               STATUS    EMAIL            NAME
01930000-0000-7000-8000-000000000001  2026-11-21T12:00:00Z  active    ada@example.org  Ada
01930000-0000-7000-8000-000000000002  2026-11-22T12:00:00Z  disabled  -                Ben
`
	if text := l.mustSucceed(t, "users list"); text != both {
		t.Errorf("it lists\n%s", text)
	}
	list := decodeJSON[map[string][]map[string]any](t, l.mustSucceed(t, "users list --json"))["users"]
	want := []map[string]any{
		{"id": ada.ID.String(), "email": "ada@example.org", "email_verified": true, "pending_email": nil, "display_name": "Ada", "created_at": "2026-11-21T12:00:00.000000Z", "disabled_at": nil},
		{"id": ben.ID.String(), "email": nil, "email_verified": false, "pending_email": nil, "display_name": "Ben", "created_at": "2026-11-22T12:00:00.000000Z", "disabled_at": "2026-11-23T12:00:00.000000Z"},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("it lists %v", list)
	}
}

func TestUsersList_PagesAndLimit(t *testing.T) {
	l := newFixture(t)
	added := 0
	grow := func(to int) {
		for added < to {
			added++
			l.addUser(t, domain.UserState{ID: userID(added), Handle: domain.UserHandle(fmt.Sprint(added)), CreatedAt: noon})
		}
	}
	for _, c := range []struct{ users, limit, want int }{
		{99, 0, 99}, {100, 0, 100}, {101, 0, 101}, {200, 0, 200}, {250, 0, 250},
		{250, 1, 1}, {250, 100, 100}, {250, 150, 150}, {250, 200, 200}, {250, 1000, 250},
	} {
		grow(c.users)
		flags := ""
		if c.limit > 0 {
			flags = fmt.Sprintf(" --limit %d", c.limit)
		}
		var want []string
		for n := range c.want {
			want = append(want, userID(n+1).String())
		}
		var text, program []string
		for line := range strings.Lines(l.mustSucceed(t, "users list"+flags)) {
			text = append(text, strings.Fields(line)[0])
		}
		for _, u := range decodeJSON[map[string][]map[string]any](t, l.mustSucceed(t, "users list --json"+flags))["users"] {
			program = append(program, u["id"].(string))
		}
		if !slices.Equal(text[1:], want) || !slices.Equal(program, want) {
			t.Errorf("of %d users%s it lists %d as text and %d as JSON", c.users, flags, len(text)-1, len(program))
		}
	}
}

func TestUsersList_ColumnsAlignAcrossPages(t *testing.T) {
	l := newFixture(t)
	for n := range 101 { // addresses get shorter
		l.addUser(t, domain.UserState{
			ID: userID(n), Handle: domain.UserHandle(fmt.Sprint(n)), Email: domain.Email(fmt.Sprintf("%d@example.org", 100-n)), DisplayName: "Ada", CreatedAt: noon,
		})
	}
	lines := strings.Split(strings.TrimSpace(l.mustSucceed(t, "users list")), "\n")
	if first, last := lines[1], lines[101]; strings.Index(first, "Ada") != strings.Index(last, "Ada") {
		t.Errorf("names do not stand below each other:\n%s\n%s", first, last)
	}
}

func TestUsersShow(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	l.addUser(t, ben)
	l.addSession(t, sessionOf(ada, 1))
	l.addSession(t, sessionOf(ben, 2))
	l.update(t, func(ctx context.Context, tx ports.Tx) error {
		return tx.Credentials.Add(ctx, sqlitestore.Credential(domain.CredentialState{
			ID: "key", UserID: ada.ID, Name: "Blue key", Status: domain.CredentialActive, AAGUID: [16]byte{7},
			Transports: []string{"usb"}, SignCount: 9, CloneWarning: true, CreatedAt: noon.Add(-3 * time.Hour), LastUsedAt: noon.Add(-time.Hour),
		}))
	})
	l.update(t, func(ctx context.Context, tx ports.Tx) error {
		event := domain.NewEvent(domain.EventState{
			UserID: ada.ID, Kind: domain.EventPasskeyFlagged, SessionID: sessionID(1), CredentialID: "key", PasskeyName: "Blue key",
			DeviceName: "Firefox on Linux", IP: "192.0.2.7", Reason: string(domain.AnomalyCounterRegressed), RequestID: "r1",
		}, noon, strings.NewReader("ten random bytes"))
		again := event.State()
		for i, ip := range []string{"192.0.2.8", "192.0.2.9"} {
			again.At, again.IP = noon.Add(time.Duration(i+1)*time.Minute), ip
			event.AddRepetition(domain.RestoreEvent(again))
		}
		return tx.Events.Add(ctx, event)
	})
	const want = `ID        01930000-0000-7000-8000-000000000001
E-mail    ada@example.org
Verified  yes
Claimed   -
Name      Ada
Created   2026-11-21T12:00:00Z
Disabled  -

Passkeys
ID    CREATED               LAST USED             STATUS  SYNCED  COUNTER  CLONED?  AUTHENTICATOR    NAME
a2V5  2026-11-23T09:00:00Z  2026-11-23T11:00:00Z  active  no      9        yes      Clé de sécurité  Blue key

Sessions
ID                                    CREATED               LAST SEEN             EXPIRES               TRANSPORT  IP         DEVICE
01930000-0000-7000-9000-000000000001  2026-11-23T10:00:00Z  2026-11-23T11:59:00Z  2026-11-23T14:00:00Z  cookie     192.0.2.7  Firefox on Linux

Latest events
AT                    EVENT            BY    IP            DETAILS
2026-11-23T12:00:00Z  passkey_flagged  user  192.0.2.7 +2  counter_regressed, Firefox on Linux, Blue key, 3 times until 2026-11-23T12:02:00Z
`
	for _, who := range []string{"ada@example.org", "Ada@Example.ORG", ada.ID.String()} {
		if text := l.mustSucceed(t, "users show "+who); text != want {
			t.Errorf("of %s it shows\n%s", who, text)
		}
	}

	shown := l.showAccount(t, ada)
	event := shown.Events[0]
	delete(event, "id")
	wanted := account{
		User: map[string]any{"id": ada.ID.String(), "email": "ada@example.org", "email_verified": true, "pending_email": nil, "display_name": "Ada", "created_at": "2026-11-21T12:00:00.000000Z", "disabled_at": nil},
		Passkeys: []map[string]any{{
			"id": "a2V5", "name": "Blue key", "authenticator": map[string]any{"aaguid": "07000000-0000-0000-0000-000000000000", "name": "Clé de sécurité"},
			"transports": []any{"usb"}, "backup_eligible": false, "backed_up": false, "sign_count": 9.0, "clone_warning": true,
			"created_at": "2026-11-23T09:00:00.000000Z", "last_used_at": "2026-11-23T11:00:00.000000Z", "status": "active",
		}},
		Sessions: []map[string]any{{
			"id": sessionID(1).String(), "created_at": "2026-11-23T10:00:00.000000Z", "last_seen_at": "2026-11-23T11:59:00.000000Z", "expires_at": "2026-11-23T14:00:00.000000Z",
			"auth_time": "2026-11-23T11:00:00.000000Z", "amr": []any{"hwk", "user", "mfa"}, "assurance": "passkey", "transport": "cookie",
			"device": map[string]any{"name": "Firefox on Linux", "user_agent": "Mozilla/5.0 (X11)", "ip": "192.0.2.7"},
		}},
		Events: []map[string]any{{
			"kind": "passkey_flagged", "at": "2026-11-23T12:00:00.000000Z", "count": 3.0, "last_at": "2026-11-23T12:02:00.000000Z", "actor": "user", "session_id": sessionID(1).String(), "reason": "counter_regressed",
			"passkey": map[string]any{"id": "a2V5", "name": "Blue key"}, "device": map[string]any{"name": "Firefox on Linux", "ip": "192.0.2.7"},
			"addresses": []any{"192.0.2.7", "192.0.2.8", "192.0.2.9"}, "changed": []any{}, "request_id": "r1",
		}},
	}
	if !reflect.DeepEqual(shown, wanted) {
		t.Errorf("as JSON it shows\n%v, not\n%v", shown, wanted)
	}

	bare := l.showAccount(t, ben)
	if bare.Passkeys == nil || bare.Events == nil || len(bare.Sessions) != 1 {
		t.Errorf("of Ben it shows %v", bare)
	}
}

func TestUsersDisable_ThenEnable(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	l.addUser(t, ben)
	l.addSession(t, sessionOf(ada, 1))
	l.addSession(t, sessionOf(ada, 2))
	if text := l.mustSucceed(t, "users disable ada@example.org"); text != "User ada@example.org is disabled; 2 sessions ended.\n" {
		t.Errorf("it says %q", text)
	}
	if now := l.showAccount(t, ada); now.User["disabled_at"] == nil || len(now.Sessions) != 0 {
		t.Errorf("it is %v", now)
	}
	if text := l.mustSucceed(t, "users enable ada@example.org"); text != "User ada@example.org is enabled.\n" {
		t.Errorf("it says %q", text)
	}
	if now := l.showAccount(t, ada); now.User["disabled_at"] != nil {
		t.Errorf("it is %v", now)
	}

	l.addSession(t, sessionOf(ben, 3))
	wantJSON(t, l.mustSucceed(t, "users disable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String(), "sessions_revoked": 1.0})
	wantJSON(t, l.mustSucceed(t, "users disable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String(), "sessions_revoked": 0.0})
	wantJSON(t, l.mustSucceed(t, "users enable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String()})
}

func TestUsers_UnknownUserExits3(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	for _, line := range []string{"users show", "users disable", "users enable", "users delete --yes", "sessions revoke --user"} {
		for _, who := range []string{" ben@example.org", " " + ben.ID.String()} {
			if why := l.mustFail(t, line+who, cli.ExitNotFound); why != "keylodge: there is no such user\n" {
				t.Errorf("%s: %s", line, why)
			}
		}
	}
}

func TestUsersDelete_WithConfirmation(t *testing.T) {
	for _, c := range []struct {
		who   domain.UserState
		typed string
	}{
		{ada, "ada@example.org\n"}, {ada, " Ada@example.org\r\n"}, {ada, "ada@example.org"}, {ben, ben.ID.String() + "\n"},
	} {
		l := newFixture(t)
		l.addUser(t, c.who)
		l.program.Interactive, l.program.Stdin = true, strings.NewReader(c.typed)
		exitCode, stdout, stderr := l.run(t, "users delete "+c.who.ID.String())
		if exitCode != cli.ExitOK || !strings.HasSuffix(stdout, " is deleted.\n") || !strings.Contains(stderr, "with 0 passkeys. Type ") {
			t.Errorf("on %q: exit %d, %q, %q", c.typed, exitCode, stdout, stderr)
		}
		l.mustFail(t, "users show "+c.who.ID.String(), cli.ExitNotFound)
	}
}

func TestUsersDelete_RequiresConfirmation(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	for _, typed := range []string{"", "\n", "y\n", "yes\n", "ben@example.org\nada@example.org\n", ada.ID.String() + "\n"} {
		l.program.Interactive, l.program.Stdin = true, strings.NewReader(typed)
		if why := l.mustFail(t, "users delete ada@example.org", cli.ExitConflict); !strings.Contains(why, "not confirmed") {
			t.Errorf("on %q: %s", typed, why)
		}
	}
	l.program.Interactive, l.program.Stdin = false, strings.NewReader("ada@example.org\n")
	if why := l.mustFail(t, "users delete ada@example.org", cli.ExitConflict); !strings.Contains(why, "--yes") || strings.Contains(why, "Type") {
		t.Errorf("without a terminal: %s", why)
	}
	why := decodeJSON[failureJSON](t, l.mustFail(t, "users delete --json ada@example.org", cli.ExitConflict))
	if why.Error.Code != "not_confirmed" {
		t.Errorf("%+v", why)
	}
	l.mustSucceed(t, "users show ada@example.org")

	wantJSON(t, l.mustSucceed(t, "users delete --yes --json ada@example.org"), map[string]any{"user_id": ada.ID.String()})
	l.mustFail(t, "users show ada@example.org", cli.ExitNotFound)
}

func TestUsersDelete_InterruptAtPrompt(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	silent, typing := io.Pipe()
	defer typing.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	l.program.Interactive, l.program.Stdin = true, notifyOnRead(silent, interrupt)
	if exitCode, _, stderr := l.runContext(ctx, t, "users delete ada@example.org"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "\nkeylodge: interrupted") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	l.mustSucceed(t, "users show ada@example.org")
}

// notifyOnRead tells when somebody begins to read.
func notifyOnRead(r io.Reader, begun func()) io.Reader { return &notifyingReader{r, begun} }

type notifyingReader struct {
	io.Reader
	onRead func()
}

func (w *notifyingReader) Read(p []byte) (int, error) {
	w.onRead()
	return w.Reader.Read(p)
}

func wantJSON(t *testing.T, text string, want map[string]any) {
	t.Helper()
	if got := decodeJSON[map[string]any](t, text); !reflect.DeepEqual(got, want) {
		t.Errorf("it answers %v, not %v", got, want)
	}
}
