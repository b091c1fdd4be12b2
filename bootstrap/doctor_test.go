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

	"github.com/keylodge/keylodge/acceptance/redisserver"
	"github.com/keylodge/keylodge/acceptance/settings"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/bootstrap/doctor"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// The doctor's table: what is wrong, and the one finding that says so.
func TestDoctor_ReportsProblems(t *testing.T) {
	const public = "PUBLIC_URL=https://id.example.org"
	const proxied = "TRUSTED_PROXIES=127.0.0.1"
	for name, c := range map[string]struct {
		settings []string
		there    bool // a database with Ada and Ben in it, made for localhost
		ruin     func(t *testing.T)
		check    string
		state    dbadmin.CheckStatus
		says     string // of what was found, or of what to do
	}{
		"nothing, before the first start": {},
		"nothing, after it":               {there: true},
		"nothing, behind a proxy":         {settings: []string{public, proxied}},

		"nothing, on a hosting service":         {settings: []string{"PUBLIC_URL=https://ada.github.io", proxied}},
		"nothing, with a parent domain":         {settings: []string{public, "RP_ID=example.org", proxied}},
		"an address that is not of the RP id":   {settings: []string{public, "RP_ID=example.com", "ORIGINS=https://example.com", proxied}, check: "rp_id", state: dbadmin.CheckError, says: "cannot use passkeys of example.com"},
		"another site among the origins":        {settings: []string{public, "ORIGINS=https://shop.example.com", proxied}, check: "origins", state: dbadmin.CheckWarning, says: "https://id.example.org/.well-known/webauthn"},
		"more other sites than browsers take":   {settings: []string{public, "ORIGINS=https://a.com,https://b.com,https://c.com,https://d.com,https://e.com,https://f.com", proxied}, check: "origins", state: dbadmin.CheckError, says: "of 6 other names"},
		"nothing, as one site under many names": {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://a.example.org,https://b.example.org", proxied}},
		"an app that is not vouched for":        {settings: []string{public, "ORIGINS=android:apk-key-hash:" + strings.Repeat("A", 43), proxied}, check: "well_known", state: dbadmin.CheckWarning, says: "PACKAGE=00:00:00"},
		"nothing, with apps":                    {settings: []string{public, "ORIGINS=android:apk-key-hash:" + strings.Repeat("A", 43), "ANDROID_APPS=org.example.app=" + strings.Repeat("00", 32), "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}},
		"an app, for another host's passkeys":   {settings: []string{public, "RP_ID=example.org", "ORIGINS=https://example.org", "APPLE_APPS=A1B2C3D4E5.org.example.app", proxied}, check: "well_known", state: dbadmin.CheckWarning, says: "have https://example.org give the same"},
		"localhost, for others":                 {settings: []string{"LISTEN=0.0.0.0:0"}, check: "public_url", state: dbadmin.CheckWarning, says: "browsers will refuse"},

		"an address of somebody else's":  {settings: []string{public, proxied, "LISTEN=192.0.2.7:8080"}, check: "listen", state: dbadmin.CheckError, says: "address of this machine"},
		"an address that is taken":       {ruin: func(t *testing.T) { occupyAddress(t, "KEYLODGE_LISTEN") }, check: "listen", state: dbadmin.CheckError, says: "is taken"},
		"health that somebody else has":  {ruin: func(t *testing.T) { occupyAddress(t, "KEYLODGE_OPS_LISTEN") }, check: "ops_listen", state: dbadmin.CheckError, says: "KEYLODGE_OPS_LISTEN to another address"},
		"metrics for everybody":          {settings: []string{"OPS_LISTEN=0.0.0.0:0"}, check: "ops_listen", state: dbadmin.CheckWarning, says: "firewall"},
		"a proxy here that is not known": {settings: []string{public}, check: "proxies", state: dbadmin.CheckWarning, says: "every visitor has its address"},
		"a proxy elsewhere, not known":   {settings: []string{public, "LISTEN=0.0.0.0:0"}, check: "proxies", state: dbadmin.CheckWarning, says: "around it"},
		"everybody is a proxy":           {settings: []string{public, "TRUSTED_PROXIES=0.0.0.0/0"}, check: "proxies", state: dbadmin.CheckWarning, says: "everybody is trusted"},
		"half of everybody is a proxy":   {settings: []string{public, "TRUSTED_PROXIES=128.0.0.0/1"}, check: "proxies", state: dbadmin.CheckWarning, says: "strangers"},
		"nothing, with private proxies":  {settings: []string{public, "TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"}},

		"settings that cannot be":         {settings: []string{"SESSION_TTL=soon"}, check: "settings", state: dbadmin.CheckError, says: "KEYLODGE_SESSION_TTL"},
		"no limits":                       {settings: []string{"RATE_LIMITS=off"}, check: "rate_limits", state: dbadmin.CheckWarning, says: "call without end"},
		"a Redis that is not there":       {settings: []string{"RATE_LIMIT_URL=redis://:hunter2@127.0.0.1:1"}, check: "rate_limits", state: dbadmin.CheckError, says: "recovery and codes are shut"},
		"settings that others read":       {ruin: func(t *testing.T) { settings.WriteFile(t, ".env", "KEYLODGE_SECRET="+settings.FirstSecret+"\n", 0o644) }, check: "settings", state: dbadmin.CheckError, says: "chmod 600 .env"},
		"a former secret of zeros":        {settings: []string{"PREVIOUS_SECRETS=" + strings.Repeat("A", 43)}, check: "previous_secrets", state: dbadmin.CheckWarning, says: "can be guessed"},
		"nothing, with apps in web views": {settings: []string{public, "APP_ORIGINS=capacitor://localhost", proxied}},
		"nothing, with settings for all":  {ruin: func(t *testing.T) { settings.WriteFile(t, ".env", "KEYLODGE_RP_NAME=Lodge\n", 0o644) }},
		"no secret":                       {there: true, ruin: func(t *testing.T) { removeFile(t, "keylodge.secret") }, check: "secret", state: dbadmin.CheckError, says: "put it back"},
		"a secret that others read":       {there: true, ruin: func(t *testing.T) { chmodFile(t, "keylodge.secret", 0o644) }, check: "secret", state: dbadmin.CheckError, says: "chmod 600"},
		"two secrets":                     {there: true, ruin: func(t *testing.T) { setFromKeyFile(t, "KEYLODGE_SECRET") }, check: "secret", state: dbadmin.CheckWarning, says: "KEYLODGE_SECRET is used"},
		"another secret": {there: true, ruin: func(t *testing.T) {
			removeFile(t, "keylodge.secret")
			t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
		}, check: "secret.opens", state: dbadmin.CheckError, says: "KEYLODGE_PREVIOUS_SECRETS"},
		"a former secret, needed no more": {there: true, ruin: func(t *testing.T) { t.Setenv("KEYLODGE_PREVIOUS_SECRETS", settings.SecondSecret) }, check: "previous_secrets", state: dbadmin.CheckWarning, says: "opens nothing"},
		"nothing, with a former one needed": {there: true, ruin: func(t *testing.T) {
			setFromKeyFile(t, "KEYLODGE_PREVIOUS_SECRETS")
			removeFile(t, "keylodge.secret")
			t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
		}},

		"a mail server that is not there": {settings: []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=1", "SMTP_TLS=none", "SMTP_FROM=no-reply@example.org"}, check: "mail", state: dbadmin.CheckError, says: "127.0.0.1:1"},

		"passkeys of another RP id":    {there: true, settings: []string{public, proxied}, check: "passkeys", state: dbadmin.CheckError, says: "2 of localhost"},
		"passkeys of a retired RP id":  {there: true, settings: []string{public, proxied, "RETIRED_RP_IDS=localhost"}, check: "passkeys", state: dbadmin.CheckWarning, says: "keylodge users recover"},
		"retired, and nothing is left": {there: true, settings: []string{"RETIRED_RP_IDS=old.example.org"}, check: "passkeys", state: dbadmin.CheckWarning, says: "remove it from"},

		"a database that is none": {ruin: func(t *testing.T) {
			settings.WriteFile(t, "keylodge.secret", settings.FirstSecret, 0o600)
			settings.WriteFile(t, "keylodge.db", "Dear diary,", 0o600)
		}, check: "database.open", state: dbadmin.CheckError, says: "not an SQLite database"},
		"a database that others read":         {there: true, ruin: func(t *testing.T) { chmodFile(t, "keylodge.db", 0o644) }, check: "database.file", state: dbadmin.CheckWarning, says: "chmod 600"},
		"a database of an earlier release":    {there: true, ruin: func(t *testing.T) { wantCommand(t, "migrate down --yes", cli.ExitOK, "") }, check: "database.schema", state: dbadmin.CheckWarning, says: "keylodge migrate up"},
		"a database that belongs to nobody's": {settings: []string{"DATABASE_URL=sqlite:missing/keylodge.db"}, check: "database.folder", state: dbadmin.CheckError, says: "make the directory missing"},
	} {
		t.Run(name, func(t *testing.T) {
			free := []string{"LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0"}
			if c.there {
				newDatabaseWithUsers(t, free...)
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
			exitCode, stdout, stderr := runCommand("doctor --json")
			var answer struct {
				Checks []struct{ Check, State, Found, Advice string }
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Checks) == 0 {
				t.Fatalf("%v in %s, %s", err, stdout, stderr)
			}
			told := false
			for _, f := range answer.Checks {
				switch {
				case f.Check == c.check && f.State == string(c.state) && strings.Contains(f.Found+"\n"+f.Advice, c.says) && f.Advice != "":
					told = true
				case f.State != "ok" && f.Found != "nothing else was looked at":
					t.Errorf("it also finds %+v", f)
				}
			}
			if told != (c.check != "") {
				t.Errorf("it finds %+v", answer.Checks)
			}
			if (exitCode == cli.ExitUnhealthy) != (c.state == dbadmin.CheckError) || exitCode != cli.ExitOK && exitCode != cli.ExitUnhealthy {
				t.Errorf("exit %d, %s", exitCode, stderr)
			}
		})
	}
}

// occupyAddress lets somebody else have the address of a setting.
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

// setFromKeyFile makes the secret in the file a setting.
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
	if exitCode != cli.ExitOK || strings.Count(stdout, "the server answers on") != 2 || !strings.Contains(stdout, "0 errors, 0 warnings.") {
		t.Errorf("exit %d, %s%s", exitCode, stdout, stderr)
	}
	// Under other settings it is another server.
	t.Setenv("KEYLODGE_PUBLIC_URL", "https://id.example.org")
	if exitCode, stdout, _ = runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, `who answers there is for the RP id "localhost"`) {
		t.Errorf("exit %d, %s", exitCode, stdout)
	}
}

func TestDoctor_StopsOnInterrupt(t *testing.T) {
	newDatabaseWithUsers(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if found := doctor.Run(ctx, dbadmin.CheckOptions{}); len(found) > 1 || found.HasErrors() {
		t.Errorf("it went on to %+v", found)
	}
}

// On a large database each of these takes a while; the operator sees which one runs.
func TestDoctor_ReportsProgressOfEachTable(t *testing.T) {
	newDatabaseWithUsers(t)
	ended := map[dbadmin.Stage]bool{}
	doctor.Run(t.Context(), dbadmin.CheckOptions{Progress: func(now dbadmin.Progress) { ended[now.Stage] = now.Done == 1 && now.Total == 1 }})
	for _, stage := range []dbadmin.Stage{dbadmin.StageChecking, "checking the RP IDs of passkeys", "checking passkeys against the policy", "checking encrypted data"} {
		if !ended[stage] {
			t.Errorf("no report that %q has ended", stage)
		}
	}
}

func TestDoctor_Redis(t *testing.T) {
	redis := redisserver.Start(t)
	if _, err := load(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "RATE_LIMIT_URL="+redis.URL()); err != nil {
		t.Fatal(err)
	}
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitOK || !strings.Contains(stdout, "counted in Redis at 127.0.0.1") || strings.Contains(stdout, redis.Password()) {
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
		warns    string
	}{
		"any":                                 {nil, ""},
		"attested":                            {settings.Attested(blobFile, rootFile, "ALLOWED_AAGUIDS="+settings.KnownModel), ""},
		"old metadata":                        {settings.Attested(oldBlob, oldRoot), "should have been replaced"},
		"one allowed that nobody knows":       {settings.Attested(blobFile, rootFile, "ALLOWED_AAGUIDS="+settings.UnknownModel), "do not know " + settings.UnknownModel},
		"lists that nobody vouches for":       {[]string{"ALLOWED_AAGUIDS=" + settings.KnownModel}, "what authenticators say of themselves"},
		"denials that nobody vouches for":     {[]string{"DENIED_AAGUIDS=" + settings.KnownModel}, "what authenticators say of themselves"},
		"denials beside metadata are vouched": {settings.Attested(blobFile, rootFile, "DENIED_AAGUIDS="+settings.KnownModel), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, append(c.settings, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...); err != nil {
				t.Fatal(err)
			}
			exitCode, stdout, stderr := runCommand("doctor --json")
			var answer struct {
				Checks []struct{ Check, State, Found, Advice string }
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || exitCode != cli.ExitOK {
				t.Fatalf("exit %d, %v in %s, %s", exitCode, err, stdout, stderr)
			}
			warned, found := "", false
			for _, f := range answer.Checks {
				if f.Check == "authenticators" {
					found = true
					if f.State != "ok" {
						warned += f.Found + f.Advice
					}
				}
			}
			if !found || (warned == "") != (c.warns == "") || !strings.Contains(warned, c.warns) {
				t.Errorf("%+v", answer.Checks)
			}
		})
	}
}

func TestDoctor_NonCompliantPasskeys(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	ada, ben := newDatabaseWithUsers(t, settings.Attested(blobFile, rootFile, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...)
	exitCode, stdout, stderr := runCommand("doctor")
	for _, told := range []string{"2 passkeys of 00000000-0000-0000-0000-000000000000", "go on signing in", ada.user.ID.String(), ben.user.ID.String()} {
		if exitCode != cli.ExitOK || !strings.Contains(stdout, told) {
			t.Errorf("exit %d, %s%s\ndoes not tell %q", exitCode, stdout, stderr, told)
		}
	}
	t.Setenv("KEYLODGE_AUTHENTICATOR_POLICY", "any")
	t.Setenv("KEYLODGE_METADATA_FILE", "")
	t.Setenv("KEYLODGE_METADATA_ROOT_FILE", "")
	t.Setenv("KEYLODGE_DENIED_AAGUIDS", settings.KnownModel)
	if _, stdout, _ = runCommand("doctor"); !strings.Contains(stdout, "all are of models that would be taken today") {
		t.Errorf("%s", stdout)
	}
}
