// Command testclock is a server whose clock a test advances. It adds the duration in the file that TEST_CLOCK names and the skew
// in TEST_SKEW to the time. It refreshes its signing keys more often, since its days are shorter, and logs each refresh.
package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := cli.Run(ctx, cli.Program{Serve: serve, Open: openUseCases, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

func serve(ctx context.Context) error {
	app, cfg, err := open()
	if err != nil {
		return err
	}
	defer app.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	return app.Serve(ctx, listener)
}

func openUseCases(context.Context) (usecases application.UseCases, release func() error, err error) {
	app, _, err := open()
	if err != nil {
		return usecases, nil, err
	}
	return app.UseCases(), func() error {
		app.Close()
		return nil
	}, nil
}

func open() (*bootstrap.App, config.Config, error) {
	cfg, err := config.Load()
	if err != nil {
		return nil, cfg, err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	app, err := bootstrap.Open(cfg, clock{}, log)
	if err != nil {
		return nil, cfg, err
	}
	for i := range app.Jobs {
		if job := &app.Jobs[i]; job.Name == jobs.RefreshSigningKeys {
			refresh := job.Run
			job.Every = 50 * time.Millisecond
			job.Run = func(ctx context.Context) error {
				err := refresh(ctx)
				log.Warn("signing keys refreshed")
				return err
			}
		}
	}
	return app, cfg, nil
}

// clock is the system's clock, advanced by the test.
type clock struct{}

func (clock) Now() time.Time {
	text, err := os.ReadFile(os.Getenv("TEST_CLOCK"))
	if err != nil {
		panic(err)
	}
	return system.Clock{}.Now().Add(parse(string(text)) + parse(os.Getenv("TEST_SKEW")))
}

func parse(duration string) time.Duration {
	d, err := time.ParseDuration(duration)
	if err != nil {
		panic(err)
	}
	return d
}
