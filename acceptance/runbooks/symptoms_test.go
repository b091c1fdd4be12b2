package runbooks

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"os"
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

// doesNotStart tries a start with each cause.
func doesNotStart(s *situation) {
	s.set()
	s.failsToStart("PUBLIC_URL=http://id.example.org", "SESION_TTL=5m")
	s.set()
	settings.WriteFile(s.t, ".env", "KEYLODGE_SECRET="+settings.FirstSecret, 0o644)
	s.failsToStart()

	taken, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer taken.Close()
	s.set("OPS_LISTEN=")
	s.failsToStart("LISTEN=" + taken.Addr().String())
	s.failsToStart("LISTEN=192.0.2.7:8080") // an address for documentation (RFC 5737)
	s.failsToStart("LISTEN=127.0.0.1:0", "OPS_LISTEN="+taken.Addr().String())

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "keylodge.secret", settings.FirstSecret, 0o644)
	s.failsToStart()
	settings.WriteFile(s.t, "keylodge.secret", "not a key", 0o600)
	s.failsToStart()
	settings.WriteFile(s.t, "keylodge.secret", strings.Repeat("A", 43)+"=", 0o600)
	s.failsToStart()

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	s.failsToStart("DATABASE_URL=sqlite:data/keylodge.db")
	s.failsToStart("SECRET=" + settings.FirstSecret)
	settings.WriteFile(s.t, "keylodge.db", strings.Repeat("This is a text and not a database.\n", 100), 0o600)
	s.failsToStart("DATABASE_URL=sqlite:keylodge.db")
	execute(s.t, "notes.db", "CREATE TABLE notes (text)")
	s.failsToStart("DATABASE_URL=sqlite:notes.db")

	s.set()
	s.start()
	s.signUp()
	s.stop()
	s.failsToStart("LISTEN=127.0.0.1:0", "PUBLIC_URL=https://id.example.org")
	s.t.Setenv("KEYLODGE_PUBLIC_URL", "")
	execute(s.t, "keylodge.db", "UPDATE schema_migrations SET version = 99; UPDATE schema_floor SET version = 99")
	s.failsToStart()
	secretLost(s)

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=", "SECRET="+settings.FirstSecret)
	server := postgresserver.StartForTest(s.t)
	s.failsToStart("DATABASE_URL=" + server.URL("nothing"))
	if err := errors.Join(server.Exec("postgres", "CREATE DATABASE notes"), server.Exec("notes", "CREATE TABLE users (name text)")); err != nil {
		s.t.Fatal(err)
	}
	s.failsToStart("DATABASE_URL=" + server.URL("notes"))
	s.failsToStart("DATABASE_URL=postgres://keylodge@127.0.0.1:1/users")
	s.failsToStart("SECRET=")

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	redis := redisserver.Start(s.t)
	s.failsToStart("RATE_LIMIT_URL=" + strings.Replace(redis.URL(), redis.Password(), "wrong", 1))

	s.set("LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	settings.WriteFile(s.t, "metadata.jwt", "<html>", 0o600)
	s.failsToStart("AUTHENTICATOR_POLICY=attested", "METADATA_FILE=metadata.jwt")
}

// everyClientIsLimited sends two requests of two clients through a proxy that the server does not trust.
func everyClientIsLimited(s *situation) {
	s.set("RATE_LIMITS=login=1/1m")
	s.start()
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{}, "X-Forwarded-For", address)
	}
	s.t.Setenv("KEYLODGE_PUBLIC_URL", "https://id.example.org")
	s.command("doctor")
}

func pageOfAnotherDomain(s *situation) {
	s.set()
	s.start()
	s.readPageTexts()
	s.failsToStart("PUBLIC_URL=https://id.example.org", "RP_ID=example.com")
}

// readPageTexts reads the texts of errors that the page of the server shows.
func (s *situation) readPageTexts() {
	s.t.Helper()
	script := s.ask(http.MethodGet, "/assets/errortexts.js", nil)
	if _, err := s.Write(script.Body); err != nil {
		s.t.Fatal(err)
	}
}

func originNotAllowed(s *situation) {
	s.set()
	s.start()
	s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{}, "Origin", "https://app.example.org")
	s.signUp(authenticator.ForgeOrigin("https://app.example.org"))
}

// diskFull fills a disk of 16 MB.
func diskFull(s *situation) {
	s.set("RATE_LIMITS=off")
	folder := s.t.TempDir()
	smalldisk.Mount(s.t, folder, "16m", 0o700)
	s.t.Chdir(folder)
	s.start()
	smalldisk.Fill(s.t, "filler")
	s.askUntilUnavailable()
	s.command("doctor")
	if err := os.Remove("filler"); err != nil {
		s.t.Fatal(err)
	}
	s.requireReady()
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
	shell := execute(s.t, "keylodge.db", "BEGIN IMMEDIATE")
	s.askUntilUnavailable()
	if _, err := shell.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		s.t.Fatal(err)
	}
	s.requireReady()
}

// execute executes statements on a SQLite file. It returns the connection, which is open until the end of the test.
func execute(t *testing.T, file, statements string) *sql.DB {
	t.Helper()
	db, err := driver.Open("file:" + file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(context.Background(), statements); err != nil {
		t.Fatal(err)
	}
	return db
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
	if err := server.Run(); err != nil {
		s.t.Fatal(err)
	}
	s.requireReady()
}

func redisGone(s *situation) {
	server := redisserver.Start(s.t)
	s.set()
	s.start("RATE_LIMIT_URL=" + server.URL())
	server.Stop()
	_, err := s.api.Redeem(client.RedeemRequest{Email: "ada@example.org", TOTPCode: "123456"})
	s.requireProblem(err)
	s.command("doctor")
	s.t.Setenv("KEYLODGE_RATE_LIMIT_URL", server.URL())
	if err := server.Run(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(symptomTimeout); !strings.Contains(s.output(), "available again") && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		s.ask(http.MethodPost, "/v1/login/options", client.SignInOptionsRequest{})
	}
	s.stop()
	server.Stop()
	s.start()
}

// secretLost starts a server without the secret of its database, and with another one.
func secretLost(s *situation) {
	s.set()
	s.start()
	s.stop()
	s.t.Setenv("KEYLODGE_LISTEN", "127.0.0.1:0")
	if err := os.Remove("keylodge.secret"); err != nil {
		s.t.Fatal(err)
	}
	s.failsToStart()
	s.failsToStart("SECRET=" + settings.FirstSecret)
	s.command("doctor")
	s.command("keys", "rotate")
	s.start()
}

func secretLeaked(s *situation) {
	s.set("SECRET=" + settings.FirstSecret)
	s.start()
	s.signUp()
	s.stop()
	settings.Add(s.t, "SECRET="+settings.SecondSecret)
	s.command("keys", "rotate")
	s.command("keys", "list")
	s.command("sessions", "revoke", "--user", "ada@example.org")
	s.command("doctor")
	s.start("PUBLIC_URL=" + s.passkeys.Origin())
	s.requireSignIn()
}

func signingKeyLeaked(s *situation) {
	s.set()
	s.start()
	s.signUp()
	s.command("keys", "list")
	s.command("keys", "rotate")
}

func userLockedOut(s *situation) {
	s.set()
	s.start()
	s.signUp()
	s.readPageTexts()
	s.command("users", "recover", "ada@example.org")
	s.command("users", "disable", "ada@example.org")
	s.signIn()
	for range 30 {
		_, err := s.api.Redeem(client.RedeemRequest{Email: "ada@example.org", BackupCode: "0000-0000-0000-0000"})
		s.requireProblem(err)
	}
	s.command("users", "show", "ada@example.org")
	s.command("users", "enable", "ada@example.org")
	s.requireSignIn()
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
	server := mailserver.Start(s.t, mailserver.Options{})
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.set("SMTP_HOST="+host, "SMTP_PORT="+port, "SMTP_TLS=none", "SMTP_FROM=no-reply@example.org")
	s.start()
	server.Stop()
	s.signUp()
	s.requireProblem(s.api.SendEmailCode())
	for deadline := time.Now().Add(symptomTimeout); !strings.Contains(s.output(), "could not be sent") && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	s.command("doctor")
	server.Resume()
	for deadline := time.Now().Add(symptomTimeout); len(server.Emails("ada@example.org")) == 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			s.t.Fatal("the e-mail does not arrive after the mail server has started again")
		}
	}
}

// passkeyCloned signs in with a counter that does not increase.
func passkeyCloned(s *situation) {
	s.set()
	s.start()
	s.signUp()
	s.signIn(authenticator.ForgeSignCount(1))
	s.stop()
	s.command("users", "show", "ada@example.org")
	s.command("sessions", "revoke", "--user", "ada@example.org")
	s.command("users", "disable", "ada@example.org")
	s.command("users", "enable", "ada@example.org")
	s.command("users", "recover", "ada@example.org")
}
