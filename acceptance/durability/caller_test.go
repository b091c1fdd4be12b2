package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
)

// caller is a client on connections that it keeps.
type caller struct {
	server *server
	from   string // the address that a trusted proxy would have seen
	wire   *http.Client
}

func newCaller(s *server, from string) *caller {
	var dialer net.Dialer
	return &caller{s, from, &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.address())
		},
	}}}
}

func (c *caller) hangUp() { c.wire.CloseIdleConnections() }

// reply is an answer that was read to its end.
type reply struct {
	status int
	code   string // of a problem
	header http.Header
	body   []byte
	cookie string // of the session, name=value
}

func (r reply) good() bool { return r.status >= 200 && r.status < 300 }

func (r reply) into(result any) error { return json.Unmarshal(r.body, result) }

// send makes one request, in the session if there is one. An error means that nothing came back, or not all of it: then
// nobody here knows what became of it.
func (c *caller) send(method, path string, body any, in *session) (reply, error) {
	return c.sendFrom(c.from, method, path, body, in)
}

func (c *caller) sendFrom(from, method, path string, body any, in *session) (reply, error) {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return reply{}, err
		}
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, c.server.origin()+path, payload)
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", from)
	in.authorize(request)
	response, err := c.wire.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, err
	}
	c.server.answered.Add(1)
	c.server.handed.Answer(response, read)
	r := reply{status: response.StatusCode, header: response.Header, body: read}
	if !r.good() {
		var problem struct{ Code string }
		if err := r.into(&problem); err != nil {
			return reply{}, err
		}
		r.code = problem.Code
	}
	for _, cookie := range response.Cookies() {
		if cookie.Name == "keylodge_session" && cookie.Value != "" {
			r.cookie = cookie.Name + "=" + cookie.Value
		}
	}
	return r, nil
}

// session is one that somebody was told of. Without a way to carry it, it is one whose answer was lost.
type session struct {
	id            string
	cookie, csrf  string // of a browser
	access        string // of a program
	refresh       string
	formerRefresh string // the one before the one before the latest: using it ends the session
	refreshBefore string // the one before the latest
	proved        bool   // by a passkey: it may change who can open the account
}

func (s *session) held() bool { return s.cookie != "" || s.access != "" }

func (s *session) authorize(request *http.Request) {
	switch {
	case s == nil:
	case s.access != "":
		request.Header.Set("Authorization", "Bearer "+s.access)
	default:
		request.Header.Set("Cookie", s.cookie)
		request.Header.Set("X-CSRF-Token", s.csrf)
	}
}

// sessionBody is what opens a session, or shows one.
type sessionBody struct {
	User      struct{ ID string }
	Session   struct{ ID string }
	Passkey   struct{ ID string }
	CSRFToken string `json:"csrf_token"`
	Tokens    struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
}

func (b sessionBody) opened(cookie string) *session {
	if b.Tokens.Access != "" {
		cookie = ""
	}
	return &session{id: b.Session.ID, cookie: cookie, csrf: b.CSRFToken, access: b.Tokens.Access, refresh: b.Tokens.Refresh}
}
