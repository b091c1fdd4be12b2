package bootstrap

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
)

func TestTheCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		arguments []string
		code      int
		out, err  string
	}{
		"help":            {[]string{"help"}, 0, "passkey server", ""},
		"help as a flag":  {[]string{"--help"}, 0, "passkey server", ""},
		"version":         {[]string{"version"}, 0, "keylodge ", ""},
		"no such command": {[]string{"dance"}, 2, "", `no command "dance"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := Main(c.arguments, &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.err) || c.err == "" && stderr.Len() > 0 {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
}

func TestBadSettingsAreToldBeforeAnythingIsMade(t *testing.T) {
	if _, err := load(t, "PUBLIC_URL=http://id.example.org"); err == nil {
		t.Fatal("the settings are good")
	}
	var stdout, stderr bytes.Buffer
	if code := Main(nil, &stdout, &stderr); code != exitMisusage || !strings.Contains(stderr.String(), "KEYLODGE_PUBLIC_URL") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("left behind: %v", made)
	}
}

func TestATakenAddressIsToldBeforeTheDatabaseIsTouched(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config, err := load(t, "LISTEN="+taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_LISTEN") {
		t.Errorf("got %v", err)
	}
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("left behind: %v", made)
	}
}

func TestItMakesItsDatabaseAndSecretOnceAndStopsWhenTold(t *testing.T) {
	config, err := load(t, "LISTEN=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		log := newLineLog()
		stopped := make(chan error, 1)
		go func() { stopped <- run(ctx, config, slog.New(slog.NewTextHandler(log, nil))) }()
		if first := <-log.lines; !strings.Contains(first, "open http://localhost:0 in a browser") {
			t.Errorf("the first line is %q", first)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		secret, err := os.ReadFile("keylodge.secret")
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(secret))
	}
	if secrets[0] != secrets[1] {
		t.Error("the second start made another secret")
	}
	files, _ := filepath.Glob("*")
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
}

func TestAStopWaitsForRequestsUnderWay(t *testing.T) {
	config, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(config, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- app.Serve(ctx, listener) }()

	// A request that is half way here when the stop comes.
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("POST /v1/login/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	waitUntilServed(t, listener.Addr().String())
	stop()
	time.Sleep(50 * time.Millisecond) // let the stop begin; the test holds however long it takes
	if _, err := conn.Write([]byte("}")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("the request under way got %q, %v", answer, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func waitUntilServed(t *testing.T, address string) {
	t.Helper()
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("readyz says %s", response.Status)
	}
}

// lineLog hands out log lines as they are written.
type lineLog struct{ lines chan string }

func newLineLog() lineLog { return lineLog{make(chan string, 16)} }

func (l lineLog) Write(line []byte) (int, error) {
	select {
	case l.lines <- string(line):
	default: // nobody reads more than the first ones
	}
	return len(line), nil
}
