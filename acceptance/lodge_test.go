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
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// lodge is a server of a story's own, with a clock that stands still until somebody waits.
type lodge struct {
	t     testing.TB
	clock *clock
	door  door
	post  *mailserver.Server // nil where no mail is sent
}

// door is a way in. A client of it is one person's device: it keeps what a device keeps and shares nothing.
type door interface {
	client(t testing.TB, kind deviceKind) client
	sweep(t testing.TB)
	// settle has what the server does by itself done.
	settle(t testing.TB)
	operator() application.UseCases
}

// deviceKind is what keeps a person's passkeys.
type deviceKind int

const (
	phone           deviceKind = iota // synced passkeys, which count nothing
	securityKey                       // device-bound passkeys, which count their uses
	suggestingPhone                   // a phone whose browser offers passkeys among its suggestions, where there is a browser
)

func (k deviceKind) options() []authenticator.Option {
	if k == securityKey {
		return []authenticator.Option{authenticator.DeviceBound()}
	}
	return nil
}

// client is what a person can do.
type client interface {
	signUp(who applicant, tricks ...trick) (identity, refusal)
	signIn(email string, tricks ...trick) (identity, refusal)
	whoAmI() (identity, refusal)
	signOut() refusal
	// recover redeems the claim and enrols a passkey on the authenticator at hand.
	recover(c claim, tricks ...trick) (identity, refusal)
	resident
}

// resident is what somebody who is signed in can do about their account. A page steps up by itself when it is asked to.
type resident interface {
	stepUp(tricks ...trick) refusal
	passkeys() ([]shownPasskey, refusal)
	addPasskey(name string, tricks ...trick) refusal
	renamePasskey(id, name string) refusal
	removePasskey(id string) refusal
	sessions() ([]shownSession, refusal)
	revokeSession(id string) refusal
	revokeOtherSessions() (int, refusal)
	changeAccount(name, email string) (identity, refusal)
	deleteAccount() refusal
	events() ([]shownEvent, refusal)

	emailStatus() (shownEmail, refusal)
	sendEmailCode() refusal
	confirmEmail(code string) refusal

	recoveryFactors() (shownFactors, refusal)
	setUpTOTP() (secret string, refused refusal) // shown; confirmTOTP makes it count
	confirmTOTP(code string) refusal
	removeTOTP() refusal
	makeBackupCodes() ([]string, refusal)

	// takes puts another authenticator, without passkeys, in the place of the one at hand.
	takes(kind deviceKind)
	// twin is another device of the same person, to which the passkeys at hand were synced.
	twin() client
}

// shownFactors is what somebody would recover with, as they see it.
type shownFactors struct {
	app       bool
	codesLeft int
}

// shownEmail is somebody's address as they see it: the one that names their account, and the one that waits for its code.
type shownEmail struct {
	held, pending string
	verified      bool
}

// claim is what somebody shows to recover; what is "" is not shown.
type claim struct{ email, totpCode, backupCode string }

// shownPasskey is a passkey as its owner sees it. Name is "" for one without.
type shownPasskey struct{ id, name, status string }

// shownSession is a place where somebody is signed in, as they see it.
type shownSession struct {
	id, device string
	current    bool
}

// shownEvent is an entry of somebody's log, as they see it.
type shownEvent struct{ kind, reason string }

// applicant is what a person says of themselves when they sign up.
type applicant struct{ name, email string }

// identity is who the server says somebody is.
type identity struct{ name, email string }

// refusal is how an attempt was refused: the code that its caller saw and the reason in the server's log. The zero value
// means that it was not.
type refusal struct {
	code   string
	reason domain.Reason
}

func (l *lodge) waits(d time.Duration) {
	l.t.Helper()
	l.door.settle(l.t)
	l.clock.advance(d)
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
func settings(t testing.TB, publicURL string, adjust func(*bootstrap.Config)) bootstrap.Config {
	t.Helper()
	raw := make([]byte, masterkey.Size)
	rand.Read(raw)
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	config := bootstrap.Config{
		PublicURL: publicURL, RPID: "localhost", RPName: "Keylodge", Origins: []string{publicURL},
		Database: bootstrap.SQLite(filepath.Join(t.TempDir(), "keylodge.db")), Secret: &secret,
		Registration: domain.RegistrationOpen, Recovery: domain.RecoveryAny,
		Use:          domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityReject},
		Sessions:     domain.SessionLifetime{TTL: 30 * 24 * time.Hour, IdleTTL: 7 * 24 * time.Hour},
		ChallengeTTL: 5 * time.Minute,
		StepUpTTL:    domain.StepUpTTL(10 * time.Minute), PasskeyLimit: 20, SessionLimit: 100,
		Access:   domain.AccessPolicy{Issuer: publicURL, Audience: publicURL, TTL: 5 * time.Minute},
		Rotation: domain.KeyRotation{Algorithm: domain.SigningES256, Every: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute},
	}
	if adjust != nil {
		adjust(&config)
	}
	return config
}

// onPostgres adjusts settings to a database of the test's own on the tests' PostgreSQL.
func onPostgres(t testing.TB, adjust func(*bootstrap.Config)) func(*bootstrap.Config) {
	t.Helper()
	url := postgresURL(t)
	return func(config *bootstrap.Config) {
		config.Database = bootstrap.Postgres(url)
		if adjust != nil {
			adjust(config)
		}
	}
}

func postgresURL(t testing.TB) string {
	t.Helper()
	return postgresserver.Migrated(t, func(url string) error {
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

func memoryStore(testing.TB) ports.Store { return memory.New() }

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
