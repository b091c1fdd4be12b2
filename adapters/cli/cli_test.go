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

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/useragent"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var deviceNames = useragent.New() // once: it takes a while

type fixedClock struct{}

func (fixedClock) Now() time.Time { return noon }

// authenticatorName knows one model.
func authenticatorName(aaguid domain.AAGUID) string {
	if aaguid == (domain.AAGUID{7}) {
		return "Clé de sécurité"
	}
	return ""
}

// fixture is the product over a store in memory, and a command line in front of it.
type fixture struct {
	store        ports.Store
	externalKeys signingkeys.ExternalKeys
	program      cli.Program
	openCount    int // how often, less how often it was released
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	l := &fixture{store: sqlitestore.New(t)}
	l.program = cli.Program{
		Version:           "v1.2.3",
		Serve:             func(context.Context) error { return errors.New("nobody asked for the server") },
		AuthenticatorName: authenticatorName,
		Stdin:             strings.NewReader(""),
		Open: func(context.Context) (application.UseCases, func() error, error) {
			l.openCount++
			usecases, err := l.usecases()
			return usecases, func() error { l.openCount--; return nil }, err
		},
	}
	l.program.OpenForImport = l.program.Open
	return l
}

func (l *fixture) usecases() (application.UseCases, error) {
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		return application.UseCases{}, err
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		return application.UseCases{}, err
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 720 * time.Hour, TokenTTL: 5 * time.Minute}
	keys := &signingkeys.Service{Store: l.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: fixedClock{}, Rotation: rotation, External: l.externalKeys}
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames}
	return application.UseCases{
		SigningKeys: keys,
		Transfer:    &transfer.Service{Store: l.store, Clock: fixedClock{}, Keys: domain.KeyRing[domain.UserState]{make([]byte, 32)}},
		Admin: &admin.Service{
			Store: l.store, Clock: fixedClock{}, Random: rand.Reader, Audit: log, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)},
			RecoveryURL: func(token domain.RecoveryGrantToken) domain.Secret {
				return domain.NewSecret("https://id.example.org/#recover=" + token.Reveal())
			},
		},
	}, nil
}

// run runs a command line, whose parts are separated by spaces.
func (l *fixture) run(t *testing.T, line string) (exitCode int, stdout, stderr string) {
	t.Helper()
	return l.runContext(t.Context(), t, line)
}

func (l *fixture) runContext(ctx context.Context, t *testing.T, line string) (exitCode int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	p := l.program
	p.Stdout, p.Stderr = &out, &err
	exitCode = cli.Run(ctx, p, strings.Fields(line))
	if l.openCount != 0 {
		t.Errorf("%q leaves the database open", line)
	}
	return exitCode, out.String(), err.String()
}

// mustSucceed runs a command line and returns what it writes.
func (l *fixture) mustSucceed(t *testing.T, line string) string {
	t.Helper()
	exitCode, stdout, stderr := l.run(t, line)
	if exitCode != cli.ExitOK || stderr != "" {
		t.Fatalf("%q: exit %d, %s", line, exitCode, stderr)
	}
	for _, at := range jsonTime.FindAllString(stdout, -1) {
		if strings.Contains(line, "--json") && !microsecondTime.MatchString(at) {
			t.Errorf("%q: %s has not six digits of a second", line, at)
		}
	}
	return stdout
}

// jsonTime is a time as JSON has it, in whatever form.
var (
	jsonTime        = regexp.MustCompile(`"\d{4}-\d\d-\d\d[^"]*"`)
	microsecondTime = regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"$`)
)

// mustFail runs a command line that has to fail without writing to stdout, and returns why it says it does.
func (l *fixture) mustFail(t *testing.T, line string, want int) string {
	t.Helper()
	exitCode, stdout, stderr := l.run(t, line)
	if exitCode != want || stdout != "" || stderr == "" {
		t.Errorf("%q: exit %d, not %d; stdout %q, stderr %q", line, exitCode, want, stdout, stderr)
	}
	return stderr
}

func (l *fixture) update(t *testing.T, fn func(ctx context.Context, tx ports.Tx) error) {
	t.Helper()
	if err := l.store.Update(t.Context(), func(tx ports.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (l *fixture) addUser(t *testing.T, u domain.UserState) {
	t.Helper()
	l.update(t, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(u)) })
}

func (l *fixture) addSession(t *testing.T, s domain.SessionState) {
	t.Helper()
	l.update(t, func(ctx context.Context, tx ports.Tx) error { return tx.Sessions.Add(ctx, domain.RestoreSession(s)) })
}

// userID is the id of the nth user, sessionID that of the nth session.
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

// ada and ben are users; ben is somebody without an address.
var (
	ada = domain.UserState{ID: userID(1), Handle: "ada's handle", Email: "ada@example.org", EmailVerifiedAt: noon, DisplayName: "Ada", CreatedAt: noon.Add(-48 * time.Hour)}
	ben = domain.UserState{ID: userID(2), Handle: "ben's handle", DisplayName: "Ben", CreatedAt: noon.Add(-24 * time.Hour)}
)

// sessionOf is a session that lasts.
func sessionOf(owner domain.UserState, n int) domain.SessionState {
	return domain.SessionState{
		ID: sessionID(n), UserID: owner.ID, CredentialID: "key", Transport: domain.TransportCookie, Token: domain.TokenDigest{byte(n)},
		Assurance: domain.AssurancePasskey, AMR: []string{"hwk", "user", "mfa"},
		Device:    domain.Device{Name: "Firefox on Linux", UserAgent: "Mozilla/5.0 (X11)", IP: "192.0.2.7"},
		CreatedAt: noon.Add(-2 * time.Hour), AuthTime: noon.Add(-time.Hour), LastSeenAt: noon.Add(-time.Minute),
		IdleEndsAt: noon.Add(time.Hour), ExpiresAt: noon.Add(2 * time.Hour),
	}
}

// account is what users show --json writes.
type account struct {
	User     map[string]any   `json:"user"`
	Passkeys []map[string]any `json:"passkeys"`
	Sessions []map[string]any `json:"sessions"`
	Events   []map[string]any `json:"events"`
}

func (l *fixture) showAccount(t *testing.T, who domain.UserState) account {
	t.Helper()
	return decodeJSON[account](t, l.mustSucceed(t, "users show --json "+who.ID.String()))
}

// decodeJSON reads a text that is one JSON document.
func decodeJSON[T any](t *testing.T, text string) T {
	t.Helper()
	var read T
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&read); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %s", text)
	}
	return read
}
