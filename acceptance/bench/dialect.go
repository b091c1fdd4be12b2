package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// dialect is how a server is asked for the operations that are measured.
type dialect interface {
	// health is the path of a GET request that the server answers as soon as it has started.
	health() string
	// beginSignUp and beginSignIn return the options of a ceremony, and the reference that its end needs.
	beginSignUp(c *conn, name string) (options []byte, reference string, err error)
	beginSignIn(c *conn) (options []byte, reference string, err error)
	// finishSignUp and finishSignIn send the response of the authenticator.
	finishSignUp(c *conn, reference string, response any) error
	finishSignIn(c *conn, reference string, response any) (token string, err error)
	// checkSession asks for the session of the token. It returns an error if the session does not exist.
	checkSession(c *conn, token string) error
}

// user is a user of a server with one passkey.
type user struct {
	device *authenticator.Authenticator
}

func signUp(d dialect, c *conn, origin string) (*user, error) {
	options, reference, err := d.beginSignUp(c, rand.Text())
	if err != nil {
		return nil, err
	}
	u := &user{authenticator.New(origin, authenticator.WithAlgorithms(authenticator.ES256))}
	response, err := u.device.Create(options)
	if err != nil {
		return nil, err
	}
	return u, d.finishSignUp(c, reference, response)
}

func signIn(d dialect, c *conn, u *user) (token string, err error) {
	options, reference, err := d.beginSignIn(c)
	if err != nil {
		return "", err
	}
	response, err := u.device.Get(options)
	if err != nil {
		return "", err
	}
	return d.finishSignIn(c, reference, response)
}

// keylodge is the dialect of this product.
type keylodge struct{ byCookie bool } // a session of a browser; otherwise that of an app, with an access token

type ceremony struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
}

func (keylodge) health() string { return "/v1/config" }

func (keylodge) begin(c *conn, path string, body any) ([]byte, string, error) {
	var begun ceremony
	err := post(c, path, body, &begun)
	return begun.Options, begun.ChallengeID, err
}

func (k keylodge) beginSignUp(c *conn, name string) ([]byte, string, error) {
	return k.begin(c, "/v1/signup/options", map[string]string{"display_name": name})
}

func (k keylodge) beginSignIn(c *conn) ([]byte, string, error) {
	return k.begin(c, "/v1/login/options", struct{}{})
}

// finish returns the access token, or the cookies.
func (k keylodge) finish(c *conn, path, reference string, response any) (string, error) {
	request := struct {
		ChallengeID string `json:"challenge_id"`
		Credential  any    `json:"credential"`
		Transport   string `json:"transport"`
	}{reference, response, "bearer"}
	if k.byCookie {
		request.Transport = "cookie"
	}
	var opened struct {
		Tokens struct {
			AccessToken string `json:"access_token"`
		} `json:"tokens"`
	}
	if err := post(c, path, request, &opened); err != nil {
		return "", err
	}
	if k.byCookie {
		return c.cookies(), nil
	}
	return opened.Tokens.AccessToken, nil
}

func (k keylodge) finishSignUp(c *conn, reference string, response any) error {
	_, err := k.finish(c, "/v1/signup/verify", reference, response)
	return err
}

func (k keylodge) finishSignIn(c *conn, reference string, response any) (string, error) {
	return k.finish(c, "/v1/login/verify", reference, response)
}

func (k keylodge) checkSession(c *conn, token string) error {
	header := []string{"Authorization", "Bearer " + token}
	if k.byCookie {
		header = []string{"Cookie", token}
	}
	_, err := c.do("GET", "/v1/session", nil, header...)
	return err
}

// plain is the dialect of a peer: the least that a server needs. docs/performance/README.md lists its routes.
type plain struct{}

func (plain) health() string { return "/health" }

// begin returns as reference the cookie that ties the browser to the challenge.
func (plain) begin(c *conn, path string, body any) ([]byte, string, error) {
	var options json.RawMessage
	if err := post(c, path, body, &options); err != nil {
		return nil, "", err
	}
	cookies := c.cookies()
	if cookies == "" {
		return nil, "", errors.New(path + " sets no cookie")
	}
	return options, cookies, nil
}

func (p plain) beginSignUp(c *conn, name string) ([]byte, string, error) {
	return p.begin(c, "/register/begin", map[string]string{"username": name})
}

func (p plain) beginSignIn(c *conn) ([]byte, string, error) {
	return p.begin(c, "/login/begin", struct{}{})
}

func (plain) finishSignUp(c *conn, reference string, response any) error {
	return post(c, "/register/finish", response, nil, "Cookie", reference)
}

func (plain) finishSignIn(c *conn, reference string, response any) (string, error) {
	var opened struct {
		Token string `json:"token"`
	}
	err := post(c, "/login/finish", response, &opened, "Cookie", reference)
	return opened.Token, err
}

func (plain) checkSession(c *conn, token string) error {
	_, err := c.do("GET", "/session", nil, "Authorization", "Bearer "+token)
	return err
}

// post sends a JSON document and decodes the response into result, unless it is nil.
func post(c *conn, path string, body, result any, headers ...string) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := c.do("POST", path, encoded, headers...)
	if err != nil || result == nil {
		return err
	}
	return json.Unmarshal(response, result)
}
