package acceptance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// TestCommands_PrintNoSecrets checks the output of the operator's commands, and an export. Names and addresses are not secrets
// there.
// Requirement: ASVS-16.2.5
func TestCommands_PrintNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	secret := newSecret(t)
	clock := newClock()
	s := startServer(t, clock, func(c *config.Config) { c.Database, c.Secret = config.SQLite(path), &secret })
	e := &env{t: t, clock: clock, driver: httpDriver{s}}
	ada, ben := e.person("Ada Lovelace", phone), e.appClient("Ben")
	ada.email = "ada@example.org"
	ada.signsUp()
	app, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	ben.signsUp()
	ben.refreshes()
	e.onNewDevice(ada).apiDevice().api.redeem(recoveryProof{email: ada.email, totpCode: app.code(30 * time.Second)}).must(t)
	e.onNewDevice(ada).recovers(withBackupCode(codes[2]))

	keys := encodedSecrets(t, *s.config)
	t.Chdir(filepath.Dir(path))
	t.Setenv("KEYLODGE_DATABASE_URL", "sqlite:"+path)
	t.Setenv("KEYLODGE_SECRET", base64.StdEncoding.EncodeToString(rawSecret(t, secret)))
	t.Setenv("KEYLODGE_OPS_LISTEN", "")
	var printed bytes.Buffer
	for _, line := range []string{"users list", "users show ada@example.org", "keys list", "keys rotate", "migrate status", "doctor", "backup saved.db", "export users.jsonl", "sessions revoke unknown", "nonsense"} {
		for _, form := range []string{"", " --json"} {
			fmt.Fprintf(&printed, "\n$ %s%s\n", line, form)
			bootstrap.Main(strings.Fields(line+form), strings.NewReader(""), &printed, &printed)
		}
	}
	if output := printed.String(); !strings.Contains(output, "ada@example.org") || !strings.Contains(output, "Exported to users.jsonl: ") {
		t.Fatalf("the output of the commands is\n%s", output)
	}
	exported, err := os.ReadFile("users.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	secrets := slices.Clone(keys)
	for _, x := range s.recording.exchanges() {
		secrets = append(secrets, x.secrets()...)
	}
	known := []string{ada.name, ada.email, s.config.RPName, s.origin, "localhost", "Go-http-client", "Go-http-client/1.1"}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool {
		return slices.ContainsFunc(known, func(name string) bool { return strings.EqualFold(name, secret) })
	})
	for _, leak := range findLeaks(printed.Bytes(), secrets) {
		t.Errorf("a command prints the secret %s\n%s", leak, lineContaining(printed.Bytes(), leak))
	}
	// An export includes the registration data of passkeys, but no keys, codes or tokens.
	usable := append(slices.Concat(keys, codes), app.secret)
	for _, secret := range secrets {
		if strings.HasPrefix(secret, "kl") || strings.Count(secret, ".") == 2 {
			usable = append(usable, secret)
		}
	}
	for _, leak := range findLeaks(exported, usable) {
		t.Errorf("the export has the secret %s", leak)
	}
}
