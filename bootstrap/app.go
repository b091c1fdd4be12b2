// Package bootstrap assembles the program from the settings, and starts and stops the server. Only main imports it.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

// App is a server with an open database. Serve starts it.
type App struct {
	Jobs []jobs.Job // that Serve runs

	usecases   application.UseCases
	server     publicServer
	operations operations
	meter      jobs.Meter
	log        *slog.Logger
	cleanup    func()
}

// Open assembles a server. It creates or upgrades the database, generates the first signing key, and fails if the database has passkeys
// of another RP ID. The caller closes the App.
func Open(cfg config.Config, clock ports.Clock, log *slog.Logger) (*App, error) {
	app, cleanup, err := assembleApp(cfg, clock, log)
	if err != nil {
		return nil, err
	}
	app.cleanup = cleanup
	if err := app.prepare(context.Background(), cfg); err != nil {
		app.Close()
		return nil, err
	}
	return app, nil
}

func (a *App) prepare(ctx context.Context, cfg config.Config) error {
	retired, err := a.usecases.Maintenance.CheckRPID(ctx)
	if changed, is := errors.AsType[*maintenance.RPIDChangedError](err); is {
		return fmt.Errorf("%w; %s", err, cfg.RPIDAdvice(changed.RPIDs()))
	}
	if err != nil {
		return err
	}
	for id, passkeys := range retired {
		// Meaning: These users must recover their accounts. keylodge doctor counts them again.
		a.log.Warn("the database has passkeys of a retired RP ID, which cannot sign in", slog.String("rp_id", id), slog.Int("passkeys", passkeys))
	}
	return jobs.WithKeyAdvice(a.usecases.SigningKeys.Refresh(ctx))
}

// UseCases assembles the use cases with any implementation of ports.Store, without rate limits. The Secret of cfg must be set.
func UseCases(cfg config.Config, store ports.Store, clock ports.Clock) (application.UseCases, error) {
	if cfg.Secret == nil {
		return application.UseCases{}, errors.New("the settings have no secret: a given store has no key file beside it")
	}
	return assembleUseCases(cfg, *cfg.Secret, sessioncache.New(store), clock, new(ratelimit.Service))
}

// printFirstInvite prints an invite for the first user of a new server on which sign-up requires one. It prints to standard output, so that
// the link, which is a secret, is not in the log.
func (a *App) printFirstInvite(ctx context.Context, stdout io.Writer) error {
	first, err := a.usecases.Admin.FirstInvite(ctx)
	if err != nil || first == nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Sign-up requires an invite, and there is no user yet. Create the first account with this link. It works once, until %s:\n%s\n",
		first.ExpiresAt().UTC().Format(time.RFC3339), first.Link.Reveal())
	return err
}

// UseCases returns the use cases of the server.
func (a *App) UseCases() application.UseCases { return a.usecases }

// Close closes the database. Call it after Serve has returned.
func (a *App) Close() { a.cleanup() }

// shutdownTimeout bounds how long the server waits for requests in flight when it stops.
const shutdownTimeout = 15 * time.Second

// Serve serves requests on the listener and runs the jobs until ctx ends. Then it stops accepting requests, waits for those in flight,
// and stops the jobs, in that order.
func (a *App) Serve(ctx context.Context, listener net.Listener) error {
	background, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { jobs.Run(background, a.Jobs, a.meter, a.log) })
	defer func() {
		stopJobs()
		running.Wait()
	}()

	listener = httpapi.LimitListener(listener, a.log)
	failed := make(chan error, 1)
	go func() { failed <- a.server.Listener(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// Meaning: The server received a signal to stop. It accepts no new connection, and finishes its requests.
	a.log.Info("stopping; waiting for requests in flight")
	// A server that has not begun to accept connections does not know the listener, and would not close it.
	if err := errors.Join(listener.Close(), a.server.ShutdownWithTimeout(shutdownTimeout)); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// ServeOperations serves health checks and metrics on the listener until stop is called.
func (a *App) ServeOperations(listener net.Listener) (stop func()) {
	listener = httpapi.LimitListener(listener, a.log)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := a.operations.Listener(listener); err != nil {
			// Meaning: Health checks and metrics have ended, while the API runs. Restart the server.
			a.log.Error("the operations listener stopped", slog.Any("error", err))
		}
	})
	return func() {
		if err := errors.Join(listener.Close(), a.operations.ShutdownWithTimeout(time.Second)); err != nil {
			// Meaning: A probe or a scraper kept its connection open. The server stops anyway.
			a.log.Warn("stopping the operations listener failed", slog.Any("error", err))
		}
		serving.Wait()
	}
}
