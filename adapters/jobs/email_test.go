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

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// fakeMailer takes what it has no answer for.
type fakeMailer struct {
	mu   sync.Mutex
	sent int
	errs map[domain.OutboxEmailID]error
}

func (p *fakeMailer) Send(_ context.Context, letter ports.OutgoingEmail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.errs[letter.Email.ID]; err != nil {
		return err
	}
	p.sent++
	return nil
}

func (p *fakeMailer) sentCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *fakeMailer) acceptAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = nil
}

// enqueueEmail leaves a letter that is due now.
func enqueueEmail(t *testing.T, store ports.Store) domain.OutboxEmailID {
	t.Helper()
	m := domain.NewNotificationEmail("ada@example.org", domain.UserID{}, domain.EmailKindRecovered, domain.EventState{IP: "203.0.113.9", DeviceName: "curl"}, time.Now().UTC(), rand.Reader)
	update(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), m) })
	return m.ID()
}

func startJobsWithMailer(t *testing.T, store ports.Store, mailer ports.Mailer) runningJobs {
	t.Helper()
	return startJobsWith(t, store, &outbox.Service{Policy: domain.EmailOn, Store: store, Mailer: mailer, Clock: clock{}})
}

func TestSendEmails_RunsEvery2Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, postman := sqlitestore.NewInBubble(t), &fakeMailer{}
		enqueueEmail(t, store)
		run := startJobsWithMailer(t, store, postman)
		if postman.sentCount() != 1 {
			t.Error("what waited at the start still waits")
		}
		for n := range 3 {
			enqueueEmail(t, store)
			advance(2*time.Second - time.Nanosecond)
			if postman.sentCount() != n+1 {
				t.Error("it looks more often than every two seconds")
			}
			advance(time.Nanosecond)
			if postman.sentCount() != n+2 {
				t.Error("two seconds later it still waits")
			}
		}
		run.stop()
		if run.log.Len() > 0 {
			t.Errorf("it says %s", run.log)
		}
	})
}

// The log is read by people who have no business knowing who has an account.
func TestSendEmails_LogOmitsRecipient(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		line   string // with the id for %s
	}{
		"later": {errors.New("451 busy"), `level=WARN msg="a message could not be sent; it is tried again later" message_id=%s kind=recovered attempts=1 error="451 busy"`},
		"never": {
			fmt.Errorf("%w: 550 no such mailbox", domain.ErrUndeliverable),
			`level=ERROR msg="a message could not be sent and is given up" message_id=%s kind=recovered attempts=1 error="undeliverable: 550 no such mailbox"`,
		},
		"no server": {domain.ErrUnavailable, `level=WARN msg="a message could not be sent; it is tried again later" message_id=%s kind=recovered attempts=1 error="`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := sqlitestore.NewInBubble(t)
				id := enqueueEmail(t, store)
				run := startJobsWithMailer(t, store, &fakeMailer{errs: map[domain.OutboxEmailID]error{id: c.answer}})
				advance(2 * time.Second)
				run.stop()
				if log := run.log.String(); strings.Count(log, fmt.Sprintf(c.line, id)) != 1 || strings.Count(log, "\n") != 1 {
					t.Errorf("it says %s", log)
				}
				for _, personal := range []string{"ada", "example.org", "203.0.113.9", "curl"} {
					if strings.Contains(run.log.String(), personal) {
						t.Errorf("it says %s", run.log)
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
		postman := &fakeMailer{errs: map[domain.OutboxEmailID]error{id: errors.New("451 busy")}}
		run := startJobsWithMailer(t, store, postman)
		advance(30 * time.Second)
		advance(time.Minute)
		postman.acceptAll()
		advance(2 * time.Minute)
		run.stop()
		for attempt := 1; attempt <= 3; attempt++ {
			if strings.Count(run.log.String(), fmt.Sprintf("attempts=%d ", attempt)) != 1 {
				t.Errorf("of attempt %d it says %s", attempt, run.log)
			}
		}
		if strings.Count(run.log.String(), "\n") != 3 || postman.sentCount() != 1 {
			t.Errorf("sent %d, and it says %s", postman.sentCount(), run.log)
		}
	})
}

func TestSendEmails_LogsOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, postman := &flakyStore{Store: sqlitestore.NewInBubble(t)}, &fakeMailer{}
		enqueueEmail(t, store)
		store.down.Store(true)
		run := startJobsWithMailer(t, store, postman)
		defer run.stop()
		if line := `level=ERROR msg="sending mail failed; it is tried again soon"`; strings.Count(run.log.String(), line) != 1 {
			t.Errorf("it says %s", run.log)
		}
		store.down.Store(false)
		advance(2 * time.Second)
		if postman.sentCount() != 1 {
			t.Error("it did not try again")
		}
	})
}
