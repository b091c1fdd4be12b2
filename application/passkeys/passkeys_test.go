package passkeys_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

const (
	origin = "http://localhost:8080"
	stepUp = domain.StepUpTTL(10 * time.Minute)
)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

type deviceNames struct{}

func (deviceNames) NameOf(userAgent string) string { return userAgent }

// hookedRelyingParty calls beforeVerify once, before the next verification.
type hookedRelyingParty struct {
	ports.RelyingParty
	beforeVerify func()
}

func (r *hookedRelyingParty) VerifyRegistration(state []byte, answer ports.RegistrationAnswer) (domain.Registration, error) {
	if hook := r.beforeVerify; hook != nil {
		r.beforeVerify = nil
		hook()
	}
	return r.RelyingParty.VerifyRegistration(state, answer)
}

// fixture calls the use cases at the time now, which tests change.
type fixture struct {
	t            *testing.T
	store        ports.Store
	relyingParty *hookedRelyingParty
	now          time.Time
	limit        domain.PasskeyLimit
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, store: sqlitestore.New(t), relyingParty: &hookedRelyingParty{RelyingParty: relyingParty}, now: noon, limit: 20}
}

func (l *fixture) newAuditLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
}

func (l *fixture) challenges() *ceremony.Service {
	return &ceremony.Service{Store: l.store, Clock: clock(l.now), Random: rand.Reader, TTL: ceremony.TTL(5 * time.Minute)}
}

func (l *fixture) update(fn func(ports.Tx) error) {
	l.t.Helper()
	if err := l.store.Update(context.WithoutCancel(l.t.Context()), fn); err != nil {
		l.t.Fatal(err)
	}
}

// person is a signed-in user with one passkey, which has the user's name as its id.
type person struct {
	*fixture
	user *domain.User
	identity.Principal
}

func (l *fixture) addUser(name string) *person {
	l.t.Helper()
	pendingUser := domain.NewPendingUser("", domain.DisplayName(name), l.now, rand.Reader)
	p := &person{fixture: l, user: pendingUser.ToUser(l.now)}
	l.update(func(tx ports.Tx) error { return tx.Users.Add(l.t.Context(), p.user) })
	p.Principal = p.signIn(p.addPasskey(domain.CredentialID(name), domain.CredentialActive))
	return p
}

// addPasskey adds a passkey to the account.
func (p *person) addPasskey(id domain.CredentialID, status domain.CredentialStatus) *domain.Credential {
	p.t.Helper()
	key := sqlitestore.Credential(domain.CredentialState{
		ID: id, UserID: p.user.ID(), Name: domain.PasskeyName(id + "'s key"), Status: status, CreatedAt: p.now,
	})
	p.update(func(tx ports.Tx) error { return tx.Credentials.Add(p.t.Context(), key, sqlitestore.Attestation()) })
	return key
}

func (p *person) signIn(key *domain.Credential) identity.Principal {
	p.t.Helper()
	session, _ := domain.OpenSession(key, domain.Device{}, lifetime, p.now, rand.Reader)
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return identity.Principal{User: p.user, Session: session, AuthContext: session.AuthContext(), Client: identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}}
}

// passkeyIDs returns the ids of the stored passkeys.
func (p *person) passkeyIDs() (ids []domain.CredentialID) {
	p.t.Helper()
	list, err := (&passkeys.Service{Store: p.store}).List(context.WithoutCancel(p.t.Context()), p.Principal)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range list {
		ids = append(ids, c.ID())
	}
	return ids
}

func (p *person) entries() (list []domain.EventState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			list = append(list, e.State())
		}
		return err
	})
	return list
}

// kindsAndReasons returns the kinds and reasons of the person's events, sorted.
func (p *person) kindsAndReasons() []string {
	p.t.Helper()
	list := []string{}
	for _, e := range p.entries() {
		list = append(list, strings.TrimSpace(string(e.Kind)+" "+e.Reason))
	}
	slices.Sort(list)
	return list
}

func (p *person) begin(principal identity.Principal, browser domain.Binding) (ceremony.Begun, error) {
	begin := &passkeys.Service{Store: p.store, RelyingParty: p.relyingParty, Clock: clock(p.now), Challenges: p.challenges(), StepUp: stepUp, Limit: p.limit}
	return begin.BeginAdd(p.t.Context(), principal, browser)
}

// attempt is a registration with the response of an authenticator.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.RegistrationAnswer
}

// createPasskey begins a registration and creates the passkey on a new authenticator.
func (p *person) createPasskey(variations ...authenticator.Variation) attempt {
	p.t.Helper()
	return p.createPasskeyOn(authenticator.New(origin), variations...)
}

func (p *person) createPasskeyOn(device *authenticator.Authenticator, variations ...authenticator.Variation) attempt {
	p.t.Helper()
	started, err := p.begin(p.Principal, domain.Binding{})
	if err != nil {
		p.t.Fatal(err)
	}
	created, err := device.Create(started.Options, variations...)
	if err != nil {
		p.t.Fatal(err)
	}
	return attempt{started.ChallengeID, ports.RegistrationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject,
	}}
}

func (l *fixture) add(principal identity.Principal, a attempt) (passkeys.Added, error) {
	finish := &passkeys.Service{Store: l.store, RelyingParty: l.relyingParty, Clock: clock(l.now), Challenges: l.challenges(), Audit: l.newAuditLog(), Limit: l.limit}
	return finish.FinishAdd(l.t.Context(), principal, passkeys.FinishAddInput{ChallengeID: a.challenge, Credential: a.answer, Name: "the blue one"})
}

func (l *fixture) rename(principal identity.Principal, id domain.CredentialID, name domain.PasskeyName) (*domain.Credential, error) {
	return (&passkeys.Service{Store: l.store, Clock: clock(l.now), Audit: l.newAuditLog()}).Rename(l.t.Context(), principal, id, name)
}

func (l *fixture) remove(principal identity.Principal, id domain.CredentialID) (passkeys.Removed, error) {
	return (&passkeys.Service{Store: l.store, Clock: clock(l.now), Audit: l.newAuditLog(), StepUp: stepUp}).Remove(l.t.Context(), principal, id)
}

func credentialIDs(passkeys domain.Passkeys) (list []domain.CredentialID) {
	for _, c := range passkeys {
		list = append(list, c.ID())
	}
	return list
}

func TestList_OwnOldestFirst(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	l.addUser("Ben")
	l.now = noon.Add(time.Minute)
	ada.addPasskey("A second", domain.CredentialSuspended)
	if got := ada.passkeyIDs(); !slices.Equal(got, []domain.CredentialID{"Ada", "A second"}) {
		t.Errorf("got %q", got)
	}
}

func TestRename_OwnPasskeysOnly(t *testing.T) {
	l := newFixture(t)
	ada, ben := l.addUser("Ada"), l.addUser("Ben")
	for name, c := range map[string]struct {
		id   domain.CredentialID
		name domain.PasskeyName
		want error
	}{
		"another user's": {"Ben", "mine", domain.ErrPasskeyNotFound},
		"unknown":        {"unknown", "mine", domain.ErrPasskeyNotFound},
	} {
		if got, err := l.rename(ada.Principal, c.id, c.name); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, name := range []domain.PasskeyName{"the blue one", "the blue one", ""} {
		got, err := l.rename(ada.Principal, "Ada", name)
		if err != nil || got.ID() != "Ada" || got.Name() != name {
			t.Errorf("got %+v, %v", got, err)
		}
		l.update(func(tx ports.Tx) error {
			if stored, err := tx.Credentials.ByID(t.Context(), "Ada"); err != nil || stored.Name() != name {
				t.Errorf("stored %+v, %v", stored, err)
			}
			return nil
		})
	}
	// Two of the three calls changed the name.
	log := ada.entries()
	if len(log) != 2 || len(ben.entries()) != 0 {
		t.Fatalf("logged %+v and %+v", log, ben.entries())
	}
	var names []string
	for _, e := range log {
		if names = append(names, string(e.PasskeyName)); e.Kind != domain.EventPasskeyRenamed || e.CredentialID != "Ada" || e.SessionID != ada.Session.ID() || e.IP != "127.0.0.1" {
			t.Errorf("logged %+v", e)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"", "the blue one"}) {
		t.Errorf("logged the names %q", names)
	}
}
