package admin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
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

// fixture calls the use cases of the operator.
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

// person is a user with the address name@example.org and a passkey with the name as its id.
type person struct {
	*fixture
	user *domain.User
	key  *domain.Credential
}

func (h *fixture) addUser(name string) *person {
	h.t.Helper()
	pendingUser := domain.NewPendingUser(domain.Email(name+"@example.org"), domain.DisplayName(name), noon, rand.Reader)
	key, err := domain.NewCredential(pendingUser.UserID, "", sqlitestore.Registration(domain.CredentialID(name)), noon)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &person{h, pendingUser.ToUser(noon), key}
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(h.t.Context(), p.user), tx.Credentials.Add(h.t.Context(), key, sqlitestore.Attestation()))
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

// sessionErr returns the error of RequireActive for a session; nil if it is active.
func (h *fixture) sessionErr(id domain.SessionID) (sessionErr error) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(h.t.Context(), id)
		if err == nil {
			sessionErr = s.RequireActive(noon)
		}
		return err
	})
	return sessionErr
}

func (h *fixture) events(user domain.UserID) (list []domain.EventState) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(h.t.Context(), user, domain.EventID{}, 1000)
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

func (h *fixture) disableUser(ref domain.UserRef) (int, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).DisableUser(h.t.Context(), ref)
}

func (h *fixture) enableUser(ref domain.UserRef) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).EnableUser(h.t.Context(), ref)
}

func (h *fixture) deleteUser(ref domain.UserRef) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).DeleteUser(h.t.Context(), ref)
}

func (h *fixture) revokeSession(id domain.SessionID) error {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).RevokeSession(h.t.Context(), id)
}

func (h *fixture) revokeSessions(ref domain.UserRef) (int, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).RevokeSessions(h.t.Context(), ref)
}

func (h *fixture) showUser(ref domain.UserRef) (admin.AccountDetails, error) {
	return (&admin.Service{Store: h.store, Clock: clock{}}).ShowUser(h.t.Context(), ref)
}

func TestParseUserRef(t *testing.T) {
	id := newFixture(t).addUser("ada").user.ID()
	for given, want := range map[string]domain.UserRef{
		id.String():         {ID: id},
		"ada@example.org":   {Email: "ada@example.org"},
		" Ada@Example.ORG ": {Email: "ada@example.org"},
	} {
		if got, err := domain.ParseUserRef("user", given); err != nil || got != want {
			t.Errorf("ParseUserRef(%q) = %+v, %v", given, got, err)
		}
	}
	for _, bad := range []string{"", " ", "ada", "@example.org", id.String()[1:]} {
		if got, err := domain.ParseUserRef("user", bad); !errors.Is(err, domain.ErrInvalidRequest) || got != (domain.UserRef{}) {
			t.Errorf("ParseUserRef(%q) = %+v, %v", bad, got, err)
		}
	}
}

func TestAdmin_UserNotFound(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	unknown := newFixture(t).addUser("ben").user.ID()
	for _, ref := range []domain.UserRef{{}, {ID: unknown}, {Email: "ben@example.org"}} {
		_, showErr := h.showUser(ref)
		_, disableErr := h.disableUser(ref)
		_, groupsErr := (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}).ChangeGroups(h.t.Context(), ref, []domain.Group{"admin"}, nil)
		_, revokeErr := h.revokeSessions(ref)
		for name, err := range map[string]error{
			"show": showErr, "disable": disableErr, "enable": h.enableUser(ref), "delete": h.deleteUser(ref), "revoke": revokeErr, "groups": groupsErr,
		} {
			if !errors.Is(err, domain.ErrUserNotFound) {
				t.Errorf("%s %+v: %v", name, ref, err)
			}
		}
	}
	if len(h.events(ada.user.ID())) != 0 || len(h.events(domain.UserID{})) != 0 {
		t.Error("an event was recorded")
	}
}

func TestListUsers_Pages(t *testing.T) {
	h := newFixture(t)
	var all []domain.UserID
	for i := range 5 {
		all = append(all, h.addUser(fmt.Sprint("user", i)).user.ID())
	}
	slices.SortFunc(all, func(a, b domain.UserID) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	var got []domain.UserID
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
			got = append(got, after)
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("got %v, want %v", got, all)
	}
}

func TestShowUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	ben.addSession(noon)
	active := ada.addSession(noon)
	ada.addSession(noon.Add(-lifetime.IdleTTL)) // expired
	for i := range 25 {
		e := domain.NewEvent(domain.EventState{UserID: ada.user.ID(), Kind: domain.EventSignedIn}, noon.Add(time.Duration(i)*time.Second), rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for i := range 30 { // failed attempts, later than all other events
		e := domain.NewEvent(domain.EventState{UserID: ada.user.ID(), Kind: domain.EventSignInRefused, Reason: fmt.Sprint(i)}, noon.Add(time.Hour), rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	for _, ref := range []domain.UserRef{ada.ref(), {Email: "ada@example.org"}} {
		got, err := h.showUser(ref)
		if err != nil || got.User.ID() != ada.user.ID() || len(got.Passkeys) != 1 || got.Passkeys[0].ID() != "ada" || len(got.Sessions) != 1 || got.Sessions[0].ID() != active {
			t.Errorf("%+v, %v", got, err)
		}
		if len(got.Events) != 30 || got.Events[9].Kind() != domain.EventSignInRefused || !got.Events[10].State().At.Equal(noon.Add(24*time.Second)) ||
			!got.Events[29].State().At.Equal(noon.Add(5*time.Second)) {
			t.Errorf("%d events, want the latest 10 failed attempts and then the latest 20 others", len(got.Events))
		}
	}
}

// Requirement: ASVS-7.4.2
func TestDisableUser_RevokesSessions(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	active := []domain.SessionID{ada.addSession(noon), ada.addSession(noon)}
	expired, benSession := ada.addSession(noon.Add(-lifetime.IdleTTL)), ben.addSession(noon)
	if n, err := h.disableUser(ada.ref()); n != 2 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	if user := ada.stored(); !errors.Is(user.RequireEnabled(), domain.ErrUserDisabled) || !user.DisabledAt().Equal(noon) {
		t.Errorf("stored %+v", user)
	}
	for _, id := range active {
		if err := h.sessionErr(id); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("Ada's session: %v", err)
		}
	}
	if err := h.sessionErr(expired); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the expired session: %v", err)
	}
	if err := errors.Join(h.sessionErr(benSession), ben.stored().RequireEnabled()); err != nil {
		t.Errorf("Ben's account or session: %v", err)
	}
	counted := map[string]int{}
	for _, e := range h.events(ada.user.ID()) {
		counted[string(e.Kind)+" "+e.Reason]++
		if e.Actor != domain.ActorOperator || e.IP != "" || e.DeviceName != "" || e.RequestID != "" || !e.At.Equal(noon) {
			t.Errorf("logged %+v", e)
		}
	}
	if len(counted) != 2 || counted["account_disabled "] != 1 || counted["session_revoked account_disabled"] != 2 {
		t.Errorf("logged %v", counted)
	}
}

// Disabling an account again revokes sessions that were opened meanwhile, and records no second event.
func TestDisableUser_AgainRecordsNoEvent(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	for want := range 2 {
		if n, err := h.disableUser(ada.ref()); n != want || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		ada.addSession(noon)
	}
	if log := h.events(ada.user.ID()); len(log) != 2 {
		t.Errorf("logged %+v", log)
	}
}

func TestEnableUser(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	if err := h.enableUser(ada.ref()); err != nil || len(h.events(ada.user.ID())) != 0 {
		t.Errorf("an enabled account: %v, logged %+v", err, h.events(ada.user.ID()))
	}
	before := ada.addSession(noon)
	if _, err := h.disableUser(ada.ref()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.enableUser(ada.ref()); err != nil || ada.stored().Disabled() {
			t.Errorf("got %v, disabled %t", err, ada.stored().Disabled())
		}
	}
	// The revoked session stays revoked.
	if err := h.sessionErr(before); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the session from before: %v", err)
	}
	enabled := 0
	for _, e := range h.events(ada.user.ID()) {
		if e.Kind == domain.EventAccountEnabled {
			enabled++
			if e.Actor != domain.ActorOperator || e.UserID != ada.user.ID() {
				t.Errorf("logged %+v", e)
			}
		}
	}
	if enabled != 1 {
		t.Errorf("%d events of enabling, want 1", enabled)
	}
}

func TestChangeGroups(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	service := &admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}
	for _, c := range []struct {
		add, remove []domain.Group
		want        domain.Groups
		events      int
	}{
		{[]domain.Group{"staff", "admin"}, nil, domain.Groups{"admin", "staff"}, 1},
		{[]domain.Group{"admin"}, []domain.Group{"other"}, domain.Groups{"admin", "staff"}, 1}, // changes nothing
		{nil, []domain.Group{"admin"}, domain.Groups{"staff"}, 2},
	} {
		user, err := service.ChangeGroups(t.Context(), ada.ref(), c.add, c.remove)
		if err != nil || !slices.Equal(user.Groups(), c.want) || !slices.Equal(ada.stored().Groups(), c.want) {
			t.Errorf("+%v -%v: %v, %v, stored %v; want %v", c.add, c.remove, user, err, ada.stored().Groups(), c.want)
		}
		if log := h.events(ada.user.ID()); len(log) != c.events || log[0].Kind != domain.EventAccountChanged ||
			log[0].Actor != domain.ActorOperator || !slices.Equal(log[0].Changed, []string{"groups"}) {
			t.Errorf("+%v -%v: logged %+v, want %d events", c.add, c.remove, log, c.events)
		}
	}
	if groups := ben.stored().Groups(); len(groups) != 0 {
		t.Errorf("Ben's groups: %v", groups)
	}
}

func TestDeleteUser_AnonymisesEvents(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	session := ada.addSession(noon)
	if _, err := h.disableUser(ada.ref()); err != nil {
		t.Fatal(err)
	}
	if err := h.deleteUser(domain.UserRef{Email: "ada@example.org"}); err != nil {
		t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error {
		_, userErr := tx.Users.ByID(t.Context(), ada.user.ID())
		_, keyErr := tx.Credentials.ByID(t.Context(), "ada")
		_, sessionErr := tx.Sessions.ByID(t.Context(), session)
		if !errors.Is(userErr, domain.ErrUserNotFound) || !errors.Is(keyErr, domain.ErrPasskeyUnknown) || !errors.Is(sessionErr, domain.ErrSessionNotFound) {
			t.Errorf("Ada's data was not deleted: %v, %v, %v", userErr, keyErr, sessionErr)
		}
		return nil
	})
	if log := h.events(ada.user.ID()); len(log) != 0 {
		t.Errorf("Ada still has events: %+v", log)
	}
	counted := map[domain.EventKind]int{}
	for _, e := range h.events(domain.UserID{}) {
		counted[e.Kind]++
		if e.Actor != domain.ActorOperator || !e.SessionID.IsZero() || e.CredentialID != "" || e.IP != "" || e.DeviceName != "" {
			t.Errorf("event not anonymised: %+v", e)
		}
	}
	if counted[domain.EventAccountDeleted] != 1 || counted[domain.EventAccountDisabled] != 1 || counted[domain.EventSessionRevoked] != 1 || len(counted) != 3 {
		t.Errorf("remaining events: %v", counted)
	}
	if err := ben.stored().RequireEnabled(); err != nil {
		t.Errorf("Ben's account or session: %v", err)
	}
}

func TestRevokeSession(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	active, other, expired := ada.addSession(noon), ada.addSession(noon), ada.addSession(noon.Add(-lifetime.IdleTTL))
	for name, c := range map[string]struct {
		id               domain.SessionID
		want, sessionErr error
	}{
		"an active session":  {active, nil, domain.ErrSessionRevoked},
		"an expired session": {expired, domain.ErrSessionNotFound, domain.ErrSessionExpired},
	} {
		if err := h.revokeSession(c.id); !errors.Is(err, c.want) || !errors.Is(h.sessionErr(c.id), c.sessionErr) {
			t.Errorf("%s: %v, then the session: %v", name, err, h.sessionErr(c.id))
		}
	}
	for name, id := range map[string]domain.SessionID{"a revoked session": active, "the zero id": {}} {
		if err := h.revokeSession(id); !errors.Is(err, domain.ErrSessionNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.sessionErr(other); err != nil {
		t.Errorf("the other session: %v", err)
	}
	log := h.events(ada.user.ID())
	if len(log) != 1 || log[0].Kind != domain.EventSessionRevoked || log[0].SessionID != active || log[0].Actor != domain.ActorOperator || log[0].Reason != "" {
		t.Errorf("logged %+v", log)
	}
}

func TestRevokeSessions(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	adaSessions := []domain.SessionID{ada.addSession(noon), ada.addSession(noon)}
	benSession := ben.addSession(noon)
	for _, want := range []int{2, 0} {
		if n, err := h.revokeSessions(ada.ref()); n != want || err != nil {
			t.Errorf("revoked %d, %v; want %d", n, err, want)
		}
	}
	for _, id := range adaSessions {
		if err := h.sessionErr(id); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("Ada's session: %v", err)
		}
	}
	if err := errors.Join(h.sessionErr(benSession), ada.stored().RequireEnabled()); err != nil {
		t.Errorf("Ben's session or Ada's account: %v", err)
	}
	for _, e := range h.events(ada.user.ID()) {
		if e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorOperator || e.Reason != "" {
			t.Errorf("logged %+v", e)
		}
	}
}

// unavailableStore is a store that is unavailable.
type unavailableStore struct{}

func (unavailableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}
func (unavailableStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}
func (unavailableStore) OtherCommits() (uint64, bool) { return 0, false }

func TestAdmin_StoreError(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	id := ada.addSession(noon)
	h.store = unavailableStore{}
	_, listErr := (&admin.Service{Store: h.store}).ListUsers(t.Context(), domain.UserID{}, 10)
	_, showErr := h.showUser(ada.ref())
	_, disableErr := h.disableUser(ada.ref())
	_, revokeErr := h.revokeSessions(ada.ref())
	for name, err := range map[string]error{
		"list": listErr, "show": showErr, "disable": disableErr, "enable": h.enableUser(ada.ref()), "delete": h.deleteUser(ada.ref()), "revoke": h.revokeSession(id), "revoke all": revokeErr,
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Requirement: ASVS-8.2.1
func TestAdmin_RequiresScope(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	session := ada.addSession(noon)
	calls := map[string]struct {
		scope domain.Scope
		call  func(s *admin.Service) error
	}{
		"list": {domain.ScopeUsersRead, func(s *admin.Service) error { _, err := s.ListUsers(t.Context(), domain.UserID{}, 1); return err }},
		"show": {domain.ScopeUsersRead, func(s *admin.Service) error { _, err := s.ShowUser(t.Context(), ada.ref()); return err }},
		"groups": {domain.ScopeUsersWrite, func(s *admin.Service) error {
			_, err := s.ChangeGroups(t.Context(), ada.ref(), []domain.Group{"staff"}, nil)
			return err
		}},
		"disable":    {domain.ScopeUsersWrite, func(s *admin.Service) error { _, err := s.DisableUser(t.Context(), ada.ref()); return err }},
		"enable":     {domain.ScopeUsersWrite, func(s *admin.Service) error { return s.EnableUser(t.Context(), ada.ref()) }},
		"recover":    {domain.ScopeUsersWrite, func(s *admin.Service) error { _, err := s.RecoverUser(t.Context(), ada.ref()); return err }},
		"delete":     {domain.ScopeUsersWrite, func(s *admin.Service) error { return s.DeleteUser(t.Context(), ada.ref()) }},
		"revoke":     {domain.ScopeSessionsWrite, func(s *admin.Service) error { return s.RevokeSession(t.Context(), session) }},
		"revoke all": {domain.ScopeSessionsWrite, func(s *admin.Service) error { _, err := s.RevokeSessions(t.Context(), ada.ref()); return err }},
		"revoke by address": {domain.ScopeSessionsWrite, func(s *admin.Service) error {
			_, err := s.RevokeSessionsByAddress(t.Context(), admin.AddressFilter{}, domain.SessionID{})
			return err
		}},
		"keys":   {domain.ScopeSigningKeysRead, func(s *admin.Service) error { _, err := s.ListSigningKeys(t.Context()); return err }},
		"create": {domain.ScopeUsersWrite, func(s *admin.Service) error { _, err := s.CreateUser(t.Context(), admin.UserInput{}); return err }},
		"search": {domain.ScopeUsersRead, func(s *admin.Service) error { _, err := s.SearchUsers(t.Context(), "a", 1); return err }},
		"rotate": {domain.ScopeSigningKeysWrite, func(s *admin.Service) error { _, err := s.RotateSigningKeys(t.Context()); return err }},
		"events": {domain.ScopeEventsRead, func(s *admin.Service) error {
			_, err := s.ListEvents(t.Context(), admin.EventFilter{}, domain.EventID{}, 1)
			return err
		}},
	}
	service := &admin.Service{
		Store: h.store, Clock: clock{}, Random: rand.Reader, Audit: h.auditLog, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)},
		RecoveryURL: func(domain.RecoveryGrantToken) domain.Secret { return domain.NewSecret("link") },
		SigningKeys: signingKeys(t, h.store),
	}
	as := func(scopes ...domain.Scope) *admin.Service {
		key, _, err := domain.NewAPIKey("Test", scopes, time.Hour, noon, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return service.As(key.Operator(), identity.Client{})
	}
	for name, c := range calls {
		others := slices.DeleteFunc(slices.Clone(domain.Scopes), func(s domain.Scope) bool { return s == c.scope })
		if err := c.call(as(others...)); !errors.Is(err, domain.ErrInsufficientScope) {
			t.Errorf("%s with all other scopes: %v", name, err)
		}
	}
	if len(h.events(ada.user.ID())) != 0 || h.sessionErr(session) != nil || ada.stored().Disabled() {
		t.Error("a rejected call has changed something")
	}
	for _, name := range []string{"list", "show", "groups", "revoke", "revoke all", "disable", "enable", "recover", "events", "delete"} {
		if err := calls[name].call(as(calls[name].scope)); err != nil {
			t.Errorf("%s with its scope: %v", name, err)
		}
	}
}

func TestListEvents_AfterTheyAreSettled(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("ada")
	var ids []domain.EventID
	for _, age := range []time.Duration{time.Hour, 11 * time.Second, 10*time.Second + time.Millisecond, 10 * time.Second, 0} {
		e := domain.NewEvent(domain.EventState{UserID: ada.user.ID(), Kind: domain.EventSignedIn}, noon.Add(-age), rand.Reader)
		ids = append(ids, e.ID())
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	service := &admin.Service{Store: h.store, Clock: clock{}}
	for _, c := range []struct {
		after domain.EventID
		limit int
		want  []domain.EventID
		more  bool
	}{
		{domain.EventID{}, 2, ids[:2], true},
		{domain.EventID{}, 3, ids[:3], false},
		{ids[1], 2, ids[2:3], false},
		{ids[2], 2, nil, false},
	} {
		got, err := service.ListEvents(t.Context(), admin.EventFilter{}, c.after, c.limit)
		var listed []domain.EventID
		for _, e := range got.Events {
			listed = append(listed, e.ID())
		}
		next := domain.FirstEventID(noon.Add(-10 * time.Second))
		if c.more {
			next = ids[1]
		}
		if err != nil || !slices.Equal(listed, c.want) || got.More != c.more || got.Next != next {
			t.Errorf("after %v, at most %d: %v, more %t, next %v, %v; want %v", c.after, c.limit, listed, got.More, got.Next, err, c.want)
		}
	}
	// A client that is ahead, because the clock was set back, keeps its position.
	if got, err := service.ListEvents(t.Context(), admin.EventFilter{}, ids[4], 2); err != nil || len(got.Events) != 0 || got.Next != ids[4] {
		t.Errorf("after the latest event: %+v, %v", got, err)
	}
}
