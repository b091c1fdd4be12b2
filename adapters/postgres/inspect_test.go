package postgres

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestInspect_ReportsProblems(t *testing.T) {
	useTestMigrations(t)
	for name, c := range map[string]struct {
		ruin  string // statements
		apart time.Duration
		as    func(url string) string
		check string
		state dbadmin.CheckStatus
		says  string // of what was found, or of what to do
	}{
		"nothing is wrong":       {},
		"clocks nearly agree":    {apart: 1500 * time.Millisecond},
		"our clock is late":      {apart: -5 * time.Second, check: "clock", state: dbadmin.CheckWarning, says: "NTP"},
		"our clock is early":     {apart: 5 * time.Second, check: "clock", state: dbadmin.CheckWarning, says: "NTP"},
		"our clock is wrong":     {apart: 90 * time.Second, check: "clock", state: dbadmin.CheckError, says: "1m"},
		"of a newer release":     {ruin: setIncompatibleVersion, check: "database.schema", state: dbadmin.CheckError, says: "start that one"},
		"of the next release":    {ruin: setNewerVersion, check: "database.schema", state: dbadmin.CheckWarning, says: "go on with the upgrade"},
		"of somebody else":       {ruin: "DROP TABLE passkeys CASCADE", check: "database.schema", state: dbadmin.CheckError, says: "not a database of Keylodge"},
		"of an earlier release":  {ruin: "UPDATE schema_migrations SET version = 2", check: "database.schema", state: dbadmin.CheckWarning, says: "keylodge migrate up"},
		"it may only be read":    {as: withParameter("default_transaction_read_only=on"), check: "database.writable", state: dbadmin.CheckError, says: "name the primary"},
		"the user may do little": {ruin: createClerk + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", as: asClerk, check: "database.writable", state: dbadmin.CheckError, says: `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "clerk"`},
		"the user may do enough": {ruin: createClerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk", as: asClerk},
		"no tables, no right":    {ruin: createClerk + "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO clerk", as: asClerk, check: "database.writable", state: dbadmin.CheckError, says: "GRANT USAGE, CREATE"},
		"no tables yet":          {ruin: "DROP SCHEMA public CASCADE; CREATE SCHEMA public"},
		"few connections":        {as: withParameter("pool_max_conns=1000"), check: "database.connections", state: dbadmin.CheckWarning, says: "pool_max_conns"},
		"few for the role":       {ruin: createClerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk; ALTER ROLE clerk CONNECTION LIMIT 5", as: asClerk, check: "database.connections", state: dbadmin.CheckWarning, says: "5 free"},
		"an event of tomorrow":   {ruin: insertEvent("now() + interval '1 day'"), check: "events", state: dbadmin.CheckWarning, says: "NTP"},
		"an event of just now":   {ruin: insertEvent("now() + interval '20 seconds'")},
		"nobody sweeps":          {ruin: insertChallenge("now() - interval '61 minutes'"), check: "jobs", state: dbadmin.CheckWarning, says: "1 ceremonies"},
		"swept before long":      {ruin: insertChallenge("now() - interval '55 minutes'")},
		"nobody there":           {as: func(string) string { return "postgres://ada:hunter2@127.0.0.1:1/lodge" }, check: "database.server", state: dbadmin.CheckError, says: "start the server"},
		"no such database":       {as: func(url string) string { return strings.Replace(url, "/test", "/other", 1) }, check: "database.server", state: dbadmin.CheckError, says: "CREATE DATABASE"},
		"no URL":                 {as: func(string) string { return "postgres://ada:hunter2@%zz" }, check: "database.server", state: dbadmin.CheckError, says: "%-escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			url := postgresserver.EmptyDatabase(t)
			if err := migrateDatabase(url); err != nil {
				t.Fatal(err)
			}
			db := connect(t, url)
			if err := exec(t.Context(), db, c.ruin); err != nil {
				t.Fatal(err)
			}
			if c.as != nil {
				url = c.as(url)
			}
			wantCheckResult(t, NewDatabase(url).Inspect(t.Context(), time.Now().Add(c.apart), dbadmin.CheckOptions{}), c.check, c.state, c.says)
		})
	}
}

func insertEvent(at string) string {
	return "INSERT INTO events (id, kind, at, actor) VALUES (gen_random_uuid(), 'signed_in', " + at + ", 'user')"
}

func insertChallenge(ended string) string {
	return `INSERT INTO webauthn_challenges (id, purpose, ceremony_state, created_at, expires_at) VALUES (gen_random_uuid(), 'login', '\x01', now(), ` + ended + ")"
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
	server := postgresserver.StartForTest(t)
	if err := server.Exec("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'"); err != nil {
		t.Fatal(err)
	}
	wantCheckResult(t, NewDatabase(server.URL("latin")).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{}), "database.encoding", dbadmin.CheckError, "LATIN1")
}

func TestReportTransport(t *testing.T) {
	here, there := &net.TCPAddr{IP: net.IPv6loopback}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}
	for _, c := range []struct {
		server             net.Addr
		encrypted, checked bool
		says               string
	}{
		{&net.UnixAddr{}, false, false, ""},
		{here, false, false, ""},
		{there, true, true, ""},
		{there, false, true, "the password too"},
		{there, false, false, "the password too"},
		{there, true, false, "is not checked"},
	} {
		var i checks
		i.reportTransport(c.server, c.encrypted, c.checked)
		check := "database.tls"
		if c.says == "" {
			check = ""
		}
		wantCheckResult(t, i.CheckResults, check, dbadmin.CheckWarning, c.says)
	}
}

// wantCheckResult fails the test unless that is the only one that is not well; none if check is "".
func wantCheckResult(t *testing.T, found dbadmin.CheckResults, check string, state dbadmin.CheckStatus, says string) {
	t.Helper()
	told := false
	for _, f := range found {
		switch {
		case f.Message == "" || (f.Status == dbadmin.CheckOK) != (f.Advice == "") || strings.Contains(f.Message+f.Advice, "hunter2"):
			t.Errorf("%+v", f)
		case f.Name == check && f.Status == state && strings.Contains(f.Message+"\n"+f.Advice, says):
			told = true
		case f.Status != dbadmin.CheckOK:
			t.Errorf("it also finds %+v", f)
		}
	}
	if len(found) == 0 || told != (check != "") {
		t.Errorf("it finds %+v", found)
	}
}
