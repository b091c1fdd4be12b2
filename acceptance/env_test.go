package acceptance

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// env is the environment of a story: a server of its own, and a clock that only advance moves.
type env struct {
	t          testing.TB
	clock      *clock
	driver     protocolDriver
	mailServer *mailserver.Server // nil if the server sends no e-mail
}

// protocolDriver runs a story through one interface of the server.
type protocolDriver interface {
	// newDevice returns a device that shares no cookies, tokens or passkeys with other devices.
	newDevice(t testing.TB, kind deviceKind) device
	purgeExpired(t testing.TB)
	// runJobs runs the server's background jobs once, except the deletion of expired data.
	runJobs(t testing.TB)
	// operator returns the use cases of the operator's commands.
	operator() application.UseCases
}

// deviceKind is a kind of authenticator.
type deviceKind int

const (
	phone         deviceKind = iota // synced passkeys without a signature counter
	securityKey                     // device-bound passkeys with a signature counter
	autofillPhone                   // a phone whose browser, if there is one, suggests passkeys
)

func (k deviceKind) options() []authenticator.Option {
	if k == securityKey {
		return []authenticator.Option{authenticator.DeviceBound()}
	}
	return nil
}

// device is what a user can do on a device, first signed out, then signed in.
type device interface {
	signUp(user profile, forgeries ...forgery) result[shownUser]
	signIn(email string, forgeries ...forgery) result[shownUser]
	// signInDelayed signs in without an address. The user responds to the prompt before meanwhile, and the server receives the
	// response after it.
	signInDelayed(meanwhile func()) result[shownUser]
	whoAmI() result[shownUser]
	signOut() rejection
	// recover redeems the proof and registers a passkey on the current authenticator.
	recover(proof recoveryProof, forgeries ...forgery) result[shownUser]

	stepUp(forgeries ...forgery) rejection
	// prepareSensitiveAction performs a step-up if the device does not perform it with the action.
	prepareSensitiveAction() rejection
	passkeys() result[[]shownPasskey]
	addPasskey(name string, forgeries ...forgery) rejection
	renamePasskey(id, name string) rejection
	removePasskey(id string) rejection
	sessions() result[[]shownSession]
	revokeSession(id string) rejection
	revokeOtherSessions() result[int]
	changeAccount(name, email string) result[shownUser]
	deleteAccount() rejection
	events() result[[]shownEvent]

	emailStatus() result[shownEmail]
	sendEmailCode() rejection
	confirmEmail(code string) rejection

	recoveryFactors() result[shownFactors]
	// setUpTOTP returns the secret of a new authenticator app, which confirmTOTP confirms.
	setUpTOTP() result[string]
	confirmTOTP(code string) rejection
	removeTOTP() rejection
	makeBackupCodes() result[[]string]

	// useAuthenticator replaces the current authenticator with another one, without passkeys.
	useAuthenticator(kind deviceKind)
	// syncedDevice returns another device of the same user, with the passkeys of the current authenticator.
	syncedDevice() device
}

// shownFactors is the recovery factors of an account, as its owner sees them.
type shownFactors struct {
	hasTOTP   bool
	codesLeft int
}

// shownEmail is the current and the pending address of an account, as its owner sees them.
type shownEmail struct {
	current, pending string
	verified         bool
}

// recoveryProof is the input of a recovery. An empty member is not sent.
type recoveryProof struct{ email, totpCode, backupCode string }

// shownPasskey is a passkey as its owner sees it. Its name may be "".
type shownPasskey struct{ id, name, status string }

// shownSession is a session as its owner sees it.
type shownSession struct {
	id, device string
	current    bool
}

// shownEvent is an event of the audit log as the account's owner sees it.
type shownEvent struct{ kind, reason string }

// profile is the input of a sign-up. The invite is a token; "" for none.
type profile struct{ name, email, invite string }

// shownUser is the signed-in user, as the server states it.
type shownUser struct{ name, email string }

// rejection is the result of an attempt: the error code that the client received, and the reason in the server's log. It is zero
// if the attempt succeeded.
type rejection struct {
	code   string
	reason domain.Reason
}

func (r rejection) ok() bool { return r == rejection{} }

// outcome returns the result of an attempt.
func (r rejection) outcome() rejection { return r }

// attempt is a rejection, or a result that has one.
type attempt interface{ outcome() rejection }

// result is the result of an attempt that returns a value if it succeeds.
type result[T any] struct {
	value T
	rejection
}

// must returns the value. It fails the test if the attempt was rejected.
func (r result[T]) must(t testing.TB) T {
	t.Helper()
	if !r.ok() {
		t.Fatalf("rejected: %+v", r.rejection)
	}
	return r.value
}

// disables makes the operator disable the account with the person's address. It returns the number of revoked sessions.
func (e *env) disables(p *person) (ended int) {
	e.t.Helper()
	ended, err := e.driver.operator().Admin.DisableUser(e.t.Context(), domain.UserRef{Email: domain.Email(p.email)})
	if err != nil {
		e.t.Fatal(err)
	}
	return ended
}

func (e *env) enables(p *person) {
	e.t.Helper()
	if err := e.driver.operator().Admin.EnableUser(e.t.Context(), domain.UserRef{Email: domain.Email(p.email)}); err != nil {
		e.t.Fatal(err)
	}
}

// issuesRecoveryGrant returns the token of the operator's recovery link.
func (e *env) issuesRecoveryGrant(p *person) string {
	e.t.Helper()
	issued, err := e.driver.operator().Admin.RecoverUser(e.t.Context(), domain.UserRef{Email: domain.Email(p.email)})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued.Token.Reveal()
}

// advance runs the server's jobs and then moves the clock.
func (e *env) advance(d time.Duration) {
	e.t.Helper()
	e.driver.runJobs(e.t)
	e.clock.advance(d)
}

// clock is the server's clock. It starts at the real time, because a browser uses the real time for its cookies.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// newClock returns a clock whose time has only tenths of a second: a time that is written with fewer than six digits then
// violates the pattern in the OpenAPI document.
func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(100 * time.Millisecond)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// settings returns the default settings, with a random secret and a new database.
func settings(t testing.TB, publicURL string, configure func(*config.Config)) config.Config {
	t.Helper()
	secret := newSecret(t)
	cfg := config.Config{
		PublicURL: publicURL, RPID: "localhost", RPName: "Keylodge", Language: locales.English, Origins: []string{publicURL},
		Database: config.SQLite(filepath.Join(t.TempDir(), "keylodge.db")), Secret: &secret,
		Registration: domain.RegistrationOpen, Recovery: domain.RecoveryAny,
		Use:          domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityReject},
		Sessions:     domain.SessionLifetime{TTL: 30 * 24 * time.Hour, IdleTTL: 7 * 24 * time.Hour},
		ChallengeTTL: 5 * time.Minute,
		StepUpTTL:    domain.StepUpTTL(10 * time.Minute), PasskeyLimit: 20, SessionLimit: 100,
		Access:       domain.AccessPolicy{Issuer: publicURL, Audience: publicURL, TTL: 5 * time.Minute},
		Applications: domain.Applications{{Origin: "https://app.example.org", Name: "Example App"}},
		Rotation:     domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute},

		RequestTimeout: pageTimeout, // concurrent requests take more than the default on a busy machine
	}
	if configure != nil {
		configure(&cfg)
	}
	return cfg
}

// onPostgres returns configure, with a new PostgreSQL database for the test.
func onPostgres(t testing.TB, configure func(*config.Config)) func(*config.Config) {
	t.Helper()
	url := postgresURL(t)
	return func(cfg *config.Config) {
		cfg.Database = config.Postgres(url)
		if configure != nil {
			configure(cfg)
		}
	}
}

func postgresURL(t testing.TB) string {
	t.Helper()
	return postgresserver.MigratedDatabase(t, func(url string) error {
		store, err := postgres.Open(context.Background(), url)
		if err != nil {
			return err
		}
		return store.Close()
	})
}

func postgresStore(t testing.TB) ports.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func sqliteStore(t testing.TB) ports.Store {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "keylodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
