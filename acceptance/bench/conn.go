package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// requestTimeout is the longest time for one request. A request that takes longer is an error.
const requestTimeout = 30 * time.Second

// userAgent is what a browser sends, so that the server has a device to name.
const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// conn is the keep-alive connection of one client. It costs far less CPU time than net/http, because the clients must not be
// slower than the server.
type conn struct {
	host     string
	socket   net.Conn
	reader   *bufio.Reader
	writer   *bufio.Writer
	request  fasthttp.Request
	response fasthttp.Response
}

// statusError is the error of a response whose status is not 2xx.
type statusError struct {
	status int
	path   string
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: status %d: %s", e.path, e.status, e.body)
}

func dial(host string) (*conn, error) {
	socket, err := (&net.Dialer{Timeout: requestTimeout}).DialContext(context.Background(), "tcp", host)
	if err != nil {
		return nil, err
	}
	return &conn{host: host, socket: socket, reader: bufio.NewReader(socket), writer: bufio.NewWriter(socket)}, nil
}

func (c *conn) close() { _ = c.socket.Close() }

// do sends a request and returns the body of the response, which is valid until the next request. Headers are names and values in
// turn.
func (c *conn) do(method, path string, body []byte, headers ...string) ([]byte, error) {
	c.request.Reset()
	c.request.Header.SetMethod(method)
	c.request.SetRequestURI(path)
	c.request.Header.SetHost(c.host)
	c.request.Header.SetUserAgent(userAgent)
	for i := 0; i < len(headers); i += 2 {
		c.request.Header.Set(headers[i], headers[i+1])
	}
	if body != nil {
		c.request.Header.SetContentType("application/json")
		c.request.SetBodyRaw(body)
	}
	if err := c.socket.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	if err := c.request.Write(c.writer); err != nil {
		return nil, err
	}
	if err := c.writer.Flush(); err != nil {
		return nil, err
	}
	if err := c.response.Read(c.reader); err != nil {
		return nil, err
	}
	if status := c.response.StatusCode(); status < 200 || status > 299 {
		return nil, &statusError{status, path, string(c.response.Body())}
	}
	return c.response.Body(), nil
}

// cookies returns the cookies of the last response, as a request sends them.
func (c *conn) cookies() string {
	var pairs []string
	for _, value := range c.response.Header.Cookies() {
		var cookie fasthttp.Cookie
		if cookie.ParseBytes(value) == nil && len(cookie.Value()) > 0 {
			pairs = append(pairs, string(cookie.Key())+"="+string(cookie.Value()))
		}
	}
	return strings.Join(pairs, "; ")
}
