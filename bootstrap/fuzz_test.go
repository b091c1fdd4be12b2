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

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FuzzRouter sends raw bytes into the whole server, as they come off a connection. Nothing panics, nothing is a 5xx or an
// error in the log, what is logged is one plain line, every answer is of the house's form, and without a session nothing that lasts changes.
//
// {cookie}, {csrf}, {access}, {refresh}, {session}, {passkey} and {challenge} in the input become Ada's own, so that the
// fuzzer comes past the door, and {length} that of the body.
func FuzzRouter(f *testing.F) {
	for _, seed := range routerSeeds(f) {
		f.Add([]byte(seed))
	}
	var house *fuzzFixture
	var store *sqlite.Store // of house, which serves more than one input
	f.Fuzz(func(t *testing.T, raw []byte) {
		if house == nil || house.requests > 250 { // its challenges slow it down
			if store != nil {
				_ = store.Close()
			}
			var err error
			if store, err = sqlitestore.Open(); err != nil {
				t.Fatal(err)
			}
			house = newFuzzFixture(t, store, 0)
		}
		answered := house.serve(t, house.fillPlaceholders(t, string(raw)))
		if serverErrorStatus.Match(answered) {
			t.Errorf("%q was answered\n%s", raw, answered)
		}
		if errs := house.log.take(); len(errs) > 0 {
			t.Errorf("%q is an error in the log, or no plain line: %q", raw, errs)
		}
		for _, fault := range house.violations {
			t.Errorf("%q: %s", raw, fault)
		}
		after := house.exportState(t)
		if changed := after != house.initialState; changed && !usesCredentials.Match(raw) {
			t.Errorf("%q changed something without a session:\n%s\nbefore:\n%s", raw, after, house.initialState)
		} else if changed {
			house = nil
		}
	})
}

var (
	serverErrorStatus = regexp.MustCompile(`(?m)^HTTP/1\.[01] 5`)
	usesCredentials   = regexp.MustCompile(`\{(cookie|access|refresh)\}`)
)

// fuzzFixture is a server over a store in memory, where Ada is signed in by cookie and by tokens, and Ben's account is shut.
type fuzzFixture struct {
	usecases     application.UseCases
	server       *fasthttp.Server
	log          *errorLog
	placeholders map[string]string
	initialState string
	requests     int
	violations   []string
}

// newFuzzFixture takes how long answers are held back, which the fuzzer has no time for.
func newFuzzFixture(t testing.TB, store ports.Store, minResponseTime time.Duration, adjust ...func(*config.Config)) *fuzzFixture {
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
	h := &fuzzFixture{log: &errorLog{}, placeholders: map[string]string{}}
	clock := fixedClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	if h.usecases, err = assembleUseCases(cfg, secret, store, clock, new(ratelimit.Service)); err != nil {
		t.Fatal(err)
	}
	if err := h.usecases.SigningKeys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ada := h.signUp(t, "ada@example.org", origin, domain.TransportCookie)
	ben := h.signUp(t, "ben@example.org", origin, domain.TransportBearer)
	adasProgram := h.signUp(t, "ada@example.com", origin, domain.TransportBearer)
	if _, err := h.usecases.Admin.DisableUser(t.Context(), domain.UserRef{ID: ben.User.ID()}); err != nil {
		t.Fatal(err)
	}
	h.placeholders["{cookie}"] = ada.Token.Reveal()
	h.placeholders["{session}"] = ada.Session.ID().String()
	h.placeholders["{passkey}"] = ada.Credential.ID().String()
	h.placeholders["{access}"] = adasProgram.Tokens.Access.Token.Reveal()
	h.placeholders["{refresh}"] = adasProgram.Tokens.Refresh.Reveal()
	keys, err := masterKeys(cfg, secret)
	if err != nil {
		t.Fatal(err)
	}
	api := httpConfig(cfg, keys)
	api.MinResponseTime = min(api.MinResponseTime, minResponseTime)
	app := httpServer(api, h.usecases, metrics.New(), slog.New(h.log))
	app.Handler() // as Listener does
	h.server = app.Server()
	handle := h.server.Handler
	h.server.Handler = func(request *fasthttp.RequestCtx) {
		handle(request)
		h.checkResponse(request)
	}
	h.placeholders["{csrf}"] = h.csrf(t)
	h.initialState = h.exportState(t)
	return h
}

func (h *fuzzFixture) signUp(t testing.TB, address domain.Email, origin string, by domain.Transport) sessions.SignIn {
	t.Helper()
	begun, err := h.usecases.SignUp.Begin(t.Context(), signup.Input{Email: address, DisplayName: "Ada"}, domain.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := h.usecases.SignUp.Finish(t.Context(), signup.FinishInput{
		ChallengeID: begun.ChallengeID, Client: identity.Client{Transport: by},
		Credential: ports.RegistrationAnswer{ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject},
	})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func (h *fuzzFixture) csrf(t testing.TB) string {
	t.Helper()
	answered := h.serve(t, "GET /v1/csrf HTTP/1.1\r\nHost: localhost:8080\r\nCookie: keylodge_session="+h.placeholders["{cookie}"]+"\r\n\r\n")
	_, rest, _ := strings.Cut(string(answered), `"csrf_token":"`)
	token, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no CSRF token: %s", answered)
	}
	return token
}

// fillPlaceholders puts Ada's own into the request. A challenge is spent by each try, so there is another one for each.
func (h *fuzzFixture) fillPlaceholders(t *testing.T, raw string) string {
	t.Helper()
	if strings.Contains(raw, "{challenge}") {
		begun, err := h.usecases.Login.Begin(t.Context(), "", domain.Binding{})
		if err != nil {
			t.Fatal(err)
		}
		raw = strings.ReplaceAll(raw, "{challenge}", begun.ChallengeID.String())
	}
	for name, value := range h.placeholders {
		raw = strings.ReplaceAll(raw, name, value)
	}
	_, body, _ := strings.Cut(raw, "\r\n\r\n")
	return strings.Replace(raw, "{length}", strconv.Itoa(len(body)), 1)
}

func (h *fuzzFixture) serve(t testing.TB, raw string) []byte {
	t.Helper()
	h.requests++
	h.violations = nil
	c := &fakeConn{in: strings.NewReader(raw)}
	_ = h.server.ServeConn(c) // what is no HTTP ends the connection
	return c.out.Bytes()
}

// checkResponse holds an answer to what all of them have in common.
func (h *fuzzFixture) checkResponse(request *fasthttp.RequestCtx) {
	header := &request.Response.Header
	if id := header.Peek("X-Request-Id"); len(id) == 0 {
		h.violations = append(h.violations, "no X-Request-Id")
	}
	status, kind := request.Response.StatusCode(), string(header.ContentType())
	if status >= 400 && kind != "application/problem+json" {
		h.violations = append(h.violations, fmt.Sprintf("%d as %s", status, kind))
	}
	if string(header.Peek("X-Content-Type-Options")) != "nosniff" || len(header.Peek("Content-Security-Policy")) == 0 {
		h.violations = append(h.violations, "without the headers of every answer")
	}
	for _, cookie := range header.PeekAll("Set-Cookie") {
		if !bytes.Contains(bytes.ToLower(cookie), []byte("httponly")) {
			h.violations = append(h.violations, fmt.Sprintf("a cookie for scripts: %s", cookie))
		}
	}
}

// exportState is everything that lasts, but for what a stranger may leave: counts of wrong codes, and entries of logs.
func (h *fuzzFixture) exportState(t testing.TB) string {
	t.Helper()
	var exported, kept bytes.Buffer
	if _, err := h.usecases.Transfer.Export(t.Context(), &exported, noProgress); err != nil {
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
		} else if line["signing_key"] != nil || line["messages"] != nil {
			kept.Write(text)
		}
	}
	return kept.String()
}

// routerSeeds are every route, as a stranger, a page and a program call it, and what requests get wrong.
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

// fixedClock is a clock that stands.
type fixedClock time.Time

func (s fixedClock) Now() time.Time { return time.Time(s) }

// errorLog keeps what is logged as an error, and what would not be one plain line.
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

// fakeConn is one whose client has sent everything and reads everything.
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
