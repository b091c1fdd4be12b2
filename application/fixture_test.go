package application_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: 3 * time.Minute}
)

const (
	origin = "http://localhost:8080"
	stepUp = domain.StepUpTTL(10 * time.Minute)
)

// clock is a clock that stands still.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

type deviceNames struct{}

func (deviceNames) NameOf(string) string { return "" }

// fixture is a server that sends e-mail, and Ada, who has a verified address, two passkeys and two sessions of the first one.
type fixture struct {
	t            *testing.T
	store        ports.Store
	relyingParty ports.RelyingParty
	clock        *clock
	policy       domain.UsePolicy
	auditLog     *audit.Log
	verification *emailverify.Service
	device       *authenticator.Authenticator
	ada          identity.Principal
	cookie       domain.SessionToken // of her session
	otherSession domain.SessionID
	invite       domain.InviteToken // of sign-ups
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		t: t, store: sqlitestore.New(t), relyingParty: relyingParty, clock: &clock{noon}, device: authenticator.New(origin),
		auditLog:     &audit.Log{Random: rand.Reader, Devices: deviceNames{}, Notifier: notify.Notifier{Random: rand.Reader, Devices: deviceNames{}, Policy: domain.EmailOn}},
		verification: &emailverify.Service{Policy: domain.EmailOn, Keys: domain.KeyRing[domain.EmailCode]{make([]byte, 32)}, Sealer: plainSealer{}, Random: rand.Reader, Lockout: make([]byte, 32)},
	}
	applicant := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	begun, err := relyingParty.BeginRegistration(applicant.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	registration, err := relyingParty.VerifyRegistration(begun.State, f.createCredential(begun.Options))
	if err != nil {
		t.Fatal(err)
	}
	key, err := domain.NewCredential(applicant.UserID, "", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	second, err := domain.NewCredential(applicant.UserID, "", sqlitestore.Registration("second"), noon)
	if err != nil {
		t.Fatal(err)
	}
	state := applicant.ToUser(noon).State()
	state.EmailVerifiedAt = noon
	f.ada.User = domain.RestoreUser(state)
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), f.ada.User), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()), tx.Credentials.Add(t.Context(), second, sqlitestore.Attestation()))
	})
	f.ada.Session, f.cookie = f.addSession(key)
	f.ada.AuthContext = f.ada.Session.AuthContext()
	other, _ := f.addSession(key)
	f.otherSession = other.ID()
	return f
}

func (f *fixture) accountService() *account.Service {
	return &account.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog, Notifier: f.auditLog.Notifier, EmailVerification: f.verification, StepUp: stepUp}
}

func (f *fixture) addSession(by *domain.Credential) (*domain.Session, domain.SessionToken) {
	f.t.Helper()
	session, token := domain.OpenSession(by, domain.Device{}, lifetime, noon, rand.Reader)
	f.update(func(tx ports.Tx) error { return tx.Sessions.Add(f.t.Context(), session) })
	return session, token
}

func (f *fixture) update(fn func(ports.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) createCredential(options []byte, variations ...authenticator.Variation) ports.RegistrationAnswer {
	f.t.Helper()
	created, err := f.device.Create(options, variations...)
	if err != nil {
		f.t.Fatal(err)
	}
	return ports.RegistrationAnswer{ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject}
}

func (f *fixture) getAssertion(options []byte, variations ...authenticator.Variation) ports.AuthenticationAnswer {
	f.t.Helper()
	created, err := f.device.Get(options, variations...)
	if err != nil {
		f.t.Fatal(err)
	}
	return ports.AuthenticationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AuthenticatorData: created.Response.AuthenticatorData,
		Signature: created.Response.Signature, UserHandle: created.Response.UserHandle,
	}
}

func (f *fixture) challenges() *ceremony.Service {
	return &ceremony.Service{Store: f.store, Clock: f.clock, Random: rand.Reader, TTL: ceremony.TTL(time.Hour)}
}

func (f *fixture) beginAddPasskey() (ceremony.Begun, error) {
	begin := &passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), StepUp: stepUp, Limit: 20}
	return begin.BeginAdd(f.t.Context(), f.ada, domain.Binding{})
}

func (f *fixture) beginStepUp() (ceremony.Begun, error) {
	begin := &stepup.Service{Store: f.store, RelyingParty: f.relyingParty, Challenges: f.challenges()}
	return begin.Begin(f.t.Context(), f.ada, domain.Binding{})
}

// storeDump is the content of the store, except events of rejected attempts.
type storeDump struct {
	users          []domain.UserState
	passkeys       []domain.CredentialState
	sessions       []domain.SessionState
	events         []domain.EventState
	keys           []domain.SigningKeyState
	totps          []domain.TOTPState
	codes          []int
	recoveryGrants []domain.RecoveryGrantState
	outboxEmails   []domain.OutboxEmailState
	invites        []domain.InviteState
	sendLimits     []domain.LockoutState // of the mailboxes that the tests use
}

// changedFields returns the names of the fields that differ.
func (d storeDump) changedFields(before storeDump) (parts []string) {
	now, then := reflect.ValueOf(d), reflect.ValueOf(before)
	for i := range now.NumField() {
		if fmt.Sprintf("%+v", now.Field(i)) != fmt.Sprintf("%+v", then.Field(i)) {
			parts = append(parts, now.Type().Field(i).Name)
		}
	}
	return parts
}

func (f *fixture) dump() (d storeDump) {
	f.t.Helper()
	f.update(func(tx ports.Tx) error {
		ctx, seen := f.t.Context(), map[domain.SessionID]bool{}
		users, err := tx.Users.List(ctx, domain.UserID{}, 100)
		if err != nil {
			return err
		}
		owners := []domain.UserID{{}} // the zero id, of anonymous events
		for _, user := range users {
			d.users = append(d.users, user.State())
			owners = append(owners, user.ID())
		}
		for _, owner := range owners {
			credentials, credentialsErr := tx.Credentials.ListByUser(ctx, owner)
			for _, c := range credentials {
				d.passkeys = append(d.passkeys, c.State())
			}
			active, sessionsErr := tx.Sessions.ListActive(ctx, owner, noon, domain.SessionID{}, 100)
			for _, session := range active {
				seen[session.ID()] = true
				d.sessions = append(d.sessions, session.State())
			}
			events, eventsErr := tx.Events.ListByUser(ctx, owner, domain.EventID{}, 100)
			for _, e := range events {
				if !slices.Contains(rejections, e.Kind()) {
					d.events = append(d.events, e.State())
				}
			}
			app, appErr := tx.TOTPs.Get(ctx, owner)
			d.totps = append(d.totps, app.State())
			codes, _, codesErr := tx.BackupCodes.Count(ctx, owner)
			d.codes = append(d.codes, codes)
			if grant, err := tx.RecoveryGrants.ByUser(ctx, owner); err == nil {
				d.recoveryGrants = append(d.recoveryGrants, grant.State())
			}
			if err := errors.Join(credentialsErr, sessionsErr, eventsErr, appErr, codesErr); err != nil {
				return err
			}
		}
		for _, id := range []domain.SessionID{f.ada.Session.ID(), f.otherSession} { // also revoked ones
			if session, err := tx.Sessions.ByID(ctx, id); err == nil && !seen[id] {
				d.sessions = append(d.sessions, session.State())
			}
		}
		for _, mailbox := range []domain.Email{"ada@example.org", newAdaEmail, "ben@example.org"} {
			sent, err := tx.Lockouts.Get(ctx, f.verification.Lockout.Mailbox(mailbox))
			if err != nil {
				return err
			}
			d.sendLimits = append(d.sendLimits, sent.State())
		}
		emails, messagesErr := tx.OutboxEmails.ListDue(ctx, noon.Add(100*365*24*time.Hour), 100)
		for _, email := range emails {
			d.outboxEmails = append(d.outboxEmails, email.State())
		}
		invites, invitesErr := tx.Invites.List(ctx, domain.InviteID{}, 100)
		for _, i := range invites {
			d.invites = append(d.invites, i.State())
		}
		keys, err := tx.SigningKeys.All(ctx)
		for _, key := range keys {
			d.keys = append(d.keys, key.State())
		}
		return errors.Join(err, messagesErr, invitesErr)
	})
	return d
}

var rejections = []domain.EventKind{domain.EventSignInRefused, domain.EventStepUpRefused, domain.EventPasskeyAddRefused}
