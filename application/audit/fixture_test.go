package audit_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: sqlitestore.EchoDeviceNames{}}
}

type person struct{ *sqlitestore.Account }

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	return &person{sqlitestore.NewAccount(t, store, name, noon)}
}

func equal(a, b domain.EventState) bool {
	a.Changed, b.Changed = nil, nil
	return a.ID == b.ID && a.UserID == b.UserID && a.Kind == b.Kind && a.At.Equal(b.At) && a.Actor == b.Actor && a.SessionID == b.SessionID &&
		a.CredentialID == b.CredentialID && a.PasskeyName == b.PasskeyName && a.DeviceName == b.DeviceName && a.IP == b.IP &&
		a.Reason == b.Reason && a.RequestID == b.RequestID && a.APIKey == b.APIKey
}

func newLogWithMail() *audit.Log {
	log := newLog()
	log.Notifier = notify.Notifier{Random: rand.Reader, Devices: sqlitestore.EchoDeviceNames{}, Policy: domain.EmailOn}
	return log
}

var testClient = identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}
