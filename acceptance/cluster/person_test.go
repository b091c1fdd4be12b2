package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// person is a user with a device and a browser, who uses the load balancer.
type person struct {
	cluster *cluster
	device  *authenticator.Authenticator
	http    *http.Client
	csrf    string
	access  string   // the access token of an app client; "" for a browser
	base    string   // the URL of requests; "" for the load balancer
	nodes   []string // that answered, in order
}

func (c *cluster) person() *person {
	jar, _ := cookiejar.New(nil) // never fails
	return &person{cluster: c, device: authenticator.New(c.origin), http: &http.Client{Jar: jar}}
}

// at sends the following requests directly to a node.
func (p *person) at(n *node) *person {
	p.base = n.url()
	return p
}

// appClient returns a client without cookies that uses the person's device.
func (p *person) appClient() *person {
	other := p.cluster.person()
	other.device, other.base = p.device, p.base
	return other
}

type problemError struct {
	status int
	Code   string `json:"code"`
}

func (r problemError) Error() string { return fmt.Sprintf("%d %s", r.status, r.Code) }

// send sends a request to the base URL. It returns a problemError for a response that is not 2xx.
func (p *person) send(method, path string, body, result any) error {
	base := p.base
	if base == "" {
		base = p.cluster.origin
	}
	return p.sendTo(base, method, path, body, result)
}

func (p *person) sendTo(base, method, path string, body, result any) error {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, base+path, payload)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Origin", p.cluster.origin)
	if p.csrf != "" {
		request.Header.Set("X-CSRF-Token", p.csrf)
	}
	if p.access != "" {
		request.Header.Set("Authorization", "Bearer "+p.access)
	}
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	p.nodes = append(p.nodes, response.Header.Get("X-Node"))
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	p.cluster.secrets.AddResponse(response, content)
	if response.StatusCode >= 300 {
		r := problemError{status: response.StatusCode}
		_ = json.Unmarshal(content, &r)
		return r
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}

type ceremony struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
}

type sessionResponse struct {
	CSRFToken string `json:"csrf_token"`
	Session   struct {
		ID string `json:"id"`
	}
	Tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
}

func (p *person) signUp() error {
	pending, credential, err := p.beginSignUp()
	if err != nil {
		return err
	}
	return p.openSession("/v1/signup/verify", pending, credential, "cookie", nil)
}

// beginSignUp returns the ceremony and the device's credential for it.
func (p *person) beginSignUp() (pending ceremony, credential any, err error) {
	if err := p.send(http.MethodPost, "/v1/signup/options", map[string]string{"display_name": "Ada"}, &pending); err != nil {
		return pending, nil, err
	}
	credential, err = p.device.Create(pending.Options)
	return pending, credential, err
}

func (p *person) signIn(transport string) (sessionResponse, error) {
	pending, credential, err := p.beginSignIn()
	if err != nil {
		return sessionResponse{}, err
	}
	var session sessionResponse
	err = p.openSession("/v1/login/verify", pending, credential, transport, &session)
	return session, err
}

func (p *person) beginSignIn() (pending ceremony, credential any, err error) {
	if err := p.send(http.MethodPost, "/v1/login/options", struct{}{}, &pending); err != nil {
		return pending, nil, err
	}
	credential, err = p.device.Get(pending.Options)
	return pending, credential, err
}

func (p *person) openSession(path string, pending ceremony, credential any, transport string, session *sessionResponse) error {
	if session == nil {
		session = new(sessionResponse)
	}
	err := p.send(http.MethodPost, path, map[string]any{"challenge_id": pending.ChallengeID, "credential": credential, "transport": transport}, session)
	if err == nil && transport == "cookie" {
		p.csrf = session.CSRFToken
	}
	if err == nil {
		p.access = session.Tokens.Access
	}
	return err
}

// refresh exchanges the refresh token for new tokens.
func (p *person) refresh(session *sessionResponse) error {
	access := p.access
	p.access = "" // not needed, and possibly expired
	err := p.send(http.MethodPost, "/v1/session/refresh", map[string]string{"refresh_token": session.Tokens.Refresh}, session)
	if p.access = access; err == nil {
		p.access = session.Tokens.Access
	}
	return err
}

// issueAccessToken returns an access token for other services.
func (p *person) issueAccessToken() (string, error) {
	var issued struct {
		Access string `json:"access_token"`
	}
	err := p.send(http.MethodPost, "/v1/session/token", struct{}{}, &issued)
	return issued.Access, err
}

// whoAmI returns the user's display name.
func (p *person) whoAmI() (name string, err error) {
	var result struct {
		User struct {
			Name string `json:"display_name"`
		}
	}
	err = p.send(http.MethodGet, "/v1/session", nil, &result)
	return result.User.Name, err
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
