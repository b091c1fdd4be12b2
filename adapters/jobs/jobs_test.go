package jobs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var sessionLifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}

type clock struct{}

func (clock) Now() time.Time { return time.Now().UTC() }

// newSigningKeys returns the signing keys of the store, encrypted with a secret of zeros.
func newSigningKeys(t *testing.T, store ports.Store) *signingkeys.Service {
	t.Helper()
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, masterkey.Size)))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}
	return &signingkeys.Service{Store: store, TokenKeys: jwt.New(), Sealer: sealer, Clock: clock{}, Rotation: rotation}
}

// runningJobs are jobs in the background. The log may be read while all jobs wait. stop cancels the jobs and waits for their end.
type runningJobs struct {
	log      *bytes.Buffer
	meter    *metrics.Metrics
	sessions *sessions.Service
	stop     func()
}

// startJobs starts jobs that send no e-mail.
func startJobs(t *testing.T, store ports.Store) runningJobs {
	t.Helper()
	return startJobsWith(t, store, &outbox.Service{})
}

func startJobsWith(t *testing.T, store ports.Store, emails *outbox.Service) runningJobs {
	t.Helper()
	log, service := &bytes.Buffer{}, &sessions.Service{Store: sessioncache.New(store), Clock: clock{}, Lifetime: sessionLifetime}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	meter := metrics.New()
	all := jobs.New(application.UseCases{
		Maintenance: &maintenance.Service{Store: store, Clock: clock{}},
		SigningKeys: newSigningKeys(t, store),
		Outbox:      emails,
		Sessions:    service,
		RateLimit:   &ratelimit.Service{},
	}, meter, logger)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		jobs.Run(ctx, all, meter, logger)
		close(stopped)
	}()
	synctest.Wait()
	return runningJobs{log, meter, service, func() {
		cancel()
		<-stopped
	}}
}

// advance advances the clock and waits for the jobs that are due.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func update(t *testing.T, store ports.Store, fn func(ports.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// addExpiredChallenge stores a challenge that expired an hour ago.
func addExpiredChallenge(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	challenge := domain.NewChallenge(domain.PurposeLogin, domain.ChallengeContext{}, []byte("state"), nil, 0, time.Now().Add(-time.Hour), rand.Reader)
	update(t, store, func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), challenge) })
	return challenge.ID()
}

func exists(t *testing.T, store ports.Store, id domain.ChallengeID) bool {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Challenges.ByID(t.Context(), id)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// addSession stores a session that was opened the given time ago.
func addSession(t *testing.T, store ports.Store, ago time.Duration) domain.SessionID {
	t.Helper()
	ada := domain.NewPendingUser("", "Ada", time.Now(), rand.Reader)
	key, err := domain.NewCredential(ada.UserID, "", sqlitestore.Registration("id"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	session, _ := domain.OpenSession(key, domain.Device{}, sessionLifetime, time.Now().UTC().Add(-ago), rand.Reader)
	update(t, store, func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.ToUser(time.Now())), tx.Sessions.Add(t.Context(), session))
	})
	return session.ID()
}

// lastSeenAt returns the stored time of the last use of a session.
func lastSeenAt(t *testing.T, store ports.Store, id domain.SessionID) (at time.Time) {
	t.Helper()
	err := store.View(context.WithoutCancel(t.Context()), func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(t.Context(), id)
		if err == nil {
			at = session.State().LastSeenAt
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func signingKeyIDs(t *testing.T, store ports.Store) (ids []string) {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		all, err := tx.SigningKeys.All(t.Context())
		for _, key := range all {
			ids = append(ids, key.ID())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestRun_DeletesExpiredEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		expired := addExpiredChallenge(t, store)
		defer startJobs(t, store).stop()
		if exists(t, store, expired) {
			t.Error("the start did not delete the challenge")
		}
		for range 3 {
			expired := addExpiredChallenge(t, store)
			advance(time.Minute - time.Nanosecond)
			if !exists(t, store, expired) {
				t.Error("the challenge was deleted before a minute passed")
			}
			advance(time.Nanosecond)
			if exists(t, store, expired) {
				t.Error("the challenge was not deleted after a minute")
			}
		}
	})
}

// A key may become undecryptable while the server runs: another node with another secret adds one, or a restore does.
func TestRun_UndecryptableKeyIsLoggedWithAdvice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		running := startJobs(t, store)
		defer running.stop()
		foreign := domain.SigningKeys{}.Successor("foreign", domain.SigningEdDSA, []byte("encrypted with another secret"), time.Now())
		update(t, store, func(tx ports.Tx) error { return tx.SigningKeys.Add(t.Context(), foreign) })
		advance(30 * time.Second)
		const advice = "only if that secret is lost, remove the keys with: keylodge keys rotate"
		if log := running.log.String(); countFailures(running.log, jobs.RefreshSigningKeys) != 1 || !strings.Contains(log, advice) {
			t.Errorf("want one error of the job with the advice, got %s", log)
		}
	})
}

func TestRun_RefreshesKeysEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		defer startJobs(t, store).stop()
		for range 3 {
			ids := signingKeyIDs(t, store)
			if len(ids) != 1 {
				t.Fatalf("stored keys: %q, want one", ids)
			}
			update(t, store, func(tx ports.Tx) error { return tx.SigningKeys.Remove(t.Context(), ids[0]) })
			advance(30*time.Second - time.Nanosecond)
			if len(signingKeyIDs(t, store)) != 0 {
				t.Error("the keys were refreshed before 30 seconds passed")
			}
			advance(time.Nanosecond)
		}
	})
}

func TestRun_WritesLastSeenEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		defer run.stop()
		advance(5 * time.Minute)
		for range 3 {
			used := time.Now().UTC()
			before := lastSeenAt(t, store, id)
			run.sessions.RecordUse(id, "", used)
			advance(time.Second - time.Nanosecond)
			if stored := lastSeenAt(t, store, id); !stored.Equal(before) {
				t.Errorf("the use was stored before a second passed: %s", stored)
			}
			advance(time.Nanosecond)
			if stored := lastSeenAt(t, store, id); !stored.Equal(used) {
				t.Errorf("stored after a second: last use %s, want %s", stored, used)
			}
			advance(2 * time.Minute)
		}
	})
}

func TestRun_WritesPendingLastSeenOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		advance(5*time.Minute + time.Second/2) // between two runs
		used := time.Now().UTC()
		run.sessions.RecordUse(id, "", used)
		run.stop()
		if stored := lastSeenAt(t, store, id); !stored.Equal(used) {
			t.Errorf("stored: last use %s, want %s", stored, used)
		}
		if run.log.Len() > 0 {
			t.Errorf("logged %s", run.log)
		}
	})
}

// interruptedStore is a store whose next Update, if waiting is set, blocks until its context is canceled.
type interruptedStore struct {
	ports.Store
	waiting atomic.Bool
}

func (s *interruptedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.waiting.CompareAndSwap(true, false) {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Update(ctx, fn)
}

func TestRun_CompletesLastSeenWriteOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &interruptedStore{Store: sqlitestore.NewInBubble(t)}
		id := addSession(t, store, 0)
		run := startJobs(t, store)
		advance(5*time.Minute + time.Second/2)
		used := time.Now().UTC()
		run.sessions.RecordUse(id, "", used)
		store.waiting.Store(true)
		advance(time.Second / 2)
		if store.waiting.Load() {
			t.Fatal("the job did not begin to write")
		}
		run.stop()
		if stored := lastSeenAt(t, store, id); !stored.Equal(used) {
			t.Errorf("stored: last use %s, want %s", stored, used)
		}
		if run.log.Len() > 0 {
			t.Errorf("logged %s", run.log)
		}
	})
}

// slowStore takes a second to delete a session.
type slowStore struct{ ports.Store }

type slowSessions struct{ ports.Sessions }

func (s slowStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = slowSessions{tx.Sessions}
		return fn(tx)
	})
}

func (s slowSessions) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.Sessions.DeleteExpired(ctx, before, limit)
	time.Sleep(time.Duration(n) * time.Second)
	return n, err
}

// Deleting more sessions than fit in one run is not an error: the next run continues.
func TestRun_DeletesExpiredOverSeveralRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		first := addSession(t, store, 48*time.Hour)
		update(t, store, func(tx ports.Tx) error {
			session, err := tx.Sessions.ByID(t.Context(), first)
			for i := range 99 {
				s := session.State()
				s.ID = domain.NewSessionID(time.Now(), rand.Reader)
				s.Token = domain.TokenDigest{byte(i)}
				err = errors.Join(err, tx.Sessions.Add(t.Context(), domain.RestoreSession(s)))
			}
			return err
		})
		run := startJobs(t, slowStore{store})
		advance(5 * time.Minute)
		log := run.log.String()
		if strings.Contains(log, "level=ERROR") || strings.Count(log, `level=INFO msg="expired data is being deleted; the next run continues"`) != 2 {
			t.Errorf("logged %s", log)
		}
		update(t, store, func(tx ports.Tx) error {
			if _, err := tx.Sessions.ByID(t.Context(), first); !errors.Is(err, domain.ErrSessionNotFound) {
				t.Errorf("a session was not deleted: %v", err)
			}
			return nil
		})
		run.stop()
	})
}

func TestRun_LogsDeletedCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		run := startJobs(t, store)
		if run.log.Len() > 0 {
			t.Errorf("without expired data: logged %s", run.log)
		}
		old := domain.NewEvent(domain.EventState{Kind: domain.EventAccountDeleted}, time.Now().Add(-500*24*time.Hour), rand.Reader)
		stale := domain.NewNotificationEmail("ada@example.org", "", domain.UserID{}, domain.EmailKindRecovered, old.State(), time.Now().Add(-5*24*time.Hour), rand.Reader)
		for counts, add := range map[string]func(){
			"challenges=1 authorization_codes=0 sessions=0 recovery_grants=0 invites=0 lockouts=0 emails=0 events=0": func() { addExpiredChallenge(t, store) },
			"challenges=0 authorization_codes=0 sessions=1 recovery_grants=0 invites=0 lockouts=0 emails=0 events=0": func() { addSession(t, store, 48*time.Hour) },
			"challenges=0 authorization_codes=0 sessions=0 recovery_grants=0 invites=0 lockouts=0 emails=1 events=0": func() { update(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), stale) }) },
			"challenges=0 authorization_codes=0 sessions=0 recovery_grants=0 invites=0 lockouts=0 emails=0 events=1": func() { update(t, store, func(tx ports.Tx) error { return tx.Events.Add(t.Context(), old) }) },
		} {
			add()
			advance(time.Minute)
			if !strings.Contains(run.log.String(), `level=DEBUG msg="expired data deleted" `+counts) {
				t.Errorf("logged %q, want %s", run.log, counts)
			}
		}
		run.log.Reset()
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("after the stop: logged %s", run.log)
		}
	})
}

// exported returns the value of a series; "" if it is not exported.
func (r runningJobs) exported(series string) string {
	response := httptest.NewRecorder()
	r.meter.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, value, _ := strings.Cut(response.Body.String(), "\n"+series+" ")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

func TestRun_MeasuresJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: sqlitestore.NewInBubble(t)}
		run := startJobs(t, store)
		defer run.stop()
		const job = `{job_name="refresh signing keys"}`
		began := time.Now()
		if last, failed, runs := run.exported("keylodge_job_last_success_timestamp_seconds"+job), run.exported("keylodge_job_failures_total"+job),
			run.exported("keylodge_job_duration_seconds_count"+job); failed != "0" || runs != "1" || last == "" {
			t.Errorf("after a success: last %s, %s failed, %s runs", last, failed, runs)
		}
		first := run.exported("keylodge_job_last_success_timestamp_seconds" + job)
		advance(16 * time.Second)
		store.down.Store(true)
		advance(14*time.Second + 100*time.Millisecond)
		if failed, runs := run.exported("keylodge_job_failures_total"+job), run.exported("keylodge_job_duration_seconds_count"+job); failed != "1" || runs != "2" ||
			run.exported("keylodge_job_last_success_timestamp_seconds"+job) != first {
			t.Errorf("after a failure: %s failed, %s runs", failed, runs)
		}
		created, err := strconv.ParseFloat(run.exported("keylodge_signing_key_created_timestamp_seconds"), 64)
		if err != nil || math.Abs(created-float64(began.Unix())) > 30 {
			t.Errorf("the signing key was created at %v, %v", created, err)
		}
	})
}

func TestSendEmails_MeasuresBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := enqueueEmail(t, store)
		mailer := &fakeMailer{errs: map[domain.OutboxEmailID]error{id: errors.New("451 busy")}}
		queued := time.Now()
		run := startJobsWithMailer(t, store, mailer)
		defer run.stop()
		advance(16 * time.Second)
		oldest, err := strconv.ParseFloat(run.exported("keylodge_oldest_email_timestamp_seconds"), 64)
		if waiting := run.exported("keylodge_emails_waiting"); waiting != "1" || err != nil || math.Abs(oldest-float64(queued.Unix())) > 1 {
			t.Errorf("%s e-mails wait, the oldest since %v, %v", waiting, oldest, err)
		}
		mailer.acceptAll()
		advance(2 * time.Minute)
		if waiting, oldest := run.exported("keylodge_emails_waiting"), run.exported("keylodge_oldest_email_timestamp_seconds"); waiting != "0" || oldest != "0" {
			t.Errorf("after the delivery %s e-mails wait, the oldest since %s", waiting, oldest)
		}
		if sent, retried := run.exported(`keylodge_email_deliveries_total{outcome="sent"}`), run.exported(`keylodge_email_deliveries_total{outcome="retried"}`); sent != "1" || retried != "1" {
			t.Errorf("%s sent, %s to be retried", sent, retried)
		}
	})
}

// flakyStore is a store that is unavailable while down is set.
type flakyStore struct {
	ports.Store
	down atomic.Bool
}

func (s *flakyStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.View(ctx, fn)
}

func (s *flakyStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.down.Load() {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestRun_LogsAndRetriesFailedJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: sqlitestore.NewInBubble(t)}
		expired, id := addExpiredChallenge(t, store), addSession(t, store, 0)
		store.down.Store(true)
		run := startJobs(t, store)
		defer run.stop()
		used := time.Now().UTC().Add(5 * time.Minute)
		run.sessions.RecordUse(id, "", used)
		advance(time.Second)
		for _, job := range []string{"delete expired data", "refresh signing keys", "write last uses of sessions"} {
			if n := countFailures(run.log, job); n != 1 {
				t.Errorf("%s: %d failures in %q, want 1", job, n, run.log)
			}
		}
		run.log.Reset()
		store.down.Store(false)
		if !exists(t, store, expired) || len(signingKeyIDs(t, store)) != 0 || lastSeenAt(t, store, id).Equal(used) {
			t.Error("something was written during the outage")
		}
		advance(time.Minute)
		if exists(t, store, expired) || len(signingKeyIDs(t, store)) != 1 || !lastSeenAt(t, store, id).Equal(used) {
			t.Error("a job was not retried")
		}
		if strings.Contains(run.log.String(), "level=ERROR") {
			t.Errorf("after the outage: logged %q", run.log)
		}
	})
}

// countFailures returns how often the log reports a failure of the job.
func countFailures(log *bytes.Buffer, job string) int {
	return strings.Count(log.String(), fmt.Sprintf(`level=ERROR msg="a job failed and will be retried" job=%q`, job))
}

// hangingStore is a store whose transactions block until their context ends.
type hangingStore struct{ ports.Store }

func (hangingStore) View(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingStore) Update(ctx context.Context, _ func(ports.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// Without a timeout, each job would occupy a connection for as long as the network drops every packet.
func TestRun_TimesOutHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := addSession(t, store, 0)
		run := startJobsWith(t, hangingStore{}, &outbox.Service{Policy: domain.EmailOn, Store: hangingStore{}, Clock: clock{}})
		run.sessions.RecordUse(id, "", time.Now().UTC().Add(5*time.Minute))
		advance(10 * time.Minute)
		for _, job := range []string{"delete expired data", "refresh signing keys", "send e-mails", "write last uses of sessions"} {
			if n := countFailures(run.log, job); n < 3 {
				t.Errorf("%s: %d failures, want 3 or more", job, n)
			}
		}
		run.stop()
	})
}

func TestRun_StopsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := startJobs(t, hangingStore{})
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("logged %s", run.log)
		}
	})
}
