package bootstrap

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FuzzRouter sends raw bytes to the server, as from a connection. The server must not panic, respond with 5xx or log an error; a
// log entry is one line without control characters; every response has the common headers; without a session, no request changes
// stored data.
//
// {cookie}, {csrf}, {access}, {refresh}, {session}, {passkey} and {challenge} in the input are replaced by values of Ada, so that
// the fuzzer passes authentication, and {length} by the length of the body.
// Requirement: ASVS-16.5.1
func FuzzRouter(f *testing.F) {
	for _, seed := range routerSeeds(f) {
		f.Add([]byte(seed))
	}
	var fixture *fuzzFixture // for several inputs
	var store *sqlite.Store  // of fixture
	f.Fuzz(func(t *testing.T, raw []byte) {
		if fixture == nil || fixture.requests > 250 { // its stored challenges slow it down
			if store != nil {
				_ = store.Close()
			}
			var err error
			if store, err = sqlitestore.Open(); err != nil {
				t.Fatal(err)
			}
			fixture = newFuzzFixture(t, store, 0)
		}
		response := fixture.serve(t, fixture.fillPlaceholders(t, string(raw)))
		if serverErrorStatus.Match(response) {
			t.Errorf("%q: response\n%s", raw, response)
		}
		if errs := fixture.log.take(); len(errs) > 0 {
			t.Errorf("%q: log entries with errors, or of several lines: %q", raw, errs)
		}
		for _, violation := range fixture.violations {
			t.Errorf("%q: %s", raw, violation)
		}
		after := fixture.exportState(t)
		if changed := after != fixture.initialState; changed && !usesCredentials.Match(raw) {
			t.Errorf("%q changed data without a session:\n%s\nbefore:\n%s", raw, after, fixture.initialState)
		} else if changed {
			fixture = nil
		}
	})
}

var (
	serverErrorStatus = regexp.MustCompile(`(?m)^HTTP/1\.[01] 5`)
	usesCredentials   = regexp.MustCompile(`\{(cookie|access|refresh)\}`)
)

// fuzzFixture is a server with a store in memory. Ada is signed in with a cookie and with tokens, and Ben's account is disabled.
type fuzzFixture struct {
	usecases     application.UseCases
	server       *fasthttp.Server
	log          *errorLog
	placeholders map[string]string
	initialState string
	requests     int
	violations   []string
}

// newFuzzFixture limits the minimum response time to maxDelay: the fuzzer does not wait.
func newFuzzFixture(t testing.TB, store ports.Store, maxDelay time.Duration, adjust ...func(*config.Config)) *fuzzFixture {
	t.Helper()
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, masterkey.Size)))
	if err != nil {
		t.Fatal(err)
	}
	const origin = "http://localhost:8080"
	cfg := config.Config{
		PublicURL: origin, RPID: "localhost", RPName: "Keylodge", Origins: []string{origin},
		Secret: &secret, Registration: domain.RegistrationOpen, Recovery: domain.RecoveryAny,
		Use:          domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityReject},
		Sessions:     domain.SessionLifetime{TTL: 30 * 24 * time.Hour, IdleTTL: 7 * 24 * time.Hour},
		ChallengeTTL: 5 * time.Minute, StepUpTTL: domain.StepUpTTL(10 * time.Minute), PasskeyLimit: 20,
		Access:   domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
		Rotation: domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute},
	}
	for _, change := range adjust {
		change(&cfg)
	}
	f := &fuzzFixture{log: &errorLog{}, placeholders: map[string]string{}}
	clock := fixedClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	if f.usecases, err = assembleUseCases(cfg, secret, sessioncache.New(store), clock, new(ratelimit.Service)); err != nil {
		t.Fatal(err)
	}
	if err := f.usecases.SigningKeys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ada := f.signUp(t, "ada@example.org", origin, domain.TransportCookie)
	ben := f.signUp(t, "ben@example.org", origin, domain.TransportBearer)
	tokenUser := f.signUp(t, "ada@example.com", origin, domain.TransportBearer)
	if _, err := f.usecases.Admin.DisableUser(t.Context(), domain.UserRef{ID: ben.User.ID()}); err != nil {
		t.Fatal(err)
	}
	f.placeholders["{cookie}"] = ada.Token.Reveal()
	f.placeholders["{session}"] = ada.Session.ID().String()
	f.placeholders["{passkey}"] = ada.Credential.ID().String()
	f.placeholders["{access}"] = tokenUser.Tokens.Access.Token.Reveal()
	f.placeholders["{refresh}"] = tokenUser.Tokens.Refresh.Reveal()
	keys, err := masterKeys(cfg, secret)
	if err != nil {
		t.Fatal(err)
	}
	api := httpConfig(cfg, keys)
	api.MinResponseTime = min(api.MinResponseTime, maxDelay)
	app := httpServer(cfg.Brand, api, f.usecases, metrics.New(), slog.New(f.log))
	app.Handler() // as Listener does
	f.server = app.Server()
	handle := f.server.Handler
	f.server.Handler = func(request *fasthttp.RequestCtx) {
		handle(request)
		f.checkResponse(request)
	}
	f.placeholders["{csrf}"] = f.csrf(t)
	f.initialState = f.exportState(t)
	return f
}

func (f *fuzzFixture) signUp(t testing.TB, address domain.Email, origin string, transport domain.Transport) sessions.SignIn {
	t.Helper()
	begun, err := f.usecases.SignUp.Begin(t.Context(), signup.Input{Email: address, DisplayName: "Ada"}, domain.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := f.usecases.SignUp.Finish(t.Context(), signup.FinishInput{
		ChallengeID: begun.ChallengeID, Client: identity.Client{Transport: transport},
		Credential: ports.RegistrationAnswer{ID: credential.ID, ClientDataJSON: credential.Response.ClientDataJSON, AttestationObject: credential.Response.AttestationObject},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signIn
}

func (f *fuzzFixture) csrf(t testing.TB) string {
	t.Helper()
	response := f.serve(t, "GET /v1/csrf HTTP/1.1\r\nHost: localhost:8080\r\nCookie: keylodge_session="+f.placeholders["{cookie}"]+"\r\n\r\n")
	_, rest, _ := strings.Cut(string(response), `"csrf_token":"`)
	token, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no CSRF token: %s", response)
	}
	return token
}

// fillPlaceholders replaces the placeholders by values of Ada. It creates a challenge for each request, which consumes it.
func (f *fuzzFixture) fillPlaceholders(t *testing.T, raw string) string {
	t.Helper()
	if strings.Contains(raw, "{challenge}") {
		begun, err := f.usecases.Login.Begin(t.Context(), "", domain.Binding{})
		if err != nil {
			t.Fatal(err)
		}
		raw = strings.ReplaceAll(raw, "{challenge}", begun.ChallengeID.String())
	}
	for name, value := range f.placeholders {
		raw = strings.ReplaceAll(raw, name, value)
	}
	_, body, _ := strings.Cut(raw, "\r\n\r\n")
	return strings.Replace(raw, "{length}", strconv.Itoa(len(body)), 1)
}

func (f *fuzzFixture) serve(t testing.TB, raw string) []byte {
	t.Helper()
	f.requests++
	f.violations = nil
	c := &fakeConn{in: strings.NewReader(raw)}
	_ = f.server.ServeConn(c) // invalid HTTP ends the connection with an error
	return c.out.Bytes()
}

// checkResponse adds a violation if a response lacks what all responses have.
func (f *fuzzFixture) checkResponse(request *fasthttp.RequestCtx) {
	header := &request.Response.Header
	if id := header.Peek("X-Request-Id"); len(id) == 0 {
		f.violations = append(f.violations, "no X-Request-Id")
	}
	status, kind := request.Response.StatusCode(), string(header.ContentType())
	if status >= 400 && kind != "application/problem+json" {
		f.violations = append(f.violations, fmt.Sprintf("status %d with content type %s", status, kind))
	}
	if string(header.Peek("X-Content-Type-Options")) != "nosniff" || len(header.Peek("Content-Security-Policy")) == 0 {
		f.violations = append(f.violations, "missing security headers")
	}
	for _, cookie := range header.PeekAll("Set-Cookie") {
		if !bytes.Contains(bytes.ToLower(cookie), []byte("httponly")) {
			f.violations = append(f.violations, fmt.Sprintf("cookie without HttpOnly: %s", cookie))
		}
	}
}

// exportState returns the stored data that an anonymous client must not change. It leaves out lockouts and events.
func (f *fuzzFixture) exportState(t testing.TB) string {
	t.Helper()
	var exported, kept bytes.Buffer
	if _, err := f.usecases.Transfer.Export(t.Context(), &exported, noProgress); err != nil {
		t.Fatal(err)
	}
	for text := range bytes.Lines(exported.Bytes()) {
		var line map[string]json.RawMessage
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		if user, is := line["user"]; is {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(user, &members); err != nil {
				t.Fatal(err)
			}
			delete(members, "events")
			fmt.Fprintf(&kept, "%s\n", members)
		} else if line["signing_key"] != nil || line["outbox_emails"] != nil {
			kept.Write(text)
		}
	}
	return kept.String()
}

// routerSeeds returns requests to every route, anonymous, with a cookie and with a token, and malformed requests.
func routerSeeds(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../adapters/httpapi/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	const host = " HTTP/1.1\r\nHost: localhost:8080\r\n"
	body := `{"email":"ada@example.org","display_name":"Ada","name":"Key","passkey_name":"Key","transport":"cookie","challenge_id":"{challenge}",` +
		`"code":"12345678","totp_code":"000000","refresh_token":"klr_` + strings.Repeat("A", 86) + `","grant_token":"klg_` + strings.Repeat("A", 43) + `",` +
		`"credential":{"id":"{passkey}","rawId":"{passkey}","type":"public-key","clientExtensionResults":{},"response":{"clientDataJSON":"e30","attestationObject":"oA",` +
		`"authenticatorData":"AA","signature":"AA","userHandle":"AA","transports":["usb"]}}}`
	var seeds []string
	for path, operations := range document.Paths {
		id := "{passkey}"
		if strings.Contains(path, "sessions") {
			id = "{session}"
		}
		path = strings.ReplaceAll(path, "{id}", id)
		for method := range operations {
			method = strings.ToUpper(method)
			if !slices.Contains([]string{"GET", "POST", "PATCH", "DELETE"}, method) {
				continue
			}
			for _, caller := range []string{"", "Cookie: keylodge_session={cookie}\r\nX-CSRF-Token: {csrf}\r\nOrigin: http://localhost:8080\r\n", "Authorization: Bearer {access}\r\n"} {
				request := method + " " + path + host + caller
				if method == "POST" || method == "PATCH" {
					request += "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n" + body
				} else {
					request += "\r\n"
				}
				seeds = append(seeds, request)
			}
		}
	}
	slices.Sort(seeds)
	options := `{"email":"ben@example.org"}`
	return append(seeds,
		"GET /"+host+"\r\n", "GET /app.js"+host+"\r\n", "HEAD /v1/config"+host+"\r\n", "OPTIONS /v1/me"+host+"Origin: http://localhost:8080\r\nAccess-Control-Request-Method: PATCH\r\n\r\n",
		"BREW /v1/me"+host+"\r\n", "GET http://localhost:8080/v1/config"+host+"\r\n", "GET //v1/config"+host+"\r\n", "GET /v1/../v1/./config"+host+"\r\n", "GET /v1/%63onfig"+host+"\r\n",
		"GET /v1/me/passkeys/%00"+host+"Cookie: keylodge_session={cookie}\r\n\r\n", "GET /v1/me/events?limit=1&cursor={session}"+host+"Authorization: Bearer {access}\r\n\r\n",
		"GET /v1/\u009b31m\u202e\xff"+host+"\r\n", "GET /v1/config HTTP/1.0\r\n\r\n", "GET /v1/config HTTP/1.1\r\n\r\n", "GET /v1/config HTTP/9.9\r\nHost: a\r\n\r\n", "GET /v1/config"+host+"Host: b\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n", "\x16\x03\x01",
		"POST /v1/login/options"+host+"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n"+options+"\r\n0\r\n\r\n",
		"POST /v1/login/options"+host+"Content-Type: application/json\r\nContent-Length: 27\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /v1/login/options"+host+"Content-Type: application/json\r\nContent-Length: 27\r\nContent-Length: 28\r\n\r\n"+options,
		"POST /v1/login/options"+host+"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 27\r\n\r\n"+options,
		"POST /v1/login/options"+host+"Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{",
		"POST /v1/login/options"+host+"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n\r\n--x--",
		"POST /v1/session/refresh"+host+"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"+`{"refresh_token":"{refresh}"}`,
		"GET /v1/config"+host+"\r\nGET /v1/session"+host+"\r\n",
		"GET /v1/config"+host+"X-Forwarded-For: ::1, x\r\nX-Request-Id: a\r\nSec-Fetch-Site: cross-site\r\nOrigin: null\r\n\r\n",
		"GET /v1/config"+host+" folded: x\r\nA\x00: b\r\nCookie: a\x01=b\r\n\r\n", "GET /v1/config"+host+strings.Repeat("A: b\r\n", 4000)+"\r\n",
	)
}

func noProgress(transfer.Stage, int, int) {}

// fixedClock always returns the same time.
type fixedClock time.Time

func (c fixedClock) Now() time.Time { return time.Time(c) }

// errorLog keeps log entries of level error, and those that are not one line without control characters.
type errorLog struct {
	slog.Handler
	errors []string
}

func (l *errorLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *errorLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if r.Level >= slog.LevelError || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		l.errors = append(l.errors, text)
	}
	return nil
}

func (l *errorLog) take() []string {
	taken := l.errors
	l.errors = nil
	return taken
}

// fakeConn is a connection whose client has sent in, and whose output is kept in out.
type fakeConn struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *fakeConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *fakeConn) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *fakeConn) Close() error                { return nil }
func (c *fakeConn) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
}
func (c *fakeConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000}
}
func (c *fakeConn) SetDeadline(time.Time) error      { return nil }
func (c *fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }
