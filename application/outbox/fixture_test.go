package outbox_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newSealer returns a sealer with a secret that repeats the given character.
func newSealer(t *testing.T, character string) *masterkey.Sealer {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat(character, 42) + "A")
	if err != nil {
		t.Fatal(err)
	}
	s, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixture is an outbox at noon with a fake mail server.
type fixture struct {
	t       *testing.T
	store   ports.Store
	sealer  *masterkey.Sealer
	clock   *clock
	mailer  *fakeMailer
	service *outbox.Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	o := &fixture{t: t, store: sqlitestore.New(t), sealer: newSealer(t, "A"), clock: &clock{noon}, mailer: &fakeMailer{}}
	o.service = &outbox.Service{Policy: domain.EmailOn, Store: o.store, Mailer: o.mailer, Sealer: o.sealer, Clock: o.clock}
	return o
}

func (o *fixture) update(fn func(ports.Tx) error) {
	o.t.Helper()
	if err := o.store.Update(o.t.Context(), fn); err != nil {
		o.t.Fatal(err)
	}
}

// queueEmail queues a notification to the n-th recipient, due n seconds before noon.
func (o *fixture) queueEmail(n int) domain.OutboxEmailID {
	o.t.Helper()
	m := domain.NewNotificationEmail(recipient(n), "", domain.UserID{}, domain.EmailKindRecovered, domain.EventState{At: noon, IP: "203.0.113.9"}, noon.Add(-time.Duration(n)*time.Second), rand.Reader)
	o.update(func(tx ports.Tx) error { return tx.OutboxEmails.Add(o.t.Context(), m) })
	return m.ID()
}

// queueCode queues a verification code to a new user, due at noon.
func (o *fixture) queueCode() domain.EmailCode {
	o.t.Helper()
	pending := domain.NewPendingUser("", "Ada", noon, rand.Reader)
	user := pending.ToUser(noon)
	user.RequestEmail("ada@example.org", domain.EmailCodeDigest{1}, noon)
	id := domain.NewOutboxEmailID(noon, rand.Reader)
	code := domain.NewEmailCode(rand.Reader)
	encrypted, err := outbox.EncryptCode(o.sealer, id, code)
	if err != nil {
		o.t.Fatal(err)
	}
	o.update(func(tx ports.Tx) error {
		if err := tx.Users.Add(o.t.Context(), user); err != nil {
			return err
		}
		return tx.OutboxEmails.Add(o.t.Context(), domain.NewVerificationEmail(id, user, encrypted, noon))
	})
	return code
}

// outbox returns all queued e-mails, the earliest due first.
func (o *fixture) outbox() (list []domain.OutboxEmailState) {
	o.t.Helper()
	o.update(func(tx ports.Tx) error {
		queued, err := tx.OutboxEmails.ListDue(o.t.Context(), noon.Add(10000*time.Hour), 1000)
		for _, m := range queued {
			list = append(list, m.State())
		}
		return err
	})
	return list
}

func (o *fixture) mustDeliver() outbox.Delivered {
	o.t.Helper()
	delivered, err := o.service.Deliver(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return delivered
}

func recipient(n int) domain.Email { return domain.Email(fmt.Sprintf("reader-%d@example.org", n)) }
