package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// server is a complete server on its own listener, with its log.
type server struct {
	origin    string
	app       *bootstrap.App
	log       *logRecorder
	transport http.RoundTripper // connects to the listener, whatever localhost resolves to

	config    *config.Config
	recording *recordingListener
	textLog   *logRecorder // the same log in text format
}

func startServer(t testing.TB, clock ports.Clock, configure func(*config.Config)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	cfg, recording, log, plain := settings(t, origin, configure), &recordingListener{Listener: listener}, &logRecorder{}, &logRecorder{}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	app, err := bootstrap.Open(cfg, clock, slog.New(slog.NewMultiHandler(slog.NewJSONHandler(log, everything), slog.NewTextHandler(plain, everything))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- app.Serve(ctx, recording) }()
	s := &server{origin: origin, app: app, log: log, textLog: plain, config: &cfg, recording: recording}
	t.Cleanup(func() {
		metrics := s.readMetrics(t)
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		app.Close()
		s.assertNoSecretLeaks(t, metrics, cfg)
	})
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	s.transport = checkContract(t, transport)
	return s
}

// httpDriver calls the API as a script on a web page does: with cookies and the headers of a browser.
type httpDriver struct{ server *server }

func (d httpDriver) newDevice(t testing.TB, kind deviceKind) device {
	t.Helper()
	return &apiDevice{t: t, authenticator: authenticator.New(d.server.origin, kind.options()...), api: d.server.newAPI(t)}
}

func (s *server) newAPI(t testing.TB) *httpAPI {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &httpAPI{t: t, server: s, http: &http.Client{Jar: jar, Transport: s.transport}}
}

func (c *httpAPI) reconnect() api { return c.server.newAPI(c.t) }

func (d httpDriver) purgeExpired(t testing.TB) {
	useCaseDriver{d.server.app.UseCases()}.purgeExpired(t)
}

func (d httpDriver) runJobs(t testing.TB) { useCaseDriver{d.server.app.UseCases()}.runJobs(t) }

func (d httpDriver) operator() application.UseCases { return d.server.app.UseCases() }

type httpAPI struct {
	t      testing.TB
	server *server
	http   *http.Client

	mu        sync.Mutex // a story may make concurrent calls
	transport string
	csrf      string
	tokens    tokenPair
}

type ceremonyResponse struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
}

type sessionResponse struct {
	User struct {
		Email       string `json:"email"`
		DisplayName string `json:"display_name"`
	} `json:"user"`
	CSRFToken string        `json:"csrf_token"`
	Tokens    tokenResponse `json:"tokens"`
}

func (s sessionResponse) identity() shownUser {
	return shownUser{name: s.User.DisplayName, email: s.User.Email}
}

func (c *httpAPI) beginSignUp(user profile) (pendingCeremony, rejection) {
	var begun ceremonyResponse
	rejected := c.call(http.MethodPost, "/v1/signup/options", map[string]string{"email": user.email, "display_name": user.name}, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, rejected
}

func (c *httpAPI) finishSignUp(challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection) {
	return c.finish("/v1/signup/verify", challengeID, response)
}

func (c *httpAPI) beginSignIn(email string) (pendingCeremony, rejection) {
	var begun ceremonyResponse
	rejected := c.call(http.MethodPost, "/v1/login/options", map[string]string{"email": email}, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, rejected
}

func (c *httpAPI) finishSignIn(challengeID string, response authenticator.AuthenticationResponse) (shownUser, rejection) {
	return c.finish("/v1/login/verify", challengeID, response)
}

func (c *httpAPI) finish(path, challengeID string, credential any) (shownUser, rejection) {
	return c.openSession(path, map[string]any{"challenge_id": challengeID, "credential": credential})
}

// openSession sends a verify request and stores the tokens of the session that it opens.
func (c *httpAPI) openSession(path string, body map[string]any) (shownUser, rejection) {
	if c.transport != "" {
		body["transport"] = c.transport
	}
	var session sessionResponse
	rejected := c.call(http.MethodPost, path, body, &session)
	if rejected == (rejection{}) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.csrf, c.tokens = session.CSRFToken, session.Tokens.pair()
	}
	return session.identity(), rejected
}

func (c *httpAPI) whoAmI() (shownUser, rejection) {
	var session sessionResponse
	rejected := c.call(http.MethodGet, "/v1/session", nil, &session)
	return session.identity(), rejected
}

func (c *httpAPI) signOut() rejection { return c.call(http.MethodDelete, "/v1/session", nil, nil) }

const sessionCookie = "keylodge_session"

func (c *httpAPI) sessionToken() string {
	for _, cookie := range c.http.Jar.Cookies(c.cookieURL()) {
		if cookie.Name == sessionCookie {
			return cookie.Value
		}
	}
	c.t.Fatal("no session cookie is set")
	return ""
}

func (c *httpAPI) setSessionToken(token string) {
	c.mu.Lock()
	c.csrf = ""
	c.mu.Unlock()
	c.http.Jar.SetCookies(c.cookieURL(), []*http.Cookie{{Name: sessionCookie, Value: token, Path: "/"}})
}

func (c *httpAPI) cookieURL() *url.URL {
	address, err := url.Parse(c.server.origin)
	if err != nil {
		c.t.Fatal(err)
	}
	return address
}

// call sends body, if any, and decodes a successful response into result. An error must be a problem document; its reason, which
// is only in the log, is found there by request id.
func (c *httpAPI) call(method, path string, body, result any) rejection {
	c.t.Helper()
	var payload io.Reader
	if body != nil {
		payload = bytes.NewReader(encode(c.t, body))
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.server.origin+path, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Origin", c.server.origin)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	c.authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if response.StatusCode < 300 {
		if result != nil {
			c.decode(text, result)
		}
		return rejection{}
	}
	var problem struct {
		Code      string `json:"code"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}
	c.decode(text, &problem)
	if problem.Status != response.StatusCode || problem.RequestID != response.Header.Get("X-Request-Id") || response.StatusCode >= 500 {
		c.t.Fatalf("%s %s: status %d, X-Request-Id %q, and %s", method, path, response.StatusCode, response.Header.Get("X-Request-Id"), text)
	}
	reason := c.server.log.reasonOf(problem.RequestID)
	if reason != "" && bytes.Contains(text, []byte(reason)) {
		c.t.Fatalf("the response reveals the reason in the log: %s", text)
	}
	return rejection{problem.Code, reason}
}

func (c *httpAPI) decode(body []byte, into any) {
	c.t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		c.t.Fatalf("%v in %s", err, body)
	}
}

// logRecorder stores a server's log lines.
type logRecorder struct {
	mu    sync.Mutex
	lines [][]byte
}

func (l *logRecorder) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(line))
	return len(line), nil
}

type logEntry struct {
	RequestID string        `json:"request_id"`
	Reason    domain.Reason `json:"reason"`
}

// reasonOf returns the logged reason of a request, or "".
func (l *logRecorder) reasonOf(requestID string) domain.Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range slices.Backward(l.lines) { // the lines of the request are near the end
		if !bytes.Contains(line, []byte(requestID)) {
			continue
		}
		var entry logEntry
		if err := json.Unmarshal(line, &entry); err == nil && entry.RequestID == requestID && entry.Reason != "" {
			return entry.Reason
		}
	}
	return ""
}

// rejections returns the entries with a reason, in order.
func (l *logRecorder) rejections() []logEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entries []logEntry
	for _, line := range l.lines {
		var entry logEntry
		if err := json.Unmarshal(line, &entry); err == nil && entry.Reason != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

func (l *logRecorder) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.lines, nil))
}
