// Package jobs runs use cases by the clock.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/keylodge/keylodge/application"
)

// sweepInterval is how long the leftovers of ceremonies and sessions wait at most.
const sweepInterval = time.Minute

// Sweeper sweeps away expired challenges and sessions while it runs.
type Sweeper struct {
	usecases application.UseCases
	log      *slog.Logger
}

// NewSweeper makes a sweeper that stands still until Run.
func NewSweeper(usecases application.UseCases, log *slog.Logger) *Sweeper {
	return &Sweeper{usecases, log}
}

// Run sweeps at once and then every minute, until ctx ends. A sweep that fails is logged, and the next one tries again.
func (s *Sweeper) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	swept, err := s.usecases.Housekeeping.Sweep.Execute(ctx)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		s.log.Error("sweeping failed; it is tried again in a minute", slog.Any("error", err))
	case swept.Challenges+swept.Sessions > 0:
		s.log.Debug("swept", slog.Int("challenges", swept.Challenges), slog.Int("sessions", swept.Sessions))
	}
}
