// Package inprocess runs a Keylodge server in the process of a test, which gives it a clock, a log and settings.
package inprocess

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

// Listen returns a listener on the address, for example 127.0.0.1:0 for a free port.
func Listen(t testing.TB, address string) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// Start serves the listener until stop is called, or until the end of the test. The test fails if the server fails.
func Start(t testing.TB, listener net.Listener, cfg config.Config, clock ports.Clock, log *slog.Logger) (app *bootstrap.App, stop func()) {
	t.Helper()
	app, err := bootstrap.Open(cfg, clock, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, listener) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		app.Close()
	})
	t.Cleanup(stop)
	return app, stop
}
