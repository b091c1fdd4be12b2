package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
)

// apiClient is an HTTP client with its own connections.
type apiClient struct {
	server *server
	ip     string // sent as X-Forwarded-For
	http   *http.Client
}

func newAPIClient(s *server, from string) *apiClient {
	var dialer net.Dialer
	return &apiClient{s, from, &http.Client{Timeout: serverTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.address())
		},
	}}}
}

func (c *apiClient) closeIdle() { c.http.CloseIdleConnections() }

// apiResponse is a response that was read in full.
type apiResponse struct {
	status int
	code   string // of a problem
	header http.Header
	body   []byte
	cookie string // of the session, name=value
}

func (r apiResponse) ok() bool { return r.status >= 200 && r.status < 300 }

func (r apiResponse) decode(result any) error { return json.Unmarshal(r.body, result) }

// send makes one request, in the session if in is not nil. An error means that the response is missing or incomplete: then
// the outcome is unknown.
func (c *apiClient) send(method, path string, body any, in *session) (apiResponse, error) {
	return c.sendFrom(c.ip, method, path, body, in)
}

func (c *apiClient) sendFrom(from, method, path string, body any, in *session) (apiResponse, error) {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return apiResponse{}, err
		}
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, c.server.origin()+path, payload)
	if err != nil {
		return apiResponse{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", from)
	in.authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		return apiResponse{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return apiResponse{}, err
	}
	c.server.answered.Add(1)
	c.server.secrets.AddResponse(response, content)
	r := apiResponse{status: response.StatusCode, header: response.Header, body: content}
	if !r.ok() {
		var problem struct{ Code string }
		if err := r.decode(&problem); err != nil {
			return apiResponse{}, err
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

// session is a session of a person. If its response was lost, it has no cookie and no tokens.
type session struct {
	id                string
	cookie, csrf      string // of a browser session
	access            string // of a bearer session
	refresh           string
	secondLastRefresh string // two rotations old: its use revokes the session
	lastRefresh       string // one rotation old
	byPasskey         bool   // opened or stepped up with a passkey, so that sensitive changes are allowed
}

func (s *session) usable() bool { return s.cookie != "" || s.access != "" }

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

// sessionResponse is the response of a call that opens or shows a session.
type sessionResponse struct {
	User      struct{ ID string }
	Session   struct{ ID string }
	Passkey   struct{ ID string }
	CSRFToken string `json:"csrf_token"`
	Tokens    struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
}

func (b sessionResponse) newSession(cookie string) *session {
	if b.Tokens.Access != "" {
		cookie = ""
	}
	return &session{id: b.Session.ID, cookie: cookie, csrf: b.CSRFToken, access: b.Tokens.Access, refresh: b.Tokens.Refresh}
}
