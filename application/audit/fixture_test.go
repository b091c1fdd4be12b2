package audit_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// echoDeviceNames names a device by all that it is told of it.
type echoDeviceNames struct{}

func (echoDeviceNames) NameOf(userAgent string) string { return userAgent }

func newLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: echoDeviceNames{}}
}

// person is somebody with an account and a security key that has counted to 7.
type person struct {
	t     *testing.T
	store ports.Store
	user  *domain.User
	key   *domain.Credential
}

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	applicant, err := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	registration := sqlitestore.Registration(domain.CredentialID(name))
	registration.SignCount = 7
	key, err := domain.NewCredential(applicant.UserID, "a key", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t, store, applicant.ToUser(noon), key}
	p.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), p.user), tx.Credentials.Add(t.Context(), p.key))
	})
	return p
}

func (p *person) update(fn func(ports.Tx) error) {
	p.t.Helper()
	if err := p.store.Update(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// log is the person's, newest first.
func (p *person) log() (entries []domain.EventState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			entries = append(entries, e.State())
		}
		return err
	})
	return entries
}

func equal(a, b domain.EventState) bool {
	a.Changed, b.Changed = nil, nil
	return a.ID == b.ID && a.UserID == b.UserID && a.Kind == b.Kind && a.At.Equal(b.At) && a.Actor == b.Actor && a.SessionID == b.SessionID &&
		a.CredentialID == b.CredentialID && a.PasskeyName == b.PasskeyName && a.DeviceName == b.DeviceName && a.IP == b.IP &&
		a.Reason == b.Reason && a.RequestID == b.RequestID
}

func newLogWithMail() *audit.Log {
	log := newLog()
	log.Notifier = notify.Notifier{Random: rand.Reader, Devices: echoDeviceNames{}, Policy: domain.EmailOn}
	return log
}

// setEmail gives the person an address.
func (p *person) setEmail(at domain.Email, verified bool) {
	p.t.Helper()
	is := p.user.State()
	is.Email, is.EmailVerifiedAt = at, time.Time{}
	if verified {
		is.EmailVerifiedAt = noon
	}
	p.user = domain.RestoreUser(is)
	p.update(func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), p.user) })
}

// outbox are all messages.
func (p *person) outbox() (list []domain.OutboxEmailState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		messages, err := tx.OutboxEmails.ListDue(p.t.Context(), noon.Add(1000*time.Hour), 1000)
		for _, m := range messages {
			list = append(list, m.State())
		}
		return err
	})
	return list
}

var testClient = identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}

// kindsAndReasons are the kinds and reasons of a log's entries, sorted.
func kindsAndReasons(entries []domain.EventState) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = strings.TrimSpace(string(e.Kind) + " " + e.Reason)
	}
	slices.Sort(list)
	return list
}
