package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/useragent"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var deviceNames = useragent.New() // shared, because loading takes time

type fixedClock struct{}

func (fixedClock) Now() time.Time { return noon }

// authenticatorName returns a name for one model.
func authenticatorName(aaguid domain.AAGUID) string {
	if aaguid == (domain.AAGUID{7}) {
		return "Clé de sécurité"
	}
	return ""
}

// fixture is a command line over a store in memory.
type fixture struct {
	store        ports.Store
	externalKeys signingkeys.ExternalKeys
	program      cli.Program
	openCount    int           // of databases that are open
	passed       time.Duration // since noon, for the use cases of the operator
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{store: sqlitestore.New(t)}
	f.program = cli.Program{
		Version:           "v1.2.3",
		Serve:             func(context.Context) error { return errors.New("the server must not start") },
		AuthenticatorName: authenticatorName,
		Stdin:             strings.NewReader(""),
		Open: func(context.Context) (application.UseCases, func() error, error) {
			f.openCount++
			usecases, err := f.usecases()
			return usecases, func() error { f.openCount--; return nil }, err
		},
	}
	f.program.OpenForImport = f.program.Open
	return f
}

func (f *fixture) Now() time.Time { return noon.Add(f.passed) }

func (f *fixture) usecases() (application.UseCases, error) {
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		return application.UseCases{}, err
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		return application.UseCases{}, err
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 720 * time.Hour, TokenTTL: 5 * time.Minute}
	keys := &signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: fixedClock{}, Rotation: rotation, External: f.externalKeys}
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames}
	return application.UseCases{
		SigningKeys: keys,
		Transfer:    &transfer.Service{Store: f.store, Clock: fixedClock{}, Keys: domain.KeyRing[domain.UserState]{make([]byte, 32)}},
		APIKeys:     &apikeys.Service{Store: f.store, Clock: fixedClock{}, Random: rand.Reader, Audit: log},
		Admin: &admin.Service{
			Store: f.store, Clock: f, Random: rand.Reader, Audit: log, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)},
			SigningKeys: keys, Registration: domain.RegistrationInvite,
			InviteURL: func(token domain.InviteToken) domain.Secret {
				return domain.NewSecret("https://id.example.org/signup#invite=" + token.Reveal())
			},
			RecoveryURL: func(token domain.RecoveryGrantToken) domain.Secret {
				return domain.NewSecret("https://id.example.org/#recover=" + token.Reveal())
			},
		},
	}, nil
}

// run runs a command line with arguments separated by spaces.
func (f *fixture) run(t *testing.T, line string) (exitCode int, stdout, stderr string) {
	t.Helper()
	return f.runContext(t.Context(), t, line)
}

func (f *fixture) runContext(ctx context.Context, t *testing.T, line string) (exitCode int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	p := f.program
	p.Stdout, p.Stderr = &out, &err
	exitCode = cli.Run(ctx, p, strings.Fields(line))
	if f.openCount != 0 {
		t.Errorf("%q does not close the database", line)
	}
	return exitCode, out.String(), err.String()
}

// mustSucceed runs a command line, and returns its output.
func (f *fixture) mustSucceed(t *testing.T, line string) string {
	t.Helper()
	exitCode, stdout, stderr := f.run(t, line)
	if exitCode != cli.ExitOK || stderr != "" {
		t.Fatalf("%q: exit %d, %s", line, exitCode, stderr)
	}
	for _, at := range jsonTime.FindAllString(stdout, -1) {
		if strings.Contains(line, "--json") && !microsecondTime.MatchString(at) {
			t.Errorf("%q: time %s does not have microseconds", line, at)
		}
	}
	return stdout
}

// jsonTime matches a time in any form, microsecondTime the required form.
var (
	jsonTime        = regexp.MustCompile(`"\d{4}-\d\d-\d\d[^"]*"`)
	microsecondTime = regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"$`)
)

// mustFail runs a command line that must fail without output, and returns its error.
func (f *fixture) mustFail(t *testing.T, line string, want int) string {
	t.Helper()
	exitCode, stdout, stderr := f.run(t, line)
	if exitCode != want || stdout != "" || stderr == "" {
		t.Errorf("%q: exit %d, want %d; stdout %q, stderr %q", line, exitCode, want, stdout, stderr)
	}
	return stderr
}

func (f *fixture) update(t *testing.T, fn func(ctx context.Context, tx ports.Tx) error) {
	t.Helper()
	if err := f.store.Update(t.Context(), func(tx ports.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) addUser(t *testing.T, u domain.UserState) {
	t.Helper()
	f.update(t, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
}

func (f *fixture) addSession(t *testing.T, s domain.SessionState) {
	t.Helper()
	f.update(t, func(ctx context.Context, tx ports.Tx) error { return tx.Sessions.Add(ctx, domain.RestoreSession(s)) })
}

// userID returns the id of the nth user.
func userID(n int) domain.UserID {
	id, err := domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", n))
	if err != nil {
		panic(err)
	}
	return id
}

func sessionID(n int) domain.SessionID {
	id, err := domain.ParseSessionID(fmt.Sprintf("01930000-0000-7000-9000-%012x", n))
	if err != nil {
		panic(err)
	}
	return id
}

// ada and ben are users; Ben has no e-mail address.
var (
	ada = domain.UserState{ID: userID(1), Handle: "ada's handle", Email: "ada@example.org", EmailVerifiedAt: noon, DisplayName: "Ada", Locale: "pt-BR", Groups: domain.Groups{"admin", "staff"}, CreatedAt: noon.Add(-48 * time.Hour)}
	ben = domain.UserState{ID: userID(2), Handle: "ben's handle", DisplayName: "Ben", CreatedAt: noon.Add(-24 * time.Hour)}
)

// sessionOf returns an active session.
func sessionOf(owner domain.UserState, n int) domain.SessionState {
	return domain.SessionState{
		ID: sessionID(n), UserID: owner.ID, CredentialID: "key", Transport: domain.TransportCookie, Token: domain.TokenDigest{byte(n)},
		Assurance: domain.AssurancePasskey, AMR: []string{"hwk", "user", "mfa"},
		Device:    domain.Device{Name: "Firefox on Linux", UserAgent: "Mozilla/5.0 (X11)", IP: "192.0.2.7"},
		CreatedAt: noon.Add(-2 * time.Hour), AuthTime: noon.Add(-time.Hour), LastSeenAt: noon.Add(-time.Minute),
		IdleEndsAt: noon.Add(time.Hour), ExpiresAt: noon.Add(2 * time.Hour),
	}
}

// account is the document of users show --json.
type account struct {
	User     map[string]any   `json:"user"`
	Passkeys []map[string]any `json:"passkeys"`
	Sessions []map[string]any `json:"sessions"`
	Events   []map[string]any `json:"events"`
}

func (f *fixture) showAccount(t *testing.T, u domain.UserState) account {
	t.Helper()
	return decodeJSON[account](t, f.mustSucceed(t, "users show --json "+u.ID.String()))
}

// decodeJSON decodes a text that must be one JSON document.
func decodeJSON[T any](t *testing.T, text string) T {
	t.Helper()
	var document T
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %s", text)
	}
	return document
}
