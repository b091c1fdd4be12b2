package cli_test

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestConfig(t *testing.T) {
	f := newFixture(t)
	var invalid error
	f.program.Settings = func() ([]dbadmin.Setting, error) {
		return []dbadmin.Setting{
			{Name: "KEYLODGE_RP_NAME", Value: "Ada's site", Origin: "/run/secrets/name"}, {Name: "KEYLODGE_ORIGINS", Origin: "default"},
			{Name: "KEYLODGE_SECRET", Origin: ".env", Hidden: true}, {Name: "KEYLODGE_DATABASE_URL", Value: "postgres://ada:xxxxx@db/k", Origin: "environment", Hidden: true},
		}, invalid
	}
	const text = "SETTING                FROM               VALUE\n" +
		"KEYLODGE_RP_NAME       /run/secrets/name  Ada's site\n" +
		"KEYLODGE_ORIGINS       default            -\n" +
		"KEYLODGE_SECRET        .env               (hidden)\n" +
		"KEYLODGE_DATABASE_URL  environment        postgres://ada:xxxxx@db/k\n"
	if got := f.mustSucceed(t, "config"); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	list := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "config --json"))["settings"]
	if len(list) != 4 || list[0]["value"] != "Ada's site" || list[0]["from"] != "/run/secrets/name" || list[0]["hidden"] != false || list[1]["value"] != nil ||
		list[2]["value"] != nil || list[2]["hidden"] != true || list[3]["name"] != "KEYLODGE_DATABASE_URL" {
		t.Errorf("as JSON: %v", list)
	}
	invalid = &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: "invalid settings: KEYLODGE_RP_NAME"}
	if exitCode, stdout, stderr := f.run(t, "config"); exitCode != cli.ExitUsage || stdout != text || !strings.Contains(stderr, "KEYLODGE_RP_NAME") {
		t.Errorf("with invalid settings: exit %d, %s%s", exitCode, stdout, stderr)
	}
}
