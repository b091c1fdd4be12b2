package bootstrap

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func TestOpen_RequiresKeyFileOfDatabase(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
		if err == nil {
			app.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("keylodge.secret", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "restore the file") {
		t.Errorf("without the key file: %v", err)
	}
	if made, _ := os.Stat("keylodge.secret"); made != nil {
		t.Error("another key file was created")
	}
	if err := os.Rename("elsewhere", "keylodge.secret"); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("with the restored key file: %v", err)
	}
}

func TestOpen_RejectsChangedRPIDUnlessRetired(t *testing.T) {
	newDatabaseWithUsers(t)
	open := func(settings ...string) error {
		for _, setting := range settings {
			name, value, _ := strings.Cut(setting, "=")
			t.Setenv("KEYLODGE_"+name, value)
		}
		cfg, err := config.Load()
		if err != nil {
			t.Fatal(err)
		}
		app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
		if err == nil {
			app.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	err := open("PUBLIC_URL=https://id.example.org")
	if err == nil || !strings.Contains(err.Error(), "the RP ID is id.example.org") || !strings.Contains(err.Error(), "2 of localhost") || !strings.Contains(err.Error(), "KEYLODGE_RETIRED_RP_IDS=localhost") {
		t.Errorf("changed: %v", err)
	}
	if exitCode, stdout, _ := runCommand("users list"); exitCode != cli.ExitOK || !strings.Contains(stdout, "ada@example.org") {
		t.Errorf("users list: exit %d", exitCode)
	}
	if err := open("RETIRED_RP_IDS=localhost"); err != nil {
		t.Errorf("retired: %v", err)
	}
	if err := open("PUBLIC_URL=https://id.example.com", "RETIRED_RP_IDS=id.example.org"); err == nil {
		t.Error("an RP id retired for one change also allowed another one")
	}
}

func TestOpen_EmptyFileIsNewDatabase(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("keylodge.db", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app.Close()
}

func TestServe_StopWaitsForRequests(t *testing.T) {
	app, listener := openWithListener(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- app.Serve(ctx, listener) }()

	// The server stops while it reads this request.
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("POST /v1/login/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	waitUntilServed(t, listener.Addr().String())
	stop()
	waitUntilRefused(t, listener.Addr().String())
	select {
	case err := <-stopped:
		t.Fatalf("stopped during a request: %v", err)
	default:
	}
	if _, err := conn.Write([]byte("}")); err != nil {
		t.Fatal(err)
	}
	response := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := conn.Read(response); err != nil || string(response) != "HTTP/1.1 200 OK" {
		t.Errorf("response %q, %v", response, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		defer conn.Close()
		t.Error("accepts connections after the stop")
	}
}

// Requirement: ASVS-13.3.1
func TestOpen_CreatesKeyFileNextToDatabase(t *testing.T) {
	cfg, err := load(t, "DATABASE_URL=sqlite:data/keylodge.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app.Close()
	if files, _ := filepath.Glob("*/*"); !slices.Equal(files, []string{"data/keylodge.db", "data/keylodge.secret"}) {
		t.Errorf("created %v", files)
	}
}

func TestOpen_CreatesNoKeyFileNextToDatabaseOfAnotherProgram(t *testing.T) {
	cfg, err := load(t, "DATABASE_URL=sqlite:notes.db")
	if err != nil {
		t.Fatal(err)
	}
	notes, err := driver.Open("file:notes.db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notes.ExecContext(t.Context(), "CREATE TABLE notes (text)"); err != nil {
		t.Fatal(err)
	}
	if err := notes.Close(); err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err == nil {
		app.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "notes.db: this is not a Keylodge database: it has tables of another program") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	wantFiles(t, "notes.db")
}

func TestOpen_ConfiguredSecretIsNotWritten(t *testing.T) {
	cfg, err := load(t, "SECRET="+settings.FirstSecret)
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app.Close()
	if files, _ := filepath.Glob("*"); !slices.Equal(files, []string{"keylodge.db"}) {
		t.Errorf("created %v", files)
	}
}

func TestUseCases_RequiresSecret(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UseCases(cfg, sqlitestore.New(t), system.Clock{}); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestServe_ReturnsListenerError(t *testing.T) {
	app, listener := openWithListener(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := app.Serve(t.Context(), listener); err == nil {
		t.Error("no error for a closed listener")
	}
}

// slowClock blocks calls of Now after slow is set, until resume is closed.
type slowClock struct {
	slow           *atomic.Bool
	called, resume chan struct{}
}

func (c slowClock) Now() time.Time {
	if c.slow.Load() {
		select {
		case c.called <- struct{}{}:
		default: // called already has a value
		}
		<-c.resume
	}
	return time.Now()
}

func TestServe_StopWaitsForJobs(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	clock := slowClock{new(atomic.Bool), make(chan struct{}, 1), make(chan struct{})}
	app, err := Open(cfg, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clock.slow.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- app.Serve(ctx, listener) }()
	<-clock.called // by a job: there are no requests
	stop()
	waitUntilRefused(t, listener.Addr().String())
	select {
	case err := <-stopped:
		t.Errorf("stopped during a job, which needs the database: %v", err)
	case <-time.After(50 * time.Millisecond): // enough for a wrong implementation to stop; a right one passes after any duration
		close(clock.resume)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

// A signal can arrive before the server has begun to accept connections.
func TestServe_ClosesListenerIfStoppedAtOnce(t *testing.T) {
	app, listener := openWithListener(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := app.Serve(ctx, listener); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("still accepts connections")
	}
}

func TestServeOperations_StopsAtOnce(t *testing.T) {
	app, listener := openWithListener(t)
	app.ServeOperations(listener)() // does not return if it waits for a server that has not begun to accept connections
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("still accepts connections")
	}
}

// waitUntilRefused waits until connections are refused.
func waitUntilRefused(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("still accepts connections")
		}
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
		t.Fatalf("/readyz: %s", response.Status)
	}
}

func TestServeOperations_SeparateListener(t *testing.T) {
	app, listener := openWithListener(t)
	stop := app.ServeOperations(listener)
	waitUntilServed(t, listener.Addr().String())
	get := func(path string) (status int, body string) {
		response, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(read)
	}
	for path, want := range map[string]int{"/livez": 200, "/metrics": 200, "/v1/config": 404, "/": 404} {
		if status, body := get(path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body := get("/metrics"); !strings.Contains(body, `keylodge_ceremonies_rejected_total{reason="signature_invalid"} 0`) {
		t.Errorf("no counter of reasons: %s", body)
	}
	stop()
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("accepts connections after stop")
	}
}

// openWithListener returns an app with a new database, and a listener for it.
func openWithListener(t *testing.T) (*App, net.Listener) {
	t.Helper()
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return app, listener
}
