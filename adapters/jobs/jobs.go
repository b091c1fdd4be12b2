// Package jobs runs use cases by the clock.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

// Jobs is what the server does by itself while it serves.
type Jobs struct {
	usecases application.UseCases
	counts   *ratelimit.Counts
	log      *slog.Logger
}

// lastMoment is how long a stop waits for what is written down at its end.
const lastMoment = 5 * time.Second

// New returns jobs that stand still until Run.
func New(usecases application.UseCases, counts *ratelimit.Counts, log *slog.Logger) *Jobs {
	return &Jobs{usecases, counts, log}
}

// Run does each job at once and then whenever it is due again, until ctx ends. One that fails is logged and tried again
// when it is due. What is known at the end is written down before it returns.
func (j *Jobs) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { j.every(ctx, time.Minute, "sweeping", patiently(j.sweep)) })
	running.Go(func() { j.every(ctx, time.Minute, "sweeping counts of calls", patiently(j.counts.Sweep)) })
	running.Go(func() {
		j.every(ctx, 30*time.Second, "keeping the signing keys", patiently(j.usecases.Housekeeping.KeepKeys.Execute))
	})
	running.Go(func() { j.every(ctx, 2*time.Second, "sending mail", j.deliver) })
	running.Go(func() { j.every(ctx, time.Second, "writing down when sessions were used", patiently(j.lastSeen)) })
	running.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMoment)
	defer cancel()
	j.attempt(ctx, "writing down when sessions were used", j.lastSeen)
}

func (j *Jobs) every(ctx context.Context, interval time.Duration, doing string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		j.attempt(ctx, doing, do)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// patience is how long a job may take, less what it waits for a mail server. A store behind a network that swallows everything
// would else keep it, and its connection, for as long as the system tries, which is a quarter of an hour.
const patience = 2 * time.Minute

func (j *Jobs) attempt(ctx context.Context, doing string, do func(context.Context) error) {
	if err := do(ctx); err != nil && !errors.Is(err, context.Canceled) {
		j.log.Error(doing+" failed; it is tried again soon", slog.Any("error", err))
	}
}

func patiently(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return do(ctx)
	}
}

// sweepTurn is a little less than the time between two sweeps, since no clock strikes twice at the same moment.
const sweepTurn = 50 * time.Second

func (j *Jobs) sweep(ctx context.Context) error {
	if mine, err := j.usecases.Housekeeping.TakeDuty.Execute(ctx, domain.DutySweep, sweepTurn); err != nil || !mine {
		return err
	}
	swept, err := j.usecases.Housekeeping.Sweep.Execute(ctx)
	if swept != (housekeeping.Swept{}) {
		level, message := slog.LevelDebug, "swept"
		if swept.Unfinished {
			level, message = slog.LevelInfo, "expired data is being deleted; the next run continues"
		}
		j.log.Log(ctx, level, message, slog.Int("challenges", swept.Challenges), slog.Int("sessions", swept.Sessions), slog.Int("grants", swept.Grants),
			slog.Int("lockouts", swept.Lockouts), slog.Int("messages", swept.Messages), slog.Int("events", swept.Events))
	}
	return err
}

// deliver reports each message that could not be sent by its id, never by whom it was for.
func (j *Jobs) deliver(ctx context.Context) error {
	delivered, err := j.usecases.Housekeeping.Deliver.Execute(ctx)
	for _, f := range delivered.Failed {
		about := []any{slog.String("message_id", f.ID.String()), slog.String("kind", string(f.Kind)), slog.Int("attempts", f.Attempts), slog.Any("error", f.Cause)}
		if f.GivenUp {
			j.log.Error("a message could not be sent and is given up", about...)
		} else {
			j.log.Warn("a message could not be sent; it is tried again later", about...)
		}
	}
	return err
}

func (j *Jobs) lastSeen(ctx context.Context) error {
	_, err := j.usecases.Housekeeping.LastSeen.Execute(ctx)
	return err
}
