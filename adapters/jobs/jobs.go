// Package jobs executes use cases periodically.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

// Job is work that runs at the start of a server and then at an interval.
type Job struct {
	Name    string // in the log
	Every   time.Duration
	Timeout time.Duration // of one run; 0 if Run has its own
	Run     func(context.Context) error
	AtStop  bool // whether the job also runs when the server stops
}

// jobTimeout bounds a run of a job, except the connection to a mail server. Without it, a network that drops every packet to the
// database would block the job and its connection until TCP gives up, after about 15 minutes.
const jobTimeout = 2 * time.Minute

// RefreshSigningKeys is the name of a job.
const RefreshSigningKeys = "refresh signing keys"

// Meter records what the jobs do.
type Meter interface {
	// ObserveJob records a run of a job.
	ObserveJob(name string, took time.Duration, succeeded bool)
	// CountEmails counts e-mails whose delivery was attempted.
	CountEmails(sent, retried, discarded int)
	// SetEmailBacklog records the e-mails that wait, and when the oldest of them was queued; zero if none waits.
	SetEmailBacklog(waiting int, oldestSince time.Time)
	// SetSigningKey records when the key that signs was created; zero if the operator provides it.
	SetSigningKey(createdAt time.Time)
}

// New returns the jobs of a server.
func New(usecases application.UseCases, meter Meter, log *slog.Logger) []Job {
	run := runner{usecases, meter, log}
	return []Job{
		{Name: "delete expired data", Every: time.Minute, Timeout: jobTimeout, Run: run.deleteExpired},
		{Name: "delete expired rate limits", Every: time.Minute, Timeout: jobTimeout, Run: usecases.RateLimit.DeleteExpired},
		{Name: RefreshSigningKeys, Every: 30 * time.Second, Timeout: jobTimeout, Run: run.refreshSigningKeys},
		{Name: "send e-mails", Every: 2 * time.Second, Run: run.sendEmails},
		{Name: "measure", Every: 15 * time.Second, Timeout: jobTimeout, Run: run.measure},
		{Name: "write last uses of sessions", Every: time.Second, Timeout: jobTimeout, Run: run.writeLastSeen, AtStop: true},
	}
}

// shutdownTimeout bounds how long Run waits at its end for the jobs that also run then.
const shutdownTimeout = 5 * time.Second

// Run runs each job immediately and then at its interval, until ctx ends. It logs the error of a job, which runs again at its interval.
// Before it returns, it runs the jobs with AtStop.
func Run(ctx context.Context, jobs []Job, meter Meter, log *slog.Logger) {
	var running sync.WaitGroup
	for _, job := range jobs {
		running.Go(func() { job.repeat(ctx, meter, log) })
	}
	running.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, job := range jobs {
		if job.AtStop {
			job.once(ctx, meter, log)
		}
	}
}

func (j Job) repeat(ctx context.Context, meter Meter, log *slog.Logger) {
	ticker := time.NewTicker(j.Every)
	defer ticker.Stop()
	for {
		j.once(ctx, meter, log)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (j Job) once(ctx context.Context, meter Meter, log *slog.Logger) {
	if j.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.Timeout)
		defer cancel()
	}
	began := time.Now()
	err := j.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return
	}
	meter.ObserveJob(j.Name, time.Since(began), err == nil)
	if err != nil {
		// Meaning: A background job, which job names, has ended with an error. If it repeats, correct the cause in error.
		log.Error("a job failed and will be retried", slog.String("job", j.Name), slog.Any("error", err))
	}
}

// runner has the jobs that log what they did.
type runner struct {
	usecases application.UseCases
	meter    Meter
	log      *slog.Logger
}

// deleteExpiredLeaseTTL is shorter than the interval of the job, so that jitter never skips a run.
const deleteExpiredLeaseTTL = 50 * time.Second

func (r runner) deleteExpired(ctx context.Context) error {
	if acquired, err := r.usecases.Maintenance.AcquireLease(ctx, domain.LeaseDeleteExpired, deleteExpiredLeaseTTL); err != nil || !acquired {
		return err
	}
	deleted, err := r.usecases.Maintenance.DeleteExpired(ctx)
	if deleted != (maintenance.Deleted{}) {
		level, message := slog.LevelDebug, "expired data deleted"
		if deleted.Unfinished {
			level, message = slog.LevelInfo, "expired data is being deleted; the next run continues"
		}
		// Meaning: The job that runs once a minute deleted expired rows. The level is INFO if one run could not delete all of
		// them: the next run continues.
		r.log.Log(ctx, level, message, slog.Int("challenges", deleted.Challenges), slog.Int("authorization_codes", deleted.AuthorizationCodes), slog.Int("sessions", deleted.Sessions),
			slog.Int("recovery_grants", deleted.RecoveryGrants), slog.Int("invites", deleted.Invites), slog.Int("lockouts", deleted.Lockouts), slog.Int("emails", deleted.OutboxEmails),
			slog.Int("events", deleted.Events))
	}
	return err
}

// sendEmails logs each e-mail that could not be sent by its id, without the recipient.
func (r runner) sendEmails(ctx context.Context) error {
	delivered, err := r.usecases.Outbox.Deliver(ctx)
	discarded := 0
	for _, f := range delivered.Failed {
		attributes := []any{slog.String("email_id", f.ID.String()), slog.String("kind", string(f.Kind)), slog.Int("attempts", f.Attempts), slog.Any("error", f.Cause)}
		if f.GivenUp {
			discarded++
			// Meaning: The e-mail has expired or the mail server rejects it. docs/runbooks/email-not-sent.md has the causes.
			r.log.Error("an e-mail could not be sent and was discarded", attributes...)
		} else {
			// Meaning: The mail server did not accept the e-mail. If it repeats, follow docs/runbooks/email-not-sent.md.
			r.log.Warn("an e-mail could not be sent and will be retried", attributes...)
		}
	}
	r.meter.CountEmails(delivered.Sent, len(delivered.Failed)-discarded, discarded)
	return err
}

func (r runner) refreshSigningKeys(ctx context.Context) error {
	return WithKeyAdvice(r.usecases.SigningKeys.Refresh(ctx))
}

// WithKeyAdvice adds to the error of Refresh what the operator does about keys whose secret is lost.
func WithKeyAdvice(err error) error {
	if errors.Is(err, signingkeys.ErrUndecryptable) {
		return fmt.Errorf("%w; only if that secret is lost, remove the keys with: keylodge keys rotate", err)
	}
	return err
}

// measure records what only the database knows.
func (r runner) measure(ctx context.Context) error {
	backlog, err := r.usecases.Outbox.Backlog(ctx)
	if err != nil {
		return err
	}
	r.meter.SetEmailBacklog(backlog.Waiting, backlog.OldestSince)
	keys, err := r.usecases.SigningKeys.List(ctx)
	for _, key := range keys {
		if key.State == signingkeys.KeySigning {
			r.meter.SetSigningKey(key.CreatedAt)
		}
	}
	return err
}

func (r runner) writeLastSeen(ctx context.Context) error {
	_, err := r.usecases.Sessions.WriteLastSeen(ctx)
	return err
}
