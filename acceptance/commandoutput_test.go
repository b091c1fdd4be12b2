package acceptance

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/bootstrap"
)

// What the operator's commands print, and what an export holds, opens nothing either. Names and addresses are what was asked for.
func TestTheOperatorsCommandsShowNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	raw := make([]byte, masterkey.Size)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	s := startServer(t, clock, func(c *bootstrap.Config) { c.Database, c.Secret = bootstrap.SQLite(path), &secret })
	l := &lodge{t: t, clock: clock, door: httpDoor{s}}
	ada, ben := l.person("Ada Lovelace", phone), l.program("Ben")
	ada.email = "ada@example.org"
	ada.signsUp()
	app, codes := l.setsUpApp(ada), ada.writesDownCodes()
	ben.signsUp()
	ben.refreshes()
	if _, refused := l.losesEverything(ada).script().connection.redeem(claim{email: ada.email, totpCode: app.shows(30 * time.Second)}); refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	l.losesEverything(ada).recovers(claim{backupCode: codes[2]})

	keys := secretsOf(t, *s.config) // which reads the sources
	t.Chdir(filepath.Dir(path))
	t.Setenv("KEYLODGE_DATABASE_URL", "sqlite:"+path)
	t.Setenv("KEYLODGE_SECRET", base64.StdEncoding.EncodeToString(raw))
	t.Setenv("KEYLODGE_OPS_LISTEN", "")
	var printed bytes.Buffer
	for _, line := range []string{"users list", "users show ada@example.org", "keys list", "keys rotate", "migrate status", "doctor", "backup saved.db", "export lodge.jsonl", "sessions revoke nobody", "nonsense"} {
		for _, form := range []string{"", " --json"} {
			fmt.Fprintf(&printed, "\n$ %s%s\n", line, form)
			bootstrap.Main(strings.Fields(line+form), strings.NewReader(""), &printed, &printed)
		}
	}
	if said := printed.String(); !strings.Contains(said, "ada@example.org") || !strings.Contains(said, "users are in lodge.jsonl") {
		t.Fatalf("the commands said\n%s", said)
	}
	exported, err := os.ReadFile("lodge.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	secrets := slices.Clone(keys)
	for _, x := range s.heard.exchanges() {
		secrets = append(secrets, x.secrets()...)
	}
	known := []string{ada.name, ada.email, s.config.RPName, s.origin, "localhost", "Go-http-client", "Go-http-client/1.1"}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool {
		return slices.ContainsFunc(known, func(name string) bool { return strings.EqualFold(name, secret) })
	})
	for _, leak := range leaks(printed.Bytes(), secrets) {
		t.Errorf("a command prints %s\n%s", leak, lineWith(printed.Bytes(), leak))
	}
	// What clients and authenticators said of a passkey is part of it. What opens something is not.
	opens := append(slices.Concat(keys, codes), app.secret)
	for _, secret := range secrets {
		if strings.HasPrefix(secret, "kl") || strings.Count(secret, ".") == 2 {
			opens = append(opens, secret)
		}
	}
	for _, leak := range leaks(exported, opens) {
		t.Errorf("an export has %s", leak)
	}
}
