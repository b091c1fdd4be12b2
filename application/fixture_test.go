package application_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
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

// clock stands still until it is told to go on.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

type deviceNames struct{}

func (deviceNames) NameOf(string) string { return "" }

// fixture is where Ada has just signed in, twice, by one of her two passkeys. It sends mail, and her address is verified.
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
		return errors.Join(tx.Users.Add(t.Context(), f.ada.User), tx.Credentials.Add(t.Context(), key), tx.Credentials.Add(t.Context(), second))
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
	made, err := f.device.Create(options, variations...)
	if err != nil {
		f.t.Fatal(err)
	}
	return ports.RegistrationAnswer{ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject}
}

func (f *fixture) getAssertion(options []byte, variations ...authenticator.Variation) ports.AuthenticationAnswer {
	f.t.Helper()
	made, err := f.device.Get(options, variations...)
	if err != nil {
		f.t.Fatal(err)
	}
	return ports.AuthenticationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
		Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
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

// storeDump is all that the store keeps, but for refused attempts in anybody's log.
type storeDump struct {
	users          []domain.UserState
	passkeys       []domain.CredentialState
	sessions       []domain.SessionState
	log            []domain.EventState
	keys           []domain.SigningKeyState
	totps          []domain.TOTPState
	codes          []int
	recoveryGrants []domain.RecoveryGrantState
	outboxEmails   []domain.OutboxEmailState
	sendLimits     []domain.LockoutState // to the mailboxes that anybody claims here
}

// changedFields names what is not as it was before.
func (k storeDump) changedFields(before storeDump) (parts []string) {
	now, then := reflect.ValueOf(k), reflect.ValueOf(before)
	for i := range now.NumField() {
		if fmt.Sprintf("%+v", now.Field(i)) != fmt.Sprintf("%+v", then.Field(i)) {
			parts = append(parts, now.Type().Field(i).Name)
		}
	}
	return parts
}

func (f *fixture) dump() (k storeDump) {
	f.t.Helper()
	f.update(func(tx ports.Tx) error {
		ctx, seen := f.t.Context(), map[domain.SessionID]bool{}
		users, err := tx.Users.List(ctx, domain.UserID{}, 100)
		if err != nil {
			return err
		}
		owners := []domain.UserID{{}} // of what names nobody
		for _, user := range users {
			k.users = append(k.users, user.State())
			owners = append(owners, user.ID())
		}
		for _, owner := range owners {
			owned, credentialsErr := tx.Credentials.ListByUser(ctx, owner)
			for _, c := range owned {
				k.passkeys = append(k.passkeys, c.State())
			}
			live, sessionsErr := tx.Sessions.ListActive(ctx, owner, noon, domain.SessionID{}, 100)
			for _, session := range live {
				seen[session.ID()] = true
				k.sessions = append(k.sessions, session.State())
			}
			events, eventsErr := tx.Events.ListByUser(ctx, owner, domain.EventID{}, 100)
			for _, e := range events {
				if !slices.Contains(refusals, e.Kind()) {
					k.log = append(k.log, e.State())
				}
			}
			app, appErr := tx.TOTPs.Get(ctx, owner)
			k.totps = append(k.totps, app.State())
			codes, _, codesErr := tx.BackupCodes.Count(ctx, owner)
			k.codes = append(k.codes, codes)
			if signIn, err := tx.RecoveryGrants.ByUser(ctx, owner); err == nil {
				k.recoveryGrants = append(k.recoveryGrants, signIn.State())
			}
			if err := errors.Join(credentialsErr, sessionsErr, eventsErr, appErr, codesErr); err != nil {
				return err
			}
		}
		for _, id := range []domain.SessionID{f.ada.Session.ID(), f.otherSession} { // also when they have ended
			if session, err := tx.Sessions.ByID(ctx, id); err == nil && !seen[id] {
				k.sessions = append(k.sessions, session.State())
			}
		}
		for _, mailbox := range []domain.Email{"ada@example.org", newAdaEmail, "ben@example.org"} {
			sent, err := tx.Lockouts.Get(ctx, f.verification.Lockout.Mailbox(mailbox))
			if err != nil {
				return err
			}
			k.sendLimits = append(k.sendLimits, sent.State())
		}
		messages, messagesErr := tx.OutboxEmails.ListDue(ctx, noon.Add(100*365*24*time.Hour), 100)
		for _, m := range messages {
			k.outboxEmails = append(k.outboxEmails, m.State())
		}
		keys, err := tx.SigningKeys.All(ctx)
		for _, key := range keys {
			k.keys = append(k.keys, key.State())
		}
		return errors.Join(err, messagesErr)
	})
	return k
}

var refusals = []domain.EventKind{domain.EventSignInRefused, domain.EventStepUpRefused, domain.EventPasskeyAddRefused}
