package admin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

type clock struct{}

func (clock) Now() time.Time { return noon }

type deviceNames struct{}

func (deviceNames) NameOf(userAgent string) string { return userAgent }

// fixture is an installation and its operator.
type fixture struct {
	t        *testing.T
	store    ports.Store
	auditLog *audit.Log
}

func newFixture(t *testing.T) *fixture {
	return &fixture{t, sqlitestore.New(t), &audit.Log{Random: rand.Reader, Devices: deviceNames{}}}
}

func (h *fixture) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// person is somebody with an account, whose address is their name's, and a passkey.
type person struct {
	*fixture
	user *domain.User
	key  *domain.Credential
}

func (h *fixture) addUser(name string) *person {
	h.t.Helper()
	applicant := domain.NewPendingUser(domain.Email(name+"@example.org"), domain.DisplayName(name), noon, rand.Reader)
	key, err := domain.NewCredential(applicant.UserID, "", sqlitestore.Registration(domain.CredentialID(name)), noon)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &person{h, applicant.ToUser(noon), key}
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(h.t.Context(), p.user), tx.Credentials.Add(h.t.Context(), key))
	})
	return p
}

func (p *person) ref() domain.UserRef { return domain.UserRef{ID: p.user.ID()} }

func (p *person) addSession(at time.Time) domain.SessionID {
	p.t.Helper()
	session, _ := domain.OpenSession(p.key, domain.Device{}, lifetime, at, rand.Reader)
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return session.ID()
}

func (h *fixture) sessionErr(id domain.SessionID) (over error) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(h.t.Context(), id)
		if err == nil {
			over = s.RequireActive(noon)
		}
		return err
	})
	return over
}

func (h *fixture) entries(of domain.UserID) (list []domain.EventState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(h.t.Context(), of, domain.EventID{}, 1000)
		for _, e := range events {
			list = append(list, e.State())
		}
		return err
	})
	return list
}

func (p *person) stored() (user *domain.User) {
	p.t.Helper()
	p.update(func(tx ports.Tx) (err error) {
		user, err = tx.Users.ByID(p.t.Context(), p.user.ID())
		return err
	})
	return user
}

func (h *fixture) disables(who domain.UserRef) (int, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).DisableUser(h.t.Context(), who)
}

func (h *fixture) enables(who domain.UserRef) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).EnableUser(h.t.Context(), who)
}

func (h *fixture) deletes(who domain.UserRef) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).DeleteUser(h.t.Context(), who)
}

func (h *fixture) revokes(id domain.SessionID) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).RevokeSession(h.t.Context(), id)
}

func (h *fixture) revokesAll(who domain.UserRef) (int, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).RevokeSessions(h.t.Context(), who)
}

func (h *fixture) shows(who domain.UserRef) (admin.AccountDetails, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}}).ShowUser(h.t.Context(), who)
}

func TestParseUserRef(t *testing.T) {
	id := newFixture(t).addUser("ada").user.ID()
	for given, want := range map[string]domain.UserRef{
		id.String():         {ID: id},
		"ada@example.org":   {Email: "ada@example.org"},
		" Ada@Example.ORG ": {Email: "ada@example.org"},
	} {
		if got, err := domain.ParseUserRef("user", given); err != nil || got != want {
			t.Errorf("ParseWho(%q) = %+v, %v", given, got, err)
		}
	}
	for _, bad := range []string{"", " ", "ada", "@example.org", id.String()[1:]} {
		if got, err := domain.ParseUserRef("user", bad); !errors.Is(err, domain.ErrInvalidRequest) || got != (domain.UserRef{}) {
			t.Errorf("ParseWho(%q) = %+v, %v", bad, got, err)
		}
	}
}

func TestAdmin_UserNotFound(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	stranger := newFixture(t).addUser("ben").user.ID()
	for _, who := range []domain.UserRef{{}, {ID: stranger}, {Email: "ben@example.org"}} {
		_, shown := h.shows(who)
		_, disabled := h.disables(who)
		_, revoked := h.revokesAll(who)
		for what, err := range map[string]error{
			"show": shown, "disable": disabled, "enable": h.enables(who), "delete": h.deletes(who), "revoke": revoked,
		} {
			if !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%s %+v: %v", what, who, err)
			}
		}
	}
	if len(h.entries(ada.user.ID())) != 0 || len(h.entries(domain.UserID{})) != 0 {
		t.Error("something was logged")
	}
}

func TestListUsers_Pages(t *testing.T) {
	h := newFixture(t)
	var all []domain.UserID
	for i := range 5 {
		all = append(all, h.addUser(fmt.Sprint("user", i)).user.ID())
	}
	slices.SortFunc(all, func(a, b domain.UserID) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	var seen []domain.UserID
	var after domain.UserID
	for {
		page, err := (&admin.Service{Store: h.store}).ListUsers(t.Context(), after, 2)
		if err != nil || len(page) > 2 {
			t.Fatalf("%v, %v", page, err)
		}
		if len(page) == 0 {
			break
		}
		for _, user := range page {
			after = user.ID()
			seen = append(seen, after)
		}
	}
	if !slices.Equal(seen, all) {
		t.Errorf("got %v, want %v", seen, all)
	}
}

func TestShowUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	ben.addSession(noon)
	open := ada.addSession(noon)
	ada.addSession(noon.Add(-lifetime.IdleTTL)) // expired
	for i := range 25 {
		e := domain.NewEvent(domain.EventState{UserID: ada.user.ID(), Kind: domain.EventSignedIn}, noon.Add(time.Duration(i)*time.Second), rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for i := range 30 { // a stranger, later than all of that
		e := domain.NewEvent(domain.EventState{UserID: ada.user.ID(), Kind: domain.EventSignInRefused, Reason: fmt.Sprint(i)}, noon.Add(time.Hour), rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for _, who := range []domain.UserRef{ada.ref(), {Email: "ada@example.org"}} {
		got, err := h.shows(who)
		if err != nil || got.User.ID() != ada.user.ID() || len(got.Passkeys) != 1 || got.Passkeys[0].ID() != "ada" || len(got.Sessions) != 1 || got.Sessions[0].ID() != open {
			t.Errorf("%+v, %v", got, err)
		}
		if len(got.Events) != 30 || got.Events[9].Kind() != domain.EventSignInRefused || !got.Events[10].State().At.Equal(noon.Add(24*time.Second)) ||
			!got.Events[29].State().At.Equal(noon.Add(5*time.Second)) {
			t.Errorf("%d events, want the latest 10 refusals and then the latest 20 others", len(got.Events))
		}
	}
}

func TestDisableUser_RevokesSessions(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	open := []domain.SessionID{ada.addSession(noon), ada.addSession(noon)}
	expired, bens := ada.addSession(noon.Add(-lifetime.IdleTTL)), ben.addSession(noon)
	if n, err := h.disables(ada.ref()); n != 2 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	if user := ada.stored(); !errors.Is(user.RequireEnabled(), domain.ErrUserDisabled) || !user.DisabledAt().Equal(noon) {
		t.Errorf("left %+v", user)
	}
	for _, id := range open {
		if err := h.sessionErr(id); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("a session of hers: %v", err)
		}
	}
	if err := h.sessionErr(expired); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("one that had expired: %v", err)
	}
	if err := errors.Join(h.sessionErr(bens), ben.stored().RequireEnabled()); err != nil {
		t.Errorf("Ben: %v", err)
	}
	counted := map[string]int{}
	for _, e := range h.entries(ada.user.ID()) {
		counted[string(e.Kind)+" "+e.Reason]++
		if e.Actor != domain.ActorOperator || e.IP != "" || e.DeviceName != "" || e.RequestID != "" || !e.At.Equal(noon) {
			t.Errorf("logged %+v", e)
		}
	}
	if len(counted) != 2 || counted["account_disabled "] != 1 || counted["session_revoked account_disabled"] != 2 {
		t.Errorf("logged %v", counted)
	}
}

// Whoever got in all the same, say in the moment between, is out the second time; the log says once that it was shut.
func TestDisableUser_AgainRecordsNoEvent(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	for want := range 2 {
		if n, err := h.disables(ada.ref()); n != want || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
		ada.addSession(noon)
	}
	if log := h.entries(ada.user.ID()); len(log) != 2 {
		t.Errorf("logged %+v", log)
	}
}

func TestEnableUser(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	if err := h.enables(ada.ref()); err != nil || len(h.entries(ada.user.ID())) != 0 {
		t.Errorf("an open one: %v, logged %+v", err, h.entries(ada.user.ID()))
	}
	before := ada.addSession(noon)
	if _, err := h.disables(ada.ref()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.enables(ada.ref()); err != nil || ada.stored().RequireEnabled() != nil {
			t.Errorf("got %v, then %v", err, ada.stored().RequireEnabled())
		}
	}
	// What it ended stays ended.
	if err := h.sessionErr(before); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the session of before: %v", err)
	}
	opened := 0
	for _, e := range h.entries(ada.user.ID()) {
		if e.Kind == domain.EventAccountEnabled {
			opened++
			if e.Actor != domain.ActorOperator || e.UserID != ada.user.ID() {
				t.Errorf("logged %+v", e)
			}
		}
	}
	if opened != 1 {
		t.Errorf("logged %d times", opened)
	}
}

func TestDeleteUser_AnonymisesEvents(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	session := ada.addSession(noon)
	if _, err := h.disables(ada.ref()); err != nil {
		t.Fatal(err)
	}
	if err := h.deletes(domain.UserRef{Email: "ada@example.org"}); err != nil {
		t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error {
		_, user := tx.Users.ByID(t.Context(), ada.user.ID())
		_, key := tx.Credentials.ByID(t.Context(), "ada")
		_, byID := tx.Sessions.ByID(t.Context(), session)
		if !errors.Is(user, domain.ErrUserNotFound) || !errors.Is(key, domain.ErrPasskeyUnknown) || !errors.Is(byID, domain.ErrSessionNotFound) {
			t.Errorf("Ada is still there: %v, %v, %v", user, key, byID)
		}
		return nil
	})
	if log := h.entries(ada.user.ID()); len(log) != 0 {
		t.Errorf("her log: %+v", log)
	}
	counted := map[domain.EventKind]int{}
	for _, e := range h.entries(domain.UserID{}) {
		counted[e.Kind]++
		if e.Actor != domain.ActorOperator || !e.SessionID.IsZero() || e.CredentialID != "" || e.IP != "" || e.DeviceName != "" {
			t.Errorf("left %+v", e)
		}
	}
	if counted[domain.EventAccountDeleted] != 1 || counted[domain.EventAccountDisabled] != 1 || counted[domain.EventSessionRevoked] != 1 || len(counted) != 3 {
		t.Errorf("left %v", counted)
	}
	if err := ben.stored().RequireEnabled(); err != nil {
		t.Errorf("Ben: %v", err)
	}
}

func TestRevokeSession(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	lost, other, expired := ada.addSession(noon), ada.addSession(noon), ada.addSession(noon.Add(-lifetime.IdleTTL))
	for name, c := range map[string]struct {
		id         domain.SessionID
		want, over error
	}{
		"one that lasts":   {lost, nil, domain.ErrSessionRevoked},
		"one that expired": {expired, domain.ErrSessionNotFound, domain.ErrSessionExpired},
	} {
		if err := h.revokes(c.id); !errors.Is(err, c.want) || !errors.Is(h.sessionErr(c.id), c.over) {
			t.Errorf("%s: %v, afterwards %v", name, err, h.sessionErr(c.id))
		}
	}
	for name, id := range map[string]domain.SessionID{"one that was ended": lost, "none": {}} {
		if err := h.revokes(id); !errors.Is(err, domain.ErrSessionNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.sessionErr(other); err != nil {
		t.Errorf("another: %v", err)
	}
	log := h.entries(ada.user.ID())
	if len(log) != 1 || log[0].Kind != domain.EventSessionRevoked || log[0].SessionID != lost || log[0].Actor != domain.ActorOperator || log[0].Reason != "" {
		t.Errorf("logged %+v", log)
	}
}

func TestRevokeSessions(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	adas := []domain.SessionID{ada.addSession(noon), ada.addSession(noon)}
	bens := ben.addSession(noon)
	for _, want := range []int{2, 0} {
		if n, err := h.revokesAll(ada.ref()); n != want || err != nil {
			t.Errorf("ended %d, %v; want %d", n, err, want)
		}
	}
	for _, id := range adas {
		if err := h.sessionErr(id); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("one of hers: %v", err)
		}
	}
	if err := errors.Join(h.sessionErr(bens), ada.stored().RequireEnabled()); err != nil {
		t.Errorf("Ben's, or her account: %v", err)
	}
	for _, e := range h.entries(ada.user.ID()) {
		if e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorOperator || e.Reason != "" {
			t.Errorf("logged %+v", e)
		}
	}
}

// unavailableStore is a store that cannot be reached.
type unavailableStore struct{}

func (unavailableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}
func (unavailableStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestAdmin_StoreError(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	id := ada.addSession(noon)
	h.store = unavailableStore{}
	_, listed := (&admin.Service{Store: h.store}).ListUsers(t.Context(), domain.UserID{}, 10)
	_, shown := h.shows(ada.ref())
	_, disabled := h.disables(ada.ref())
	_, revoked := h.revokesAll(ada.ref())
	for what, err := range map[string]error{
		"list": listed, "show": shown, "disable": disabled, "enable": h.enables(ada.ref()), "delete": h.deletes(ada.ref()), "revoke": h.revokes(id), "revoke all": revoked,
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
