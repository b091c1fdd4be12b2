package nodes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// person is somebody with a device and a browser, in front of the load balancer.
type person struct {
	cluster *cluster
	device  *authenticator.Authenticator
	http    *http.Client
	csrf    string
	access  string   // token of a program; "" for a browser
	base    string   // where requests go; "" for the load balancer
	nodes   []string // that answered, one after the other
}

func (c *cluster) person() *person {
	jar, _ := cookiejar.New(nil) // never fails
	return &person{cluster: c, device: authenticator.New(c.origin), http: &http.Client{Jar: jar}}
}

// at sends what follows straight to a node.
func (p *person) at(n *node) *person {
	p.base = n.url()
	return p
}

// appClient is somebody's, signed in with a device of theirs, without a browser.
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

// send sends a request through the load balancer and returns a refused for any answer that is not a good one.
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
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	p.cluster.secrets.AddResponse(response, answer)
	if response.StatusCode >= 300 {
		r := problemError{status: response.StatusCode}
		_ = json.Unmarshal(answer, &r)
		return r
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
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
	begun, made, err := p.beginSignUp()
	if err != nil {
		return err
	}
	return p.openSession("/v1/signup/verify", begun, made, "cookie", nil)
}

// beginSignUp returns the ceremony and the device's answer to it.
func (p *person) beginSignUp() (begun ceremony, answer any, err error) {
	if err := p.send(http.MethodPost, "/v1/signup/options", map[string]string{"display_name": "Ada"}, &begun); err != nil {
		return begun, nil, err
	}
	answer, err = p.device.Create(begun.Options)
	return begun, answer, err
}

func (p *person) signIn(transport string) (sessionResponse, error) {
	begun, answer, err := p.beginSignIn()
	if err != nil {
		return sessionResponse{}, err
	}
	var in sessionResponse
	err = p.openSession("/v1/login/verify", begun, answer, transport, &in)
	return in, err
}

func (p *person) beginSignIn() (begun ceremony, answer any, err error) {
	if err := p.send(http.MethodPost, "/v1/login/options", struct{}{}, &begun); err != nil {
		return begun, nil, err
	}
	answer, err = p.device.Get(begun.Options)
	return begun, answer, err
}

func (p *person) openSession(path string, begun ceremony, answer any, transport string, in *sessionResponse) error {
	if in == nil {
		in = new(sessionResponse)
	}
	err := p.send(http.MethodPost, path, map[string]any{"challenge_id": begun.ChallengeID, "credential": answer, "transport": transport}, in)
	if err == nil && transport == "cookie" {
		p.csrf = in.CSRFToken
	}
	if err == nil {
		p.access = in.Tokens.Access
	}
	return err
}

// refresh trades the refresh token for the next pair.
func (p *person) refresh(in *sessionResponse) error {
	access := p.access
	p.access = "" // not needed, and perhaps expired
	err := p.send(http.MethodPost, "/v1/session/refresh", map[string]string{"refresh_token": in.Tokens.Refresh}, in)
	if p.access = access; err == nil {
		p.access = in.Tokens.Access
	}
	return err
}

// issueAccessToken returns an access token for other services.
func (p *person) issueAccessToken() (string, error) {
	var minted struct {
		Access string `json:"access_token"`
	}
	err := p.send(http.MethodPost, "/v1/session/token", struct{}{}, &minted)
	return minted.Access, err
}

// whoAmI asks who the person is.
func (p *person) whoAmI() (name string, err error) {
	var shown struct {
		User struct {
			Name string `json:"display_name"`
		}
	}
	err = p.send(http.MethodGet, "/v1/session", nil, &shown)
	return shown.User.Name, err
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
