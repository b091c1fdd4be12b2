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

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestUsersList(t *testing.T) {
	f := newFixture(t)
	const none = "ID  CREATED  STATUS  EMAIL  NAME\n"
	if text := f.mustSucceed(t, "users list"); text != none {
		t.Errorf("without users: %q", text)
	}
	if empty := decodeJSON[map[string][]any](t, f.mustSucceed(t, "users list --json")); len(empty["users"]) != 0 || empty["users"] == nil {
		t.Errorf("without users: %v", empty)
	}

	f.addUser(t, ada)
	disabled := ben
	disabled.DisabledAt = noon
	f.addUser(t, disabled)
	const both = `ID                                    CREATED               STATUS    EMAIL            NAME
01930000-0000-7000-8000-000000000001  2026-11-21T12:00:00Z  active    ada@example.org  Ada
01930000-0000-7000-8000-000000000002  2026-11-22T12:00:00Z  disabled  -                Ben
`
	if text := f.mustSucceed(t, "users list"); text != both {
		t.Errorf("unexpected list:\n%s", text)
	}
	list := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "users list --json"))["users"]
	want := []map[string]any{
		{"id": ada.ID.String(), "email": "ada@example.org", "email_verified": true, "pending_email": nil, "display_name": "Ada", "locale": "pt-BR", "groups": []any{"admin", "staff"}, "created_at": "2026-11-21T12:00:00.000000Z", "disabled_at": nil},
		{"id": ben.ID.String(), "email": nil, "email_verified": false, "pending_email": nil, "display_name": "Ben", "locale": nil, "groups": []any{}, "created_at": "2026-11-22T12:00:00.000000Z", "disabled_at": "2026-11-23T12:00:00.000000Z"},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("unexpected list: %v", list)
	}
}

func TestUsersList_PagesAndLimit(t *testing.T) {
	f := newFixture(t)
	added := 0
	addUsers := func(count int) {
		for added < count {
			added++
			f.addUser(t, domain.UserState{ID: userID(added), Handle: domain.UserHandle(fmt.Sprint(added)), CreatedAt: noon})
		}
	}
	for _, c := range []struct{ users, limit, want int }{
		{99, 0, 99}, {100, 0, 100}, {101, 0, 101}, {200, 0, 200}, {250, 0, 250},
		{250, 1, 1}, {250, 100, 100}, {250, 150, 150}, {250, 200, 200}, {250, 1000, 250},
	} {
		addUsers(c.users)
		flags := ""
		if c.limit > 0 {
			flags = fmt.Sprintf(" --limit %d", c.limit)
		}
		var want []string
		for n := range c.want {
			want = append(want, userID(n+1).String())
		}
		var text, document []string
		for line := range strings.Lines(f.mustSucceed(t, "users list"+flags)) {
			text = append(text, strings.Fields(line)[0])
		}
		for _, u := range decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "users list --json"+flags))["users"] {
			document = append(document, u["id"].(string))
		}
		if !slices.Equal(text[1:], want) || !slices.Equal(document, want) {
			t.Errorf("%d users%s: %d as text, %d as JSON", c.users, flags, len(text)-1, len(document))
		}
	}
}

func TestUsersList_ColumnsAlignAcrossPages(t *testing.T) {
	f := newFixture(t)
	for n := range 101 { // the first addresses are longer
		f.addUser(t, domain.UserState{
			ID: userID(n), Handle: domain.UserHandle(fmt.Sprint(n)), Email: domain.Email(fmt.Sprintf("%d@example.org", 100-n)), DisplayName: "Ada", CreatedAt: noon,
		})
	}
	lines := strings.Split(strings.TrimSpace(f.mustSucceed(t, "users list")), "\n")
	if first, last := lines[1], lines[101]; strings.Index(first, "Ada") != strings.Index(last, "Ada") {
		t.Errorf("names are not aligned:\n%s\n%s", first, last)
	}
}

func TestUsersGroups(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	for _, c := range []struct{ arguments, text string }{
		{"ada@example.org", "Groups of user ada@example.org: admin, staff.\n"},
		{"ada@example.org --add on-call --add eu --remove staff", "Groups of user ada@example.org: admin, eu, on-call.\n"},
		{"ada@example.org --add eu", "Groups of user ada@example.org: admin, eu, on-call.\n"},
		{"ada@example.org --remove eu,on-call,admin", "Groups of user ada@example.org: none.\n"},
	} {
		if text := f.mustSucceed(t, "users groups "+c.arguments); text != c.text {
			t.Errorf("%s: %q, want %q", c.arguments, text, c.text)
		}
	}
	for _, c := range []struct {
		arguments string
		want      []any
	}{{"", []any{}}, {" --add b --add a", []any{"a", "b"}}} {
		result := decodeJSON[map[string]any](t, f.mustSucceed(t, "users groups "+ben.ID.String()+c.arguments+" --json"))
		if got, isList := result["groups"].([]any); !isList || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.arguments, result, c.want)
		}
	}
	for _, flag := range []string{"--add", "--remove"} {
		if why := f.mustFail(t, "users groups ada@example.org "+flag+" Admin", cli.ExitUsage); !strings.Contains(why, flag+": a group has") {
			t.Errorf("%s: %s", flag, why)
		}
	}
}

func TestUsersShow(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	f.addSession(t, sessionOf(ada, 1))
	recovered := sessionOf(ben, 2)
	recovered.AuthTime = domain.NoAuthTime
	f.addSession(t, recovered)
	f.update(t, func(ctx context.Context, tx ports.Tx) error {
		return tx.Credentials.Add(ctx, sqlitestore.Credential(domain.CredentialState{
			ID: "key", UserID: ada.ID, Name: "Blue key", Status: domain.CredentialActive, AAGUID: [16]byte{7},
			Transports: []string{"usb"}, SignCount: 9, CloneWarning: true, CreatedAt: noon.Add(-3 * time.Hour), LastUsedAt: noon.Add(-time.Hour),
		}), sqlitestore.Attestation())
	})
	f.update(t, func(ctx context.Context, tx ports.Tx) error {
		event := domain.NewEvent(domain.EventState{
			UserID: ada.ID, Kind: domain.EventPasskeyFlagged, SessionID: sessionID(1), CredentialID: "key", PasskeyName: "Blue key",
			DeviceName: "Firefox on Linux", IP: "192.0.2.7", Reason: string(domain.AnomalyCounterRegressed), RequestID: "r1",
		}, noon, strings.NewReader("ten random bytes"))
		repeated := event.State()
		for i, ip := range []string{"192.0.2.8", "192.0.2.9"} {
			repeated.At, repeated.IP = noon.Add(time.Duration(i+1)*time.Minute), ip
			event.AddRepetition(domain.RestoreEvent(repeated))
		}
		return tx.Events.Add(ctx, event)
	})
	const want = `ID              01930000-0000-7000-8000-000000000001
E-mail          ada@example.org
Verified        yes
Pending e-mail  -
Name            Ada
Language        pt-BR
Groups          admin, staff
Created         2026-11-21T12:00:00Z
Disabled        -

Passkeys
ID    CREATED               LAST USED             STATUS  SYNCED  COUNTER  CLONED?  AUTHENTICATOR    NAME
a2V5  2026-11-23T09:00:00Z  2026-11-23T11:00:00Z  active  no      9        yes      Clé de sécurité  Blue key

Sessions
ID                                    CREATED               LAST SEEN             EXPIRES               TRANSPORT  IP         DEVICE
01930000-0000-7000-9000-000000000001  2026-11-23T10:00:00Z  2026-11-23T11:59:00Z  2026-11-23T14:00:00Z  cookie     192.0.2.7  Firefox on Linux

Latest events
AT                    EVENT            ACTOR  IP            DETAILS
2026-11-23T12:00:00Z  passkey_flagged  user   192.0.2.7 +2  counter_regressed, Firefox on Linux, Blue key, 3 times until 2026-11-23T12:02:00Z
`
	for _, ref := range []string{"ada@example.org", "Ada@Example.ORG", ada.ID.String()} {
		if text := f.mustSucceed(t, "users show "+ref); text != want {
			t.Errorf("users show %s:\n%s", ref, text)
		}
	}

	shown := f.showAccount(t, ada)
	event := shown.Events[0]
	delete(event, "id")
	wanted := account{
		User: map[string]any{"id": ada.ID.String(), "email": "ada@example.org", "email_verified": true, "pending_email": nil, "display_name": "Ada", "locale": "pt-BR", "groups": []any{"admin", "staff"}, "created_at": "2026-11-21T12:00:00.000000Z", "disabled_at": nil},
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
			"addresses": []any{"192.0.2.7", "192.0.2.8", "192.0.2.9"}, "changed": []any{}, "api_key_id": nil, "invite_id": nil, "request_id": "r1",
		}},
	}
	if !reflect.DeepEqual(shown, wanted) {
		t.Errorf("as JSON\n%v, want\n%v", shown, wanted)
	}

	empty := f.showAccount(t, ben)
	if empty.Passkeys == nil || empty.Events == nil || len(empty.Sessions) != 1 || empty.Sessions[0]["auth_time"] != nil {
		t.Errorf("account of Ben: %v", empty)
	}
}

func TestUsersDisable_ThenEnable(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	f.addSession(t, sessionOf(ada, 1))
	f.addSession(t, sessionOf(ada, 2))
	if text := f.mustSucceed(t, "users disable ada@example.org"); text != "User ada@example.org is disabled; 2 sessions revoked.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	if now := f.showAccount(t, ada); now.User["disabled_at"] == nil || len(now.Sessions) != 0 {
		t.Errorf("account: %v", now)
	}
	if text := f.mustSucceed(t, "users enable ada@example.org"); text != "User ada@example.org is enabled.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	if now := f.showAccount(t, ada); now.User["disabled_at"] != nil {
		t.Errorf("account: %v", now)
	}

	f.addSession(t, sessionOf(ben, 3))
	wantJSON(t, f.mustSucceed(t, "users disable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String(), "sessions_revoked": 1.0})
	wantJSON(t, f.mustSucceed(t, "users disable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String(), "sessions_revoked": 0.0})
	wantJSON(t, f.mustSucceed(t, "users enable --json "+ben.ID.String()), map[string]any{"user_id": ben.ID.String()})
}

func TestUsers_UnknownUserExits3(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	for _, line := range []string{"users show", "users disable", "users enable", "users delete --yes", "sessions revoke --user"} {
		for _, ref := range []string{" ben@example.org", " " + ben.ID.String()} {
			if why := f.mustFail(t, line+ref, cli.ExitNotFound); why != "keylodge: there is no such user\n" {
				t.Errorf("%s: %s", line, why)
			}
		}
	}
}

func TestUsersDelete_WithConfirmation(t *testing.T) {
	for _, c := range []struct {
		user  domain.UserState
		typed string
	}{
		{ada, "ada@example.org\n"}, {ada, " Ada@example.org\r\n"}, {ada, "ada@example.org"}, {ben, ben.ID.String() + "\n"},
	} {
		f := newFixture(t)
		f.addUser(t, c.user)
		f.program.Interactive, f.program.Stdin = true, strings.NewReader(c.typed)
		exitCode, stdout, stderr := f.run(t, "users delete "+c.user.ID.String())
		if exitCode != cli.ExitOK || !strings.HasSuffix(stdout, " is deleted.\n") || !strings.Contains(stderr, "with 0 passkeys. Type ") {
			t.Errorf("typed %q: exit %d, %q, %q", c.typed, exitCode, stdout, stderr)
		}
		f.mustFail(t, "users show "+c.user.ID.String(), cli.ExitNotFound)
	}
}

func TestUsersDelete_RequiresConfirmation(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	for _, typed := range []string{"", "\n", "y\n", "yes\n", "ben@example.org\nada@example.org\n", ada.ID.String() + "\n"} {
		f.program.Interactive, f.program.Stdin = true, strings.NewReader(typed)
		if why := f.mustFail(t, "users delete ada@example.org", cli.ExitConflict); !strings.Contains(why, "not confirmed") {
			t.Errorf("typed %q: %s", typed, why)
		}
	}
	f.program.Interactive, f.program.Stdin = false, strings.NewReader("ada@example.org\n")
	if why := f.mustFail(t, "users delete ada@example.org", cli.ExitConflict); !strings.Contains(why, "--yes") || strings.Contains(why, "Type") {
		t.Errorf("without a terminal: %s", why)
	}
	why := decodeJSON[failureJSON](t, f.mustFail(t, "users delete --json ada@example.org", cli.ExitConflict))
	if why.Error.Code != "not_confirmed" {
		t.Errorf("%+v", why)
	}
	f.mustSucceed(t, "users show ada@example.org")

	wantJSON(t, f.mustSucceed(t, "users delete --yes --json ada@example.org"), map[string]any{"user_id": ada.ID.String()})
	f.mustFail(t, "users show ada@example.org", cli.ExitNotFound)
}

func TestUsersDelete_InterruptAtPrompt(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	reader, writer := io.Pipe()
	defer writer.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	f.program.Interactive, f.program.Stdin = true, notifyOnRead(reader, interrupt)
	if exitCode, _, stderr := f.runContext(ctx, t, "users delete ada@example.org"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "\nkeylodge: interrupted") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	f.mustSucceed(t, "users show ada@example.org")
}

// notifyOnRead calls a function before each read.
func notifyOnRead(r io.Reader, onRead func()) io.Reader { return &notifyingReader{r, onRead} }

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
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUsersList_Search(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	for search, want := range map[string]int{"ADA@": 1, "adá": 1, "carol": 0} {
		if found := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "users list --json --search "+search))["users"]; len(found) != want || want == 1 && found[0]["id"] != ada.ID.String() {
			t.Errorf("%q: %v", search, found)
		}
	}
	if why := f.mustFail(t, "users list --search a --limit 101", cli.ExitUsage); !strings.Contains(why, "--limit") {
		t.Error(why)
	}
}

func TestUsersCreate(t *testing.T) {
	f := newFixture(t)
	created := decodeJSON[map[string]string](t, f.mustSucceed(t, "users create --email Carol@example.org --name Carol --groups staff,admin --json"))
	if !strings.HasPrefix(created["link"], "https://id.example.org/#recover=klg_") || created["expires_at"] != "2026-11-30T12:00:00.000000Z" {
		t.Errorf("created %v", created)
	}
	user := decodeJSON[struct{ User map[string]any }](t, f.mustSucceed(t, "users show carol@example.org --json")).User
	if user["id"] != created["user_id"] || user["display_name"] != "Carol" || user["email_verified"] != false || fmt.Sprint(user["groups"]) != "[admin staff]" {
		t.Errorf("stored %v", user)
	}
	f.mustFail(t, "users create --email carol@example.org", cli.ExitConflict)
	f.mustFail(t, "users create --email carol", cli.ExitUsage)
	f.mustFail(t, "users create --groups Staff", cli.ExitUsage)
	if text := f.mustSucceed(t, "users create"); !strings.Contains(text, "works once, until 2026-11-30T12:00:00Z") {
		t.Errorf("printed %q", text)
	}
}
