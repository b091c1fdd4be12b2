package cli_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
)

func TestUsersRecover_PrintsLink(t *testing.T) {
	l := newFixture(t)
	l.addUser(t, ada)
	given := decodeJSON[map[string]string](t, l.mustSucceed(t, "users recover ada@example.org --json"))
	link, err := url.Parse(given["link"])
	if err != nil || link.RawQuery != "" || link.Path != "/" || !strings.HasPrefix(link.Fragment, "recover=klg_") ||
		given["user_id"] != ada.ID.String() || given["expires_at"] != "2026-11-23T12:15:00.000000Z" {
		t.Fatalf("%v, %v", given, err)
	}
	// The token stands where no server and no log of one sees it, and each link is another.
	text := l.mustSucceed(t, "users recover "+ada.ID.String())
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "ada@example.org") || !strings.Contains(lines[0], "2026-11-23T12:15:00Z") || lines[1] == given["link"] {
		t.Errorf("it says\n%s", text)
	}
	if _, err := domain.ParseRecoveryGrantToken(strings.TrimPrefix(link.Fragment, "recover=")); err != nil {
		t.Error(err)
	}
	l.mustFail(t, "users recover nobody@example.org", cli.ExitNotFound)
	l.mustSucceed(t, "users disable ada@example.org")
	l.mustFail(t, "users recover ada@example.org", cli.ExitConflict)
}
