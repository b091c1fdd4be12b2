package login_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const origin = "http://localhost:8080"

type clock struct{}

func (clock) Now() time.Time { return noon }

type deviceNames struct{}

func (deviceNames) NameOf(string) string { return "" }

// hookedRelyingParty is the relying party, with something that happens just before its next verdict.
type hookedRelyingParty struct {
	ports.RelyingParty
	beforeVerify func()
}

func (r *hookedRelyingParty) VerifyAuthentication(
	state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	if meanwhile := r.beforeVerify; meanwhile != nil {
		r.beforeVerify = nil
		meanwhile()
	}
	return r.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

// fixture is sign-in over a store where Ada has one security key, which has counted to 1.
type fixture struct {
	t            *testing.T
	store        ports.Store
	relyingParty *hookedRelyingParty
	device       *authenticator.Authenticator
	userID       domain.UserID
	keyID        domain.CredentialID
	issuer       *signingkeys.Issuer
	policy       domain.UsePolicy
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	l := &fixture{t: t, store: sqlitestore.New(t), relyingParty: &hookedRelyingParty{RelyingParty: relyingParty}, device: authenticator.New(origin, authenticator.DeviceBound())}
	ada := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	key := l.register(ada)
	l.userID, l.keyID = ada.UserID, key.ID()
	err = l.store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.ToUser(noon)), tx.Credentials.Add(t.Context(), key))
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *fixture) register(who *domain.PendingUser) *domain.Credential {
	l.t.Helper()
	begun, err := l.relyingParty.BeginRegistration(who.Entity(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	made, err := l.device.Create(begun.Options)
	if err != nil {
		l.t.Fatal(err)
	}
	registration, err := l.relyingParty.VerifyRegistration(begun.State, ports.RegistrationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	key, err := domain.NewCredential(who.UserID, "Ada's key", registration, noon)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *fixture) challenges() *ceremony.Service {
	return &ceremony.Service{Store: l.store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
}

func (l *fixture) newService(store ports.Store) *login.Service {
	return &login.Service{Store: store, RelyingParty: l.relyingParty, Challenges: l.challenges(), Decoys: domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}}
}

// attempt is a sign-in that Ada's key has answered.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.AuthenticationAnswer
	browser   domain.Binding // that it comes from
}

// begin starts a sign-in in the given browser and has Ada's key answer it.
func (l *fixture) begin(browser domain.Binding, variations ...authenticator.Variation) attempt {
	l.t.Helper()
	started, err := l.newService(l.store).Begin(l.t.Context(), "", browser)
	if err != nil {
		l.t.Fatal(err)
	}
	made, err := l.device.Get(started.Options, variations...)
	if err != nil {
		l.t.Fatal(err)
	}
	return attempt{challenge: started.ChallengeID, answer: ports.AuthenticationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
		Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
	}}
}

// beginWithSignCount is a sign-in whose answer carries the given count.
func (l *fixture) beginWithSignCount(count uint32) attempt {
	l.t.Helper()
	return l.begin(domain.Binding{}, authenticator.ForgeSignCount(count))
}

func (l *fixture) finish(a attempt) (sessions.SignIn, error) { return l.finishAs(a, identity.Client{}) }

func (l *fixture) finishAs(a attempt, visitor identity.Client) (sessions.SignIn, error) {
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	finish := &login.Service{
		Store: l.store, RelyingParty: l.relyingParty, Clock: clock{}, Challenges: l.challenges(), Audit: log,
		PasskeyUsage: &ceremony.PasskeyUsage{Policy: l.policy, Audit: log},
		SessionIssuer: &sessions.SessionIssuer{
			Random: rand.Reader, Devices: deviceNames{}, Issuer: l.issuer, Audit: log, Lifetime: domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour},
		},
	}
	return finish.Finish(l.t.Context(), login.FinishInput{ChallengeID: a.challenge, Binding: a.browser, Credential: a.answer, Client: visitor})
}

// kindsAndReasons is Ada's: kinds and reasons, sorted.
func (l *fixture) kindsAndReasons() []string {
	l.t.Helper()
	list := []string{}
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(l.t.Context(), l.userID, domain.EventID{}, 100)
		for _, e := range events {
			list = append(list, strings.TrimSpace(string(e.Kind())+" "+e.State().Reason))
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// update has the store do something to Ada's account.
func (l *fixture) update(does func(ctx context.Context, tx ports.Tx) error) {
	l.t.Helper()
	if err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return does(l.t.Context(), tx) }); err != nil {
		l.t.Fatal(err)
	}
}

func (l *fixture) disableUser(ctx context.Context, tx ports.Tx) error {
	ada, err := tx.Users.ByID(ctx, l.userID)
	if err != nil {
		return err
	}
	ada.Disable(noon)
	return tx.Users.Save(ctx, ada)
}

func (l *fixture) deleteUser(ctx context.Context, tx ports.Tx) error {
	return tx.Users.Remove(ctx, l.userID)
}

// storedKey is Ada's, as the store has it.
func (l *fixture) storedKey() domain.CredentialState {
	l.t.Helper()
	var key *domain.Credential
	err := l.store.View(l.t.Context(), func(tx ports.Tx) (err error) {
		key, err = tx.Credentials.ByID(l.t.Context(), l.keyID)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return key.State()
}

// countSessions counts what the store holds, by sweeping it away.
func (l *fixture) countSessions() (n int) {
	l.t.Helper()
	err := l.store.Update(l.t.Context(), func(tx ports.Tx) (err error) {
		n, err = tx.Sessions.DeleteExpired(l.t.Context(), noon.Add(24*time.Hour), 100)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestFinish_UsesStoredSignCount(t *testing.T) {
	l := newFixture(t)
	mallorys, adas := l.beginWithSignCount(5), l.beginWithSignCount(5)
	l.relyingParty.beforeVerify = func() {
		if _, err := l.finish(adas); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.finish(mallorys); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("a copy of the key that counted to the same number got %v", err)
	}
	if key := l.storedKey(); key.SignCount != 5 || !key.CloneWarning {
		t.Errorf("left with count %d, warning %t", key.SignCount, key.CloneWarning)
	}
	if n := l.countSessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestFinish_ConcurrentResponseIsRejected(t *testing.T) {
	l := newFixture(t)
	begun := l.beginWithSignCount(2)
	l.relyingParty.beforeVerify = func() {
		if _, err := l.finish(begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("the second got %v", err)
	}
	if key := l.storedKey(); key.CloneWarning {
		t.Error("the second left a mark on the passkey")
	}
	if n := l.countSessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestFinish_RejectedUseSuspendsPasskey(t *testing.T) {
	l := newFixture(t)
	l.policy.Counter = domain.CounterSuspend
	if grant, err := l.finish(l.beginWithSignCount(1)); domain.ReasonOf(err) != domain.ReasonCounterRegressed || grant.Session != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
	if key := l.storedKey(); key.Status != domain.CredentialSuspended || !key.CloneWarning {
		t.Errorf("left %s, warning %t", key.Status, key.CloneWarning)
	}
	if n := l.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestFinish_InvalidSignature(t *testing.T) {
	l := newFixture(t)
	if grant, err := l.finish(l.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))); domain.ReasonOf(err) != domain.ReasonSignatureInvalid || grant.Session != nil {
		t.Errorf("got %+v, %v", grant, err)
	}
	if key := l.storedKey(); !key.LastUsedAt.IsZero() {
		t.Error("the passkey counts as used")
	}
	if n := l.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// Otherwise anybody could ask which passkeys there are, without a challenge of their own.
func TestFinish_ForeignChallengeRevealsNoPasskey(t *testing.T) {
	l := newFixture(t)
	for _, id := range []domain.CredentialID{l.keyID, "unknown"} {
		adas := l.begin(domain.BindTo(domain.NewSecret("Ada's browser")), authenticator.ForgeAnswerID(id.Bytes()))
		if _, err := l.finish(adas); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("passkey %q: got %v", id, err)
		}
	}
}

func TestFinish_ReturnsAllowedAnomaly(t *testing.T) {
	l := newFixture(t)
	l.policy.Counter = domain.CounterFlag
	if grant, err := l.finish(l.beginWithSignCount(1)); err != nil || grant.Anomaly != domain.AnomalyCounterRegressed {
		t.Errorf("finding %q, %v", grant.Anomaly, err)
	}
}

func truncateSignature(signature []byte) []byte { return signature[:len(signature)/2] }

// failOnceStore is a store whose next unit of work that writes is lost.
type failOnceStore struct {
	ports.Store
	fail bool
}

func (s *failOnceStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.fail {
		s.fail = false
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

func TestFinish_RetryAfterStoreError(t *testing.T) {
	l := newFixture(t)
	begun := l.beginWithSignCount(2)
	l.store = &failOnceStore{l.store, true}
	if _, err := l.finish(begun); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := l.finish(begun); err != nil {
		t.Errorf("the same answer after the outage: %v", err)
	}
}

// countingStore is a store that counts how often anybody's passkeys are asked for.
type countingStore struct {
	ports.Store
	asked int
}

type countingCredentials struct {
	ports.Credentials
	asked *int
}

func (o *countingStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return o.Store.View(ctx, func(tx ports.Tx) error {
		tx.Credentials = countingCredentials{tx.Credentials, &o.asked}
		return fn(tx)
	})
}

func (o countingCredentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	*o.asked++
	return o.Credentials.ListByUser(ctx, id)
}

func TestBegin_UnknownEmailSameLookUps(t *testing.T) {
	l := newFixture(t)
	for _, email := range []domain.Email{"ada@example.org", "nobody@example.org"} {
		store := &countingStore{Store: l.store}
		if _, err := l.newService(store).Begin(t.Context(), email, domain.Binding{}); err != nil || store.asked != 1 {
			t.Errorf("%s: passkeys were asked for %d times, %v", email, store.asked, err)
		}
	}
}

// failingUsersStore is a store that cannot look users up.
type failingUsersStore struct{ ports.Store }

type failingUsers struct{ ports.Users }

func (f failingUsersStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return f.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = failingUsers{}
		return fn(tx)
	})
}

func (failingUsers) ByEmail(context.Context, domain.Email) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestBegin_StoreError(t *testing.T) {
	l := newFixture(t)
	if _, err := l.newService(failingUsersStore{l.store}).Begin(t.Context(), "ada@example.org", domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestFinish_RecordsEvent(t *testing.T) {
	l := newFixture(t)
	if _, err := l.finish(l.beginWithSignCount(2)); err != nil {
		t.Fatal(err)
	}
	if log := l.kindsAndReasons(); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("logged %q", log)
	}
}

// The owner of a passkey hears of each attempt that somebody made with it.
func TestFinish_RecordsRejection(t *testing.T) {
	for name, c := range map[string]struct {
		policy    domain.CounterPolicy
		attempt   func(*fixture) attempt
		meanwhile func(*fixture)
		want      error
		log       []string
	}{
		"a bad signature": {
			attempt: func(l *fixture) attempt {
				return l.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			want: domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"a counter that went back": {
			policy: domain.CounterReject, attempt: func(l *fixture) attempt { return l.beginWithSignCount(1) },
			want: domain.ErrPasskeyRejected, log: []string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
		"a shut account": {
			attempt: func(l *fixture) attempt { l.update(l.disableUser); return l.beginWithSignCount(2) },
			want:    domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		"an account that is shut meanwhile": {
			attempt:   func(l *fixture) attempt { return l.beginWithSignCount(2) },
			meanwhile: func(l *fixture) { l.update(l.disableUser) },
			want:      domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		// Whether the account is shut is for its owner to know, not for whoever names one of its passkeys.
		"a bad signature, a shut account": {
			attempt: func(l *fixture) attempt {
				l.update(l.disableUser)
				return l.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			want: domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"an id that could be nobody's": {
			attempt: func(l *fixture) attempt {
				return l.begin(domain.Binding{}, authenticator.ForgeAnswerID(make([]byte, 1024)))
			},
			want: domain.ErrPasskeyRejected, log: []string{},
		},
		"a passkey that nobody has": {
			attempt: func(l *fixture) attempt {
				return l.begin(domain.Binding{}, authenticator.ForgeAnswerID([]byte("unknown")))
			},
			want: domain.ErrPasskeyUnknown, log: []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			l.policy.Counter = c.policy
			begun := c.attempt(l)
			if c.meanwhile != nil {
				l.relyingParty.beforeVerify = func() { c.meanwhile(l) }
			}
			if grant, err := l.finish(begun); !errors.Is(err, c.want) || grant.Session != nil {
				t.Errorf("got %+v, %v; want %v", grant, err, c.want)
			}
			if log := l.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
			if n := l.countSessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
			if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same answer again: %v", err)
			}
			if log := l.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged again: %q", log)
			}
		})
	}
}

func TestFinish_RejectionEventNamesPasskey(t *testing.T) {
	l := newFixture(t)
	if _, err := l.finishAs(l.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature)), identity.Client{IP: "203.0.113.9", RequestID: "request-17"}); err == nil {
		t.Fatal("it was accepted")
	}
	l.update(func(ctx context.Context, tx ports.Tx) error {
		events, err := tx.Events.ListByUser(ctx, l.userID, domain.EventID{}, 10)
		for _, e := range events {
			if is := e.State(); is.CredentialID != l.keyID || is.PasskeyName != "Ada's key" || is.IP != "203.0.113.9" || is.RequestID != "request-17" || !is.SessionID.IsZero() {
				t.Errorf("logged %+v", is)
			}
		}
		return err
	})
}

func TestFinish_RequiresBrowserBinding(t *testing.T) {
	l := newFixture(t)
	adas, bens := domain.BindTo(domain.NewSecret("Ada's browser")), domain.BindTo(domain.NewSecret("Ben's browser"))
	for browser, want := range map[domain.Binding]error{adas: nil, bens: domain.ErrChallengeNotFound, {}: domain.ErrChallengeNotFound} {
		begun := l.begin(adas)
		begun.browser = browser
		if _, err := l.finish(begun); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// Who has an account cannot be found out by asking for its passkeys.
func TestBegin_PasskeysOrDecoys(t *testing.T) {
	l := newFixture(t)
	keyless := domain.NewPendingUser("keyless@example.org", "", noon, rand.Reader)
	l.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, keyless.ToUser(noon)) })
	decoys := func(email domain.Email) []domain.CredentialDescriptor {
		return domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}.Descriptors(email)
	}
	for email, want := range map[domain.Email][]domain.CredentialDescriptor{
		"":                    nil,
		"ada@example.org":     {{ID: l.keyID}},
		"keyless@example.org": decoys("keyless@example.org"),
		"nobody@example.org":  decoys("nobody@example.org"),
	} {
		started, err := l.newService(l.store).Begin(t.Context(), email, domain.Binding{})
		if err != nil {
			t.Fatal(err)
		}
		var options struct {
			AllowCredentials []struct{ ID authenticator.Base64URL }
		}
		if err := json.Unmarshal(started.Options, &options); err != nil {
			t.Fatal(err)
		}
		if len(options.AllowCredentials) != len(want) || len(want) == 1 && string(options.AllowCredentials[0].ID) != string(want[0].ID) {
			t.Errorf("%q is answered with %s", email, started.Options)
		}
	}
}

func TestFinish_ReplayedRejectionIsRecordedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		attempt func(*fixture) attempt
		log     []string
	}{
		"a bad signature": {
			func(l *fixture) attempt {
				return l.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			[]string{"sign_in_refused signature_invalid"},
		},
		"a counter that went back": {
			func(l *fixture) attempt { return l.beginWithSignCount(1) },
			[]string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			begun := c.attempt(l)
			var answering sync.WaitGroup
			for range 16 {
				answering.Go(func() {
					if _, err := l.finish(begun); !errors.Is(err, domain.ErrPasskeyRejected) && !errors.Is(err, domain.ErrChallengeNotFound) {
						t.Errorf("got %v", err)
					}
				})
			}
			answering.Wait()
			if log := l.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
		})
	}
}

// Then nobody has this passkey any more, and there is nobody to tell.
func TestFinish_AccountDeletedMeanwhile(t *testing.T) {
	for name, variations := range map[string][]authenticator.Variation{
		"a good answer": nil,
		"a bad one":     {authenticator.ForgeSignature(truncateSignature)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			begun := l.begin(domain.Binding{}, variations...)
			l.relyingParty.beforeVerify = func() { l.update(l.deleteUser) }
			want := domain.ErrPasskeyUnknown
			if variations != nil {
				want = domain.ErrPasskeyRejected
			}
			if _, err := l.finish(begun); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if _, err := l.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same answer again: %v", err)
			}
		})
	}
}

// newIssuer is an issuer with a key of its own.
func newIssuer(t *testing.T, store ports.Store) *signingkeys.Issuer {
	t.Helper()
	keys := jwt.New()
	key, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	return &signingkeys.Issuer{
		KeySet: signingkeys.NewKeySet(store, keys, nil, clock{}, domain.KeyRotation{}, signingkeys.ExternalKeys{key}), Keys: keys, Random: rand.Reader,
		RefreshKeys: domain.RefreshKeys{make([]byte, 32)}, Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
	}
}

func TestFinish_BearerTransportReturnsTokens(t *testing.T) {
	l := newFixture(t)
	l.issuer = newIssuer(t, l.store)
	for transport, bearer := range map[domain.Transport]bool{"": false, domain.TransportCookie: false, domain.TransportBearer: true} {
		grant, err := l.finishAs(l.begin(domain.Binding{}), identity.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if grant.Token.IsZero() != bearer || (grant.Tokens != nil) != bearer || (grant.Session.Transport() == domain.TransportBearer) != bearer {
			t.Errorf("transport %q: %+v", transport, grant)
		}
		if !bearer {
			continue
		}
		if grant.Tokens.Refresh.Digest() != grant.Session.State().Token || grant.Tokens.RefreshExpiresIn != time.Hour || grant.Tokens.Access.ExpiresIn != 5*time.Minute {
			t.Errorf("granted %+v", grant.Tokens)
		}
		if claims, err := l.issuer.Verify(t.Context(), grant.Tokens.Access.Token.Reveal(), noon); err != nil || claims.SessionID != grant.Session.ID() || claims.Subject != l.userID {
			t.Errorf("the access token states %+v, %v", claims, err)
		}
	}
}

// A browser has one session at a time; a program's beside it is another matter.
func TestFinish_ReplacesOnlyCookieSession(t *testing.T) {
	for transport, want := range map[domain.Transport]error{domain.TransportCookie: domain.ErrSessionRevoked, domain.TransportBearer: nil} {
		l := newFixture(t)
		l.issuer = newIssuer(t, l.store)
		before, err := l.finish(l.begin(domain.Binding{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.finishAs(l.begin(domain.Binding{}), identity.Client{SessionToken: before.Token, Transport: transport}); err != nil {
			t.Fatal(err)
		}
		l.update(func(ctx context.Context, tx ports.Tx) error {
			session, err := tx.Sessions.ByID(ctx, before.Session.ID())
			if err == nil && !errors.Is(session.RequireActive(noon), want) {
				t.Errorf("after a sign-in by %s the one before is %v", transport, session.RequireActive(noon))
			}
			return err
		})
	}
}

// A session is no use without its tokens, so none is opened if they cannot be made.
func TestFinish_NoSessionWhenTokensFail(t *testing.T) {
	l := newFixture(t)
	l.issuer = &signingkeys.Issuer{
		Keys: jwt.New(), Random: rand.Reader, RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
		KeySet: signingkeys.NewKeySet(unreadableStore{l.store}, jwt.New(), nil, clock{}, domain.KeyRotation{}, nil),
	}
	begun := l.beginWithSignCount(2)
	if _, err := l.finishAs(begun, identity.Client{Transport: domain.TransportBearer}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := l.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	if _, err := l.finish(begun); err != nil {
		t.Errorf("the same answer after the outage: %v", err)
	}
}

// unreadableStore is a store that cannot be read.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}
