package login_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const origin = "http://localhost:8080"

type clock struct{}

func (clock) Now() time.Time { return noon }

type names struct{}

func (names) NameOf(string) string { return "" }

// interrupted is the relying party, with something that happens just before its next verdict.
type interrupted struct {
	ports.RelyingParty
	meanwhile func()
}

func (r *interrupted) VerifyAuthentication(
	state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	if meanwhile := r.meanwhile; meanwhile != nil {
		r.meanwhile = nil
		meanwhile()
	}
	return r.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

// lodge is sign-in over a store where Ada has one security key, which has counted to 1.
type lodge struct {
	t            *testing.T
	store        ports.Store
	relyingParty *interrupted
	adas         *authenticator.Authenticator
	keyID        domain.CredentialID
	policy       domain.UsePolicy
}

func newLodge(t *testing.T) *lodge {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	l := &lodge{t: t, store: memory.New(), relyingParty: &interrupted{RelyingParty: relyingParty}, adas: authenticator.New(origin, authenticator.DeviceBound())}
	ada, err := domain.NewApplicant("ada@example.org", "Ada", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := l.register(ada)
	l.keyID = key.ID()
	err = l.store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.Admit(noon)), tx.Credentials.Add(t.Context(), key))
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lodge) register(who *domain.Applicant) *domain.Credential {
	l.t.Helper()
	begun, err := l.relyingParty.BeginRegistration(who)
	if err != nil {
		l.t.Fatal(err)
	}
	made, err := l.adas.Create(begun.Options)
	if err != nil {
		l.t.Fatal(err)
	}
	registration, err := l.relyingParty.VerifyRegistration(begun.State, ports.RegistrationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	key, err := domain.NewCredential(who.UserID, "", registration, noon)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *lodge) desk() *ceremony.Desk {
	return &ceremony.Desk{Store: l.store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
}

func (l *lodge) begin(store ports.Store) *login.Begin {
	return &login.Begin{Store: store, RelyingParty: l.relyingParty, Desk: l.desk(), DecoyKey: login.DecoyKey("key")}
}

// attempt is a sign-in that Ada's key has answered.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.AuthenticationAnswer
}

// begins starts a sign-in in the given browser and has Ada's key answer it.
func (l *lodge) begins(browser domain.Binding, variations ...authenticator.Variation) attempt {
	l.t.Helper()
	started, err := l.begin(l.store).Execute(l.t.Context(), "", browser)
	if err != nil {
		l.t.Fatal(err)
	}
	made, err := l.adas.Get(started.Options, variations...)
	if err != nil {
		l.t.Fatal(err)
	}
	return attempt{started.ChallengeID, ports.AuthenticationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
		Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
	}}
}

// counts is a sign-in whose answer carries the given count.
func (l *lodge) counts(count uint32) attempt {
	l.t.Helper()
	return l.begins(domain.Binding{}, authenticator.ForgeSignCount(count))
}

func (l *lodge) finishes(a attempt) (access.Grant, error) {
	finish := &login.Finish{
		Store: l.store, RelyingParty: l.relyingParty, Clock: clock{}, Desk: l.desk(), Policy: l.policy,
		Door: &access.Door{Random: rand.Reader, Devices: names{}, Lifetime: domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}},
	}
	return finish.Execute(l.t.Context(), login.Answer{ChallengeID: a.challenge, Credential: a.answer})
}

// key is Ada's, as the store has it.
func (l *lodge) key() domain.CredentialSnapshot {
	l.t.Helper()
	var key *domain.Credential
	err := l.store.View(l.t.Context(), func(tx ports.Tx) (err error) {
		key, err = tx.Credentials.ByID(l.t.Context(), l.keyID)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return key.Snapshot()
}

// sessions counts what the store holds, by sweeping it away.
func (l *lodge) sessions() (n int) {
	l.t.Helper()
	err := l.store.Update(l.t.Context(), func(tx ports.Tx) (err error) {
		n, err = tx.Sessions.Sweep(l.t.Context(), noon.Add(24*time.Hour), 100)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestACounterThatMovedMeanwhileCounts(t *testing.T) {
	l := newLodge(t)
	mallorys, adas := l.counts(5), l.counts(5)
	l.relyingParty.meanwhile = func() {
		if _, err := l.finishes(adas); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.finishes(mallorys); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("a copy of the key that counted to the same number got %v", err)
	}
	if key := l.key(); key.SignCount != 5 || !key.CloneWarning {
		t.Errorf("left with count %d, warning %t", key.SignCount, key.CloneWarning)
	}
	if n := l.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestAnAnswerThatWasTakenMeanwhileOpensNothing(t *testing.T) {
	l := newLodge(t)
	begun := l.counts(2)
	l.relyingParty.meanwhile = func() {
		if _, err := l.finishes(begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.finishes(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("the second got %v", err)
	}
	if key := l.key(); key.CloneWarning {
		t.Error("the second left a mark on the passkey")
	}
	if n := l.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestARefusedUseLeavesItsMarkAndNoSession(t *testing.T) {
	l := newLodge(t)
	l.policy.Counter = domain.CounterSuspend
	if grant, err := l.finishes(l.counts(1)); domain.ReasonOf(err) != domain.ReasonCounterRegressed || grant.Session != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
	if key := l.key(); key.Status != domain.CredentialSuspended || !key.CloneWarning {
		t.Errorf("left %s, warning %t", key.Status, key.CloneWarning)
	}
	if n := l.sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestAnAnswerThatProvesNothingOpensNothing(t *testing.T) {
	l := newLodge(t)
	if grant, err := l.finishes(l.begins(domain.Binding{}, authenticator.ForgeSignature(halved))); domain.ReasonOf(err) != domain.ReasonSignatureInvalid || grant.Session != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
	if key := l.key(); !key.LastUsedAt.IsZero() {
		t.Error("the passkey counts as used")
	}
	if n := l.sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// Otherwise anybody could ask which passkeys there are, without a challenge of their own.
func TestSomebodyElsesChallengeTellsNothingOfPasskeys(t *testing.T) {
	l := newLodge(t)
	for _, id := range []domain.CredentialID{l.keyID, "unknown"} {
		adas := l.begins(domain.BindTo(domain.NewSecret("Ada's browser")), authenticator.ForgeAnswerID(id.Bytes()))
		if _, err := l.finishes(adas); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("passkey %q: got %v", id, err)
		}
	}
}

func TestAnAllowedOddityIsTold(t *testing.T) {
	l := newLodge(t)
	l.policy.Counter = domain.CounterFlag
	if grant, err := l.finishes(l.counts(1)); err != nil || grant.Finding != domain.FindingCounterRegressed {
		t.Errorf("finding %q, %v", grant.Finding, err)
	}
}

func halved(signature []byte) []byte { return signature[:len(signature)/2] }

// failing is a store whose next unit of work that writes is lost.
type failing struct {
	ports.Store
	lost bool
}

func (s *failing) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.lost {
		s.lost = false
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestAnAnswerMayComeAgainAfterAnOutage(t *testing.T) {
	l := newLodge(t)
	begun := l.counts(2)
	l.store = &failing{l.store, true}
	if _, err := l.finishes(begun); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := l.finishes(begun); err != nil {
		t.Errorf("the same answer after the outage: %v", err)
	}
}

// observed is a store that counts how often anybody's passkeys are asked for.
type observed struct {
	ports.Store
	asked int
}

type observedCredentials struct {
	ports.Credentials
	asked *int
}

func (o *observed) View(ctx context.Context, fn func(ports.Tx) error) error {
	return o.Store.View(ctx, func(tx ports.Tx) error {
		tx.Credentials = observedCredentials{tx.Credentials, &o.asked}
		return fn(tx)
	})
}

func (o observedCredentials) OfUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	*o.asked++
	return o.Credentials.OfUser(ctx, id)
}

func TestAnAddressWithoutAnAccountCostsTheSameLookUps(t *testing.T) {
	l := newLodge(t)
	for _, email := range []domain.Email{"ada@example.org", "nobody@example.org"} {
		store := &observed{Store: l.store}
		if _, err := l.begin(store).Execute(t.Context(), email, domain.Binding{}); err != nil || store.asked != 1 {
			t.Errorf("%s: passkeys were asked for %d times, %v", email, store.asked, err)
		}
	}
}

// forgetful is a store that cannot look users up.
type forgetful struct{ ports.Store }

type forgetfulUsers struct{ ports.Users }

func (f forgetful) View(ctx context.Context, fn func(ports.Tx) error) error {
	return f.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = forgetfulUsers{}
		return fn(tx)
	})
}

func (forgetfulUsers) ByEmail(context.Context, domain.Email) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestAnOutageIsNotAnUnknownAddress(t *testing.T) {
	l := newLodge(t)
	if _, err := l.begin(forgetful{l.store}).Execute(t.Context(), "ada@example.org", domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
