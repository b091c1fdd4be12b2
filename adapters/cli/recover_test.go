package cli_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
)

func TestUsersRecover_PrintsLink(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	printed := decodeJSON[map[string]string](t, f.mustSucceed(t, "users recover ada@example.org --json"))
	link, err := url.Parse(printed["link"])
	if err != nil || link.RawQuery != "" || link.Path != "/" || !strings.HasPrefix(link.Fragment, "recover=klg_") ||
		printed["user_id"] != ada.ID.String() || printed["expires_at"] != "2026-11-23T12:15:00.000000Z" {
		t.Fatalf("%v, %v", printed, err)
	}
	// The token is in the fragment, which browsers do not send, and each link is different.
	text := f.mustSucceed(t, "users recover "+ada.ID.String())
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "ada@example.org") || !strings.Contains(lines[0], "2026-11-23T12:15:00Z") || lines[1] == printed["link"] {
		t.Errorf("unexpected output:\n%s", text)
	}
	if _, err := domain.ParseRecoveryGrantToken(strings.TrimPrefix(link.Fragment, "recover=")); err != nil {
		t.Error(err)
	}
	f.mustFail(t, "users recover ben@example.org", cli.ExitNotFound)
	f.mustSucceed(t, "users disable ada@example.org")
	f.mustFail(t, "users recover ada@example.org", cli.ExitConflict)
}
