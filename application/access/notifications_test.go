package access_test

import (
	"context"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func newAuditLogWithMail() *access.AuditLog {
	log := newAuditLog()
	log.Mail = domain.EmailOn
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

var testClient = access.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}

func TestAuditLog_NotifiesOwner(t *testing.T) {
	for kind, told := range map[domain.EventKind]bool{
		domain.EventPasskeyAdded: true, domain.EventRecoveryLocked: true, domain.EventSignedIn: false, domain.EventAccountDeleted: false, domain.EventAccountChanged: false,
	} {
		store := memory.New()
		ada, ben := newPerson(t, store, "Ada"), newPerson(t, store, "Ben")
		ada.setEmail("ada@example.org", true)
		ben.setEmail("ben@example.org", true)
		e := domain.EventState{Kind: kind, UserID: ada.user.ID(), PasskeyName: "the blue one"}
		ada.update(func(tx ports.Tx) error { return newAuditLogWithMail().Record(t.Context(), tx, testClient, noon, e) })
		if log := ada.log(); len(log) != 1 || log[0].Kind != kind {
			t.Errorf("%s: logged %+v", kind, log)
		}
		got := ada.outbox()
		if !told {
			if got != nil {
				t.Errorf("%s: told %+v", kind, got)
			}
			continue
		}
		facts := domain.EmailDetails{At: noon, Actor: domain.ActorUser, PasskeyName: "the blue one", DeviceName: "curl/8.5.0", IP: "203.0.113.9"}
		if len(got) != 1 || got[0].Kind != domain.EmailKind(kind) || got[0].To != "ada@example.org" || got[0].UserID != ada.user.ID() || got[0].Details != facts || !got[0].DueAt.Equal(noon) {
			t.Errorf("%s: told %+v", kind, got)
		}
	}
}

func TestAuditLog_NotifiesOnlyVerifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		email    domain.Email
		verified bool
		log      *access.AuditLog
	}{
		"not verified":          {"ada@example.org", false, newAuditLogWithMail()},
		"none":                  {"", false, newAuditLogWithMail()},
		"where no mail is sent": {"ada@example.org", true, newAuditLog()},
	} {
		ada := newPerson(t, memory.New(), "Ada")
		ada.setEmail(c.email, c.verified)
		e := domain.EventState{Kind: domain.EventPasskeyAdded, UserID: ada.user.ID()}
		ada.update(func(tx ports.Tx) error {
			return errors.Join(
				c.log.Record(t.Context(), tx, testClient, noon, e),
				c.log.Notify(t.Context(), tx, ada.user, ada.user.ID(), domain.EmailKindAddressChanged, testClient, e, noon),
			)
		})
		if got := ada.outbox(); got != nil {
			t.Errorf("%s: told %+v", name, got)
		}
		if log := ada.log(); len(log) != 1 {
			t.Errorf("%s: logged %+v", name, log)
		}
	}
}

// A claim is nobody's until it is proved, and an address that is held hears of what happens meanwhile.
func TestAuditLog_DoesNotNotifyPendingEmail(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.setEmail("ada@example.org", true)
	ada.user.RequestEmail("mallory@example.org", domain.EmailCodeDigest{}, noon)
	ada.update(func(tx ports.Tx) error {
		if err := tx.Users.Save(t.Context(), ada.user); err != nil {
			return err
		}
		return newAuditLogWithMail().Record(t.Context(), tx, testClient, noon, domain.EventState{Kind: domain.EventPasskeyAdded, UserID: ada.user.ID()})
	})
	if got := ada.outbox(); len(got) != 1 || got[0].To != "ada@example.org" {
		t.Errorf("told %+v", got)
	}
}

func TestAuditLog_RecordAnonymousHasNoClientOrEmail(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.setEmail("ada@example.org", true)
	e := domain.EventState{Kind: domain.EventRecoveryLocked, Reason: "invalid_code"}
	log, asked := newAuditLogWithMail(), &recordingDeviceNames{}
	log.Devices = asked
	ada.update(func(tx ports.Tx) error {
		return log.RecordAnonymous(t.Context(), tx, testClient, noon, e, domain.LockoutSubject{})
	})
	if asked.userAgent != "curl/8.5.0" {
		t.Errorf("the visitor was looked at as %q, which is quicker than one with a name", asked.userAgent)
	}
	if got := ada.outbox(); got != nil {
		t.Errorf("told %+v", got)
	}
	var nameless []domain.EventState
	ada.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), domain.UserID{}, domain.EventID{}, 10)
		for _, e := range events {
			nameless = append(nameless, e.State())
		}
		return err
	})
	if len(nameless) != 1 {
		t.Fatalf("entered %+v", nameless)
	}
	want := domain.EventState{ID: nameless[0].ID, At: noon, Actor: domain.ActorUser, Kind: domain.EventRecoveryLocked, Reason: "invalid_code"}
	if !equal(nameless[0], want) {
		t.Errorf("got  %+v\nwant %+v", nameless[0], want)
	}
}

// recordingDeviceNames remembers which device's name it was asked for.
type recordingDeviceNames struct{ userAgent string }

func (a *recordingDeviceNames) NameOf(userAgent string) string {
	a.userAgent = userAgent
	return userAgent
}

// failingUsers are users whom nobody can look up.
type failingUsers struct{ ports.Users }

func (failingUsers) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestAuditLog_ReadsOwnerOnlyToNotify(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.setEmail("ada@example.org", true)
	for name, c := range map[string]struct {
		log  *access.AuditLog
		kind domain.EventKind
		want error
	}{
		"a notice":               {newAuditLogWithMail(), domain.EventPasskeyAdded, domain.ErrUnavailable},
		"no notice":              {newAuditLogWithMail(), domain.EventSignedIn, nil},
		"a notice, but no mail":  {newAuditLog(), domain.EventPasskeyAdded, nil},
		"no notice, and no mail": {newAuditLog(), domain.EventSignedIn, nil},
	} {
		err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
			tx.Users = failingUsers{tx.Users}
			return c.log.Record(t.Context(), tx, testClient, noon, domain.EventState{Kind: c.kind, UserID: ada.user.ID()})
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuditLog_NotifyRandomError(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.setEmail("ada@example.org", true)
	log := newAuditLogWithMail()
	log.Random = iotest.ErrReader(errNoRandomness)
	err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
		return log.Notify(t.Context(), tx, ada.user, ada.user.ID(), domain.EmailKindAddressChanged, testClient, domain.EventState{UserID: ada.user.ID()}, noon)
	})
	if !errors.Is(err, errNoRandomness) || ada.outbox() != nil {
		t.Errorf("got %v, left %+v", err, ada.outbox())
	}
}

var errNoRandomness = errors.New("no randomness")
