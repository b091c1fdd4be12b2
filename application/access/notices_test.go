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

func mailingLog() *access.SecurityLog {
	log := securityLog()
	log.Mail = domain.MailOn
	return log
}

// reads gives the person an address.
func (p *person) reads(at domain.Email, verified bool) {
	p.t.Helper()
	is := p.user.Snapshot()
	is.Email, is.EmailVerifiedAt = at, time.Time{}
	if verified {
		is.EmailVerifiedAt = noon
	}
	p.user = domain.RestoreUser(is)
	p.update(func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), p.user) })
}

// waiting are all messages.
func (p *person) waiting() (list []domain.MessageSnapshot) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		messages, err := tx.Messages.Due(p.t.Context(), noon.Add(1000*time.Hour), 1000)
		for _, m := range messages {
			list = append(list, m.Snapshot())
		}
		return err
	})
	return list
}

var from = access.Visitor{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}

func TestAnEntryThatIsWorthItIsToldToTheOwner(t *testing.T) {
	for kind, told := range map[domain.EventKind]bool{
		domain.EventPasskeyAdded: true, domain.EventRecoveryClosed: true, domain.EventSignedIn: false, domain.EventAccountDeleted: false, domain.EventAccountChanged: false,
	} {
		store := memory.New()
		ada, ben := newPerson(t, store, "Ada"), newPerson(t, store, "Ben")
		ada.reads("ada@example.org", true)
		ben.reads("ben@example.org", true)
		e := domain.EventSnapshot{Kind: kind, UserID: ada.user.ID(), PasskeyName: "the blue one"}
		ada.update(func(tx ports.Tx) error { return mailingLog().Enter(t.Context(), tx, from, noon, e) })
		if log := ada.log(); len(log) != 1 || log[0].Kind != kind {
			t.Errorf("%s: logged %+v", kind, log)
		}
		got := ada.waiting()
		if !told {
			if got != nil {
				t.Errorf("%s: told %+v", kind, got)
			}
			continue
		}
		facts := domain.MessageFacts{At: noon, By: domain.ByUser, PasskeyName: "the blue one", DeviceName: "curl/8.5.0", IP: "203.0.113.9"}
		if len(got) != 1 || got[0].Kind != domain.MessageKind(kind) || got[0].To != "ada@example.org" || got[0].UserID != ada.user.ID() || got[0].About != facts || !got[0].DueAt.Equal(noon) {
			t.Errorf("%s: told %+v", kind, got)
		}
	}
}

func TestNobodyIsToldAtAnAddressThatIsNotTheirs(t *testing.T) {
	for name, c := range map[string]struct {
		email    domain.Email
		verified bool
		log      *access.SecurityLog
	}{
		"not verified":          {"ada@example.org", false, mailingLog()},
		"none":                  {"", false, mailingLog()},
		"where no mail is sent": {"ada@example.org", true, securityLog()},
	} {
		ada := newPerson(t, memory.New(), "Ada")
		ada.reads(c.email, c.verified)
		e := domain.EventSnapshot{Kind: domain.EventPasskeyAdded, UserID: ada.user.ID()}
		ada.update(func(tx ports.Tx) error {
			return errors.Join(
				c.log.Enter(t.Context(), tx, from, noon, e),
				c.log.Notify(t.Context(), tx, ada.user, ada.user.ID(), domain.MessageEmailChanged, from, e, noon),
			)
		})
		if got := ada.waiting(); got != nil {
			t.Errorf("%s: told %+v", name, got)
		}
		if log := ada.log(); len(log) != 1 {
			t.Errorf("%s: logged %+v", name, log)
		}
	}
}

// A claim is nobody's until it is proved, and an address that is held hears of what happens meanwhile.
func TestWhatIsClaimedHearsNothing(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.reads("ada@example.org", true)
	ada.user.Claim("mallory@example.org", domain.EmailCodeDigest{}, noon)
	ada.update(func(tx ports.Tx) error {
		if err := tx.Users.Save(t.Context(), ada.user); err != nil {
			return err
		}
		return mailingLog().Enter(t.Context(), tx, from, noon, domain.EventSnapshot{Kind: domain.EventPasskeyAdded, UserID: ada.user.ID()})
	})
	if got := ada.waiting(); len(got) != 1 || got[0].To != "ada@example.org" {
		t.Errorf("told %+v", got)
	}
}

func TestANamelessEntrySaysNothingOfItsVisitorAndIsToldToNobody(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.reads("ada@example.org", true)
	e := domain.EventSnapshot{Kind: domain.EventRecoveryClosed, Reason: "invalid_code"}
	log, asked := mailingLog(), &asking{}
	log.Devices = asked
	ada.update(func(tx ports.Tx) error {
		return log.EnterNameless(t.Context(), tx, from, noon, e, domain.LockoutSubject{})
	})
	if asked.of != "curl/8.5.0" {
		t.Errorf("the visitor was looked at as %q, which is quicker than one with a name", asked.of)
	}
	if got := ada.waiting(); got != nil {
		t.Errorf("told %+v", got)
	}
	var nameless []domain.EventSnapshot
	ada.update(func(tx ports.Tx) error {
		events, err := tx.Events.OfUser(t.Context(), domain.UserID{}, domain.EventID{}, 10)
		for _, e := range events {
			nameless = append(nameless, e.Snapshot())
		}
		return err
	})
	if len(nameless) != 1 {
		t.Fatalf("entered %+v", nameless)
	}
	want := domain.EventSnapshot{ID: nameless[0].ID, At: noon, By: domain.ByUser, Kind: domain.EventRecoveryClosed, Reason: "invalid_code"}
	if !equal(nameless[0], want) {
		t.Errorf("got  %+v\nwant %+v", nameless[0], want)
	}
}

// asking remembers which device's name it was asked for.
type asking struct{ of string }

func (a *asking) NameOf(userAgent string) string {
	a.of = userAgent
	return userAgent
}

// unknown are users whom nobody can look up.
type unknown struct{ ports.Users }

func (unknown) ByID(context.Context, domain.UserID) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestAnOwnerIsLookedUpOnlyForANotice(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.reads("ada@example.org", true)
	for name, c := range map[string]struct {
		log  *access.SecurityLog
		kind domain.EventKind
		want error
	}{
		"a notice":               {mailingLog(), domain.EventPasskeyAdded, domain.ErrUnavailable},
		"no notice":              {mailingLog(), domain.EventSignedIn, nil},
		"a notice, but no mail":  {securityLog(), domain.EventPasskeyAdded, nil},
		"no notice, and no mail": {securityLog(), domain.EventSignedIn, nil},
	} {
		err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
			tx.Users = unknown{tx.Users}
			return c.log.Enter(t.Context(), tx, from, noon, domain.EventSnapshot{Kind: c.kind, UserID: ada.user.ID()})
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutRandomnessNoNoticeIsLeft(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	ada.reads("ada@example.org", true)
	log := mailingLog()
	log.Random = iotest.ErrReader(errDull)
	err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
		return log.Notify(t.Context(), tx, ada.user, ada.user.ID(), domain.MessageEmailChanged, from, domain.EventSnapshot{UserID: ada.user.ID()}, noon)
	})
	if !errors.Is(err, errDull) || ada.waiting() != nil {
		t.Errorf("got %v, left %+v", err, ada.waiting())
	}
}

var errDull = errors.New("no randomness")
