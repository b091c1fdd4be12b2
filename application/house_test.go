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
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/mail"
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

type names struct{}

func (names) NameOf(string) string { return "" }

// stumbling is a source of randomness that fails at one of its reads and goes on as if nothing had been.
type stumbling struct{ at, reads int }

var errStumbled = errors.New("no randomness at this moment")

func (s *stumbling) Read(p []byte) (int, error) {
	if s.reads++; s.reads == s.at {
		return 0, errStumbled
	}
	return rand.Read(p)
}

// house is where Ada has just signed in, twice, by one of her two passkeys. It sends mail, and her address is verified.
type house struct {
	t            *testing.T
	store        ports.Store
	relyingParty ports.RelyingParty
	clock        *clock
	random       *stumbling
	policy       domain.UsePolicy
	log          *access.SecurityLog
	claims       *mail.Claims
	device       *authenticator.Authenticator
	ada          access.Actor
	cookie       domain.SessionToken // of her session
	other        domain.SessionID
}

func newHouse(t *testing.T) *house {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	random := &stumbling{}
	h := &house{
		t: t, store: memory.New(), relyingParty: relyingParty, clock: &clock{noon}, random: random, device: authenticator.New(origin),
		log:    &access.SecurityLog{Random: random, Devices: names{}, Mail: domain.MailOn},
		claims: &mail.Claims{Policy: domain.MailOn, Keys: domain.EmailCodeKeys{make([]byte, 32)}, Sealer: unsealed{}, Random: random, Lockout: make([]byte, 32)},
	}
	applicant, err := domain.NewApplicant("ada@example.org", "Ada", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := relyingParty.BeginRegistration(applicant.Entity(), nil)
	if err != nil {
		t.Fatal(err)
	}
	registration, err := relyingParty.VerifyRegistration(begun.State, h.creates(begun.Options))
	if err != nil {
		t.Fatal(err)
	}
	key, err := domain.NewCredential(applicant.UserID, "", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	second, err := domain.NewCredential(applicant.UserID, "", domain.Registration{CredentialID: "second", Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		t.Fatal(err)
	}
	is := applicant.Admit(noon).Snapshot()
	is.EmailVerifiedAt = noon
	h.ada.User = domain.RestoreUser(is)
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), h.ada.User), tx.Credentials.Add(t.Context(), key), tx.Credentials.Add(t.Context(), second))
	})
	h.ada.Session, h.cookie = h.opens(key)
	h.ada.Proof = h.ada.Session.Proof()
	other, _ := h.opens(key)
	h.other = other.ID()
	return h
}

func (h *house) opens(by *domain.Credential) (*domain.Session, domain.SessionToken) {
	h.t.Helper()
	session, token, err := domain.OpenSession(by, domain.Device{}, lifetime, noon, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
	return session, token
}

func (h *house) update(fn func(ports.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) creates(options []byte, variations ...authenticator.Variation) ports.RegistrationAnswer {
	h.t.Helper()
	made, err := h.device.Create(options, variations...)
	if err != nil {
		h.t.Fatal(err)
	}
	return ports.RegistrationAnswer{ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject}
}

func (h *house) gets(options []byte, variations ...authenticator.Variation) ports.AuthenticationAnswer {
	h.t.Helper()
	made, err := h.device.Get(options, variations...)
	if err != nil {
		h.t.Fatal(err)
	}
	return ports.AuthenticationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
		Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
	}
}

func (h *house) desk() *ceremony.Desk {
	return &ceremony.Desk{Store: h.store, Clock: h.clock, Random: h.random, TTL: ceremony.TTL(time.Hour)}
}

func (h *house) beginsToAdd() (ceremony.Started, error) {
	begin := &passkeys.BeginAdd{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), StepUp: stepUp, Limit: 20}
	return begin.Execute(h.t.Context(), h.ada, domain.Binding{})
}

func (h *house) beginsToStepUp() (ceremony.Started, error) {
	begin := &stepup.Begin{Store: h.store, RelyingParty: h.relyingParty, Desk: h.desk()}
	return begin.Execute(h.t.Context(), h.ada, domain.Binding{})
}

// kept is all that the store keeps, but for refused attempts in anybody's log.
type kept struct {
	users    []domain.UserSnapshot
	passkeys []domain.CredentialSnapshot
	sessions []domain.SessionSnapshot
	log      []domain.EventSnapshot
	keys     []domain.SigningKeySnapshot
	apps     []domain.TOTPSnapshot
	codes    []int
	grants   []domain.GrantSnapshot
	messages []domain.MessageSnapshot
	sent     []domain.LockoutSnapshot // to the mailboxes that anybody claims here
}

// changed names what is not as it was before.
func (k kept) changed(before kept) (parts []string) {
	now, then := reflect.ValueOf(k), reflect.ValueOf(before)
	for i := range now.NumField() {
		if fmt.Sprintf("%+v", now.Field(i)) != fmt.Sprintf("%+v", then.Field(i)) {
			parts = append(parts, now.Type().Field(i).Name)
		}
	}
	return parts
}

func (h *house) keeps() (k kept) {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		ctx, seen := h.t.Context(), map[domain.SessionID]bool{}
		users, err := tx.Users.List(ctx, domain.UserID{}, 100)
		if err != nil {
			return err
		}
		owners := []domain.UserID{{}} // of what names nobody
		for _, user := range users {
			k.users = append(k.users, user.Snapshot())
			owners = append(owners, user.ID())
		}
		for _, owner := range owners {
			owned, credentialsErr := tx.Credentials.OfUser(ctx, owner)
			for _, c := range owned {
				k.passkeys = append(k.passkeys, c.Snapshot())
			}
			live, sessionsErr := tx.Sessions.Live(ctx, owner, noon, domain.SessionID{}, 100)
			for _, session := range live {
				seen[session.ID()] = true
				k.sessions = append(k.sessions, session.Snapshot())
			}
			events, eventsErr := tx.Events.OfUser(ctx, owner, domain.EventID{}, 100)
			for _, e := range events {
				if !slices.Contains(refusals, e.Kind()) {
					k.log = append(k.log, e.Snapshot())
				}
			}
			app, appErr := tx.TOTPs.Of(ctx, owner)
			k.apps = append(k.apps, app.Snapshot())
			codes, _, codesErr := tx.BackupCodes.Stock(ctx, owner)
			k.codes = append(k.codes, codes)
			if grant, err := tx.Grants.OfUser(ctx, owner); err == nil {
				k.grants = append(k.grants, grant.Snapshot())
			}
			if err := errors.Join(credentialsErr, sessionsErr, eventsErr, appErr, codesErr); err != nil {
				return err
			}
		}
		for _, id := range []domain.SessionID{h.ada.Session.ID(), h.other} { // also when they have ended
			if session, err := tx.Sessions.ByID(ctx, id); err == nil && !seen[id] {
				k.sessions = append(k.sessions, session.Snapshot())
			}
		}
		for _, mailbox := range []domain.Email{"ada@example.org", claimedByAda, "ben@example.org"} {
			sent, err := tx.Lockouts.Of(ctx, h.claims.Lockout.Mailbox(mailbox))
			if err != nil {
				return err
			}
			k.sent = append(k.sent, sent.Snapshot())
		}
		messages, messagesErr := tx.Messages.Due(ctx, noon.Add(100*365*24*time.Hour), 100)
		for _, m := range messages {
			k.messages = append(k.messages, m.Snapshot())
		}
		keys, err := tx.SigningKeys.All(ctx)
		for _, key := range keys {
			k.keys = append(k.keys, key.Snapshot())
		}
		return errors.Join(err, messagesErr)
	})
	return k
}

var refusals = []domain.EventKind{domain.EventSignInRefused, domain.EventStepUpRefused, domain.EventPasskeyAddRefused}
