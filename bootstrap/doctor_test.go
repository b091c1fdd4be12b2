package bootstrap

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/ports"
)

// The doctor's table: what is wrong, and the one finding that says so.
func TestTheDoctorFindsWhatIsWrong(t *testing.T) {
	const public = "PUBLIC_URL=https://id.example.org"
	const proxied = "TRUSTED_PROXIES=127.0.0.1"
	for name, c := range map[string]struct {
		settings []string
		there    bool // a database with Ada and Ben in it, made for localhost
		ruin     func(t *testing.T)
		check    string
		state    ports.FindingState
		says     string // of what was found, or of what to do
	}{
		"nothing, before the first start": {},
		"nothing, after it":               {there: true},
		"nothing, behind a proxy":         {settings: []string{public, proxied}},

		"nothing, on a hosting service":         {settings: []string{"PUBLIC_URL=https://ada.github.io", proxied}},
		"nothing, with a parent domain":         {settings: []string{public, "RP_ID=example.org", proxied}},
		"an address that is not of the RP id":   {settings: []string{public, "RP_ID=example.com", "ORIGINS=https://example.com", proxied}, check: "rp_id", state: ports.FindingFault, says: "cannot use passkeys of example.com"},
		"another site among the origins":        {settings: []string{public, "ORIGINS=https://shop.example.com", proxied}, check: "origins", state: ports.FindingWarning, says: "https://id.example.org/.well-known/webauthn"},
		"more other sites than browsers take":   {settings: []string{public, "ORIGINS=https://a.com,https://b.com,https://c.com,https://d.com,https://e.com,https://f.com", proxied}, check: "origins", state: ports.FindingFault, says: "of 6 other names"},
		"nothing, as one site under many names": {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://a.example.org,https://b.example.org", proxied}},
		"an app that is not vouched for":        {settings: []string{public, "ORIGINS=android:apk-key-hash:" + strings.Repeat("A", 43), proxied}, check: "well_known", state: ports.FindingWarning, says: "PACKAGE=00:00:00"},
		"nothing, with apps":                    {settings: []string{public, "ORIGINS=android:apk-key-hash:" + strings.Repeat("A", 43), "ANDROID_APPS=org.example.app=" + strings.Repeat("00", 32), "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}},
		"an app, for another host's passkeys":   {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://example.org", "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}, check: "well_known", state: ports.FindingWarning, says: "have https://example.org give the same"},
		"localhost, for others":                 {settings: []string{"LISTEN=0.0.0.0:0"}, check: "public_url", state: ports.FindingWarning, says: "browsers will refuse"},

		"an address of somebody else's":  {settings: []string{public, proxied, "LISTEN=192.0.2.7:8080"}, check: "listen", state: ports.FindingFault, says: "address of this machine"},
		"an address that is taken":       {ruin: func(t *testing.T) { take(t, "KEYLODGE_LISTEN") }, check: "listen", state: ports.FindingFault, says: "is taken"},
		"health that somebody else has":  {ruin: func(t *testing.T) { take(t, "KEYLODGE_OPS_LISTEN") }, check: "ops_listen", state: ports.FindingFault, says: "KEYLODGE_OPS_LISTEN to another address"},
		"metrics for everybody":          {settings: []string{"OPS_LISTEN=0.0.0.0:0"}, check: "ops_listen", state: ports.FindingWarning, says: "firewall"},
		"a proxy here that is not known": {settings: []string{public}, check: "proxies", state: ports.FindingWarning, says: "every visitor has its address"},
		"a proxy elsewhere, not known":   {settings: []string{public, "LISTEN=0.0.0.0:0"}, check: "proxies", state: ports.FindingWarning, says: "around it"},
		"everybody is a proxy":           {settings: []string{public, "TRUSTED_PROXIES=0.0.0.0/0"}, check: "proxies", state: ports.FindingWarning, says: "everybody is trusted"},
		"half of everybody is a proxy":   {settings: []string{public, "TRUSTED_PROXIES=128.0.0.0/1"}, check: "proxies", state: ports.FindingWarning, says: "strangers"},
		"nothing, with private proxies":  {settings: []string{public, "TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"}},

		"settings that cannot be":         {settings: []string{"SESSION_TTL=soon"}, check: "settings", state: ports.FindingFault, says: "KEYLODGE_SESSION_TTL"},
		"no limits":                       {settings: []string{"RATE_LIMITS=off"}, check: "rate_limits", state: ports.FindingWarning, says: "call without end"},
		"a Redis that is not there":       {settings: []string{"RATE_LIMIT_URL=redis://:hunter2@127.0.0.1:1"}, check: "rate_limits", state: ports.FindingFault, says: "recovery and codes are shut"},
		"settings that others read":       {ruin: func(t *testing.T) { put(t, ".env", "KEYLODGE_SECRET="+firstSecret+"\n", 0o644) }, check: "settings", state: ports.FindingFault, says: "chmod 600 .env"},
		"a former secret of zeros":        {settings: []string{"PREVIOUS_SECRETS=" + strings.Repeat("A", 43)}, check: "previous_secrets", state: ports.FindingWarning, says: "can be guessed"},
		"nothing, with apps in web views": {settings: []string{public, "APP_ORIGINS=capacitor://localhost", proxied}},
		"nothing, with settings for all":  {ruin: func(t *testing.T) { put(t, ".env", "KEYLODGE_RP_NAME=Lodge\n", 0o644) }},
		"no secret":                       {there: true, ruin: func(t *testing.T) { drop(t, "keylodge.secret") }, check: "secret", state: ports.FindingFault, says: "put it back"},
		"a secret that others read":       {there: true, ruin: func(t *testing.T) { allow(t, "keylodge.secret", 0o644) }, check: "secret", state: ports.FindingFault, says: "chmod 600"},
		"two secrets":                     {there: true, ruin: func(t *testing.T) { adopt(t, "KEYLODGE_SECRET") }, check: "secret", state: ports.FindingWarning, says: "KEYLODGE_SECRET is used"},
		"another secret":                  {there: true, ruin: func(t *testing.T) { drop(t, "keylodge.secret"); t.Setenv("KEYLODGE_SECRET", firstSecret) }, check: "secret.opens", state: ports.FindingFault, says: "KEYLODGE_PREVIOUS_SECRETS"},
		"a former secret, needed no more": {there: true, ruin: func(t *testing.T) { t.Setenv("KEYLODGE_PREVIOUS_SECRETS", secondSecret) }, check: "previous_secrets", state: ports.FindingWarning, says: "opens nothing"},
		"nothing, with a former one needed": {there: true, ruin: func(t *testing.T) {
			adopt(t, "KEYLODGE_PREVIOUS_SECRETS")
			drop(t, "keylodge.secret")
			t.Setenv("KEYLODGE_SECRET", firstSecret)
		}},

		"a mail server that is not there": {settings: []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=1", "SMTP_TLS=none", "SMTP_FROM=no-reply@example.org"}, check: "mail", state: ports.FindingFault, says: "127.0.0.1:1"},

		"passkeys of another RP id":     {there: true, settings: []string{public, proxied}, check: "passkeys", state: ports.FindingFault, says: "2 of localhost"},
		"passkeys that were given up":   {there: true, settings: []string{public, proxied, "ABANDONED_RP_IDS=localhost"}, check: "passkeys", state: ports.FindingWarning, says: "keylodge users recover"},
		"given up, and nothing is left": {there: true, settings: []string{"ABANDONED_RP_IDS=old.example.org"}, check: "passkeys", state: ports.FindingWarning, says: "take it out"},

		"a database that is none": {ruin: func(t *testing.T) {
			put(t, "keylodge.secret", firstSecret, 0o600)
			put(t, "keylodge.db", "Dear diary,", 0o600)
		}, check: "database.open", state: ports.FindingFault, says: "not an SQLite database"},
		"a database that others read":         {there: true, ruin: func(t *testing.T) { allow(t, "keylodge.db", 0o644) }, check: "database.file", state: ports.FindingWarning, says: "chmod 600"},
		"a database of an earlier release":    {there: true, ruin: func(t *testing.T) { wantCommand(t, "migrate down --yes", cli.ExitOK, "") }, check: "database.schema", state: ports.FindingWarning, says: "keylodge migrate up"},
		"a database that belongs to nobody's": {settings: []string{"DATABASE_URL=sqlite:missing/keylodge.db"}, check: "database.folder", state: ports.FindingFault, says: "make the directory missing"},
	} {
		t.Run(name, func(t *testing.T) {
			free := []string{"LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0"}
			if c.there {
				inhabited(t, free...)
			} else if _, err := load(t, free...); err != nil {
				t.Fatal(err)
			}
			for _, setting := range c.settings {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv("KEYLODGE_"+name, value)
			}
			if c.ruin != nil {
				c.ruin(t)
			}
			exitCode, stdout, stderr := command("doctor --json")
			var answer struct {
				Findings []struct{ Check, State, Found, Advice string }
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Findings) == 0 {
				t.Fatalf("%v in %s, %s", err, stdout, stderr)
			}
			told := false
			for _, f := range answer.Findings {
				switch {
				case f.Check == c.check && f.State == string(c.state) && strings.Contains(f.Found+"\n"+f.Advice, c.says) && f.Advice != "":
					told = true
				case f.State != "ok" && f.Found != "nothing else was looked at":
					t.Errorf("it also finds %+v", f)
				}
			}
			if told != (c.check != "") {
				t.Errorf("it finds %+v", answer.Findings)
			}
			if (exitCode == cli.ExitUnwell) != (c.state == ports.FindingFault) || exitCode != cli.ExitOK && exitCode != cli.ExitUnwell {
				t.Errorf("exit %d, %s", exitCode, stderr)
			}
		})
	}
}

// take lets somebody else have the address of a setting.
func take(t *testing.T, setting string) {
	t.Helper()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	t.Setenv(setting, other.Listener.Addr().String())
}

func put(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func allow(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

// adopt makes the secret in the file a setting.
func adopt(t *testing.T, setting string) {
	t.Helper()
	secret, err := os.ReadFile("keylodge.secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(setting, strings.TrimSpace(string(secret)))
}

func TestTheDoctorKnowsTheServerThatRuns(t *testing.T) {
	var addresses []string
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, listener.Addr().String())
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	inhabited(t, "LISTEN="+addresses[0], "OPS_LISTEN="+addresses[1])
	serving(t)
	exitCode, stdout, stderr := command("doctor")
	if exitCode != cli.ExitOK || strings.Count(stdout, "the server answers on") != 2 || !strings.Contains(stdout, "0 faults, 0 warnings.") {
		t.Errorf("exit %d, %s%s", exitCode, stdout, stderr)
	}
	// Under other settings it is another server.
	t.Setenv("KEYLODGE_PUBLIC_URL", "https://id.example.org")
	if exitCode, stdout, _ = command("doctor"); exitCode != cli.ExitUnwell || !strings.Contains(stdout, `who answers there is for the RP id "localhost"`) {
		t.Errorf("exit %d, %s", exitCode, stdout)
	}
}

func TestTheDoctorHeedsAnInterrupt(t *testing.T) {
	inhabited(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if found := examine(ctx, ports.Check{}); len(found) > 1 || found.Faulty() {
		t.Errorf("it went on to %+v", found)
	}
}
