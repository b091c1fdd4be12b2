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

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// postman takes what it has no answer for.
type postman struct {
	mu      sync.Mutex
	sent    int
	answers map[domain.MessageID]error
}

func (p *postman) Send(_ context.Context, letter ports.Letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.answers[letter.Message.ID]; err != nil {
		return err
	}
	p.sent++
	return nil
}

func (p *postman) took() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *postman) takesEverything() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = nil
}

// writes leaves a letter that is due now.
func writes(t *testing.T, store ports.Store) domain.MessageID {
	t.Helper()
	m, err := domain.NewNotice("ada@example.org", domain.UserID{}, domain.MessageRecovered, domain.EventSnapshot{IP: "203.0.113.9", DeviceName: "curl"}, time.Now().UTC(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	update(t, store, func(tx ports.Tx) error { return tx.Messages.Add(t.Context(), m) })
	return m.ID()
}

func startMailing(t *testing.T, store ports.Store, mailer ports.Mailer) running {
	t.Helper()
	return startDelivering(t, store, &mail.Deliver{Policy: domain.MailOn, Store: store, Mailer: mailer, Clock: clock{}})
}

func TestItSendsMailAtOnceAndThenEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, postman := memory.New(), &postman{}
		writes(t, store)
		run := startMailing(t, store, postman)
		if postman.took() != 1 {
			t.Error("what waited at the start still waits")
		}
		for n := range 3 {
			writes(t, store)
			waits(2*time.Second - time.Nanosecond)
			if postman.took() != n+1 {
				t.Error("it looks more often than every two seconds")
			}
			waits(time.Nanosecond)
			if postman.took() != n+2 {
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
func TestALetterThatCouldNotBeSentIsLoggedWithoutItsRecipient(t *testing.T) {
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
				store := memory.New()
				id := writes(t, store)
				run := startMailing(t, store, &postman{answers: map[domain.MessageID]error{id: c.answer}})
				waits(2 * time.Second)
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

func TestEachAttemptIsCountedInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		id := writes(t, store)
		postman := &postman{answers: map[domain.MessageID]error{id: errors.New("451 busy")}}
		run := startMailing(t, store, postman)
		waits(30 * time.Second)
		waits(time.Minute)
		postman.takesEverything()
		waits(2 * time.Minute)
		run.stop()
		for attempt := 1; attempt <= 3; attempt++ {
			if strings.Count(run.log.String(), fmt.Sprintf("attempts=%d ", attempt)) != 1 {
				t.Errorf("of attempt %d it says %s", attempt, run.log)
			}
		}
		if strings.Count(run.log.String(), "\n") != 3 || postman.took() != 1 {
			t.Errorf("sent %d, and it says %s", postman.took(), run.log)
		}
	})
}

func TestAnOutageWhileSendingMailIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, postman := &troubled{Store: memory.New()}, &postman{}
		writes(t, store)
		store.down.Store(true)
		run := startMailing(t, store, postman)
		defer run.stop()
		if line := `level=ERROR msg="sending mail failed; it is tried again soon"`; strings.Count(run.log.String(), line) != 1 {
			t.Errorf("it says %s", run.log)
		}
		store.down.Store(false)
		waits(2 * time.Second)
		if postman.took() != 1 {
			t.Error("it did not try again")
		}
	})
}
