package sqlitestore

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EchoDeviceNames is a ports.DeviceNames that names a device by its user agent.
type EchoDeviceNames struct{}

// NameOf returns userAgent.
func (EchoDeviceNames) NameOf(userAgent string) string { return userAgent }

// Account is a stored user with a security key. The signature counter of the key is 7.
type Account struct {
	T     *testing.T
	Store ports.Store
	User  *domain.User
	Key   *domain.Credential

	at time.Time
}

// NewAccount stores a user without an e-mail address.
func NewAccount(t *testing.T, store ports.Store, name string, at time.Time) *Account {
	t.Helper()
	pending := domain.NewPendingUser("", domain.DisplayName(name), at, rand.Reader)
	registration := Registration(domain.CredentialID(name))
	registration.SignCount = 7
	key, err := domain.NewCredential(pending.UserID, "a key", registration, at)
	if err != nil {
		t.Fatal(err)
	}
	a := &Account{t, store, pending.ToUser(at), key, at}
	a.Update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), a.User), tx.Credentials.Add(t.Context(), a.Key, registration.Attestation))
	})
	return a
}

// Update executes fn in a transaction and fails the test on an error.
func (a *Account) Update(fn func(ports.Tx) error) {
	a.T.Helper()
	if err := a.Store.Update(a.T.Context(), fn); err != nil {
		a.T.Fatal(err)
	}
}

// Events returns the account's events, newest first.
func (a *Account) Events() (events []domain.EventState) {
	a.T.Helper()
	a.Update(func(tx ports.Tx) error {
		stored, err := tx.Events.ListByUser(a.T.Context(), a.User.ID(), domain.EventID{}, 1000)
		for _, e := range stored {
			events = append(events, e.State())
		}
		return err
	})
	return events
}

// SetEmail changes the account's address.
func (a *Account) SetEmail(address domain.Email, verified bool) {
	a.T.Helper()
	s := a.User.State()
	s.Email, s.EmailVerifiedAt = address, time.Time{}
	if verified {
		s.EmailVerifiedAt = a.at
	}
	a.User = domain.RestoreUser(s)
	a.Update(func(tx ports.Tx) error { return tx.Users.Save(a.T.Context(), a.User) })
}

// Outbox returns all e-mails in the store.
func (a *Account) Outbox() (emails []domain.OutboxEmailState) {
	a.T.Helper()
	a.Update(func(tx ports.Tx) error {
		stored, err := tx.OutboxEmails.ListDue(a.T.Context(), a.at.Add(1000*time.Hour), 1000)
		for _, e := range stored {
			emails = append(emails, e.State())
		}
		return err
	})
	return emails
}

// KindsAndReasons returns the kinds and reasons of events, sorted.
func KindsAndReasons(events []domain.EventState) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = strings.TrimSpace(string(e.Kind) + " " + e.Reason)
	}
	slices.Sort(list)
	return list
}
