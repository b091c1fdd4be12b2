package cli_test

import (
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

func TestKeys_ListAndRotate(t *testing.T) {
	f := newFixture(t)
	if before := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "keys list --json"))["keys"]; len(before) != 0 {
		t.Fatalf("before the first rotation: %v", before)
	}
	f.mustSucceed(t, "keys rotate")
	before := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "keys list --json"))["keys"]
	if len(before) != 1 || before[0]["state"] != "signing" || before[0]["algorithm"] != "ES256" ||
		before[0]["created_at"] != "2026-11-23T12:00:00.000000Z" || before[0]["signs_from"] != "2026-11-23T12:00:00.000000Z" {
		t.Fatalf("after the first rotation: %v", before)
	}
	after := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "keys rotate --json"))["keys"]
	if len(after) != 2 || after[0]["state"] != "announced" || after[1]["id"] != before[0]["id"] || after[1]["state"] != "signing" {
		t.Errorf("after the second rotation: %v", after)
	}
	lines := strings.Split(strings.TrimSpace(f.mustSucceed(t, "keys list")), "\n")
	if len(lines) != 3 || strings.Join(strings.Fields(lines[0]), " ") != "ID ALGORITHM STATE CREATED SIGNS FROM" ||
		strings.Join(strings.Fields(lines[1]), " ") != after[0]["id"].(string)+" ES256 announced 2026-11-23T12:00:00Z "+formatTime(after[0]["signs_from"]) {
		t.Errorf("unexpected list:\n%s", strings.Join(lines, "\n"))
	}
	if lines = strings.Split(strings.TrimSpace(f.mustSucceed(t, "keys rotate")), "\n"); len(lines) != 4 {
		t.Errorf("after the third rotation:\n%s", strings.Join(lines, "\n"))
	}
}

// formatTime formats a time of JSON to the second.
func formatTime(t any) string {
	seconds, _, _ := strings.Cut(t.(string), ".")
	return strings.TrimSuffix(seconds, "Z") + "Z"
}

func TestKeysRotate_RejectsExternalKeys(t *testing.T) {
	f := newFixture(t)
	key, err := jwt.New().Generate(domain.SigningEdDSA)
	if err != nil {
		t.Fatal(err)
	}
	f.externalKeys = signingkeys.ExternalKeys{key}
	if why := f.mustFail(t, "keys rotate", cli.ExitConflict); !strings.Contains(why, "KEYLODGE_JWT_KEY_FILE") {
		t.Errorf("unexpected output: %s", why)
	}
	keys := decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, "keys list --json"))["keys"]
	if len(keys) != 1 || keys[0]["id"] != key.ID() || keys[0]["created_at"] != nil || keys[0]["signs_from"] != nil {
		t.Errorf("unexpected list: %v", keys)
	}
	if text := f.mustSucceed(t, "keys list"); !strings.HasSuffix(text, "  EdDSA      signing  -        -\n") {
		t.Errorf("unexpected list:\n%s", text)
	}
}
