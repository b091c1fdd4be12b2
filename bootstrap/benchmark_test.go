package bootstrap

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/system"
)

const benchmarkOrigin = "http://localhost:8080"

// BenchmarkRequest measures single requests without the network: a bare Fiber route that answers with a body like a session's, the
// public configuration, which shows what the middleware of every request costs, a session check by cookie and by access token, and the two requests of a login. The server is complete: settings, middleware, rate
// limits, log and a database file. The results include the client, which is the same for all.
func BenchmarkRequest(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		body := json.RawMessage(bareBody)
		app.Get("/v1/session", func(c *fiber.Ctx) error { return c.JSON(body) })
		client := dialInMemory(b, app)
		request := newRequest("GET", "/v1/session")
		b.ReportAllocs()
		for b.Loop() {
			client.do(b, request, http.StatusOK)
		}
	})
	b.Run("config", func(b *testing.B) {
		client := openForBenchmark(b)
		request := newRequest("GET", "/v1/config")
		b.ReportAllocs()
		for b.Loop() {
			client.do(b, request, http.StatusOK)
		}
	})
	for _, transport := range []string{"cookie", "bearer"} {
		b.Run("session, "+transport, func(b *testing.B) {
			client := openForBenchmark(b)
			request := newRequest("GET", "/v1/session")
			client.signUp(b, transport).session.authenticate(request)
			b.ReportAllocs()
			for b.Loop() {
				client.do(b, request, http.StatusOK)
			}
		})
	}
	b.Run("login options", func(b *testing.B) {
		client := openForBenchmark(b)
		request := newRequest("POST", "/v1/login/options")
		b.ReportAllocs()
		for b.Loop() {
			client.do(b, request, http.StatusOK)
		}
	})
	for _, transport := range []string{"cookie", "bearer"} {
		b.Run("login verify, "+transport, func(b *testing.B) {
			client := openForBenchmark(b)
			user := client.signUp(b, transport)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				begun := client.begin(b, "/v1/login/options")
				response, err := user.passkeys.Get(begun.Options)
				request := verifyRequest(b, "/v1/login/verify", begun, response, transport)
				b.StartTimer()
				if err != nil {
					b.Fatal(err)
				}
				signedIn := client.do(b, request, http.StatusOK)
				b.StopTimer()
				client.signOut(b, signedIn) // otherwise the next login counts one session more
				b.StartTimer()
			}
		})
	}
}

// bareBody has the size of the response of GET /v1/session.
const bareBody = `{"user":{"id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","email":null,"email_verified":false,"pending_email":null,"display_name":null,"created_at":"2026-03-01T12:00:00.000Z"},` +
	`"session":{"id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","created_at":"2026-03-01T12:00:00.000Z","last_seen_at":"2026-03-01T12:00:00.000Z","expires_at":"2026-03-31T12:00:00.000Z",` +
	`"auth_time":"2026-03-01T12:00:00.000Z","amr":["hwk","user"],"assurance":"passkey","transport":"cookie","device":{"name":"Chrome on Linux","user_agent":"` + benchmarkUserAgent + `","ip":"192.0.2.7"},"current":true}}`

const benchmarkUserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

// memoryClient sends requests to a server in the same process, one after another on one connection.
type memoryClient struct {
	conn     net.Conn
	reader   *bufio.Reader
	writer   *bufio.Writer
	response fasthttp.Response
}

// openForBenchmark opens a server with a new database, and limits that count every request and reject none.
func openForBenchmark(b *testing.B) *memoryClient {
	b.Helper()
	const highLimits = "login=1000000/1s,login-account=1000000/1s,signup=1000000/1s,signup-account=1000000/1s"
	cfg, err := load(b, "PUBLIC_URL="+benchmarkOrigin, "RATE_LIMITS="+highLimits)
	if err != nil {
		b.Fatal(err)
	}
	log := newLogger(cfg, io.Discard)
	app, err := Open(cfg, system.Clock{}, log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(app.Close)
	return dialInMemory(b, app.server.App)
}

func dialInMemory(b *testing.B, app *fiber.App) *memoryClient {
	b.Helper()
	memory := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() {
		served <- app.Listener(httpapi.LimitListener(addressedListener{memory}, slog.New(slog.DiscardHandler)))
	}()
	conn, err := memory.Dial()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
		if err := app.Shutdown(); err != nil {
			b.Error(err)
		}
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return &memoryClient{conn: conn, reader: bufio.NewReader(conn), writer: bufio.NewWriter(conn)}
}

// addressedListener gives its connections the address of a TCP peer, which rate limits and sessions record.
type addressedListener struct{ net.Listener }

type addressedConn struct{ net.Conn }

func (l addressedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return addressedConn{conn}, err
}

func (addressedConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 50_000}
}

func newRequest(method, path string) *fasthttp.Request {
	request := &fasthttp.Request{}
	request.Header.SetMethod(method)
	request.SetRequestURI(path)
	request.Header.SetHost("localhost:8080")
	request.Header.SetUserAgent(benchmarkUserAgent)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		request.Header.Set("Origin", benchmarkOrigin)
		request.Header.SetContentType("application/json")
		request.SetBodyString("{}")
	}
	return request
}

func (c *memoryClient) do(b *testing.B, request *fasthttp.Request, wantStatus int) *fasthttp.Response {
	if err := request.Write(c.writer); err != nil {
		b.Fatal(err)
	}
	if err := c.writer.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := c.response.Read(c.reader); err != nil {
		b.Fatal(err)
	}
	if c.response.StatusCode() != wantStatus {
		b.Fatalf("%s: %d %s", request.RequestURI(), c.response.StatusCode(), c.response.Body())
	}
	return &c.response
}

type begunCeremony struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
	cookie      string
}

func (c *memoryClient) begin(b *testing.B, path string) begunCeremony {
	b.Helper()
	response := c.do(b, newRequest(http.MethodPost, path), http.StatusOK)
	begun := begunCeremony{cookie: cookieOf(response, "keylodge_browser")}
	if err := json.Unmarshal(response.Body(), &begun); err != nil {
		b.Fatal(err)
	}
	return begun
}

func verifyRequest(b *testing.B, path string, begun begunCeremony, credential any, transport string) *fasthttp.Request {
	b.Helper()
	body, err := json.Marshal(map[string]any{"challenge_id": begun.ChallengeID, "credential": credential, "transport": transport})
	if err != nil {
		b.Fatal(err)
	}
	request := newRequest(http.MethodPost, path)
	request.SetBody(body)
	request.Header.SetCookie("keylodge_browser", begun.cookie)
	return request
}

type benchmarkUser struct {
	passkeys *authenticator.Authenticator
	session  openSession
}

func (c *memoryClient) signUp(b *testing.B, transport string) benchmarkUser {
	b.Helper()
	user := benchmarkUser{passkeys: authenticator.New(benchmarkOrigin)}
	begun := c.begin(b, "/v1/signup/options")
	credential, err := user.passkeys.Create(begun.Options)
	if err != nil {
		b.Fatal(err)
	}
	user.session = sessionOf(b, c.do(b, verifyRequest(b, "/v1/signup/verify", begun, credential, transport), http.StatusCreated))
	return user
}

// signOut ends the session that a response opened.
func (c *memoryClient) signOut(b *testing.B, response *fasthttp.Response) {
	b.Helper()
	request := newRequest(http.MethodDelete, "/v1/session")
	sessionOf(b, response).authenticate(request)
	c.do(b, request, http.StatusNoContent)
}

// openSession has the credentials of a session: a cookie and a CSRF token, or an access token.
type openSession struct {
	cookie string
	CSRF   string `json:"csrf_token"`
	Tokens struct {
		Access string `json:"access_token"`
	} `json:"tokens"`
}

func sessionOf(b *testing.B, response *fasthttp.Response) openSession {
	b.Helper()
	session := openSession{cookie: cookieOf(response, "keylodge_session")}
	if err := json.Unmarshal(response.Body(), &session); err != nil {
		b.Fatal(err)
	}
	return session
}

func (s openSession) authenticate(request *fasthttp.Request) {
	if s.cookie == "" {
		request.Header.Set("Authorization", "Bearer "+s.Tokens.Access)
		return
	}
	request.Header.SetCookie("keylodge_session", s.cookie)
	request.Header.Set("X-CSRF-Token", s.CSRF)
	request.Header.Set("Origin", benchmarkOrigin)
}

func cookieOf(response *fasthttp.Response, name string) string {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(name)
	response.Header.Cookie(cookie)
	return string(cookie.Value())
}
