// Package jobs executes use cases periodically.
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

// Jobs are the periodic jobs of a server.
type Jobs struct {
	usecases application.UseCases
	log      *slog.Logger
}

// shutdownTimeout bounds how long Run waits at its end for pending uses of sessions to be stored.
const shutdownTimeout = 5 * time.Second

// New returns the jobs. Run starts them.
func New(usecases application.UseCases, log *slog.Logger) *Jobs { return &Jobs{usecases, log} }

// Names of jobs in the log.
const (
	jobDeleteExpired           = "delete expired data"
	jobDeleteExpiredRateLimits = "delete expired rate limits"
	jobRefreshSigningKeys      = "refresh signing keys"
	jobSendEmails              = "send e-mails"
	jobWriteLastSeen           = "write last uses of sessions"
)

// Run runs each job immediately and then at its interval, until ctx ends. It logs the error of a job, which runs again at its interval.
// Before it returns, it stores the pending uses of sessions.
func (j *Jobs) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { j.runEvery(ctx, time.Minute, jobDeleteExpired, withTimeout(j.deleteExpired)) })
	running.Go(func() {
		j.runEvery(ctx, time.Minute, jobDeleteExpiredRateLimits, withTimeout(j.usecases.RateLimit.DeleteExpired))
	})
	running.Go(func() {
		j.runEvery(ctx, 30*time.Second, jobRefreshSigningKeys, withTimeout(j.usecases.SigningKeys.Refresh))
	})
	running.Go(func() { j.runEvery(ctx, 2*time.Second, jobSendEmails, j.sendEmails) })
	running.Go(func() { j.runEvery(ctx, time.Second, jobWriteLastSeen, withTimeout(j.writeLastSeen)) })
	running.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	j.run(ctx, jobWriteLastSeen, j.writeLastSeen)
}

func (j *Jobs) runEvery(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		j.run(ctx, name, job)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (j *Jobs) run(ctx context.Context, name string, job func(context.Context) error) {
	if err := job(ctx); err != nil && !errors.Is(err, context.Canceled) {
		j.log.Error("a job failed and will be retried", slog.String("job", name), slog.Any("error", err))
	}
}

// jobTimeout bounds a run of a job, except the connection to a mail server. Without it, a network that drops every packet to the
// database would block the job and its connection until TCP gives up, after about 15 minutes.
const jobTimeout = 2 * time.Minute

func withTimeout(job func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, jobTimeout)
		defer cancel()
		return job(ctx)
	}
}

// deleteExpiredLeaseTTL is shorter than the interval of the job, so that jitter never skips a run.
const deleteExpiredLeaseTTL = 50 * time.Second

func (j *Jobs) deleteExpired(ctx context.Context) error {
	if acquired, err := j.usecases.Maintenance.AcquireLease(ctx, domain.LeaseDeleteExpired, deleteExpiredLeaseTTL); err != nil || !acquired {
		return err
	}
	deleted, err := j.usecases.Maintenance.DeleteExpired(ctx)
	if deleted != (maintenance.Deleted{}) {
		level, message := slog.LevelDebug, "expired data deleted"
		if deleted.Unfinished {
			level, message = slog.LevelInfo, "expired data is being deleted; the next run continues"
		}
		j.log.Log(ctx, level, message, slog.Int("challenges", deleted.Challenges), slog.Int("sessions", deleted.Sessions),
			slog.Int("recovery_grants", deleted.RecoveryGrants), slog.Int("lockouts", deleted.Lockouts), slog.Int("emails", deleted.OutboxEmails),
			slog.Int("events", deleted.Events))
	}
	return err
}

// sendEmails logs each e-mail that could not be sent by its id, without the recipient.
func (j *Jobs) sendEmails(ctx context.Context) error {
	delivered, err := j.usecases.Outbox.Deliver(ctx)
	for _, f := range delivered.Failed {
		attributes := []any{slog.String("email_id", f.ID.String()), slog.String("kind", string(f.Kind)), slog.Int("attempts", f.Attempts), slog.Any("error", f.Cause)}
		if f.GivenUp {
			j.log.Error("an e-mail could not be sent and was discarded", attributes...)
		} else {
			j.log.Warn("an e-mail could not be sent and will be retried", attributes...)
		}
	}
	return err
}

func (j *Jobs) writeLastSeen(ctx context.Context) error {
	_, err := j.usecases.Sessions.WriteLastSeen(ctx)
	return err
}
