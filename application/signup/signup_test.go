package signup_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return noon }

type deviceNames struct{}

func (deviceNames) NameOf(string) string { return "" }

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

const origin = "http://localhost:8080"

type fixture struct {
	t            *testing.T
	store        ports.Store
	relyingParty *hookedRelyingParty
	policy       domain.RegistrationPolicy
	verification *emailverify.Service
	invite       domain.InviteToken
	auditLog     *audit.Log
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, sqlitestore.New(t), &hookedRelyingParty{RelyingParty: relyingParty}, domain.RegistrationOpen, &emailverify.Service{}, domain.InviteToken{}, &audit.Log{Random: rand.Reader, Devices: deviceNames{}}}
}

func (l *fixture) challenges() *ceremony.Service {
	return &ceremony.Service{Store: l.store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
}

// attempt is a sign-up with the response of an authenticator.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.RegistrationAnswer
	browser   domain.Binding // that sends the response
}

// begin begins a sign-up with a new authenticator and returns it with the response.
func (l *fixture) begin(email domain.Email) (attempt, error) {
	return l.beginIn(domain.Binding{}, email)
}

func (l *fixture) beginIn(browser domain.Binding, email domain.Email, variations ...authenticator.Variation) (attempt, error) {
	l.t.Helper()
	begin := &signup.Service{
		Policy: l.policy, EmailVerification: l.verification, Store: l.store, RelyingParty: l.relyingParty, Clock: clock{}, Random: rand.Reader, Challenges: l.challenges(),
	}
	started, err := begin.Begin(l.t.Context(), signup.Input{Email: email, Invite: l.invite}, browser)
	if err != nil {
		return attempt{}, err
	}
	created, err := authenticator.New(origin).Create(started.Options, variations...)
	if err != nil {
		l.t.Fatal(err)
	}
	return attempt{challenge: started.ChallengeID, answer: ports.RegistrationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject,
	}}, nil
}

func (l *fixture) finish(a attempt) (sessions.SignIn, error) {
	auditLog := &audit.Log{
		Random: rand.Reader, Devices: deviceNames{}, Notifier: notify.Notifier{Random: rand.Reader, Devices: deviceNames{}, Policy: l.verification.Policy},
	}
	finish := &signup.Service{
		Policy: l.policy, Store: l.store, RelyingParty: l.relyingParty, Clock: clock{}, Challenges: l.challenges(), EmailVerification: l.verification, Audit: auditLog,
		SessionIssuer: &sessions.SessionIssuer{
			Random: rand.Reader, Devices: deviceNames{}, Audit: auditLog,
			Lifetime: domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour},
		},
	}
	return finish.Finish(l.t.Context(), signup.FinishInput{ChallengeID: a.challenge, Binding: a.browser, Credential: a.answer, PasskeyName: "Ada's key"})
}

func (l *fixture) mustBegin(email domain.Email) attempt {
	l.t.Helper()
	begun, err := l.begin(email)
	if err != nil {
		l.t.Fatal(err)
	}
	return begun
}

func TestFinish_RecordsEvent(t *testing.T) {
	l := newFixture(t)
	signIn, err := l.finish(l.mustBegin(""))
	if err != nil {
		t.Fatal(err)
	}
	var log []*domain.Event
	err = l.store.View(t.Context(), func(tx ports.Tx) (err error) {
		log, err = tx.Events.ListByUser(t.Context(), signIn.User.ID(), domain.EventID{}, 10)
		return err
	})
	if err != nil || len(log) != 1 {
		t.Fatalf("logged %v, %v", log, err)
	}
	if s := log[0].State(); s.Kind != domain.EventSignedUp || s.SessionID != signIn.Session.ID() || s.CredentialID != signIn.Credential.ID() || s.PasskeyName != "Ada's key" {
		t.Errorf("logged %+v", s)
	}
}

// A sign-up that began before registration closed is rejected, and its challenge is consumed.
// Requirement: WebAuthn-7.1-8
func TestFinish_RegistrationClosedMeanwhile(t *testing.T) {
	l := newFixture(t)
	begun := l.mustBegin("ada@example.org")
	l.policy = domain.RegistrationClosed
	if signIn, err := l.finish(begun); !errors.Is(err, domain.ErrRegistrationClosed) || signIn.User != nil {
		t.Errorf("got %+v, %v", signIn, err)
	}
	l.policy = domain.RegistrationOpen
	if signIn, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) || signIn.User != nil {
		t.Errorf("after registration opened again: %+v, %v", signIn, err)
	}
}

func TestBegin_RegistrationClosed(t *testing.T) {
	l := newFixture(t)
	l.policy = domain.RegistrationClosed
	if begun, err := l.begin(""); !errors.Is(err, domain.ErrRegistrationClosed) || begun.challenge != (domain.ChallengeID{}) {
		t.Errorf("got %+v, %v", begun, err)
	}
}

func TestFinish_RequiresBrowserBinding(t *testing.T) {
	l := newFixture(t)
	adaBrowser, benBrowser := domain.BindTo(domain.NewSecret("Ada's browser")), domain.BindTo(domain.NewSecret("Ben's browser"))
	for browser, want := range map[domain.Binding]error{adaBrowser: nil, benBrowser: domain.ErrChallengeNotFound, {}: domain.ErrChallengeNotFound} {
		begun, err := l.beginIn(adaBrowser, "")
		if err != nil {
			t.Fatal(err)
		}
		begun.browser = browser
		if _, err := l.finish(begun); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestFinish_RejectionCreatesNoUser(t *testing.T) {
	for reason, variation := range map[domain.Reason]authenticator.Variation{
		domain.ReasonOriginNotAllowed:        authenticator.ForgeOrigin("https://mallory.example"),
		domain.ReasonUserVerificationMissing: authenticator.ForgeFlags(0, authenticator.UserVerified),
		domain.ReasonBackupStateInvalid:      authenticator.ForgeFlags(0, authenticator.BackupEligible),
	} {
		l := newFixture(t)
		begun, err := l.beginIn(domain.Binding{}, "ada@example.org", variation)
		if err != nil {
			t.Fatal(err)
		}
		if signIn, err := l.finish(begun); domain.ReasonOf(err) != reason || signIn.Session != nil {
			t.Errorf("%s: got %+v, %v", reason, signIn, err)
		}
		if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("%s: the same response again: %v", reason, err)
		}
		if _, err := l.begin("ada@example.org"); err != nil {
			t.Errorf("%s: the address is not free: %v", reason, err)
		}
	}
}

func TestFinish_PasskeyName(t *testing.T) {
	l := newFixture(t)
	if signIn, err := l.finish(l.mustBegin("")); err != nil || signIn.Credential.State().Name != "Ada's key" {
		t.Errorf("got %+v, %v", signIn.Credential, err)
	}
}

// A taken address is rejected before a passkey is created. Of two sign-ups that have begun, the first one gets the address.
func TestSignUp_EmailTaken(t *testing.T) {
	l := newFixture(t)
	first, second := l.mustBegin("ada@example.org"), l.mustBegin("ada@example.org")
	if _, err := l.finish(first); err != nil {
		t.Fatal(err)
	}
	if _, err := l.begin("ada@example.org"); !errors.Is(err, domain.ErrEmailTaken) {
		t.Errorf("Begin with a taken address: %v", err)
	}
	if _, err := l.finish(second); !errors.Is(err, domain.ErrEmailTaken) {
		t.Errorf("Finish with a taken address: %v", err)
	}
}

func TestFinish_ConcurrentResponseIsRejected(t *testing.T) {
	l := newFixture(t)
	begun := l.mustBegin("ada@example.org")
	l.relyingParty.beforeVerify = func() {
		if _, err := l.finish(begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("second response: %v", err)
	}
}

// unreadableStore is a store whose View fails.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestBegin_StoreError(t *testing.T) {
	l := newFixture(t)
	l.store = unreadableStore{l.store}
	if _, err := l.begin("ada@example.org"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
