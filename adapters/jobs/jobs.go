// Package jobs runs use cases by the clock.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
)

// Jobs is what the server does by itself while it serves.
type Jobs struct {
	usecases application.UseCases
	log      *slog.Logger
}

// shutdownTimeout is how long a stop waits for what is written down at its end.
const shutdownTimeout = 5 * time.Second

// New returns jobs that stand still until Run.
func New(usecases application.UseCases, log *slog.Logger) *Jobs {
	return &Jobs{usecases, log}
}

// Run does each job at once and then whenever it is due again, until ctx ends. One that fails is logged and tried again
// when it is due. What is known at the end is written down before it returns.
func (j *Jobs) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { j.runEvery(ctx, time.Minute, "sweeping", withTimeout(j.deleteExpired)) })
	running.Go(func() {
		j.runEvery(ctx, time.Minute, "sweeping counts of calls", withTimeout(j.usecases.RateLimit.DeleteExpired))
	})
	running.Go(func() {
		j.runEvery(ctx, 30*time.Second, "keeping the signing keys", withTimeout(j.usecases.SigningKeys.Refresh))
	})
	running.Go(func() { j.runEvery(ctx, 2*time.Second, "sending mail", j.sendEmails) })
	running.Go(func() {
		j.runEvery(ctx, time.Second, "writing down when sessions were used", withTimeout(j.writeLastSeen))
	})
	running.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	j.attempt(ctx, "writing down when sessions were used", j.writeLastSeen)
}

func (j *Jobs) runEvery(ctx context.Context, interval time.Duration, doing string, do func(context.Context) error) {
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

// jobTimeout is how long a job may take, less what it waits for a mail server. A store behind a network that swallows everything
// would else keep it, and its connection, for as long as the system tries, which is a quarter of an hour.
const jobTimeout = 2 * time.Minute

func (j *Jobs) attempt(ctx context.Context, doing string, do func(context.Context) error) {
	if err := do(ctx); err != nil && !errors.Is(err, context.Canceled) {
		j.log.Error(doing+" failed; it is tried again soon", slog.Any("error", err))
	}
}

func withTimeout(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, jobTimeout)
		defer cancel()
		return do(ctx)
	}
}

// deleteExpiredLeaseTTL is a little less than the time between two sweeps, since no clock strikes twice at the same moment.
const deleteExpiredLeaseTTL = 50 * time.Second

func (j *Jobs) deleteExpired(ctx context.Context) error {
	if mine, err := j.usecases.Maintenance.AcquireLease(ctx, domain.LeaseDeleteExpired, deleteExpiredLeaseTTL); err != nil || !mine {
		return err
	}
	swept, err := j.usecases.Maintenance.DeleteExpired(ctx)
	if swept != (maintenance.Deleted{}) {
		level, message := slog.LevelDebug, "swept"
		if swept.Unfinished {
			level, message = slog.LevelInfo, "expired data is being deleted; the next run continues"
		}
		j.log.Log(ctx, level, message, slog.Int("challenges", swept.Challenges), slog.Int("sessions", swept.Sessions), slog.Int("grants", swept.RecoveryGrants),
			slog.Int("lockouts", swept.Lockouts), slog.Int("messages", swept.OutboxEmails), slog.Int("events", swept.Events))
	}
	return err
}

// sendEmails reports each message that could not be sent by its id, never by whom it was for.
func (j *Jobs) sendEmails(ctx context.Context) error {
	delivered, err := j.usecases.Outbox.Deliver(ctx)
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

func (j *Jobs) writeLastSeen(ctx context.Context) error {
	_, err := j.usecases.Sessions.WriteLastSeen(ctx)
	return err
}
