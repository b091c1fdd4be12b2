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
	nodes   []string // that answered, one after the other
}

func (c *cluster) person() *person {
	jar, _ := cookiejar.New(nil) // never fails
	return &person{cluster: c, device: authenticator.New(c.origin), http: &http.Client{Jar: jar}}
}

type refused struct {
	status int
	Code   string `json:"code"`
}

func (r refused) Error() string { return fmt.Sprintf("%d %s", r.status, r.Code) }

// ask sends a request through the load balancer and returns a refused for any answer that is not a good one.
func (p *person) ask(method, path string, body, result any) error {
	return p.askAt(p.cluster.origin, method, path, body, result)
}

func (p *person) askAt(base, method, path string, body, result any) error {
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
	if response.StatusCode >= 300 {
		r := refused{status: response.StatusCode}
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

type entered struct {
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
	var begun ceremony
	if err := p.ask(http.MethodPost, "/v1/signup/options", map[string]string{"display_name": "Ada"}, &begun); err != nil {
		return err
	}
	made, err := p.device.Create(begun.Options)
	if err != nil {
		return err
	}
	return p.enter("/v1/signup/verify", begun, made, "cookie", nil)
}

func (p *person) signIn(transport string) (entered, error) {
	var begun ceremony
	if err := p.ask(http.MethodPost, "/v1/login/options", struct{}{}, &begun); err != nil {
		return entered{}, err
	}
	answer, err := p.device.Get(begun.Options)
	if err != nil {
		return entered{}, err
	}
	var in entered
	err = p.enter("/v1/login/verify", begun, answer, transport, &in)
	return in, err
}

func (p *person) enter(path string, begun ceremony, answer any, transport string, in *entered) error {
	if in == nil {
		in = new(entered)
	}
	err := p.ask(http.MethodPost, path, map[string]any{"challenge_id": begun.ChallengeID, "credential": answer, "transport": transport}, in)
	if err == nil && transport == "cookie" {
		p.csrf = in.CSRFToken
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
