// Package bootstrap puts the house together: it reads the settings, builds every part, starts them in order and stops them in
// order. Only main imports it.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

// App is a whole server, opened and not yet serving.
type App struct {
	usecases   application.UseCases
	server     publicServer
	operations operations
	jobs       *jobs.Jobs
	log        *slog.Logger
	cleanup    func()
}

// Open builds a server over its database, which it makes or upgrades as needed. It refuses to if passkeys there would open
// nothing, and makes sure of its signing keys.
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
		a.log.Warn("the database has passkeys of a retired RP ID, which cannot sign in", slog.String("rp_id", id), slog.Int("passkeys", passkeys))
	}
	err = a.usecases.SigningKeys.Refresh(ctx)
	if errors.Is(err, signingkeys.ErrUndecryptable) {
		return fmt.Errorf("%w; only if that secret is lost, remove the keys with: keylodge keys rotate", err)
	}
	return err
}

// UseCases builds the use cases over any store that keeps the contract of ports.Store, without rate limits. config.Config needs its Secret.
func UseCases(cfg config.Config, store ports.Store, clock ports.Clock) (application.UseCases, error) {
	if cfg.Secret == nil {
		return application.UseCases{}, errors.New("without a database of its own the product needs a configured secret")
	}
	return assembleUseCases(cfg, *cfg.Secret, store, clock, new(ratelimit.Service))
}

// UseCases is the product that the server serves.
func (a *App) UseCases() application.UseCases { return a.usecases }

// Close gives the database back. It comes after Serve has returned.
func (a *App) Close() { a.cleanup() }

// shutdownTimeout is how long requests in flight may take once the server is told to stop.
const shutdownTimeout = 15 * time.Second

// Serve answers on the listener and runs the jobs, until ctx ends. Then it stops taking requests, lets those in flight
// finish, and stops the jobs, in that order.
func (a *App) Serve(ctx context.Context, listener net.Listener) error {
	background, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() { a.jobs.Run(background) })
	defer func() {
		stopJobs()
		working.Wait()
	}()

	failed := make(chan error, 1)
	go func() { failed <- a.server.Listener(httpapi.LimitListener(listener, a.log)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	a.log.Info("stopping; requests under way are finished first")
	if err := a.server.ShutdownWithTimeout(shutdownTimeout); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// ServeOperations answers the operator's tools on the listener, until stop is called.
func (a *App) ServeOperations(listener net.Listener) (stop func()) {
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := a.operations.Listener(httpapi.LimitListener(listener, a.log)); err != nil {
			a.log.Error("health and metrics are gone", slog.Any("error", err))
		}
	})
	return func() {
		if err := a.operations.ShutdownWithTimeout(time.Second); err != nil {
			a.log.Warn("stopping health and metrics", slog.Any("error", err))
		}
		serving.Wait()
	}
}
