package edge

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// What is let in has one reading: that of another parser, net/http's, which many a proxy is made of.
func FuzzCheckFraming_MatchesNetHTTP(f *testing.F) {
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /v1/login/options?a=b HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"POST / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		"GET http://localhost/ HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\nX-A:\td\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\nCookie: a=b\r\nCookie: c=d\r\nConnection: keep-alive\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0002;a=\"b;c\\\"\";d ; e\r\n{}\r\n1 \r\n\n\r\n00\r\n\r\nGET / HTTP/1.1\r\n",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		const most = 8 << 10 // of chunks net/http takes less framing beside little content
		if _, err := new(scanner).scan(raw); err != nil || len(raw) > most {
			return
		}
		var ours fasthttp.Request
		arrived := bufio.NewReaderSize(bytes.NewReader(raw), MaxHeaderSize)
		if ours.Header.Read(arrived) != nil || checkFraming(&ours) != nil {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(raw, "\r\n"))))
		if err != nil {
			t.Fatalf("%q is let in, and net/http says %v", raw, err)
		}
		header := &ours.Header
		if got := string(header.Method()); got != theirs.Method {
			t.Errorf("%q: method %q, elsewhere %q", raw, got, theirs.Method)
		}
		if got := string(header.RequestURI()); got != theirs.RequestURI {
			t.Errorf("%q: target %q, elsewhere %q", raw, got, theirs.RequestURI)
		}
		if got := string(header.Host()); theirs.URL.Host == "" && got != theirs.Host {
			t.Errorf("%q: host %q, elsewhere %q", raw, got, theirs.Host)
		}
		length, chunked := header.ContentLength(), len(theirs.TransferEncoding) > 0
		if chunked != (length == chunkedLength) || !chunked && int64(max(0, length)) != theirs.ContentLength {
			t.Errorf("%q: length %d, elsewhere %d and chunked %t", raw, length, theirs.ContentLength, chunked)
		}
		for name, values := range theirs.Header {
			if name == "Content-Length" || strings.EqualFold(name, "Connection") || name == "Content-Type" || name == "User-Agent" || name == "Cookie" {
				continue // which fasthttp keeps elsewhere
			}
			var got []string
			for _, value := range header.PeekAll(name) {
				got = append(got, string(value))
			}
			if !slices.Equal(got, values) {
				t.Errorf("%q: %s is %q, elsewhere %q", raw, name, got, values)
			}
		}
		if bodyErr := ours.ContinueReadBody(arrived, MaxBodySize, false); bodyErr == nil && checkFraming(&ours) == nil {
			body, err := io.ReadAll(theirs.Body)
			if err != nil || !bytes.Equal(body, ours.Body()) {
				t.Errorf("%q: the body is %q, elsewhere %q, %v", raw, ours.Body(), body, err)
			}
			rest, _ := io.ReadAll(arrived)
			if followed := requestEndsAt(t, raw, len(raw)-len(rest)); !followed {
				t.Errorf("%q: the next request is taken to begin elsewhere than at %q", raw, rest)
			}
		}
		for name := range header.All() {
			name := textproto.CanonicalMIMEHeaderKey(string(name))
			if _, there := theirs.Header[name]; !there && name != "Host" && name != "Transfer-Encoding" && name != "Content-Length" && name != "Connection" {
				t.Errorf("%q: elsewhere there is no %s", raw, name)
			}
		}
	})
}

// requestEndsAt reports whether the scanner takes the request that raw begins with to end after so many bytes, as fasthttp does. What
// comes behind chunks it does not look at.
func requestEndsAt(t *testing.T, raw []byte, end int) bool {
	t.Helper()
	var s scanner
	if n, err := s.scan(raw[:end]); n != end || err != nil {
		t.Fatalf("%q: %d, %v", raw[:end], n, err)
	}
	return s.state == scanDone || s.state == inHead && !s.hasRequestLine && len(s.line) == 0
}
