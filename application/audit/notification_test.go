package audit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestLog_NotifiesOwner(t *testing.T) {
	for kind, notified := range map[domain.EventKind]bool{
		domain.EventPasskeyAdded: true, domain.EventRecoveryLocked: true, domain.EventSignedIn: false, domain.EventAccountDeleted: false, domain.EventAccountChanged: false,
	} {
		store := sqlitestore.New(t)
		ada, ben := newPerson(t, store, "Ada"), newPerson(t, store, "Ben")
		ada.SetEmail("ada@example.org", true)
		ben.SetEmail("ben@example.org", true)
		e := domain.EventState{Kind: kind, UserID: ada.User.ID(), PasskeyName: "the blue one"}
		ada.Update(func(tx ports.Tx) error { return newLogWithMail().Record(t.Context(), tx, testClient, noon, e) })
		if log := ada.Events(); len(log) != 1 || log[0].Kind != kind {
			t.Errorf("%s: logged %+v", kind, log)
		}
		got := ada.Outbox()
		if !notified {
			if got != nil {
				t.Errorf("%s: queued %+v", kind, got)
			}
			continue
		}
		details := domain.EmailDetails{At: noon, Actor: domain.ActorUser, PasskeyName: "the blue one", DeviceName: "curl/8.5.0", IP: "203.0.113.9"}
		if len(got) != 1 || got[0].Kind != domain.EmailKind(kind) || got[0].To != "ada@example.org" || got[0].UserID != ada.User.ID() || got[0].Details != details || !got[0].DueAt.Equal(noon) {
			t.Errorf("%s: queued %+v", kind, got)
		}
	}
}

func TestLog_NotifiesOnlyVerifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		email    domain.Email
		verified bool
		log      *audit.Log
	}{
		"an unverified address":   {"ada@example.org", false, newLogWithMail()},
		"no address":              {"", false, newLogWithMail()},
		"a server without e-mail": {"ada@example.org", true, newLog()},
	} {
		ada := newPerson(t, sqlitestore.New(t), "Ada")
		ada.SetEmail(c.email, c.verified)
		e := domain.EventState{Kind: domain.EventPasskeyAdded, UserID: ada.User.ID()}
		ada.Update(func(tx ports.Tx) error {
			return errors.Join(
				c.log.Record(t.Context(), tx, testClient, noon, e),
				c.log.Notifier.Queue(t.Context(), tx, ada.User, ada.User.ID(), domain.EmailKindAddressChanged, testClient, e, noon),
			)
		})
		if got := ada.Outbox(); got != nil {
			t.Errorf("%s: queued %+v", name, got)
		}
		if log := ada.Events(); len(log) != 1 {
			t.Errorf("%s: logged %+v", name, log)
		}
	}
}

// A pending address receives no notifications; the verified one still does.
func TestLog_DoesNotNotifyPendingEmail(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	ada.SetEmail("ada@example.org", true)
	ada.User.RequestEmail("mallory@example.org", domain.EmailCodeDigest{}, noon)
	ada.Update(func(tx ports.Tx) error {
		if err := tx.Users.Save(t.Context(), ada.User); err != nil {
			return err
		}
		return newLogWithMail().Record(t.Context(), tx, testClient, noon, domain.EventState{Kind: domain.EventPasskeyAdded, UserID: ada.User.ID()})
	})
	if got := ada.Outbox(); len(got) != 1 || got[0].To != "ada@example.org" {
		t.Errorf("queued %+v", got)
	}
}

func TestLog_RecordAnonymousHasNoClientOrEmail(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	ada.SetEmail("ada@example.org", true)
	e := domain.EventState{Kind: domain.EventRecoveryLocked, Reason: "invalid_code"}
	log, devices := newLogWithMail(), &recordingDeviceNames{}
	log.Devices = devices
	ada.Update(func(tx ports.Tx) error {
		return log.RecordAnonymous(t.Context(), tx, testClient, noon, e, domain.LockoutSubject{})
	})
	if devices.userAgent != "curl/8.5.0" {
		t.Errorf("looked up the device of %q, so that an anonymous event takes less time", devices.userAgent)
	}
	if got := ada.Outbox(); got != nil {
		t.Errorf("queued %+v", got)
	}
	var anonymous []domain.EventState
	ada.Update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), domain.UserID{}, domain.EventID{}, 10)
		for _, e := range events {
			anonymous = append(anonymous, e.State())
		}
		return err
	})
	if len(anonymous) != 1 {
		t.Fatalf("recorded %+v", anonymous)
	}
	want := domain.EventState{ID: anonymous[0].ID, At: noon, Actor: domain.ActorUser, Kind: domain.EventRecoveryLocked, Reason: "invalid_code"}
	if !equal(anonymous[0], want) {
		t.Errorf("got  %+v\nwant %+v", anonymous[0], want)
	}
}

// recordingDeviceNames stores the User-Agent of the last look-up.
type recordingDeviceNames struct{ userAgent string }

func (n *recordingDeviceNames) NameOf(userAgent string) string {
	n.userAgent = userAgent
	return userAgent
}

// failingUsers fails to look up users.
type failingUsers struct{ ports.Users }

func (failingUsers) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestLog_ReadsOwnerOnlyToNotify(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	ada.SetEmail("ada@example.org", true)
	for name, c := range map[string]struct {
		log  *audit.Log
		kind domain.EventKind
		want error
	}{
		"notified":                {newLogWithMail(), domain.EventPasskeyAdded, domain.ErrUnavailable},
		"not notified":            {newLogWithMail(), domain.EventSignedIn, nil},
		"notified, no e-mail":     {newLog(), domain.EventPasskeyAdded, nil},
		"not notified, no e-mail": {newLog(), domain.EventSignedIn, nil},
	} {
		err := ada.Store.Update(t.Context(), func(tx ports.Tx) error {
			tx.Users = failingUsers{tx.Users}
			return c.log.Record(t.Context(), tx, testClient, noon, domain.EventState{Kind: c.kind, UserID: ada.User.ID()})
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
