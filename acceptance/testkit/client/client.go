// Package client is a typed client of the HTTP API for tests. Most of its types have the names of the OpenAPI document's components.
//
// A method returns a *[Problem] for an error response. [Client.Do] and [Client.OnResponse] give tests the bytes of requests and
// responses. A test that must send other bytes than a client would, for example malformed JSON, needs no client.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// SessionCookie is the name of the session cookie on localhost. With HTTPS, it has the prefix __Host-.
const SessionCookie = "keylodge_session"

// Client sends requests as one browser, or as one app. It stores the cookies, the CSRF token and the tokens of its session.
// It is safe for concurrent use, except for its fields.
type Client struct {
	URL        string          // the origin of the server
	HTTP       *http.Client    // with a cookie jar for a browser
	Header     http.Header     // of every request
	OnResponse func(*Response) // called for every response, if it is not nil

	mu     sync.Mutex
	csrf   string
	tokens Tokens
}

// New returns a client without cookies, as an app is.
func New(origin string, transport http.RoundTripper) *Client {
	return &Client{URL: origin, HTTP: &http.Client{Transport: transport}, Header: http.Header{}}
}

// NewBrowser returns a client with cookies and the headers of a browser on the server's own page.
func NewBrowser(origin string, transport http.RoundTripper) *Client {
	c := New(origin, transport)
	c.HTTP.Jar, _ = cookiejar.New(nil) // never fails
	c.Header.Set("Origin", origin)
	c.Header.Set("Sec-Fetch-Site", "same-origin")
	return c
}

// Response is a response that was read in full.
type Response struct {
	*http.Response
	Sent []byte // the body of the request, if a Client has sent it
	Body []byte
}

// ReadResponse reads the body in full and closes it.
func ReadResponse(response *http.Response) (*Response, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &Response{Response: response, Body: body}, nil
}

// OK reports whether the status is 2xx.
func (r *Response) OK() bool { return r.StatusCode >= 200 && r.StatusCode < 300 }

// Decode decodes the body into result. It returns a *[Problem] if the status is not 2xx.
func (r *Response) Decode(result any) error {
	if !r.OK() {
		return r.Problem()
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.Body, result); err != nil {
		return fmt.Errorf("%w in %s", err, r.Body)
	}
	return nil
}

// Problem returns the problem document of an error response. For another body, which a proxy sends, it has only the status.
func (r *Response) Problem() *Problem {
	problem := &Problem{}
	if err := json.Unmarshal(r.Body, problem); err != nil {
		problem = &Problem{Status: r.StatusCode}
	}
	problem.Response = r
	return problem
}

// SessionCookie returns the session cookie that the response sets, or nil.
func (r *Response) SessionCookie() *http.Cookie {
	for _, cookie := range r.Cookies() {
		if strings.TrimPrefix(cookie.Name, "__Host-") == SessionCookie && cookie.Value != "" {
			return cookie
		}
	}
	return nil
}

// Do sends a request with the headers of the client and these headers, but without the CSRF token and the access token of its
// session. It encodes the body as JSON, unless it is nil. An error means that there is no complete response.
func (c *Client) Do(method, path string, body any, header http.Header) (*Response, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(context.Background(), method, c.URL+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, headers := range []http.Header{c.Header, header} {
		for name, values := range headers {
			request.Header[name] = values
		}
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	result, err := ReadResponse(response)
	if err != nil {
		return nil, err
	}
	result.Sent = sent
	if c.OnResponse != nil {
		c.OnResponse(result)
	}
	return result, nil
}

// Call sends a request in the client's session, if it has one, and decodes the response into result, unless it is nil.
func (c *Client) Call(method, path string, body, result any) error {
	header := http.Header{}
	if access, csrf := c.Tokens().AccessToken, c.CSRFToken(); access != "" {
		header.Set("Authorization", "Bearer "+access)
	} else if method != http.MethodGet {
		if csrf == "" && c.SessionToken() != "" && !opensSession(path) {
			csrf, _ = c.fetchCSRFToken() // without a valid session, the request itself is rejected
		}
		if csrf != "" {
			header.Set("X-CSRF-Token", csrf)
		}
	}
	response, err := c.Do(method, path, body, header)
	if err != nil {
		return err
	}
	return response.Decode(result)
}

// opensSession reports whether the operation needs no session.
func opensSession(path string) bool {
	for _, prefix := range []string{"/v1/signup/", "/v1/login/", "/v1/recovery/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// SessionToken returns the value of the session cookie, or "".
func (c *Client) SessionToken() string {
	if c.HTTP.Jar == nil {
		return ""
	}
	for _, cookie := range c.HTTP.Jar.Cookies(c.address()) {
		if strings.TrimPrefix(cookie.Name, "__Host-") == SessionCookie {
			return cookie.Value
		}
	}
	return ""
}

// SetSessionToken sets the session cookie, as an attacker with a copy of it does. The client requests a new CSRF token when it
// needs one.
func (c *Client) SetSessionToken(token string) {
	c.SetCSRFToken("")
	c.HTTP.Jar.SetCookies(c.address(), []*http.Cookie{{Name: SessionCookie, Value: token, Path: "/"}})
}

// Cookies returns the cookies that the client sends.
func (c *Client) Cookies() []*http.Cookie { return c.HTTP.Jar.Cookies(c.address()) }

// SetCookie sets a cookie, as the page's script or another server on the same host does.
func (c *Client) SetCookie(cookie *http.Cookie) {
	c.HTTP.Jar.SetCookies(c.address(), []*http.Cookie{cookie})
}

func (c *Client) address() *url.URL {
	address, err := url.Parse(c.URL)
	if err != nil {
		panic(err) // the test states the URL
	}
	return address
}

// CSRFToken returns the CSRF token of the following requests, or "".
func (c *Client) CSRFToken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.csrf
}

// SetCSRFToken sets the CSRF token of the following requests.
func (c *Client) SetCSRFToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.csrf = token
}

// Tokens returns the tokens of the session, which are empty for a browser.
func (c *Client) Tokens() Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

// SetTokens sets the tokens of the following requests.
func (c *Client) SetTokens(tokens Tokens) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = tokens
}

// openSession sends a verify request, and keeps the CSRF token or the tokens of the session that it opens.
func (c *Client) openSession(path string, body any) (session SessionResponse, err error) {
	if err = c.Call(http.MethodPost, path, body, &session); err == nil {
		c.SetCSRFToken(session.CSRFToken)
		c.SetTokens(session.Tokens)
	}
	return session, err
}

// listAll reads a list in pages of this size.
func listAll[T any](c *Client, path string, pageSize int) (all []T, err error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		var page struct {
			Items      []T
			NextCursor *string `json:"next_cursor"`
		}
		if err := c.Call(http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.NextCursor == nil {
			return all, nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}
