package cluster

import (
	"errors"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// person is a user with a device and a browser or an app, who uses the load balancer.
type person struct {
	*client.Client
	cluster *cluster
	device  *authenticator.Authenticator
	nodes   []string // that answered, in order
}

// person returns a person with a new device and a browser.
func (c *cluster) person() *person {
	return c.personWith(authenticator.New(c.origin), client.NewBrowser(c.origin, nil))
}

func (c *cluster) personWith(device *authenticator.Authenticator, api *client.Client) *person {
	p := &person{Client: api, cluster: c, device: device}
	api.OnResponse = func(response *client.Response) {
		p.nodes = append(p.nodes, response.Header.Get("X-Node"))
		c.secrets.AddResponse(response.Response, response.Body)
	}
	return p
}

// at sends the following requests directly to a node.
func (p *person) at(n *node) *person {
	p.URL = n.URL()
	return p
}

// withApp returns the person with an app instead of the browser.
func (p *person) withApp() *person {
	return p.cluster.personWith(p.device, client.New(p.URL, nil))
}

func (p *person) signUp() error {
	request, err := p.beginSignUp()
	if err == nil {
		_, err = p.FinishSignUp(request)
	}
	return err
}

// beginSignUp returns the request that finishes the sign-up.
func (p *person) beginSignUp() (request client.SignUpVerifyRequest, err error) {
	begun, err := p.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada")})
	if err != nil {
		return request, err
	}
	credential, err := p.device.Create(begun.Options)
	return client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: "cookie"}, err
}

func (p *person) signIn(transport string) (client.SessionResponse, error) {
	request, err := p.beginSignIn(transport)
	if err != nil {
		return client.SessionResponse{}, err
	}
	return p.FinishSignIn(request)
}

// beginSignIn returns the request that finishes the sign-in.
func (p *person) beginSignIn(transport string) (request client.SignInVerifyRequest, err error) {
	begun, err := p.BeginSignIn(client.SignInOptionsRequest{})
	if err != nil {
		return request, err
	}
	credential, err := p.device.Get(begun.Options)
	return client.SignInVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: transport}, err
}

// refresh exchanges the refresh token for new tokens.
func (p *person) refresh() error {
	tokens, err := p.Refresh(p.Tokens().RefreshToken)
	if err == nil {
		p.SetTokens(tokens)
	}
	return err
}

// whoAmI returns the user's display name.
func (p *person) whoAmI() (string, error) {
	user, _, err := p.Session()
	return user.DisplayName, err
}

// problemCode returns the code of the problem document that the error is; "" for none.
func problemCode(err error) string {
	if problem := (*client.Problem)(nil); errors.As(err, &problem) {
		return problem.Code
	}
	return ""
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
