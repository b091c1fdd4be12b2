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

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
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

// hookedRelyingParty calls beforeVerify once, before the next verification.
type hookedRelyingParty struct {
	ports.RelyingParty
	beforeVerify func()
}

func (r *hookedRelyingParty) VerifyAuthentication(
	state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	if hook := r.beforeVerify; hook != nil {
		r.beforeVerify = nil
		hook()
	}
	return r.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

// fixture is the sign-in with a store where Ada has one security key with the signature counter 1.
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
	f := &fixture{t: t, store: sqlitestore.New(t), relyingParty: &hookedRelyingParty{RelyingParty: relyingParty}, device: authenticator.New(origin, authenticator.DeviceBound())}
	ada := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	key := f.register(ada)
	f.userID, f.keyID = ada.UserID, key.ID()
	err = f.store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.ToUser(noon)), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) register(user *domain.PendingUser) *domain.Credential {
	f.t.Helper()
	begun, err := f.relyingParty.BeginRegistration(user.Entity(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	created, err := f.device.Create(begun.Options)
	if err != nil {
		f.t.Fatal(err)
	}
	registration, err := f.relyingParty.VerifyRegistration(begun.State, ports.RegistrationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := domain.NewCredential(user.UserID, "Ada's key", registration, noon)
	if err != nil {
		f.t.Fatal(err)
	}
	return key
}

func (f *fixture) challenges() *ceremony.Service {
	return &ceremony.Service{Store: f.store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
}

func (f *fixture) newService(store ports.Store) *login.Service {
	return &login.Service{Store: store, RelyingParty: f.relyingParty, Challenges: f.challenges(), Decoys: domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}}
}

// attempt is a sign-in with the response of Ada's key.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.AuthenticationAnswer
	browser   domain.Binding // that sends the response
}

// begin starts a sign-in in the given browser and returns it with the response of Ada's key.
func (f *fixture) begin(browser domain.Binding, variations ...authenticator.Variation) attempt {
	f.t.Helper()
	started, err := f.newService(f.store).Begin(f.t.Context(), "", browser)
	if err != nil {
		f.t.Fatal(err)
	}
	assertion, err := f.device.Get(started.Options, variations...)
	if err != nil {
		f.t.Fatal(err)
	}
	return attempt{challenge: started.ChallengeID, answer: ports.AuthenticationAnswer{
		ID: assertion.ID, ClientDataJSON: assertion.Response.ClientDataJSON, AuthenticatorData: assertion.Response.AuthenticatorData,
		Signature: assertion.Response.Signature, UserHandle: assertion.Response.UserHandle,
	}}
}

// beginWithSignCount returns a sign-in with the given signature counter in its response.
func (f *fixture) beginWithSignCount(count uint32) attempt {
	f.t.Helper()
	return f.begin(domain.Binding{}, authenticator.ForgeSignCount(count))
}

func (f *fixture) finish(a attempt) (sessions.SignIn, error) { return f.finishAs(a, identity.Client{}) }

func (f *fixture) finishAs(a attempt, client identity.Client) (sessions.SignIn, error) {
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	finish := &login.Service{
		Store: f.store, RelyingParty: f.relyingParty, Clock: clock{}, Challenges: f.challenges(), Audit: log,
		PasskeyUsage: &ceremony.PasskeyUsage{Policy: f.policy, Audit: log},
		SessionIssuer: &sessions.SessionIssuer{
			Random: rand.Reader, Devices: deviceNames{}, Issuer: f.issuer, Audit: log, Lifetime: domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour},
		},
	}
	return finish.Finish(f.t.Context(), login.FinishInput{ChallengeID: a.challenge, Binding: a.browser, Credential: a.answer, Client: client})
}

// kindsAndReasons returns the kinds and reasons of Ada's events, sorted.
func (f *fixture) kindsAndReasons() []string {
	f.t.Helper()
	list := []string{}
	err := f.store.View(f.t.Context(), func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(f.t.Context(), f.userID, domain.EventID{}, 100)
		for _, e := range events {
			list = append(list, strings.TrimSpace(string(e.Kind())+" "+e.State().Reason))
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// update runs fn in a transaction.
func (f *fixture) update(fn func(ctx context.Context, tx ports.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(f.t.Context(), func(tx ports.Tx) error { return fn(f.t.Context(), tx) }); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) disableUser(ctx context.Context, tx ports.Tx) error {
	ada, err := tx.Users.ByID(ctx, f.userID)
	if err != nil {
		return err
	}
	ada.Disable(noon)
	return tx.Users.Save(ctx, ada)
}

func (f *fixture) deleteUser(ctx context.Context, tx ports.Tx) error {
	return tx.Users.Remove(ctx, f.userID)
}

// storedKey returns the stored state of Ada's key.
func (f *fixture) storedKey() domain.CredentialState {
	f.t.Helper()
	var key *domain.Credential
	err := f.store.View(f.t.Context(), func(tx ports.Tx) (err error) {
		key, err = tx.Credentials.ByID(f.t.Context(), f.keyID)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return key.State()
}

// countSessions deletes all sessions and returns their number.
func (f *fixture) countSessions() (n int) {
	f.t.Helper()
	err := f.store.Update(f.t.Context(), func(tx ports.Tx) (err error) {
		n, err = tx.Sessions.DeleteExpired(f.t.Context(), noon.Add(24*time.Hour), 100)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// Requirement: WebAuthn-7.2-22
func TestFinish_UsesStoredSignCount(t *testing.T) {
	f := newFixture(t)
	clone, original := f.beginWithSignCount(5), f.beginWithSignCount(5)
	f.relyingParty.beforeVerify = func() {
		if _, err := f.finish(original); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.finish(clone); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("a copy of the key with the same counter: %v", err)
	}
	if key := f.storedKey(); key.SignCount != 5 || !key.CloneWarning {
		t.Errorf("stored count %d, warning %t", key.SignCount, key.CloneWarning)
	}
	if n := f.countSessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestFinish_ConcurrentResponseIsRejected(t *testing.T) {
	f := newFixture(t)
	begun := f.beginWithSignCount(2)
	f.relyingParty.beforeVerify = func() {
		if _, err := f.finish(begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("second response: %v", err)
	}
	if key := f.storedKey(); key.CloneWarning {
		t.Error("the second response flagged the passkey")
	}
	if n := f.countSessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// Requirement: WebAuthn-7.2-22
func TestFinish_RejectedUseSuspendsPasskey(t *testing.T) {
	f := newFixture(t)
	f.policy.Counter = domain.CounterSuspend
	if signIn, err := f.finish(f.beginWithSignCount(1)); domain.ReasonOf(err) != domain.ReasonCounterRegressed || signIn.Session != nil {
		t.Errorf("got %+v, %v", signIn, err)
	}
	if key := f.storedKey(); key.Status != domain.CredentialSuspended || !key.CloneWarning {
		t.Errorf("stored status %s, warning %t", key.Status, key.CloneWarning)
	}
	if n := f.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestFinish_InvalidSignature(t *testing.T) {
	f := newFixture(t)
	if signIn, err := f.finish(f.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))); domain.ReasonOf(err) != domain.ReasonSignatureInvalid || signIn.Session != nil {
		t.Errorf("got %+v, %v", signIn, err)
	}
	if key := f.storedKey(); !key.LastUsedAt.IsZero() {
		t.Error("the passkey was recorded as used")
	}
	if n := f.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// Otherwise an attacker could find out which passkeys exist without a challenge of their own.
func TestFinish_ForeignChallengeRevealsNoPasskey(t *testing.T) {
	f := newFixture(t)
	for _, id := range []domain.CredentialID{f.keyID, "unknown"} {
		attempt := f.begin(domain.BindTo(domain.NewSecret("Ada's browser")), authenticator.ForgeAnswerID(id.Bytes()))
		if _, err := f.finish(attempt); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("passkey %q: got %v", id, err)
		}
	}
}

func TestFinish_ReturnsAllowedAnomaly(t *testing.T) {
	f := newFixture(t)
	f.policy.Counter = domain.CounterFlag
	if signIn, err := f.finish(f.beginWithSignCount(1)); err != nil || signIn.Anomaly != domain.AnomalyCounterRegressed {
		t.Errorf("anomaly %q, %v", signIn.Anomaly, err)
	}
}

func truncateSignature(signature []byte) []byte { return signature[:len(signature)/2] }

// failOnceStore is a store whose next Update fails.
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
	f := newFixture(t)
	begun := f.beginWithSignCount(2)
	f.store = &failOnceStore{f.store, true}
	if _, err := f.finish(begun); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := f.finish(begun); err != nil {
		t.Errorf("the same response after the outage: %v", err)
	}
}

// countingStore counts the queries of the passkeys of a user.
type countingStore struct {
	ports.Store
	queries int
}

type countingCredentials struct {
	ports.Credentials
	queries *int
}

func (o *countingStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return o.Store.View(ctx, func(tx ports.Tx) error {
		tx.Credentials = countingCredentials{tx.Credentials, &o.queries}
		return fn(tx)
	})
}

func (o countingCredentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	*o.queries++
	return o.Credentials.ListByUser(ctx, id)
}

// Requirement: WebAuthn-14.6.2, ASVS-6.3.8
func TestBegin_UnknownEmailSameLookUps(t *testing.T) {
	f := newFixture(t)
	for _, email := range []domain.Email{"ada@example.org", "unknown@example.org"} {
		store := &countingStore{Store: f.store}
		if _, err := f.newService(store).Begin(t.Context(), email, domain.Binding{}); err != nil || store.queries != 1 {
			t.Errorf("%s: %d queries of passkeys, %v", email, store.queries, err)
		}
	}
}

// failingUsersStore is a store that fails to look up users.
type failingUsersStore struct{ ports.Store }

type failingUsers struct{ ports.Users }

func (s failingUsersStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.View(ctx, func(tx ports.Tx) error {
		tx.Users = failingUsers{}
		return fn(tx)
	})
}

func (failingUsers) ByEmail(context.Context, domain.Email) (*domain.User, error) {
	return nil, domain.ErrUnavailable
}

func TestBegin_StoreError(t *testing.T) {
	f := newFixture(t)
	if _, err := f.newService(failingUsersStore{f.store}).Begin(t.Context(), "ada@example.org", domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestFinish_RecordsEvent(t *testing.T) {
	f := newFixture(t)
	if _, err := f.finish(f.beginWithSignCount(2)); err != nil {
		t.Fatal(err)
	}
	if log := f.kindsAndReasons(); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("logged %q", log)
	}
}

// The audit log of a passkey's owner has every rejected attempt to use it.
// Requirement: ASVS-16.2.5
func TestFinish_RecordsRejection(t *testing.T) {
	for name, c := range map[string]struct {
		policy    domain.CounterPolicy
		attempt   func(*fixture) attempt
		meanwhile func(*fixture)
		want      error
		log       []string
	}{
		"a bad signature": {
			attempt: func(f *fixture) attempt {
				return f.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			want: domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"a regressed counter": {
			policy: domain.CounterReject, attempt: func(f *fixture) attempt { return f.beginWithSignCount(1) },
			want: domain.ErrPasskeyRejected, log: []string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
		"a disabled account": {
			attempt: func(f *fixture) attempt { f.update(f.disableUser); return f.beginWithSignCount(2) },
			want:    domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		"an account that is disabled meanwhile": {
			attempt:   func(f *fixture) attempt { return f.beginWithSignCount(2) },
			meanwhile: func(f *fixture) { f.update(f.disableUser) },
			want:      domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		// Only a client that holds the passkey learns that the account is disabled.
		"a bad signature, a disabled account": {
			attempt: func(f *fixture) attempt {
				f.update(f.disableUser)
				return f.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			want: domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"an id that is too long": {
			attempt: func(f *fixture) attempt {
				return f.begin(domain.Binding{}, authenticator.ForgeAnswerID(make([]byte, 1024)))
			},
			want: domain.ErrPasskeyRejected, log: []string{},
		},
		"an unknown passkey": {
			attempt: func(f *fixture) attempt {
				return f.begin(domain.Binding{}, authenticator.ForgeAnswerID([]byte("unknown")))
			},
			want: domain.ErrPasskeyUnknown, log: []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.policy.Counter = c.policy
			begun := c.attempt(f)
			if c.meanwhile != nil {
				f.relyingParty.beforeVerify = func() { c.meanwhile(f) }
			}
			if signIn, err := f.finish(begun); !errors.Is(err, c.want) || signIn.Session != nil {
				t.Errorf("got %+v, %v; want %v", signIn, err, c.want)
			}
			if log := f.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
			if n := f.countSessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
			if _, err := f.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same response again: %v", err)
			}
			if log := f.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged again: %q", log)
			}
		})
	}
}

func TestFinish_RejectionEventNamesPasskey(t *testing.T) {
	f := newFixture(t)
	if _, err := f.finishAs(f.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature)), identity.Client{IP: "203.0.113.9", RequestID: "request-17"}); err == nil {
		t.Fatal("the response was accepted")
	}
	f.update(func(ctx context.Context, tx ports.Tx) error {
		events, err := tx.Events.ListByUser(ctx, f.userID, domain.EventID{}, 10)
		for _, e := range events {
			if s := e.State(); s.CredentialID != f.keyID || s.PasskeyName != "Ada's key" || s.IP != "203.0.113.9" || s.RequestID != "request-17" || !s.SessionID.IsZero() {
				t.Errorf("logged %+v", s)
			}
		}
		return err
	})
}

func TestFinish_RequiresBrowserBinding(t *testing.T) {
	f := newFixture(t)
	adaBrowser, benBrowser := domain.BindTo(domain.NewSecret("Ada's browser")), domain.BindTo(domain.NewSecret("Ben's browser"))
	for browser, want := range map[domain.Binding]error{adaBrowser: nil, benBrowser: domain.ErrChallengeNotFound, {}: domain.ErrChallengeNotFound} {
		begun := f.begin(adaBrowser)
		begun.browser = browser
		if _, err := f.finish(begun); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// Sign-in options do not reveal whether an address has an account.
func TestBegin_PasskeysOrDecoys(t *testing.T) {
	f := newFixture(t)
	keyless := domain.NewPendingUser("keyless@example.org", "", noon, rand.Reader)
	f.update(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, keyless.ToUser(noon)) })
	decoys := func(email domain.Email) []domain.CredentialDescriptor {
		return domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}.Descriptors(email)
	}
	for email, want := range map[domain.Email][]domain.CredentialDescriptor{
		"":                    nil,
		"ada@example.org":     {{ID: f.keyID}},
		"keyless@example.org": decoys("keyless@example.org"),
		"unknown@example.org": decoys("unknown@example.org"),
	} {
		started, err := f.newService(f.store).Begin(t.Context(), email, domain.Binding{})
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
			t.Errorf("%q has the options %s", email, started.Options)
		}
	}
}

func TestFinish_ReplayedRejectionIsRecordedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		attempt func(*fixture) attempt
		log     []string
	}{
		"a bad signature": {
			func(f *fixture) attempt {
				return f.begin(domain.Binding{}, authenticator.ForgeSignature(truncateSignature))
			},
			[]string{"sign_in_refused signature_invalid"},
		},
		"a regressed counter": {
			func(f *fixture) attempt { return f.beginWithSignCount(1) },
			[]string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			begun := c.attempt(f)
			var responses sync.WaitGroup
			for range 16 {
				responses.Go(func() {
					if _, err := f.finish(begun); !errors.Is(err, domain.ErrPasskeyRejected) && !errors.Is(err, domain.ErrChallengeNotFound) {
						t.Errorf("got %v", err)
					}
				})
			}
			responses.Wait()
			if log := f.kindsAndReasons(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
		})
	}
}

// The passkeys of a deleted account are unknown, and there is no audit log to record the attempt in.
func TestFinish_AccountDeletedMeanwhile(t *testing.T) {
	for name, variations := range map[string][]authenticator.Variation{
		"a valid response":    nil,
		"an invalid response": {authenticator.ForgeSignature(truncateSignature)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			begun := f.begin(domain.Binding{}, variations...)
			f.relyingParty.beforeVerify = func() { f.update(f.deleteUser) }
			want := domain.ErrPasskeyUnknown
			if variations != nil {
				want = domain.ErrPasskeyRejected
			}
			if _, err := f.finish(begun); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if _, err := f.finish(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same response again: %v", err)
			}
		})
	}
}

// A passkey that its owner has removed is unknown, also if the owner has another one.
func TestFinish_PasskeyRemovedMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.update(func(ctx context.Context, tx ports.Tx) error {
		return tx.Credentials.Add(ctx, sqlitestore.Credential(domain.CredentialState{ID: "another", UserID: f.userID, RPID: "localhost", CreatedAt: noon}), sqlitestore.Attestation())
	})
	begun := f.begin(domain.Binding{})
	f.relyingParty.beforeVerify = func() {
		f.update(func(ctx context.Context, tx ports.Tx) error { return tx.Credentials.Remove(ctx, f.keyID) })
	}
	if _, err := f.finish(begun); !errors.Is(err, domain.ErrPasskeyUnknown) {
		t.Errorf("got %v, want %v", err, domain.ErrPasskeyUnknown)
	}
	if n := f.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// newIssuer returns an issuer with a new signing key.
func newIssuer(t *testing.T, store ports.Store) *signingkeys.Issuer {
	t.Helper()
	keys := jwt.New()
	key, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	return &signingkeys.Issuer{
		SigningKeys: &signingkeys.Service{Store: store, TokenKeys: keys, Clock: clock{}, External: signingkeys.ExternalKeys{key}}, Random: rand.Reader,
		RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)}, Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
	}
}

func TestFinish_BearerTransportReturnsTokens(t *testing.T) {
	f := newFixture(t)
	f.issuer = newIssuer(t, f.store)
	for transport, bearer := range map[domain.Transport]bool{"": false, domain.TransportCookie: false, domain.TransportBearer: true} {
		signIn, err := f.finishAs(f.begin(domain.Binding{}), identity.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if signIn.Token.IsZero() != bearer || (signIn.Tokens != nil) != bearer || (signIn.Session.Transport() == domain.TransportBearer) != bearer {
			t.Errorf("transport %q: %+v", transport, signIn)
		}
		if !bearer {
			continue
		}
		if signIn.Tokens.Refresh.Digest() != signIn.Session.State().Token || signIn.Tokens.RefreshExpiresIn != time.Hour || signIn.Tokens.Access.ExpiresIn != 5*time.Minute {
			t.Errorf("issued %+v", signIn.Tokens)
		}
		if claims, err := f.issuer.Verify(t.Context(), signIn.Tokens.Access.Token.Reveal(), noon); err != nil || claims.SessionID != signIn.Session.ID() || claims.Subject != f.userID {
			t.Errorf("the access token states %+v, %v", claims, err)
		}
	}
}

// A sign-in by cookie revokes the browser's previous session; a sign-in with tokens does not.
func TestFinish_ReplacesOnlyCookieSession(t *testing.T) {
	for transport, want := range map[domain.Transport]error{domain.TransportCookie: domain.ErrSessionRevoked, domain.TransportBearer: nil} {
		f := newFixture(t)
		f.issuer = newIssuer(t, f.store)
		previous, err := f.finish(f.begin(domain.Binding{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.finishAs(f.begin(domain.Binding{}), identity.Client{SessionToken: previous.Token, Transport: transport}); err != nil {
			t.Fatal(err)
		}
		f.update(func(ctx context.Context, tx ports.Tx) error {
			session, err := tx.Sessions.ByID(ctx, previous.Session.ID())
			if err == nil && !errors.Is(session.RequireActive(noon), want) {
				t.Errorf("after a sign-in by %s the previous session: %v", transport, session.RequireActive(noon))
			}
			return err
		})
	}
}

// If the tokens cannot be issued, no session is stored.
func TestFinish_NoSessionWhenTokensFail(t *testing.T) {
	f := newFixture(t)
	f.issuer = &signingkeys.Issuer{
		Random: rand.Reader, RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
		SigningKeys: &signingkeys.Service{Store: unreadableStore{f.store}, TokenKeys: jwt.New(), Clock: clock{}},
	}
	begun := f.beginWithSignCount(2)
	if _, err := f.finishAs(begun, identity.Client{Transport: domain.TransportBearer}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := f.countSessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	if _, err := f.finish(begun); err != nil {
		t.Errorf("the same response after the outage: %v", err)
	}
}

// unreadableStore is a store whose View fails.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}
