package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// fakeServer is a mail server with errors that a real one cannot produce: it sends the given reply to the first word of each line,
// and no reply if there is none.
type fakeServer struct {
	address  string
	received func() []string
}

func startFakeServer(t *testing.T, replies map[string]string) fakeServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	var mu sync.Mutex
	var talks sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); talks.Wait() })
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, replies["greeting"])
				for scanner := bufio.NewScanner(conn); scanner.Scan(); {
					mu.Lock()
					lines = append(lines, scanner.Text())
					mu.Unlock()
					verb, _, _ := strings.Cut(scanner.Text(), " ")
					_, _ = io.WriteString(conn, replies[verb])
				}
			})
		}
	})
	return fakeServer{listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}}
}

func mailerForFake(t *testing.T, p fakeServer, but func(*Config)) *Mailer {
	t.Helper()
	config := configFor(t, p.address)
	but(&config)
	mailer, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return mailer
}

// stalledServers are the replies of servers that stop to respond, by the step at which they do.
var stalledServers = map[string]map[string]string{
	"the greeting": {},
	"EHLO":         {"greeting": "220 hello\r\n"},
	"MAIL":         {"greeting": "220 hello\r\n", "EHLO": "250 hello\r\n"},
	"RCPT":         {"greeting": "220 hello\r\n", "EHLO": "250 hello\r\n", "MAIL": "250 ok\r\n"},
	"DATA":         {"greeting": "220 hello\r\n", "EHLO": "250 hello\r\n", "MAIL": "250 ok\r\n", "RCPT": "250 ok\r\n"},
	"the end":      {"greeting": "220 hello\r\n", "EHLO": "250 hello\r\n", "MAIL": "250 ok\r\n", "RCPT": "250 ok\r\n", "DATA": "354 go on\r\n"},
}

func TestSend_TimeoutIsUnavailable(t *testing.T) {
	for where, replies := range stalledServers {
		for _, by := range []TLS{NoTLS, ImplicitTLS} {
			if by == ImplicitTLS && where != "the greeting" {
				continue
			}
			mailer := mailerForFake(t, startFakeServer(t, replies), func(c *Config) { c.TLS = by })
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := withTimeout(t, func() error { return mailer.Send(ctx, codeEmail(t)) })
			cancel()
			if !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), domain.ErrUnavailable.Message) {
				t.Errorf("at %s, with a deadline: %v", where, err)
			}
			mailer.timeout = 100 * time.Millisecond
			err = withTimeout(t, func() error { return mailer.Send(t.Context(), codeEmail(t)) })
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("at %s, without a deadline: %v", where, err)
			}
		}
	}
}

// A shutdown is not reported as an error of the mail server.
func TestSend_CancellationIsNotUnavailable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := startFakeServer(t, stalledServers["RCPT"])
	go func() {
		for heard := server.received(); ctx.Err() == nil; heard = server.received() {
			if len(heard) > 0 && strings.HasPrefix(heard[len(heard)-1], "RCPT") {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	mailer := mailerForFake(t, server, func(*Config) {})
	err := withTimeout(t, func() error { return mailer.Send(ctx, codeEmail(t)) })
	if !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestSend_IgnoresErrorAfterDATA(t *testing.T) {
	replies := map[string]string{".": "250 taken\r\n", "QUIT": "421 something broke\r\n"}
	for verb, reply := range stalledServers["the end"] {
		replies[verb] = reply
	}
	if err := mailerForFake(t, startFakeServer(t, replies), func(*Config) {}).Send(t.Context(), codeEmail(t)); err != nil {
		t.Errorf("got %v", err)
	}
}

// A man in the middle can remove STARTTLS from the server's extensions.
func TestSend_NoPasswordWithoutTLS(t *testing.T) {
	server := startFakeServer(t, map[string]string{
		"greeting": "220 hello\r\n", "EHLO": "250-hello\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": "235 thanks\r\n", "QUIT": "221 bye\r\n",
	})
	err := mailerForFake(t, server, func(c *Config) {
		c.TLS, c.Username, c.Password = STARTTLS, "keylodge", domain.NewSecret("correct-horse")
	}).Send(t.Context(), codeEmail(t))
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if received := server.received(); len(received) != 1 || received[0] != "EHLO id.example.org" {
		t.Errorf("the server received %q", received)
	}
}

// A server may repeat secrets, and may send any other text.
func TestSend_ErrorIsSafeForLog(t *testing.T) {
	replies := map[string]string{"RCPT": "550-<ada@example.org> \x1b[31mis\x1b[0m\r\n550-not\there,\r\n550 " + strings.Repeat("really ", 100) + "\r\n"}
	for verb, reply := range stalledServers["RCPT"] {
		replies[verb] = reply
	}
	err := mailerForFake(t, startFakeServer(t, replies), func(*Config) {}).Send(t.Context(), codeEmail(t))
	const want = "sending the recipient to the mail server: undeliverable: 550 <[redacted]> [31mis [0m not here, really really "
	if err == nil || !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\r\x1b") {
		t.Errorf("got %v", err)
	}

	email := codeEmail(t)
	text := newRedactor(Config{Username: "keylodge", Password: domain.NewSecret("correct-horse")}, email).Replace(
		"correct-horse Y29ycmVjdC1ob3JzZQ== AGtleWxvZGdlAGNvcnJlY3QtaG9yc2U= 12345678 1234 5678 ada@example.org or so")
	if text != "[redacted] [redacted] [redacted] [redacted] [redacted] [redacted] or so" {
		t.Errorf("got %q", text)
	}
}

func withTimeout(t *testing.T, do func() error) error {
	t.Helper()
	const limit = 5 * time.Minute // reached only if the test fails
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		t.Fatalf("no result after %s", limit)
		return nil
	}
}
