package acceptance

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap"
)

// hasty is a server that soon has enough of slow clients.
func hasty(t *testing.T) *server {
	t.Helper()
	return startServer(t, newClock(), func(c *bootstrap.Config) { c.Patience = 300 * time.Millisecond })
}

// A client that sends a byte now and then, for as long as it is let, holds a connection for the time of one request and no
// longer (slowloris).
func TestASlowRequestIsCutOff(t *testing.T) {
	s := hasty(t)
	for name, raw := range map[string]string{
		"nothing at all":     "",
		"an endless target":  "GET /",
		"an endless name":    get + "X",
		"an endless value":   get + "X: ",
		"an endless body":    post + "Content-Length: 60000\r\n\r\n{",
		"an endless size":    chunked + "0",
		"an endless text":    chunked + "1;",
		"an endless chunk":   chunked + "e000\r\n{",
		"an endless trailer": chunked + "2\r\n{}\r\n0\r\nX: ",
		"endless chunks":     chunked,
		"endless extensions": chunked,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := "0"
			switch name {
			case "endless chunks":
				more = "1\r\n0\r\n"
			case "endless extensions":
				more = "1;a\r\n0\r\n"
			}
			w := s.dial(t).says(raw)
			cut := make(chan struct{})
			if raw != "" {
				go func() {
					for w.t.Context().Err() == nil {
						if _, err := io.WriteString(w, more); err != nil {
							return
						}
						select {
						case <-cut:
							return
						case <-time.After(10 * time.Millisecond):
						}
					}
				}()
			}
			got := w.hears()
			close(cut)
			// An endless size is too much for a number before it is too slow.
			if want := []int{408}; !slices.Equal(statuses(got), want) && (name != "an endless size" || !slices.Equal(statuses(got), []int{400})) {
				t.Fatalf("answered with %v, want %v", statuses(got), want)
			}
			got[0].problem(t)
		})
	}
}

// A client that sends as fast as it can is cut off by size, and not when its time is over.
func TestFramingOfChunksIsBoundedBySize(t *testing.T) {
	const most = 64 << 20 // bytes that a client gets rid of: far more than buffers hold, far less than ten seconds carry
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct {
		raw, more string
		status    int
	}{
		"an endless extension":        {chunked + "1;", strings.Repeat("x", 64<<10), 400},
		"an endless quoted extension": {chunked + "1;a=\"", strings.Repeat("x", 64<<10), 400},
		"endless extensions":          {chunked + "1", strings.Repeat(";a", 32<<10), 400},
		"endless blanks":              {chunked + "1", strings.Repeat(" ", 64<<10), 400},
		"an endless size":             {chunked, strings.Repeat("0", 64<<10), 400},
		"extensions in every chunk":   {chunked, strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\n \r\n", 64), 400},
		"chunks without end":          {chunked, strings.Repeat("1\r\n \r\n", 10<<10), 413},
		"headers without end":         {get, strings.Repeat("X: y\r\n", 10<<10), 431},
		"a trailer without end":       {chunked + "0\r\nX: ", strings.Repeat("x", 64<<10), 431},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.dial(t).says(c.raw)
			sent := make(chan int)
			go func() {
				n := 0
				for n < most {
					more, err := io.WriteString(w, c.more)
					if n += more; err != nil {
						break
					}
				}
				sent <- n
			}()
			got := w.hears()
			if !slices.Equal(statuses(got), []int{c.status}) {
				t.Fatalf("answered with %v, want %d", statuses(got), c.status)
			}
			if n := <-sent; n >= most {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// The second request has its own time, counted from its first byte. It may end without a word.
func TestALaterRequestIsCutOffToo(t *testing.T) {
	s := hasty(t)
	w := s.dial(t).says(get + "\r\n")
	first := w.hearsOne(http.MethodGet)
	for first.StatusCode == http.StatusRequestTimeout { // this machine was slower than the client that the server cuts off
		w = s.dial(t).says(get + "\r\n")
		first = w.hearsOne(http.MethodGet)
	}
	if first.StatusCode != http.StatusOK {
		t.Fatal(first.StatusCode)
	}
	for _, a := range w.says(get + "X: ").hears() {
		a.wants(t, http.StatusRequestTimeout, "invalid_request")
	}
}

// A client that asks and asks and reads no answer is not waited for either.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	w := hasty(t).dial(t)
	questions := strings.Repeat("GET /openapi.json HTTP/1.1\r\n"+host+"\r\n", 100)
	var err error
	for err == nil {
		_, err = io.WriteString(w, questions)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server is still there")
	}
}

// What a request may cost in memory does not depend on what it sends.
func TestALargeBodyIsNotKept(t *testing.T) {
	s := startServer(t, newClock(), nil)
	body := bytes.Repeat([]byte("4000\r\n"+strings.Repeat(" ", 0x4000)+"\r\n"), 200) // 3 MiB in all
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const times = 20
	for range times {
		if got := s.dial(t).says(chunked + string(body)).hears(); !slices.Equal(statuses(got), []int{413}) {
			t.Fatalf("answered with %v", statuses(got))
		}
	}
	s.heard.forget()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > times*1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// A client that has half closed the connection waits for its answer all the same.
func TestAHalfClosedConnectionGetsItsAnswer(t *testing.T) {
	s := startServer(t, newClock(), nil)
	for _, raw := range []string{get + "\r\n", post + "Content-Length: 2\r\n\r\n{}", chunked + "2\r\n{}\r\n" + lastPart} {
		if got := s.dial(t).says(raw).hangsUp().hears(); !slices.Equal(statuses(got), []int{200}) {
			t.Errorf("%q was answered with %v", raw, statuses(got))
		}
	}
}

// A body that is too large is not read. Its sender, who is in the middle of it, reads why, and not that the connection broke.
func TestATooLargeRequestIsToldSo(t *testing.T) {
	s := startServer(t, newClock(), nil)
	body := strings.Repeat(" ", 2<<20)
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"a body":    {post + "Content-Length: 2097152\r\n\r\n" + body, 413},
		"chunks":    {chunked + "200000\r\n" + body + "\r\n" + lastPart, 413},
		"a header":  {get + "X: " + body + "\r\n\r\n", 431},
		"not HTTP":  {"\r\n" + body[1:] + "\r\n\r\n", 431},
		"a trailer": {chunked + lastPart[:3] + "X: " + body, 431},
	} {
		for range 5 {
			// A simple client: it writes everything before it reads anything.
			if got := s.dial(t).says(c.raw).hangsUp().hears(); !slices.Equal(statuses(got), []int{c.status}) {
				t.Errorf("%s: answered with %v", name, statuses(got))
			}
		}
	}
	for range 5 {
		s.send(t, http.MethodPost, "/v1/login/options", body).wants(t, 413, "body_too_large")
	}
}

// Whoever asks first (Expect: 100-continue) is told at once that there is too much of it.
func TestATooLargeBodyIsNotInvited(t *testing.T) {
	s := startServer(t, newClock(), nil)
	got := s.dial(t).says(post + "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n").hears()
	if !slices.Equal(statuses(got), []int{413}) {
		t.Fatalf("answered with %v", statuses(got))
	}
	got[0].wants(t, 413, "body_too_large")
}
