package durability

import (
	"context"
	"net"
	"net/http"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
)

// apiClient has its own connections. Its sessions are part of each request.
type apiClient struct {
	*client.Client
	server *server
}

func newAPIClient(s *server) *apiClient {
	var dialer net.Dialer
	c := client.New(s.URL(), &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, s.Address())
	}})
	c.HTTP.Timeout = keylodgeserver.Timeout
	c.OnResponse = func(response *client.Response) {
		s.answered.Add(1)
		s.Secrets.AddResponse(response.Response, response.Body)
	}
	return &apiClient{c, s}
}

// apiResponse is a response, with the code of its problem document.
type apiResponse struct {
	*client.Response
	code string
}

// send sends the request from an IP address. An error means that the response is missing or incomplete: then the outcome is
// unknown, and the response has no status.
func (c *apiClient) send(from string, r request) (apiResponse, error) {
	header := r.in.headers()
	header.Set("X-Forwarded-For", from)
	response, err := c.Do(r.method, r.path, r.body, header)
	if err != nil {
		return apiResponse{Response: &client.Response{Response: &http.Response{}}}, err
	}
	if response.OK() {
		return apiResponse{Response: response}, nil
	}
	return apiResponse{response, response.Problem().Code}, nil
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

func (s *session) headers() http.Header {
	header := http.Header{}
	switch {
	case s == nil:
	case s.access != "":
		header.Set("Authorization", "Bearer "+s.access)
	default:
		header.Set("Cookie", s.cookie)
		header.Set("X-CSRF-Token", s.csrf)
	}
	return header
}

// cookieOf returns the header of the session cookie that the response sets; "" for none.
func cookieOf(got apiResponse) string {
	if cookie := got.SessionCookie(); cookie != nil {
		return cookie.Name + "=" + cookie.Value
	}
	return ""
}

func newSession(body client.SessionResponse, got apiResponse) *session {
	return &session{
		id: body.Session.ID, cookie: cookieOf(got), csrf: body.CSRFToken,
		access: body.Tokens.AccessToken, refresh: body.Tokens.RefreshToken,
	}
}
