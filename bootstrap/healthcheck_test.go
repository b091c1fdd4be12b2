package bootstrap

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/cli"
)

func TestHealthcheck_FollowsReadyz(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	newDatabaseWithUsers(t, "LISTEN=0.0.0.0:"+port, "OPS_LISTEN=") // the address in a container
	wantCommand(t, "healthcheck", cli.ExitFailure, "the server is not ready: ")
	startServer(t)
	wantCommand(t, "healthcheck", cli.ExitOK, "ready\n")
	t.Setenv("KEYLODGE_PUBLIC_URL", "nowhere")
	wantCommand(t, "healthcheck", cli.ExitUsage, "KEYLODGE_PUBLIC_URL")
}

func TestHealthcheck_FailsIfNotReady(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ready"}`)) }))
	defer ready.Close()
	for name, handler := range map[string]http.HandlerFunc{
		"503 Service Unavailable":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"not as Keylodge does":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready")) },
		`the status is "starting"`: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"starting"}`)) },
		"307 Temporary Redirect":   http.RedirectHandler(ready.URL+"/readyz", http.StatusTemporaryRedirect).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			other := httptest.NewServer(handler)
			defer other.Close()
			settings.Set(t, "LISTEN="+other.Listener.Addr().String())
			wantCommand(t, "healthcheck", cli.ExitFailure, name)
			if _, err := os.Stat("keylodge.db"); !os.IsNotExist(err) {
				t.Errorf("the command has created a database: %v", err)
			}
			if _, stdout, _ := runCommand("healthcheck"); stdout != "" {
				t.Errorf("it prints %q", stdout)
			}
		})
	}
}
