package acceptance

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// env is a server of a story's own, with a clock that stands still until somebody waits.
type env struct {
	t          testing.TB
	clock      *clock
	driver     protocolDriver
	mailServer *mailserver.Server // nil where no mail is sent
}

// protocolDriver is a way in. A client of it is one person's device: it keeps what a device keeps and shares nothing.
type protocolDriver interface {
	newDevice(t testing.TB, kind deviceKind) device
	purgeExpired(t testing.TB)
	// runJobs has what the server does by itself done.
	runJobs(t testing.TB)
	operator() application.UseCases
}

// deviceKind is what keeps a person's passkeys.
type deviceKind int

const (
	phone         deviceKind = iota // synced passkeys, which count nothing
	securityKey                     // device-bound passkeys, which count their uses
	autofillPhone                   // a phone whose browser offers passkeys among its suggestions, where there is a browser
)

func (k deviceKind) options() []authenticator.Option {
	if k == securityKey {
		return []authenticator.Option{authenticator.DeviceBound()}
	}
	return nil
}

// device is what a person can do.
type device interface {
	signUp(user profile, forgeries ...forgery) (shownUser, rejection)
	signIn(email string, forgeries ...forgery) (shownUser, rejection)
	whoAmI() (shownUser, rejection)
	signOut() rejection
	// recover redeems the claim and enrols a passkey on the authenticator at hand.
	recover(proof recoveryProof, forgeries ...forgery) (shownUser, rejection)
	signedInDevice
}

// signedInDevice is what somebody who is signed in can do about their account. A page steps up by itself when it is asked to.
type signedInDevice interface {
	stepUp(forgeries ...forgery) rejection
	passkeys() ([]shownPasskey, rejection)
	addPasskey(name string, forgeries ...forgery) rejection
	renamePasskey(id, name string) rejection
	removePasskey(id string) rejection
	sessions() ([]shownSession, rejection)
	revokeSession(id string) rejection
	revokeOtherSessions() (int, rejection)
	changeAccount(name, email string) (shownUser, rejection)
	deleteAccount() rejection
	events() ([]shownEvent, rejection)

	emailStatus() (shownEmail, rejection)
	sendEmailCode() rejection
	confirmEmail(code string) rejection

	recoveryFactors() (shownFactors, rejection)
	setUpTOTP() (secret string, rejected rejection) // shown; confirmTOTP makes it count
	confirmTOTP(code string) rejection
	removeTOTP() rejection
	makeBackupCodes() ([]string, rejection)

	// useAuthenticator puts another authenticator, without passkeys, in the place of the one at hand.
	useAuthenticator(kind deviceKind)
	// syncedDevice is another device of the same person, to which the passkeys at hand were synced.
	syncedDevice() device
}

// shownFactors is what somebody would recover with, as they see it.
type shownFactors struct {
	hasTOTP   bool
	codesLeft int
}

// shownEmail is somebody's address as they see it: the one that names their account, and the one that waits for its code.
type shownEmail struct {
	current, pending string
	verified         bool
}

// recoveryProof is what somebody shows to recover; what is "" is not shown.
type recoveryProof struct{ email, totpCode, backupCode string }

// shownPasskey is a passkey as its owner sees it. Name is "" for one without.
type shownPasskey struct{ id, name, status string }

// shownSession is a place where somebody is signed in, as they see it.
type shownSession struct {
	id, device string
	current    bool
}

// shownEvent is an entry of somebody's log, as they see it.
type shownEvent struct{ kind, reason string }

// profile is what a person says of themselves when they sign up.
type profile struct{ name, email string }

// shownUser is who the server says somebody is.
type shownUser struct{ name, email string }

// rejection is how an attempt was refused: the code that its caller saw and the reason in the server's log. The zero value
// means that it was not.
type rejection struct {
	code   string
	reason domain.Reason
}

func (e *env) advance(d time.Duration) {
	e.t.Helper()
	e.driver.runJobs(e.t)
	e.clock.advance(d)
}

// clock is the injected one. It begins with the real time, since a browser has a clock of its own for its cookies.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// newClock returns a clock that shows tenths of a second, so that a time which is written with fewer than six digits breaks the
// pattern of the OpenAPI document.
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

// settings are those of a server without any, but with a secret and a fresh database.
func settings(t testing.TB, publicURL string, configure func(*config.Config)) config.Config {
	t.Helper()
	raw := make([]byte, masterkey.Size)
	rand.Read(raw)
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{
		PublicURL: publicURL, RPID: "localhost", RPName: "Keylodge", Origins: []string{publicURL},
		Database: config.SQLite(filepath.Join(t.TempDir(), "keylodge.db")), Secret: &secret,
		Registration: domain.RegistrationOpen, Recovery: domain.RecoveryAny,
		Use:          domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityReject},
		Sessions:     domain.SessionLifetime{TTL: 30 * 24 * time.Hour, IdleTTL: 7 * 24 * time.Hour},
		ChallengeTTL: 5 * time.Minute,
		StepUpTTL:    domain.StepUpTTL(10 * time.Minute), PasskeyLimit: 20, SessionLimit: 100,
		Access:   domain.AccessPolicy{Issuer: publicURL, Audience: publicURL, TTL: 5 * time.Minute},
		Rotation: domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute},
	}
	if configure != nil {
		configure(&cfg)
	}
	return cfg
}

// onPostgres adjusts settings to a database of the test's own on the tests' PostgreSQL.
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
