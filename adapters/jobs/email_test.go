package jobs_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// fakeMailer accepts every e-mail for which errs has no error.
type fakeMailer struct {
	mu   sync.Mutex
	sent int
	errs map[domain.OutboxEmailID]error
}

func (m *fakeMailer) Send(_ context.Context, email ports.OutgoingEmail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.errs[email.Email.ID]; err != nil {
		return err
	}
	m.sent++
	return nil
}

func (m *fakeMailer) sentCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent
}

func (m *fakeMailer) acceptAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = nil
}

// enqueueEmail queues an e-mail that is due now.
func enqueueEmail(t *testing.T, store ports.Store) domain.OutboxEmailID {
	t.Helper()
	email := domain.NewNotificationEmail("ada@example.org", "", domain.UserID{}, domain.EmailKindRecovered, domain.EventState{IP: "203.0.113.9", DeviceName: "curl"}, time.Now().UTC(), rand.Reader)
	update(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), email) })
	return email.ID()
}

func startJobsWithMailer(t *testing.T, store ports.Store, mailer ports.Mailer) runningJobs {
	t.Helper()
	return startJobsWith(t, store, &outbox.Service{Policy: domain.EmailOn, Store: store, Mailer: mailer, Clock: clock{}})
}

func TestSendEmails_RunsEvery2Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, mailer := sqlitestore.NewInBubble(t), &fakeMailer{}
		enqueueEmail(t, store)
		began := time.Now()
		run := startJobsWithMailer(t, store, mailer)
		if mailer.sentCount() != 1 {
			t.Error("the start did not send the queued e-mail")
		}
		for n := range 3 {
			enqueueEmail(t, store)
			// While two jobs use the store, one of them may wait for a millisecond, and the time of the bubble passes.
			next := began.Add(time.Duration(n+1) * 2 * time.Second)
			advance(time.Until(next) - time.Nanosecond)
			if mailer.sentCount() != n+1 {
				t.Error("the e-mail was sent before two seconds passed")
			}
			advance(100 * time.Millisecond)
			if mailer.sentCount() != n+2 {
				t.Error("the e-mail was not sent after two seconds")
			}
		}
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("logged %s", run.log)
		}
	})
}

// Readers of the log must not learn who has an account.
func TestSendEmails_LogOmitsRecipient(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		line   string // with the id for %s
	}{
		"later": {errors.New("451 busy"), `level=WARN msg="an e-mail could not be sent and will be retried" email_id=%s kind=recovered attempts=1 error="451 busy"`},
		"never": {
			fmt.Errorf("%w: 550 no such mailbox", domain.ErrUndeliverable),
			`level=ERROR msg="an e-mail could not be sent and was discarded" email_id=%s kind=recovered attempts=1 error="undeliverable: 550 no such mailbox"`,
		},
		"no server": {domain.ErrUnavailable, `level=WARN msg="an e-mail could not be sent and will be retried" email_id=%s kind=recovered attempts=1 error="`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := sqlitestore.NewInBubble(t)
				id := enqueueEmail(t, store)
				run := startJobsWithMailer(t, store, &fakeMailer{errs: map[domain.OutboxEmailID]error{id: c.answer}})
				advance(2 * time.Second)
				run.stop()
				log := run.log.String()
				if strings.Count(log, fmt.Sprintf(c.line, id)) != 1 || strings.Count(log, "\n") != 1 {
					t.Errorf("logged %s", log)
				}
				withoutID := strings.ReplaceAll(log, id.String(), "") // the hexadecimal digits may contain "ada"
				for _, personal := range []string{"ada", "example.org", "203.0.113.9", "curl"} {
					if strings.Contains(withoutID, personal) {
						t.Errorf("logged %s", log)
					}
				}
			})
		})
	}
}

func TestSendEmails_LogsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sqlitestore.NewInBubble(t)
		id := enqueueEmail(t, store)
		mailer := &fakeMailer{errs: map[domain.OutboxEmailID]error{id: errors.New("451 busy")}}
		run := startJobsWithMailer(t, store, mailer)
		advance(30 * time.Second)
		advance(time.Minute)
		mailer.acceptAll()
		advance(2 * time.Minute)
		run.stop()
		for attempt := 1; attempt <= 3; attempt++ {
			if strings.Count(run.log.String(), fmt.Sprintf("attempts=%d ", attempt)) != 1 {
				t.Errorf("attempt %d: logged %s", attempt, run.log)
			}
		}
		if strings.Count(run.log.String(), "\n") != 3 || mailer.sentCount() != 1 {
			t.Errorf("sent %d, logged %s", mailer.sentCount(), run.log)
		}
	})
}

func TestSendEmails_LogsOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, mailer := &flakyStore{Store: sqlitestore.NewInBubble(t)}, &fakeMailer{}
		enqueueEmail(t, store)
		store.down.Store(true)
		run := startJobsWithMailer(t, store, mailer)
		defer run.stop()
		if countFailures(run.log, "send e-mails") != 1 {
			t.Errorf("logged %s", run.log)
		}
		store.down.Store(false)
		advance(2 * time.Second)
		if mailer.sentCount() != 1 {
			t.Error("the job was not retried")
		}
	})
}
