package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/inprocess"
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
	listener := inprocess.Listen(t, "127.0.0.1:0")
	origin := "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	cfg, recording, log, plain := settings(t, origin, configure), &recordingListener{Listener: listener}, &logRecorder{}, &logRecorder{}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	app, stop := inprocess.Start(t, recording, cfg, clock,
		slog.New(slog.NewMultiHandler(slog.NewJSONHandler(log, everything), slog.NewTextHandler(plain, everything))))
	s := &server{origin: origin, app: app, log: log, textLog: plain, config: &cfg, recording: recording}
	t.Cleanup(func() {
		metrics := s.readMetrics(t)
		stop()
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
	return &httpAPI{Client: client.NewBrowser(s.origin, s.transport), t: t, server: s}
}

func (c *httpAPI) reconnect() api { return c.server.newAPI(c.t) }

func (d httpDriver) purgeExpired(t testing.TB) {
	useCaseDriver{d.server.app.UseCases()}.purgeExpired(t)
}

func (d httpDriver) runJobs(t testing.TB) { useCaseDriver{d.server.app.UseCases()}.runJobs(t) }

func (d httpDriver) operator() application.UseCases { return d.server.app.UseCases() }

const sessionCookie = client.SessionCookie

// httpAPI is a browser or an app. It finds the reasons of rejections in the server's log.
type httpAPI struct {
	*client.Client
	t         testing.TB
	server    *server
	transport string // of new sessions; "" leaves it to the server
}

func (c *httpAPI) beginSignUp(user profile) result[pendingCeremony] {
	return c.begun(c.BeginSignUp(client.SignUpOptionsRequest{Email: &user.email, DisplayName: &user.name, Invite: user.invite}))
}

func (c *httpAPI) finishSignUp(challengeID string, response authenticator.RegistrationResponse) result[shownUser] {
	return c.signedIn(c.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: challengeID, Credential: response, Transport: c.transport}))
}

func (c *httpAPI) beginSignIn(email string) result[pendingCeremony] {
	return c.begun(c.BeginSignIn(client.SignInOptionsRequest{Email: &email}))
}

func (c *httpAPI) finishSignIn(challengeID string, response authenticator.AuthenticationResponse) result[shownUser] {
	return c.signedIn(c.FinishSignIn(client.SignInVerifyRequest{ChallengeID: challengeID, Credential: response, Transport: c.transport}))
}

func (c *httpAPI) whoAmI() result[shownUser] {
	user, _, err := c.Session()
	return result[shownUser]{shown(user), c.rejection(err)}
}

func (c *httpAPI) signOut() rejection { return c.rejection(c.SignOut()) }

func (c *httpAPI) sessionToken() string {
	token := c.SessionToken()
	if token == "" {
		c.t.Fatal("no session cookie is set")
	}
	return token
}

func (c *httpAPI) setSessionToken(token string) { c.SetSessionToken(token) }

// call is Client.Call for requests that have no method, or other members than a client would send.
func (c *httpAPI) call(method, path string, body, result any) rejection {
	c.t.Helper()
	return c.rejection(c.Call(method, path, body, result))
}

func (c *httpAPI) begun(ceremony client.Ceremony, err error) result[pendingCeremony] {
	c.t.Helper()
	return result[pendingCeremony]{pendingCeremony{ceremony.ChallengeID, ceremony.Options}, c.rejection(err)}
}

func (c *httpAPI) signedIn(session client.SessionResponse, err error) result[shownUser] {
	c.t.Helper()
	return result[shownUser]{shown(session.User), c.rejection(err)}
}

func shown(user client.User) shownUser { return shownUser{name: user.DisplayName, email: user.Email} }

// rejection returns the code of a problem, and its reason, which only the log has. It fails the test for another error.
func (c *httpAPI) rejection(err error) rejection {
	c.t.Helper()
	if err == nil {
		return rejection{}
	}
	var problem *client.Problem
	if !errors.As(err, &problem) {
		c.t.Fatal(err)
	}
	got := problem.Response
	if id := got.Header.Get("X-Request-Id"); problem.Status != got.StatusCode || problem.RequestID != id || got.StatusCode >= 500 {
		c.t.Fatalf("%s %s: status %d, X-Request-Id %q, and %s", got.Request.Method, got.Request.URL.Path, got.StatusCode, id, got.Body)
	}
	reason := c.server.log.reasonOf(problem.RequestID)
	if reason != "" && bytes.Contains(got.Body, []byte(reason)) {
		c.t.Fatalf("the response reveals the reason in the log: %s", got.Body)
	}
	return rejection{problem.Code, reason}
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
