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

// net/http, which many proxies use, reads a request that checkFraming accepts in the same way.
// Requirement: ASVS-4.2.1
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
		const maxRequestSize = 8 << 10 // net/http accepts less framing of chunks if there is little content
		if _, err := new(scanner).scan(raw); err != nil || len(raw) > maxRequestSize {
			return
		}
		var request fasthttp.Request
		arrived := bufio.NewReaderSize(bytes.NewReader(raw), MaxHeaderSize)
		if request.Header.Read(arrived) != nil {
			return
		}
		chunked, err := checkFraming(&request)
		if err != nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(raw, "\r\n"))))
		if err != nil {
			t.Fatalf("%q is accepted, but net/http returns %v", raw, err)
		}
		header := &request.Header
		if got := string(header.Method()); got != want.Method {
			t.Errorf("%q: method %q, want %q", raw, got, want.Method)
		}
		if got := string(header.RequestURI()); got != want.RequestURI {
			t.Errorf("%q: target %q, want %q", raw, got, want.RequestURI)
		}
		if got := string(header.Host()); want.URL.Host == "" && got != want.Host {
			t.Errorf("%q: host %q, want %q", raw, got, want.Host)
		}
		length := header.ContentLength()
		if chunked != (len(want.TransferEncoding) > 0) || chunked != (length == chunkedLength) || !chunked && int64(max(0, length)) != want.ContentLength {
			t.Errorf("%q: length %d and chunked %t, want %d and %q", raw, length, chunked, want.ContentLength, want.TransferEncoding)
		}
		for name, values := range want.Header {
			if name == "Content-Length" || strings.EqualFold(name, "Connection") || name == "Content-Type" || name == "User-Agent" || name == "Cookie" {
				continue // fasthttp does not store it with the others
			}
			var got []string
			for _, value := range header.PeekAll(name) {
				got = append(got, string(value))
			}
			if !slices.Equal(got, values) {
				t.Errorf("%q: header %s = %q, want %q", raw, name, got, values)
			}
		}
		if bodyErr := request.ContinueReadBody(arrived, MaxBodySize, false); bodyErr == nil && len(header.PeekTrailerKeys()) == 0 {
			if still, err := checkFraming(&request); still != chunked || err != nil {
				t.Errorf("%q: chunked %t, after the body %t, %v", raw, chunked, still, err)
			}
			body, err := io.ReadAll(want.Body)
			if err != nil || !bytes.Equal(body, request.Body()) {
				t.Errorf("%q: body %q, want %q (%v)", raw, request.Body(), body, err)
			}
			rest, _ := io.ReadAll(arrived)
			if !requestEndsAt(t, raw, len(raw)-len(rest)) {
				t.Errorf("%q: the scanner does not end the request before %q, as fasthttp does", raw, rest)
			}
		}
		for name := range header.All() {
			name := textproto.CanonicalMIMEHeaderKey(string(name))
			if _, found := want.Header[name]; !found && name != "Host" && name != "Transfer-Encoding" && name != "Content-Length" && name != "Connection" {
				t.Errorf("%q: net/http reads no header %s", raw, name)
			}
		}
	})
}

// requestEndsAt reports whether the scanner ends the first request of raw after so many bytes.
func requestEndsAt(t *testing.T, raw []byte, end int) bool {
	t.Helper()
	var s scanner
	if n, err := s.scan(raw[:end]); n != end || err != nil {
		t.Fatalf("%q: %d, %v", raw[:end], n, err)
	}
	return s.state == inHead && !s.hasRequestLine && len(s.line) == 0
}
