package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
)

func TestAPIKeys_CreateListRevoke(t *testing.T) {
	f := newFixture(t)
	created := decodeJSON[struct {
		Key   map[string]any `json:"api_key"`
		Token string
	}](t, f.mustSucceed(t, "api-keys create Backup --scope users:read,events:read --days 1 --json"))
	id, _ := created.Key["id"].(string)
	if created.Key["name"] != "Backup" || created.Key["status"] != "active" || created.Key["expires_at"] != "2026-11-24T12:00:00.000000Z" ||
		created.Key["last_used_at"] != nil || created.Key["revoked_at"] != nil || !strings.HasPrefix(created.Token, "klk_") {
		t.Errorf("created %+v", created)
	}
	usecases, err := f.usecases()
	if err != nil {
		t.Fatal(err)
	}
	if key, err := usecases.APIKeys.Authenticate(t.Context(), created.Token); err != nil || key.ID().String() != id {
		t.Errorf("the printed token: %v, %v", key, err)
	}
	text := f.mustSucceed(t, "api-keys create Monitor --scope events:read")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "klk_") || !strings.Contains(lines[0], "2027-02-21") {
		t.Errorf("printed %q", text)
	}
	list := f.mustSucceed(t, "api-keys list")
	for _, want := range []string{id + "  active", "2026-11-23T12:00:00Z", "events:read,users:read  Backup", "events:read             Monitor"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	if strings.Contains(list, "klk_") || strings.Contains(f.mustSucceed(t, "api-keys list --json"), "klk_") {
		t.Error("a list has a token")
	}
	f.mustSucceed(t, "api-keys revoke "+id)
	keys := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "api-keys list --json"))["api_keys"]
	if len(keys) != 2 || keys[0]["status"] != "revoked" && keys[1]["status"] != "revoked" {
		t.Errorf("after the revocation: %v", keys)
	}
	if _, err := usecases.APIKeys.Authenticate(t.Context(), created.Token); err == nil {
		t.Error("the revoked key is accepted")
	}
}

func TestAPIKeys_RejectInvalidArguments(t *testing.T) {
	f := newFixture(t)
	for line, want := range map[string]string{
		"api-keys create Backup":                               "scope",
		"api-keys create Backup --scope users":                 "users:read",
		"api-keys create Backup --scope users:read --days 0":   "--days",
		"api-keys create Backup --scope users:read --days 367": "--days",
		"api-keys revoke Backup":                               "api-keys list",
	} {
		if why := f.mustFail(t, line, cli.ExitUsage); !strings.Contains(why, want) {
			t.Errorf("%q: %s", line, why)
		}
	}
	f.mustFail(t, "api-keys revoke 01a2077e-25b2-7e51-876e-0112354addcb", cli.ExitNotFound)
	if keys := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "api-keys list --json"))["api_keys"]; len(keys) != 0 {
		t.Errorf("keys were created: %v", keys)
	}
}

func TestAPIKeys_ListHasEveryKey(t *testing.T) {
	f := newFixture(t)
	usecases, err := f.usecases()
	if err != nil {
		t.Fatal(err)
	}
	const keys = 101 // more than one page
	for range keys {
		if _, _, err := usecases.APIKeys.Create(t.Context(), "Backup", domain.Scopes, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if list := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "api-keys list --json"))["api_keys"]; len(list) != keys {
		t.Errorf("listed %d keys, want %d", len(list), keys)
	}
}
