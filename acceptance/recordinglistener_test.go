package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// recordingListener records all bytes of its connections, so that the search of the log includes every secret that was sent or
// received.
type recordingListener struct {
	net.Listener
	mu      sync.Mutex
	conns   []*recordingConn
	barrier *barrier
}

func (l *recordingListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	recording := &recordingConn{Conn: connection, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, recording)
	return recording, nil
}

// reset deletes the records, for tests that measure the server's memory.
func (l *recordingListener) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.mu.Lock()
		c.in, c.out = bytes.Buffer{}, bytes.Buffer{}
		c.mu.Unlock()
	}
}

// barrier delays responses until missing further ones are ready.
type barrier struct {
	missing int
	open    chan struct{}
}

// holdResponses delays the next n responses that set a browser cookie until all of them are ready, so that all n requests are
// sent without that cookie. The end of the test releases them.
func (l *recordingListener) holdResponses(t testing.TB, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &barrier{n, make(chan struct{})}
	l.barrier = b
	t.Cleanup(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.barrier == b {
			l.releaseResponses()
		}
	})
}

func (l *recordingListener) releaseResponses() {
	close(l.barrier.open)
	l.barrier = nil
}

// waitForRelease returns when the response may be sent.
func (l *recordingListener) waitForRelease(payload []byte) {
	l.mu.Lock()
	b := l.barrier
	if b == nil || !bytes.Contains(payload, []byte("Set-Cookie: keylodge_browser=")) {
		l.mu.Unlock()
		return
	}
	if b.missing--; b.missing == 0 {
		l.releaseResponses()
	}
	l.mu.Unlock()
	<-b.open
}

type recordingConn struct {
	net.Conn
	listener *recordingListener
	mu       sync.Mutex
	in, out  bytes.Buffer
}

func (c *recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.Write(p[:n])
	return n, err
}

func (c *recordingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.out.Write(p) // before the client can read it
	c.mu.Unlock()
	c.listener.waitForRelease(p)
	return c.Conn.Write(p)
}

// CloseWrite closes the connection for writing, as the server does with a TCP connection.
func (c *recordingConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// exchange is a request with its response.
type exchange struct {
	request        *http.Request
	response       *http.Response
	sent, received []byte
}

// exchanges returns all exchanges that net/http can parse.
func (l *recordingListener) exchanges() (all []exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.mu.Lock()
		in, out := bufio.NewReader(bytes.NewReader(c.in.Bytes())), bufio.NewReader(bytes.NewReader(c.out.Bytes()))
		for {
			x, err := readExchange(in, out)
			if err != nil {
				break
			}
			all = append(all, x)
		}
		c.mu.Unlock()
	}
	return all
}

func readExchange(in, out *bufio.Reader) (x exchange, err error) {
	if x.request, err = http.ReadRequest(in); err != nil {
		return x, err
	}
	if x.sent, err = io.ReadAll(x.request.Body); err != nil {
		return x, err
	}
	for {
		if x.response, err = http.ReadResponse(out, x.request); err != nil {
			return x, err
		}
		if x.received, err = io.ReadAll(x.response.Body); err != nil || x.response.StatusCode >= 200 {
			return x, err
		}
	}
}

// Members that are not secret: ids, times, values of the API, and constant values of WebAuthn. Every other string in a JSON
// body counts as a secret, so a new member is one until it is listed here.
var (
	publicResponseMembers = setOf("id", "addresses", "user_id", "api_key_id", "invite_id", "cursor", "session_id", "passkey_id", "rp_id", "rpId", "rp_name", "accepted_credential_ids", "next_cursor", "request_id", "aaguid", "ip", "kid",
		"code", "title", "detail", "field", "type", "status", "kind", "reason", "registration", "policy", "mail", "transport", "assurance", "amr", "party", "changed", "way", "mediation", "uiMode",
		"transports", "token_type", "attestation", "userVerification", "residentKey", "hints", "alg",
		"created_at", "last_seen_at", "expires_at", "auth_time", "last_used_at", "confirmed_at", "generated_at", "at", "disabled_at", "used_at", "revoked_at")
	publicRequestMembers = setOf("id", "rawId", "user_id", "type", "transport", "transports", "authenticatorAttachment", "assurance", "way", "outcome")
)

func setOf(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// secrets returns the secrets of an exchange: cookies, tokens, codes, challenges, WebAuthn responses, names and addresses.
func (x exchange) secrets() (found []string) {
	for _, cookie := range append(x.request.Cookies(), x.response.Cookies()...) {
		found = append(found, cookie.Value)
		_, signature, _ := strings.Cut(cookie.Value, ".")
		found = append(found, signature)
	}
	_, token, _ := strings.Cut(x.request.Header.Get("Authorization"), " ")
	found = append(found, token, x.request.Header.Get("X-CSRF-Token"))
	found = append(found, jsonStrings(x.sent, publicRequestMembers)...)
	if path := x.request.URL.Path; strings.HasPrefix(path, "/v1/") && path != "/v1/config" {
		found = append(found, jsonStrings(x.received, publicResponseMembers)...)
	}
	return found
}

func jsonStrings(document []byte, public map[string]bool) (found []string) {
	var value any
	if json.Unmarshal(document, &value) != nil {
		return nil
	}
	var look func(name string, value any)
	look = func(name string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, member := range value {
				look(name, member)
			}
		case []any:
			for _, item := range value {
				look(name, item)
			}
		case string:
			if !public[name] {
				found = append(found, value)
			}
		}
	}
	look("", value)
	return found
}
