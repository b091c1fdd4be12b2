package postgres

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestInspect_ReportsProblems(t *testing.T) {
	useTestMigrations(t)
	for name, c := range map[string]struct {
		setup     string        // statements
		offset    time.Duration // of the caller's clock
		changeURL func(url string) string
		check     string
		status    dbadmin.CheckStatus
		contains  string // in the message or the advice
	}{
		"no problem":                    {},
		"a small difference of clocks":  {offset: 1500 * time.Millisecond},
		"the local clock is 5 s late":   {offset: -5 * time.Second, check: "clock", status: dbadmin.CheckWarning, contains: "NTP"},
		"the local clock is 5 s early":  {offset: 5 * time.Second, check: "clock", status: dbadmin.CheckWarning, contains: "NTP"},
		"the local clock is 90 s early": {offset: 90 * time.Second, check: "clock", status: dbadmin.CheckError, contains: "1m"},
		"an incompatible schema":        {setup: setIncompatibleVersion, check: "database.schema", status: dbadmin.CheckError, contains: "start the newer release"},
		"a compatible newer schema":     {setup: setNewerVersion, check: "database.schema", status: dbadmin.CheckWarning, contains: "finish the upgrade"},
		"another program's tables":      {setup: "DROP TABLE passkeys CASCADE", check: "database.schema", status: dbadmin.CheckError, contains: "not a Keylodge database"},
		"an older schema":               {setup: "UPDATE schema_migrations SET version = 2", check: "database.schema", status: dbadmin.CheckWarning, contains: "keylodge migrate up"},
		"read-only":                     {changeURL: withParameter("default_transaction_read_only=on"), check: "database.writable", status: dbadmin.CheckError, contains: "name the primary"},
		"missing privileges":            {setup: createClerk + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", changeURL: asClerk, check: "database.writable", status: dbadmin.CheckError, contains: `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "clerk"`},
		"sufficient privileges":         {setup: createClerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk", changeURL: asClerk},
		"no tables, no privilege":       {setup: createClerk + "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO clerk", changeURL: asClerk, check: "database.writable", status: dbadmin.CheckError, contains: "GRANT USAGE, CREATE"},
		"no tables yet":                 {setup: "DROP SCHEMA public CASCADE; CREATE SCHEMA public"},
		"too few connections":           {changeURL: withParameter("pool_max_conns=1000"), check: "database.connections", status: dbadmin.CheckWarning, contains: "pool_max_conns"},
		"too few for the role":          {setup: createClerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk; ALTER ROLE clerk CONNECTION LIMIT 5", changeURL: asClerk, check: "database.connections", status: dbadmin.CheckWarning, contains: "5 free"},
		"an event in the future":        {setup: insertEvent("now() + interval '1 day'"), check: "events", status: dbadmin.CheckWarning, contains: "NTP"},
		"a recent event":                {setup: insertEvent("now() + interval '20 seconds'")},
		"overdue challenge":             {setup: insertChallenge("now() - interval '61 minutes'"), check: "jobs", status: dbadmin.CheckWarning, contains: "1 expired challenges"},
		"expired challenge":             {setup: insertChallenge("now() - interval '55 minutes'")},
		"no server":                     {changeURL: func(string) string { return "postgres://ada:hunter2@127.0.0.1:1/app" }, check: "database.server", status: dbadmin.CheckError, contains: "start the server"},
		"no such database":              {changeURL: func(url string) string { return strings.Replace(url, "/test", "/other", 1) }, check: "database.server", status: dbadmin.CheckError, contains: "CREATE DATABASE"},
		"invalid URL":                   {changeURL: func(string) string { return "postgres://ada:hunter2@%zz" }, check: "database.server", status: dbadmin.CheckError, contains: "%-escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			url := postgresserver.EmptyDatabase(t)
			if err := migrateDatabase(url); err != nil {
				t.Fatal(err)
			}
			db := connect(t, url)
			if err := exec(t.Context(), db, c.setup); err != nil {
				t.Fatal(err)
			}
			if c.changeURL != nil {
				url = c.changeURL(url)
			}
			wantCheckResult(t, NewDatabase(url).Inspect(t.Context(), time.Now().Add(c.offset), dbadmin.CheckOptions{}), c.check, c.status, c.contains)
		})
	}
}

func insertEvent(at string) string {
	return "INSERT INTO events (id, kind, at, actor) VALUES (gen_random_uuid(), 'signed_in', " + at + ", 'user')"
}

func insertChallenge(expiresAt string) string {
	return `INSERT INTO webauthn_challenges (id, purpose, ceremony_state, created_at, expires_at) VALUES (gen_random_uuid(), 'login', '\x01', now(), ` + expiresAt + ")"
}

const createClerk = `DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; ALTER ROLE clerk CONNECTION LIMIT -1; `

func asClerk(url string) string { return strings.Replace(url, "keylodge@", "clerk@", 1) }

func withParameter(parameter string) func(string) string {
	return func(url string) string { return url + "&" + parameter }
}

func TestInspect_Replica(t *testing.T) {
	server := postgresserver.StartForTest(t)
	if err := migrateDatabase(server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.Data(), "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	wantCheckResult(t, NewDatabase(server.URL("postgres")).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{}), "database.writable", dbadmin.CheckError, "replica")
}

func TestInspect_Encoding(t *testing.T) {
	t.Parallel()
	server := postgresserver.StartForTest(t)
	if err := server.Exec("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'"); err != nil {
		t.Fatal(err)
	}
	wantCheckResult(t, NewDatabase(server.URL("latin")).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{}), "database.encoding", dbadmin.CheckError, "LATIN1")
}

func TestReportTransport(t *testing.T) {
	local, remote := &net.TCPAddr{IP: net.IPv6loopback}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}
	for _, c := range []struct {
		server             net.Addr
		encrypted, checked bool
		contains           string
	}{
		{&net.UnixAddr{}, false, false, ""},
		{local, false, false, ""},
		{remote, true, true, ""},
		{remote, false, true, "the password"},
		{remote, false, false, "the password"},
		{remote, true, false, "is not checked"},
	} {
		var results checks
		results.reportTransport(c.server, c.encrypted, c.checked)
		check := "database.tls"
		if c.contains == "" {
			check = ""
		}
		wantCheckResult(t, results.CheckResults, check, dbadmin.CheckWarning, c.contains)
	}
}

// wantCheckResult fails the test unless the check of this name is the only one with a problem; "" means no problem at all.
func wantCheckResult(t *testing.T, results dbadmin.CheckResults, check string, status dbadmin.CheckStatus, text string) {
	t.Helper()
	found := false
	for _, f := range results {
		switch {
		case f.Message == "" || (f.Status == dbadmin.CheckOK) != (f.Advice == "") || strings.Contains(f.Message+f.Advice, "hunter2"):
			t.Errorf("%+v", f)
		case f.Name == check && f.Status == status && strings.Contains(f.Message+"\n"+f.Advice, text):
			found = true
		case f.Status != dbadmin.CheckOK:
			t.Errorf("unexpected result: %+v", f)
		}
	}
	if len(results) == 0 || found != (check != "") {
		t.Errorf("results: %+v", results)
	}
}
