package postgres

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/ports"
)

func TestAnInspectionFindsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		ruin  string // statements
		apart time.Duration
		as    func(url string) string
		check string
		state ports.FindingState
		says  string // of what was found, or of what to do
	}{
		"nothing is wrong":       {},
		"clocks nearly agree":    {apart: 1500 * time.Millisecond},
		"our clock is late":      {apart: -5 * time.Second, check: "clock", state: ports.FindingWarning, says: "NTP"},
		"our clock is early":     {apart: 5 * time.Second, check: "clock", state: ports.FindingWarning, says: "NTP"},
		"our clock is wrong":     {apart: 90 * time.Second, check: "clock", state: ports.FindingFault, says: "1m"},
		"of a newer release":     {ruin: tooNew, check: "database.schema", state: ports.FindingFault, says: "start that one"},
		"of the next release":    {ruin: newer, check: "database.schema", state: ports.FindingWarning, says: "go on with the upgrade"},
		"of somebody else":       {ruin: "DROP TABLE passkeys CASCADE", check: "database.schema", state: ports.FindingFault, says: "not a database of Keylodge"},
		"of an earlier release":  {ruin: "UPDATE schema_migrations SET version = 5", check: "database.schema", state: ports.FindingWarning, says: "keylodge migrate up"},
		"it may only be read":    {as: with("default_transaction_read_only=on"), check: "database.writable", state: ports.FindingFault, says: "name the primary"},
		"the user may do little": {ruin: clerk + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", as: asClerk, check: "database.writable", state: ports.FindingFault, says: `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "clerk"`},
		"the user may do enough": {ruin: clerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk", as: asClerk},
		"no tables, no right":    {ruin: clerk + "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO clerk", as: asClerk, check: "database.writable", state: ports.FindingFault, says: "GRANT USAGE, CREATE"},
		"no tables yet":          {ruin: "DROP SCHEMA public CASCADE; CREATE SCHEMA public"},
		"few connections":        {as: with("pool_max_conns=1000"), check: "database.connections", state: ports.FindingWarning, says: "pool_max_conns"},
		"few for the role":       {ruin: clerk + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk; ALTER ROLE clerk CONNECTION LIMIT 5", as: asClerk, check: "database.connections", state: ports.FindingWarning, says: "5 free"},
		"an event of tomorrow":   {ruin: event("now() + interval '1 day'"), check: "events", state: ports.FindingWarning, says: "NTP"},
		"an event of just now":   {ruin: event("now() + interval '20 seconds'")},
		"nobody sweeps":          {ruin: ceremony("now() - interval '61 minutes'"), check: "jobs", state: ports.FindingWarning, says: "1 ceremonies"},
		"swept before long":      {ruin: ceremony("now() - interval '55 minutes'")},
		"nobody there":           {as: func(string) string { return "postgres://ada:hunter2@127.0.0.1:1/lodge" }, check: "database.server", state: ports.FindingFault, says: "start the server"},
		"no such database":       {as: func(url string) string { return strings.Replace(url, "/test", "/other", 1) }, check: "database.server", state: ports.FindingFault, says: "CREATE DATABASE"},
		"no URL":                 {as: func(string) string { return "postgres://ada:hunter2@%zz" }, check: "database.server", state: ports.FindingFault, says: "%-escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			url := postgresserver.Empty(t)
			if err := migrated(url); err != nil {
				t.Fatal(err)
			}
			db := connect(t, url)
			if err := exec(t.Context(), db, c.ruin); err != nil {
				t.Fatal(err)
			}
			if c.as != nil {
				url = c.as(url)
			}
			wantFinding(t, NewDatabase(url).Inspect(t.Context(), time.Now().Add(c.apart), ports.Check{}), c.check, c.state, c.says)
		})
	}
}

func event(at string) string {
	return "INSERT INTO events (id, kind, at, party) VALUES (gen_random_uuid(), 'signed_in', " + at + ", 'user')"
}

func ceremony(ended string) string {
	return `INSERT INTO webauthn_challenges (id, purpose, ceremony, created_at, expires_at) VALUES (gen_random_uuid(), 'login', '\x01', now(), ` + ended + ")"
}

const clerk = `DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; ALTER ROLE clerk CONNECTION LIMIT -1; `

func asClerk(url string) string { return strings.Replace(url, "keylodge@", "clerk@", 1) }

func with(parameter string) func(string) string {
	return func(url string) string { return url + "&" + parameter }
}

func TestAnInspectionFindsAReplica(t *testing.T) {
	server := postgresserver.Own(t)
	if err := migrated(server.URL("postgres")); err != nil {
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
	wantFinding(t, NewDatabase(server.URL("postgres")).Inspect(t.Context(), time.Now(), ports.Check{}), "database.writable", ports.FindingFault, "replica")
}

func TestAnInspectionFindsAnotherEncoding(t *testing.T) {
	server := postgresserver.Own(t)
	if err := server.Exec("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'"); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, NewDatabase(server.URL("latin")).Inspect(t.Context(), time.Now(), ports.Check{}), "database.encoding", ports.FindingFault, "LATIN1")
}

func TestWhoCanReadAlong(t *testing.T) {
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
		var i inspection
		i.judgeTransport(c.server, c.encrypted, c.checked)
		check := "database.tls"
		if c.says == "" {
			check = ""
		}
		wantFinding(t, i.Findings, check, ports.FindingWarning, c.says)
	}
}

// wantFinding fails the test unless that is the only one that is not well; none if check is "".
func wantFinding(t *testing.T, found ports.Findings, check string, state ports.FindingState, says string) {
	t.Helper()
	told := false
	for _, f := range found {
		switch {
		case f.Found == "" || (f.State == ports.FindingOK) != (f.Advice == "") || strings.Contains(f.Found+f.Advice, "hunter2"):
			t.Errorf("%+v", f)
		case f.Check == check && f.State == state && strings.Contains(f.Found+"\n"+f.Advice, says):
			told = true
		case f.State != ports.FindingOK:
			t.Errorf("it also finds %+v", f)
		}
	}
	if len(found) == 0 || told != (check != "") {
		t.Errorf("it finds %+v", found)
	}
}
