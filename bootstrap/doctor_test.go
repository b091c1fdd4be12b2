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
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/bootstrap/doctor"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Each row makes one problem, and the doctor reports this problem only.
func TestDoctor_ReportsProblems(t *testing.T) {
	const public = "PUBLIC_URL=https://id.example.org"
	const proxied = "TRUSTED_PROXIES=127.0.0.1"
	const android = "android:apk-key-hash:"
	for name, c := range map[string]struct {
		settings []string
		hasUsers bool // the database has the users Ada and Ben with passkeys of localhost
		change   func(t *testing.T)
		check    string
		status   dbadmin.CheckStatus
		text     string // in the message or in the advice
	}{
		"no problem, before the first start": {},
		"no problem, with users":             {hasUsers: true},
		"no problem, behind a proxy":         {settings: []string{public, proxied}},

		"no problem, on a hosting service":        {settings: []string{"PUBLIC_URL=https://ada.github.io", proxied}},
		"no problem, RP ID of a parent domain":    {settings: []string{public, "RP_ID=example.org", proxied}},
		"public URL not on the RP ID":             {settings: []string{public, "RP_ID=example.com", "ORIGINS=https://example.com", proxied}, check: "rp_id", status: dbadmin.CheckError, text: "cannot use passkeys of example.com"},
		"related origin":                          {settings: []string{public, "ORIGINS=https://shop.example.com", proxied}, check: "origins", status: dbadmin.CheckWarning, text: "https://id.example.org/.well-known/webauthn"},
		"too many labels":                         {settings: []string{public, "ORIGINS=https://a.com,https://b.com,https://c.com,https://d.com,https://e.com,https://f.com", proxied}, check: "origins", status: dbadmin.CheckError, text: "has 6 labels"},
		"no problem, several hosts of one domain": {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://a.example.org,https://b.example.org", proxied}},
		"app missing in assetlinks.json":          {settings: []string{public, "ORIGINS=" + android + strings.Repeat("A", 43), proxied}, check: "well_known", status: dbadmin.CheckWarning, text: "PACKAGE=00:00:00"},
		"no problem, with apps":                   {settings: []string{public, "ORIGINS=" + android + strings.Repeat("A", 43), "ANDROID_APPS=org.example.app=" + strings.Repeat("00", 32), "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}},
		"documents on another host":               {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://example.org", "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}, check: "well_known", status: dbadmin.CheckWarning, text: "on https://example.org itself"},
		"localhost, listening on all addresses":   {settings: []string{"LISTEN=0.0.0.0:0"}, check: "public_url", status: dbadmin.CheckWarning, text: "only in browsers on this machine"},

		"address of another machine":   {settings: []string{public, proxied, "LISTEN=192.0.2.7:8080"}, check: "listen", status: dbadmin.CheckError, text: "address of this machine"},
		"address in use":               {change: func(t *testing.T) { occupyAddress(t, "KEYLODGE_LISTEN") }, check: "listen", status: dbadmin.CheckError, text: "is in use"},
		"operations address in use":    {change: func(t *testing.T) { occupyAddress(t, "KEYLODGE_OPS_LISTEN") }, check: "ops_listen", status: dbadmin.CheckError, text: "KEYLODGE_OPS_LISTEN to another one"},
		"operations on all addresses":  {settings: []string{"OPS_LISTEN=0.0.0.0:0"}, check: "ops_listen", status: dbadmin.CheckWarning, text: "firewall"},
		"untrusted proxy, here":        {settings: []string{public}, check: "proxies", status: dbadmin.CheckWarning, text: "if it runs on this machine"},
		"untrusted proxy, elsewhere":   {settings: []string{public, "LISTEN=0.0.0.0:0"}, check: "proxies", status: dbadmin.CheckWarning, text: "block direct connections"},
		"every address is trusted":     {settings: []string{public, "TRUSTED_PROXIES=0.0.0.0/0"}, check: "proxies", status: dbadmin.CheckWarning, text: "every client can spoof"},
		"half of all are trusted":      {settings: []string{public, "TRUSTED_PROXIES=128.0.0.0/1"}, check: "proxies", status: dbadmin.CheckWarning, text: "may include addresses of clients"},
		"no problem, private networks": {settings: []string{public, "TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"}},
		"no problem, origins of apps":  {settings: []string{public, "APP_ORIGINS=capacitor://localhost", proxied}},
		"unreachable mail server":      {settings: []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=1", "SMTP_TLS=none", "SMTP_FROM=no-reply@example.org"}, check: "mail", status: dbadmin.CheckError, text: "127.0.0.1:1"},
		"rate limits off":              {settings: []string{"RATE_LIMITS=off"}, check: "rate_limits", status: dbadmin.CheckWarning, text: "not limited"},
		"unreachable Redis":            {settings: []string{"RATE_LIMIT_URL=redis://:hunter2@127.0.0.1:1"}, check: "rate_limits", status: dbadmin.CheckError, text: "code endpoints return 503"},
		"invalid setting":              {settings: []string{"SESSION_TTL=soon"}, check: "settings", status: dbadmin.CheckError, text: "KEYLODGE_SESSION_TTL"},
		"secret in a readable .env":    {change: writeFile(".env", "KEYLODGE_SECRET="+settings.FirstSecret+"\n", 0o644), check: "settings", status: dbadmin.CheckError, text: "chmod 600 .env"},
		"no problem, other settings":   {change: writeFile(".env", "KEYLODGE_RP_NAME=Example\n", 0o644)},
		"weak previous secret":         {settings: []string{"PREVIOUS_SECRETS=" + strings.Repeat("A", 43)}, check: "previous_secrets", status: dbadmin.CheckWarning, text: "can be guessed"},
		"missing key file":             {hasUsers: true, change: func(t *testing.T) { removeFile(t, "keylodge.secret") }, check: "secret", status: dbadmin.CheckError, text: "restore the file"},
		"readable key file":            {hasUsers: true, change: func(t *testing.T) { chmodFile(t, "keylodge.secret", 0o644) }, check: "secret", status: dbadmin.CheckError, text: "chmod 600"},
		"secret and key file":          {hasUsers: true, change: func(t *testing.T) { setFromKeyFile(t, "KEYLODGE_SECRET") }, check: "secret", status: dbadmin.CheckWarning, text: "KEYLODGE_SECRET is used"},
		"wrong secret": {hasUsers: true, change: func(t *testing.T) {
			removeFile(t, "keylodge.secret")
			t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
		}, check: "secret.decryption", status: dbadmin.CheckError, text: "KEYLODGE_PREVIOUS_SECRETS"},
		"unneeded previous secret": {hasUsers: true, change: func(t *testing.T) { t.Setenv("KEYLODGE_PREVIOUS_SECRETS", settings.SecondSecret) }, check: "previous_secrets", status: dbadmin.CheckWarning, text: "decrypts no data"},
		"no problem, previous one needed": {hasUsers: true, change: func(t *testing.T) {
			setFromKeyFile(t, "KEYLODGE_PREVIOUS_SECRETS")
			removeFile(t, "keylodge.secret")
			t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
		}},

		"passkeys of another RP ID":   {hasUsers: true, settings: []string{public, proxied}, check: "passkeys", status: dbadmin.CheckError, text: "2 of localhost"},
		"passkeys of a retired RP ID": {hasUsers: true, settings: []string{public, proxied, "RETIRED_RP_IDS=localhost"}, check: "passkeys", status: dbadmin.CheckWarning, text: "keylodge users recover"},
		"retired RP ID of no passkey": {hasUsers: true, settings: []string{"RETIRED_RP_IDS=old.example.org"}, check: "passkeys", status: dbadmin.CheckWarning, text: "remove it from"},

		"not a database": {change: func(t *testing.T) {
			settings.WriteFile(t, "keylodge.secret", settings.FirstSecret, 0o600)
			settings.WriteFile(t, "keylodge.db", "Dear diary,", 0o600)
		}, check: "database.open", status: dbadmin.CheckError, text: "not an SQLite database"},
		"readable database":     {hasUsers: true, change: func(t *testing.T) { chmodFile(t, "keylodge.db", 0o644) }, check: "database.file", status: dbadmin.CheckWarning, text: "chmod 600"},
		"schema of old release": {hasUsers: true, change: func(t *testing.T) { wantCommand(t, "migrate down --yes", cli.ExitOK, "") }, check: "database.schema", status: dbadmin.CheckWarning, text: "keylodge migrate up"},
		"missing directory":     {settings: []string{"DATABASE_URL=sqlite:missing/keylodge.db"}, check: "database.folder", status: dbadmin.CheckError, text: "directory missing"},
	} {
		t.Run(name, func(t *testing.T) {
			free := []string{"LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0"}
			if c.hasUsers {
				newDatabaseWithUsers(t, free...)
			} else if _, err := load(t, free...); err != nil {
				t.Fatal(err)
			}
			settings.Add(t, c.settings...)
			if c.change != nil {
				c.change(t)
			}
			exitCode, checks := runDoctor(t)
			reported := false
			for _, r := range checks {
				switch {
				case r.Check == c.check && r.State == string(c.status) && strings.Contains(r.Found+"\n"+r.Advice, c.text) && r.Advice != "":
					reported = true
				case r.State != "ok" && r.Found != "the other checks were skipped":
					t.Errorf("unexpected result %+v", r)
				}
			}
			if reported != (c.check != "") {
				t.Errorf("got %+v", checks)
			}
			if (exitCode == cli.ExitUnhealthy) != (c.status == dbadmin.CheckError) || exitCode != cli.ExitOK && exitCode != cli.ExitUnhealthy {
				t.Errorf("exit %d", exitCode)
			}
		})
	}
}

// doctorResult is a check in the output of doctor --json.
type doctorResult struct{ Check, State, Found, Advice string }

func runDoctor(t *testing.T) (exitCode int, checks []doctorResult) {
	t.Helper()
	exitCode, stdout, stderr := runCommand("doctor --json")
	var output struct{ Checks []doctorResult }
	if err := json.Unmarshal([]byte(stdout), &output); err != nil || len(output.Checks) == 0 {
		t.Fatalf("%v in %s, %s", err, stdout, stderr)
	}
	return exitCode, output.Checks
}

func writeFile(file, text string, mode os.FileMode) func(*testing.T) {
	return func(t *testing.T) { settings.WriteFile(t, file, text, mode) }
}

// occupyAddress starts another server on the address of a setting.
func occupyAddress(t *testing.T, setting string) {
	t.Helper()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	t.Setenv(setting, other.Listener.Addr().String())
}

func removeFile(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func chmodFile(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

// setFromKeyFile sets a setting to the secret in the key file.
func setFromKeyFile(t *testing.T, setting string) {
	t.Helper()
	secret, err := os.ReadFile("keylodge.secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(setting, strings.TrimSpace(string(secret)))
}

func TestDoctor_RecognisesRunningServer(t *testing.T) {
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
	newDatabaseWithUsers(t, "LISTEN="+addresses[0], "OPS_LISTEN="+addresses[1])
	startServer(t)
	exitCode, stdout, stderr := runCommand("doctor")
	if exitCode != cli.ExitOK || strings.Count(stdout, "the server responds on") != 2 || !strings.Contains(stdout, "0 errors, 0 warnings.") {
		t.Errorf("exit %d, %s%s", exitCode, stdout, stderr)
	}
	// With another RP ID, the running server is not the one of the settings.
	t.Setenv("KEYLODGE_PUBLIC_URL", "https://id.example.org")
	if exitCode, stdout, _ = runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, `the RP ID of that server is "localhost"`) {
		t.Errorf("exit %d, %s", exitCode, stdout)
	}
}

func TestDoctor_StopsOnInterrupt(t *testing.T) {
	newDatabaseWithUsers(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if results := doctor.Run(ctx, dbadmin.CheckOptions{}); len(results) > 1 || results.HasErrors() {
		t.Errorf("it continued: %+v", results)
	}
}

func TestDoctor_ReportsProgressOfEachTable(t *testing.T) {
	newDatabaseWithUsers(t)
	complete := map[dbadmin.Stage]bool{}
	doctor.Run(t.Context(), dbadmin.CheckOptions{Progress: func(now dbadmin.Progress) { complete[now.Stage] = now.Done == 1 && now.Total == 1 }})
	for _, stage := range []dbadmin.Stage{dbadmin.StageChecking, "checking the RP IDs of passkeys", "checking passkeys against the policy", "checking encrypted data"} {
		if !complete[stage] {
			t.Errorf("%q was not reported as complete", stage)
		}
	}
}

func TestDoctor_Redis(t *testing.T) {
	redis := redisserver.Start(t)
	if _, err := load(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "RATE_LIMIT_URL="+redis.URL()); err != nil {
		t.Fatal(err)
	}
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitOK || !strings.Contains(stdout, "buckets of all nodes in Redis at 127.0.0.1") || strings.Contains(stdout, redis.Password()) {
		t.Errorf("exit code %d, %s", exitCode, stdout)
	}
	wrong := strings.Replace(redis.URL(), redis.Password(), "hunter2", 1)
	t.Setenv("KEYLODGE_RATE_LIMIT_URL", wrong)
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "correct the user and the password") || strings.Contains(stdout, "hunter2") {
		t.Errorf("exit code %d, %s", exitCode, stdout)
	}
}

func TestDoctor_Authenticators(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	oldBlob, oldRoot := settings.MetadataFiles(t, time.Now().AddDate(0, -1, 0))
	for name, c := range map[string]struct {
		settings []string
		warning  string
	}{
		"any":                                {nil, ""},
		"attested":                           {settings.Attested(blobFile, rootFile, "ALLOWED_AAGUIDS="+settings.KnownModel), ""},
		"outdated metadata":                  {settings.Attested(oldBlob, oldRoot), "outdated since"},
		"allowed model without metadata":     {settings.Attested(blobFile, rootFile, "ALLOWED_AAGUIDS="+settings.UnknownModel), "does not contain the allowed model " + settings.UnknownModel},
		"allowed models without attestation": {[]string{"ALLOWED_AAGUIDS=" + settings.KnownModel}, "without attestation, which a client can forge"},
		"denied models without attestation":  {[]string{"DENIED_AAGUIDS=" + settings.KnownModel}, "without attestation, which a client can forge"},
		"denied models with attestation":     {settings.Attested(blobFile, rootFile, "DENIED_AAGUIDS="+settings.KnownModel), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, append(c.settings, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...); err != nil {
				t.Fatal(err)
			}
			exitCode, checks := runDoctor(t)
			warning, found := "", false
			for _, r := range checks {
				if r.Check == "authenticators" {
					found = true
					if r.State != "ok" {
						warning += r.Found + r.Advice
					}
				}
			}
			if exitCode != cli.ExitOK || !found || (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) {
				t.Errorf("exit %d, %+v", exitCode, checks)
			}
		})
	}
}

func TestDoctor_NonCompliantPasskeys(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	ada, ben := newDatabaseWithUsers(t, settings.Attested(blobFile, rootFile, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...)
	exitCode, stdout, stderr := runCommand("doctor")
	for _, text := range []string{"2 passkeys of the model 00000000-0000-0000-0000-000000000000 can sign in", ada.user.ID.String(), ben.user.ID.String()} {
		if exitCode != cli.ExitOK || !strings.Contains(stdout, text) {
			t.Errorf("exit %d, %s%s\nwant %q", exitCode, stdout, stderr, text)
		}
	}
	t.Setenv("KEYLODGE_AUTHENTICATOR_POLICY", "any")
	t.Setenv("KEYLODGE_METADATA_FILE", "")
	t.Setenv("KEYLODGE_METADATA_ROOT_FILE", "")
	t.Setenv("KEYLODGE_DENIED_AAGUIDS", settings.KnownModel)
	if _, stdout, _ = runCommand("doctor"); !strings.Contains(stdout, "the policy accepts the models of all passkeys") {
		t.Errorf("%s", stdout)
	}
}
