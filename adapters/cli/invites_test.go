package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestInvites_CreateListRevoke(t *testing.T) {
	f := newFixture(t)
	created := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "invites create --email Ada@example.org --groups staff,admin --expires 12h --json"))["invites"]
	if len(created) != 1 || created[0]["status"] != "active" || created[0]["email"] != "ada@example.org" || created[0]["expires_at"] != "2026-11-24T00:00:00.000000Z" ||
		created[0]["used_at"] != nil || created[0]["user_id"] != nil || created[0]["revoked_at"] != nil {
		t.Fatalf("created %v", created)
	}
	token, _ := created[0]["token"].(string)
	id, _ := created[0]["id"].(string)
	if parsed, err := domain.ParseInviteToken(token); err != nil || created[0]["link"] != "https://id.example.org/signup#invite="+token {
		t.Errorf("the token %q: %v", token, err)
	} else {
		f.update(t, func(ctx context.Context, tx ports.Tx) error {
			stored, err := tx.Invites.ByToken(ctx, parsed.Digest())
			if err == nil && stored.ID().String() != id {
				t.Errorf("the token is that of %s", stored.ID())
			}
			return err
		})
	}
	text := f.mustSucceed(t, "invites create --count 2")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 3 || !strings.Contains(lines[0], "2026-11-30T12:00:00Z") || !strings.Contains(lines[2], "/signup#invite=kli_") {
		t.Errorf("printed %q", text)
	}
	f.mustSucceed(t, "invites revoke "+id)
	list := f.mustSucceed(t, "invites list")
	for _, want := range []string{id + "  revoked", "admin,staff", "ada@example.org", "  active"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	asJSON := f.mustSucceed(t, "invites list --json")
	if all := decodeJSON[map[string][]map[string]any](t, asJSON)["invites"]; len(all) != 3 || strings.Contains(asJSON+list, "kli_") {
		t.Errorf("listed %v", all)
	}
}

func TestInvites_RejectInvalidArguments(t *testing.T) {
	f := newFixture(t)
	for line, want := range map[string]string{
		"invites create --expires 0d":                         "at most 90 days",
		"invites create --expires 91d":                        "at most 90 days",
		"invites create --expires soon":                       "7d or 12h",
		"invites create --expires d":                          "7d or 12h",
		"invites create --expires -1d":                        "7d or 12h",
		"invites create --count 0":                            "1 to 100",
		"invites create --count 101":                          "1 to 100",
		"invites create --count 2 --email ada@example.org":    "alone",
		"invites create --email ada":                          "e-mail",
		"invites create --groups Staff":                       "a to z",
		"invites revoke first":                                "invites list",
		"invites create --email ada@example.org --groups a,B": "a to z",
	} {
		if why := f.mustFail(t, line, cli.ExitUsage); !strings.Contains(why, want) {
			t.Errorf("%q: %s", line, why)
		}
	}
	f.mustFail(t, "invites revoke 01a2077e-25b2-7e51-876e-0112354addcb", cli.ExitNotFound)
	if all := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "invites list --json"))["invites"]; len(all) != 0 {
		t.Errorf("invites were created: %v", all)
	}
}

func TestInvites_ListHasEveryInvite(t *testing.T) {
	f := newFixture(t)
	f.mustSucceed(t, "invites create --count 100")
	f.mustSucceed(t, "invites create")
	if all := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "invites list --json"))["invites"]; len(all) != 101 {
		t.Errorf("listed %d invites", len(all))
	}
}
