package runbooks

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/acceptance/testkit/smalldisk"
)

// symptoms produce the symptom of each page.
var symptoms = map[string]func(*situation){
	"the-server-does-not-start": doesNotStart,
	"every-client-gets-429":     everyClientIsLimited,
	"security-error":            pageOfAnotherDomain,
	"origin-not-allowed":        originNotAllowed,
	"disk-full":                 diskFull,
	"database-locked":           databaseLocked,
	"postgresql-gone":           postgresGone,
	"redis-gone":                redisGone,
	"secret-lost":               secretLost,
	"secret-leaked":             secretLeaked,
	"signing-key-leaked":        signingKeyLeaked,
	"user-locked-out":           userLockedOut,
	"email-not-sent":            emailNotSent,
	"passkey-may-be-cloned":     passkeyCloned,
}

// doesNotStart tries a start with each cause, fixes it as the page says, and starts the server.
func doesNotStart(s *situation) {
	s.set()
	s.failsToStart("PUBLIC_URL=http://id.example.org", "SESION_TTL=5m")
	s.follow("journalctl -u keylodge -n 20", "keylodge: invalid settings:")
	settings.Add(s.t, "PUBLIC_URL="+s.printed(`fix: use (https://\S+)`))
	s.failsToStart()
	s.unset("SESION_TTL")
	s.requireCured()

	s.set()
	settings.WriteFile(s.t, ".env", "KEYLODGE_SECRET="+settings.FirstSecret, 0o644)
	s.failsToStart()
	s.follow("chmod 600 /var/lib/keylodge/keylodge.secret")
	s.requireCured()

	s.addressInUse()
	s.filesAndDirectories()
	s.otherUser()
	s.keyFile()
	s.otherRPID()
	s.newerSchema()

	loseSecret(s)

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=", "SECRET="+settings.FirstSecret)
	server := postgresserver.StartForTest(s.t)
	s.failsToStart("DATABASE_URL=postgres://keylodge@127.0.0.1:1/users")
	s.failsToStart("DATABASE_URL=" + server.URL("nothing"))
	create := s.printed(`create the database: (CREATE DATABASE \\"\w+\\")`)
	if err := server.Exec("postgres", strings.ReplaceAll(create, `\`, "")); err != nil {
		s.t.Error(err)
	}
	s.follow("psql", "1 row")
	if err := errors.Join(server.Exec("postgres", "CREATE DATABASE notes"), server.Exec("notes", "CREATE TABLE users (name text)")); err != nil {
		s.t.Fatal(err)
	}
	s.failsToStart("DATABASE_URL=" + server.URL("notes"))
	s.failsToStart("SECRET=")
	settings.Add(s.t, "SECRET="+settings.FirstSecret, "DATABASE_URL="+server.URL("nothing"))
	s.requireCured()

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	redis := redisserver.Start(s.t)
	s.failsToStart("RATE_LIMIT_URL=" + strings.Replace(redis.URL(), redis.Password(), "wrong", 1))
	settings.Add(s.t, "RATE_LIMIT_URL="+redis.URL())
	s.requireCured()

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "metadata.jwt", "<html>", 0o600)
	s.failsToStart("AUTHENTICATOR_POLICY=attested", "METADATA_FILE=metadata.jwt")
	settings.Add(s.t, settings.Attested(settings.MetadataFiles(s.t, time.Now().AddDate(0, 1, 0)))...)
	s.requireCured()
}

func (s *situation) addressInUse() {
	s.t.Helper()
	taken, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	s.set("OPS_LISTEN=")
	s.failsToStart("LISTEN=" + taken.Addr().String())
	s.failsToStart("LISTEN=192.0.2.7:8080") // an address for documentation (RFC 5737)
	s.failsToStart("LISTEN=127.0.0.1:0", "OPS_LISTEN="+taken.Addr().String())
	s.names["TCP:8080"] = "TCP:" + port
	s.follow("lsof -nP -iTCP:8080", "COMMAND", strconv.Itoa(os.Getpid()))
	if err := taken.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.start("LISTEN=" + taken.Addr().String())
	s.stop()
}

func (s *situation) filesAndDirectories() {
	s.t.Helper()
	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "keylodge.secret", settings.FirstSecret, 0o644)
	s.failsToStart()
	s.follow("chmod 600 /var/lib/keylodge/keylodge.secret")
	s.requireCured()

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	s.failsToStart("DATABASE_URL=sqlite:data/keylodge.db")
	s.failsToStart("SECRET=" + settings.FirstSecret)
	s.unset("SECRET")
	s.follow("install -d")
	s.requireCured()

	settings.WriteFile(s.t, "keylodge.db", strings.Repeat("This is a text and not a database.\n", 100), 0o600)
	s.failsToStart("DATABASE_URL=sqlite:keylodge.db", "SECRET="+settings.FirstSecret)
	execute(s.t, "notes.db", "CREATE TABLE notes (text)")
	s.failsToStart("DATABASE_URL=sqlite:notes.db", "LISTEN=127.0.0.1:0")
	s.unset("SECRET")
	settings.Add(s.t, "DATABASE_URL=sqlite:data/keylodge.db")
	s.requireCured()
}

// otherUser starts the server as a user that may not read the files of root.
func (s *situation) otherUser() {
	s.t.Helper()
	if os.Getuid() != 0 {
		s.follow("chown -R")
		s.t.Log("only root can start a server as another user")
		return
	}
	daemon, err := user.Lookup("daemon")
	if err != nil {
		s.t.Fatal(err)
	}
	s.stopAfterSignUp()
	folder, err := os.Getwd()
	if err != nil {
		s.t.Fatal(err)
	}
	for folder := folder; folder != os.TempDir() && folder != "/"; folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil { // #nosec G302 -- the other user must reach the folder
			s.t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.shell("cp " + self + " keylodge && chmod 755 keylodge")
	asDaemon := "setpriv --reuid=daemon --regid=" + daemon.Gid + " --clear-groups ./keylodge users list"
	for prefix, want := range map[string]string{
		"": "give this user read access",
		"KEYLODGE_SECRET=" + settings.FirstSecret + " ": "allow user id " + daemon.Uid + " to read and write it and its directory",
	} {
		if output := s.shell(prefix + asDaemon); !contains(output, want) {
			s.t.Errorf("as another user: %s", output)
		}
	}
	s.names["chown -R keylodge:"] = "chown -R daemon:"
	s.follow("chown -R")
	if output := s.shell(asDaemon); !contains(output, "ada@example.org") {
		s.t.Errorf("after the fix: %s", output)
	}
}

// stopAfterSignUp starts the server with a new database and a new authenticator, signs a user up, and stops the server.
func (s *situation) stopAfterSignUp() {
	s.t.Helper()
	s.passkeys = nil
	s.set()
	s.start()
	s.signUp()
	s.stop()
}

func (s *situation) keyFile() {
	s.t.Helper()
	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "keylodge.secret", "not a key", 0o600)
	s.failsToStart()
	settings.WriteFile(s.t, "keylodge.secret", settings.FirstSecret, 0o600)
	s.requireCured()

	weak := strings.Repeat("A", 43) + "="
	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "keylodge.secret", weak, 0o600)
	s.failsToStart()
	settings.Add(s.t, "SECRET="+settings.FirstSecret, "PREVIOUS_SECRETS="+weak)
	s.requireCured()
}

func (s *situation) otherRPID() {
	s.t.Helper()
	s.stopAfterSignUp()
	s.failsToStart("LISTEN=127.0.0.1:0", "PUBLIC_URL=https://id.example.org")
	if rpID := s.printed(`or KEYLODGE_PUBLIC_URL, back to ([^;]+);`); rpID != "localhost" {
		s.t.Errorf("the message says to set it back to %q", rpID)
	}
	settings.Add(s.t, "PUBLIC_URL="+s.passkeys.Origin())
	s.start()
	s.requireSignIn()
	s.stop()
	settings.Add(s.t, "PUBLIC_URL=https://id.example.org", "RETIRED_RP_IDS="+s.printed(`set KEYLODGE_RETIRED_RP_IDS=([^"]+)"`))
	s.requireCured()
}

// newerSchema starts with the database of a newer release, and restores the backup from before the upgrade.
func (s *situation) newerSchema() {
	s.t.Helper()
	s.stopAfterSignUp()
	s.command("backup", "before-upgrade.db")
	execute(s.t, "keylodge.db", "UPDATE schema_migrations SET version = 99; UPDATE schema_floor SET version = 99")
	settings.Add(s.t, "LISTEN=127.0.0.1:0")
	s.failsToStart()
	s.follow("migrate status", "99")
	s.command("restore", "--yes", "before-upgrade.db")
	s.start()
	s.requireSignIn()
	s.requireCured()
}

// everyClientIsLimited sends two requests of two clients through a proxy that the server does not trust.
func everyClientIsLimited(s *situation) {
	s.set("RATE_LIMITS=login=1/1m", "PUBLIC_URL=https://id.example.org")
	s.start()
	both := func(want int) {
		s.t.Helper()
		for i, address := range []string{"192.0.2.1", "192.0.2.2"} {
			got := s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{}, "X-Forwarded-For", address)
			if i == 1 && got.StatusCode != want {
				s.t.Errorf("the second client got %d, want %d", got.StatusCode, want)
			}
		}
	}
	both(http.StatusTooManyRequests)
	s.command("doctor")
	s.follow(`grep '"status":429'`, `"ip":"127.0.0.1"`)
	s.follow("KEYLODGE_TRUSTED_PROXIES=")
	s.stop()
	s.start()
	both(http.StatusOK)
	s.follow("curl -si", "200 OK", "ok … proxies")
	s.requireOutput(`"ip":"192.0.2.1"`, `"ip":"192.0.2.2"`)
}

func pageOfAnotherDomain(s *situation) {
	s.set()
	s.start()
	s.readPageTexts()
	s.follow("/v1/config", `"rp_id":"localhost"`, "rp_id", "origins")
	s.stop()
	s.failsToStart("PUBLIC_URL=https://id.example.org", "RP_ID=example.com")
	s.start("RP_ID=example.org")
}

// scriptName is the name of a script in the page or in another script.
var scriptName = regexp.MustCompile(`[\w-]+\.js`)

// readPageTexts reads the texts of errors that the page of the server shows, from its scripts.
func (s *situation) readPageTexts() {
	s.t.Helper()
	read := map[string]bool{}
	for pending := scriptName.FindAll(s.ask(http.MethodGet, "/", nil).Body, -1); len(pending) > 0; pending = pending[1:] {
		name := string(pending[0])
		if read[name] {
			continue
		}
		read[name] = true
		script := s.ask(http.MethodGet, "/assets/"+name, nil)
		if script.StatusCode != http.StatusOK {
			continue // the name of a source, in a comment
		}
		if _, err := s.Write(script.Body); err != nil {
			s.t.Fatal(err)
		}
		pending = append(pending, scriptName.FindAll(script.Body, -1)...)
	}
	if len(read) == 0 {
		s.t.Fatal("the page has no script")
	}
}

func originNotAllowed(s *situation) {
	s.set("PUBLIC_URL=https://id.example.org", "RP_ID=example.org")
	s.start()
	s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{}, "Origin", "https://app.example.org")
	s.signUp(authenticator.ForgeOrigin("https://app.example.org"))
	s.follow("grep origin_not_allowed", `client data has origin \"https://app.example.org\"`)
	s.follow("KEYLODGE_ORIGINS=")
	s.stop()
	s.start()
	s.follow("curl -si", "200 OK", "ok … origins … https://app.example.org")
	s.signUp(authenticator.ForgeOrigin("https://app.example.org"))
	if _, err := s.api.Account(); err != nil {
		s.t.Errorf("after the fix, the page cannot sign Ada up: %v", err)
	}
}

// diskFull fills a disk of 64 MB with an old backup.
func diskFull(s *situation) {
	s.set("RATE_LIMITS=off")
	folder := s.t.TempDir()
	smalldisk.Mount(s.t, folder, "64m", 0o700)
	s.t.Chdir(folder)
	s.start()
	backup := "backups/keylodge/keylodge-2026-01-01.db"
	if err := errors.Join(os.MkdirAll(filepath.Dir(backup), 0o700), os.Mkdir("log", 0o700)); err != nil {
		s.t.Fatal(err)
	}
	smalldisk.Fill(s.t, backup)
	lastYear := time.Now().AddDate(-1, 0, 0)
	if err := os.Chtimes(backup, lastYear, lastYear); err != nil {
		s.t.Fatal(err)
	}
	s.askUntilUnavailable()
	s.command("doctor")
	s.follow("df -h", "100%", "backups")
	s.follow("lsof +L1")
	s.follow("find /var/backups")
	s.requireReady()
	s.follow("as_keylodge doctor", "200", "warning … database.disk")
}

// askUntilUnavailable sends a request that writes until one returns 503.
func (s *situation) askUntilUnavailable() {
	s.t.Helper()
	for deadline := time.Now().Add(symptomTimeout); time.Now().Before(deadline); {
		if got := s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{}); got.StatusCode == http.StatusServiceUnavailable {
			s.ask(http.MethodGet, "/readyz", nil)
			return
		}
	}
	s.t.Error("no request returned 503")
}

// requireReady waits until the server is ready again, which needs no restart.
func (s *situation) requireReady() {
	s.t.Helper()
	for deadline := time.Now().Add(symptomTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got := s.ask(http.MethodGet, "/readyz", nil); got.StatusCode == http.StatusOK {
			return
		}
	}
	s.t.Error("the server does not become ready again")
}

func databaseLocked(s *situation) {
	s.set()
	s.start()
	s.names["PID"] = s.databaseShell("keylodge.db")
	s.askUntilUnavailable()
	s.follow("lsof", "database- … "+s.names["PID"])
	s.follow("kill")
	s.requireReady()
	s.follow("/readyz", "200")
}

// execute executes statements on a SQLite file. It closes the connection at the end of the test.
func execute(t *testing.T, file, statements string) {
	t.Helper()
	db, err := openDatabase(file, statements)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// openDatabase opens a SQLite file with one connection, which has executed the statements.
func openDatabase(file, statements string) (*sql.DB, error) {
	db, err := driver.Open("file:" + file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(context.Background(), statements)
	return db, err
}

func postgresGone(s *situation) {
	server := postgresserver.StartForTest(s.t)
	if err := server.Exec("postgres", "CREATE DATABASE users"); err != nil {
		s.t.Fatal(err)
	}
	s.set("SECRET="+settings.FirstSecret, "RATE_LIMITS=off")
	s.start("DATABASE_URL=" + server.URL("users"))
	if err := server.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.askUntilUnavailable()
	s.command("doctor")
	s.units["postgresql"] = server.Run
	s.follow("pg_isready", "no response")
	s.requireReady()
	s.follow("/readyz", "200")
}

func redisGone(s *situation) {
	server := redisserver.Start(s.t)
	s.set()
	s.start("RATE_LIMIT_URL=" + strings.Replace(server.URL(), "redis://:", "redis://default:", 1))
	server.Stop()
	_, err := s.api.Redeem(client.RedeemRequest{Email: "ada@example.org", TOTPCode: "123456"})
	s.requireProblem(err)
	s.command("doctor")
	s.units["redis-server"] = server.Run
	s.follow("redis-cli")
	for deadline := time.Now().Add(symptomTimeout); !strings.Contains(s.output(), "available again") && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{})
	}
	s.units["redis-server"] = func() error { return nil }
	s.follow("redis-cli", "PONG")
	s.follow("as_keylodge doctor", "ok … rate_limits")
	s.stop()
	server.Stop()
	s.start()
}

// loseSecret starts a server without the secret of its database, and with another one. The database has Ada's account.
func loseSecret(s *situation) (lost []byte) {
	s.stopAfterSignUp()
	settings.Add(s.t, "LISTEN=127.0.0.1:0")
	lost, err := os.ReadFile("keylodge.secret")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Remove("keylodge.secret"); err != nil {
		s.t.Fatal(err)
	}
	s.failsToStart()
	s.failsToStart("SECRET=" + settings.FirstSecret)
	s.command("doctor")
	return lost
}

// secretLost finds the secret as a file, and as a former setting, and then replaces it.
func secretLost(s *situation) {
	lost := loseSecret(s)
	if err := os.Mkdir("elsewhere", 0o700); err != nil {
		s.t.Fatal(err)
	}
	settings.WriteFile(s.t, "elsewhere/keylodge.secret", string(lost), 0o600)
	s.follow("install -o keylodge")
	s.unset("SECRET")
	s.verifySecret()

	if err := os.Remove("keylodge.secret"); err != nil {
		s.t.Fatal(err)
	}
	settings.Add(s.t, "SECRET="+settings.FirstSecret)
	s.names["FORMER-SECRET"] = strings.TrimSpace(string(lost))
	s.follow("KEYLODGE_PREVIOUS_SECRETS=")
	s.verifySecret()

	s.unset("SECRET")
	s.unset("PREVIOUS_SECRETS")
	s.follow("openssl rand -base64 32")
	s.verifySecret()
}

// verifySecret does what the page says to verify the fix, and stops the server.
func (s *situation) verifySecret() {
	s.t.Helper()
	s.follow("systemctl start keylodge", "ok … secret.decryption", `"ready"`)
	s.requireSignIn()
	s.stop()
}

func secretLeaked(s *situation) {
	s.set()
	s.start()
	s.signUp()
	leaked := s.command("keys", "list")
	if err := os.Mkdir("root", 0o700); err != nil {
		s.t.Fatal(err)
	}
	secret := strings.TrimSpace(s.follow("systemctl stop keylodge"))
	settings.Add(s.t, "SECRET="+secret)
	s.follow("keys rotate")
	s.start()
	s.follow("sessions revoke")
	verified := s.follow("keys list", "ok … secret.decryption")
	if kid := lastKey(leaked); strings.Contains(verified, kid) {
		s.t.Errorf("the key %s is still there:\n%s", kid, verified)
	}
	s.requireSignIn()
}

// lastKey returns the id of the last key in a list of keys.
func lastKey(list string) string {
	lines := strings.Split(strings.TrimSpace(list), "\n")
	return strings.Fields(lines[len(lines)-1])[0]
}

func signingKeyLeaked(s *situation) {
	s.set()
	s.start()
	s.signUp()
	s.follow("keys rotate")
	s.follow("users show ada@example.org", "signed_up", "1 session revoked")

	s.stop()
	settings.Add(s.t, "JWT_KEY_FILE=signing.pem")
	s.follow("openssl genpkey")
	leaked := s.follow("jwks.json", `"kid"`)
	s.follow("openssl genpkey")
	if replaced := s.follow("jwks.json", `"kid"`); leaked == replaced {
		s.t.Errorf("the leaked key is still in the JWKS: %s", replaced)
	}
}

func userLockedOut(s *situation) {
	s.set("RATE_LIMITS=off")
	s.start()
	s.signUp()
	s.readPageTexts()
	s.command("users", "disable", "ada@example.org")
	s.signIn()
	s.follow("users enable")
	s.requireSignIn()
	for range 30 {
		_, err := s.api.Redeem(client.RedeemRequest{Email: "ada@example.org", TOTPCode: "000000"})
		s.requireProblem(err)
	}
	s.follow("users show", "recovery_refused")
	s.recover(s.follow("users recover"))
	s.requireSignIn()
	s.follow("users show", "recovered", "signed_in")
}

// requireSignIn fails the test if Ada cannot sign in.
func (s *situation) requireSignIn() {
	s.t.Helper()
	s.signIn()
	if _, err := s.api.Account(); err != nil {
		s.t.Errorf("after the fix, Ada cannot sign in: %v", err)
	}
}

func emailNotSent(s *situation) {
	server := s.startMailServer(mailserver.Options{TLS: mailserver.Plain}, "SMTP_TLS=none")
	s.start()
	server.Stop()
	s.signUp()
	s.requireProblem(s.api.SendEmailCode())
	s.awaitOutput("could not be sent")
	s.names["smtp.example.org:587"] = server.Addr
	s.follow("openssl s_client", "the mail server is unreachable", "refused")
	server.Resume()
	s.follow("openssl s_client", "ok … mail")
	s.awaitEmail(server)
	s.stop()

	for _, c := range []struct {
		cause   string // in the error of the log, as the page lists it
		outcome string // in the message of the log
		options mailserver.Options
		wrong   []string // settings
		reject  []string // arguments of SetReply
		fix     func(*mailserver.Server) []string
	}{
		{"certificate", "will be retried", mailserver.Options{}, nil, nil, func(server *mailserver.Server) []string { return []string{"SMTP_CA_FILE=" + server.CAFile} }},
		{"535", "will be retried", mailserver.Options{TLS: mailserver.STARTTLS, Username: "keylodge", Password: "mail-password"}, []string{"SMTP_USERNAME=keylodge", "SMTP_PASSWORD=wrong"}, nil,
			func(*mailserver.Server) []string { return []string{"SMTP_PASSWORD=mail-password"} }},
		{"sending the sender to the mail server: … 553", "will be retried", mailserver.Options{}, nil, []string{"MAIL", "no-reply@example.org", "553 the sender is not allowed"},
			func(*mailserver.Server) []string { return []string{"SMTP_FROM=keylodge@example.org"} }},
		{"sending the recipient to the mail server: … 550", "was discarded", mailserver.Options{}, nil, []string{"RCPT", "ada@example.org", "550 no such user"},
			func(server *mailserver.Server) []string { server.SetReply("RCPT", "ada@example.org", ""); return nil }},
	} {
		s.passkeys = nil
		server := s.startMailServer(c.options, append([]string{"RATE_LIMITS=off"}, c.wrong...)...)
		if c.cause != "certificate" {
			settings.Add(s.t, "SMTP_CA_FILE="+server.CAFile)
		}
		if c.reject != nil {
			server.SetReply(c.reject[0], c.reject[1], c.reject[2])
		}
		s.start()
		s.signUp()
		s.requireProblem(s.api.SendEmailCode())
		s.awaitOutput("an e-mail could not be sent and " + c.outcome + "…" + c.cause)
		s.stop()
		settings.Add(s.t, c.fix(server)...)
		s.start()
		s.signIn()
		s.requireProblem(s.api.SendEmailCode())
		s.awaitEmail(server)
		s.stop()
	}
}

// startMailServer starts a mail server, and sets the settings of a server that uses it.
func (s *situation) startMailServer(options mailserver.Options, lines ...string) *mailserver.Server {
	s.t.Helper()
	server := mailserver.Start(s.t, options)
	_, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.set(append([]string{"SMTP_HOST=localhost", "SMTP_PORT=" + port, "SMTP_FROM=no-reply@example.org"}, lines...)...)
	return server
}

func (s *situation) awaitOutput(want string) {
	s.t.Helper()
	for deadline := time.Now().Add(symptomTimeout); !contains(s.output(), want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the program does not print %q:\n%s", want, s.output())
		}
	}
}

func (s *situation) awaitEmail(server *mailserver.Server) {
	s.t.Helper()
	for deadline := time.Now().Add(symptomTimeout); len(server.Emails("ada@example.org")) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the e-mail does not arrive after the fix:\n%s", s.output())
		}
	}
}

// passkeyCloned signs in with a counter that does not increase. Ada replaces the passkey.
func passkeyCloned(s *situation) {
	s.set()
	s.start()
	s.signUp()
	account, err := s.api.Account()
	if err != nil {
		s.t.Fatal(err)
	}
	cloned, err := s.api.Passkeys()
	if err != nil {
		s.t.Fatal(err)
	}
	s.signIn(authenticator.ForgeSignCount(1))
	s.names["USER-ID"] = account.ID
	s.follow("users show", "counter_regressed")
	s.follow("users disable")
	s.signIn()
	s.recover(s.follow("users recover", "1 session revoked"))
	s.requireSignIn()
	if err := s.api.RemovePasskey(cloned[0].ID); err != nil {
		s.t.Fatal(err)
	}
	s.requireSignIn()
	if shown := s.follow("users show"); strings.Contains(shown, cloned[0].ID) {
		s.t.Errorf("the removed passkey is still listed:\n%s", shown)
	}
}

// printed returns the latest text that the program printed for the group of a pattern.
func (s *situation) printed(pattern string) string {
	s.t.Helper()
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(s.output(), -1)
	if found == nil {
		s.t.Fatalf("the program did not print %s:\n%s", pattern, s.output())
	}
	return found[len(found)-1][1]
}

func (s *situation) requireOutput(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !contains(s.output(), w) {
			s.t.Errorf("the program did not print %q:\n%s", w, s.output())
		}
	}
}

// unset removes a setting until the end of the test.
func (s *situation) unset(setting string) {
	s.t.Helper()
	if err := os.Unsetenv("KEYLODGE_" + setting); err != nil {
		s.t.Fatal(err)
	}
}
