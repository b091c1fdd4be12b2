package stepup_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
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
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: 2 * time.Hour}
)

const (
	origin = "http://localhost:8080"
	ttl    = domain.StepUpTTL(10 * time.Minute)
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

func (r *hookedRelyingParty) VerifyAuthentication(
	state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential,
) (domain.Assertion, error) {
	if hook := r.beforeVerify; hook != nil {
		r.beforeVerify = nil
		hook()
	}
	return r.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

// fixture calls the use cases at the time now, which tests change.
type fixture struct {
	t            *testing.T
	store        ports.Store
	relyingParty *hookedRelyingParty
	now          time.Time
	policy       domain.UsePolicy
	issuer       *signingkeys.Issuer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	relyingParty, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Keylodge", Origins: []string{origin}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	keys := jwt.New()
	signingKey, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	l := &fixture{t: t, store: sqlitestore.New(t), relyingParty: &hookedRelyingParty{RelyingParty: relyingParty}, now: noon}
	l.issuer = &signingkeys.Issuer{
		SigningKeys: &signingkeys.Service{Store: l.store, TokenKeys: keys, Clock: clock(noon), External: signingkeys.ExternalKeys{signingKey}}, Random: rand.Reader,
		Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute}, RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
	}
	return l
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

// person is a user with an authenticator, who signed in at noon.
type person struct {
	*fixture
	user   *domain.User
	device *authenticator.Authenticator
	key    *domain.Credential
	identity.Principal
}

// addUser adds a user with a passkey on a security key, or on an authenticator of the given kind.
func (l *fixture) addUser(name string, kind ...authenticator.Option) *person {
	l.t.Helper()
	pendingUser := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	p := &person{fixture: l, user: pendingUser.ToUser(noon)}
	l.update(func(tx ports.Tx) error { return tx.Users.Add(l.t.Context(), p.user) })
	p.device, p.key = p.createPasskey(kind...)
	p.Principal = p.signIn()
	return p
}

func (p *person) createPasskey(kind ...authenticator.Option) (*authenticator.Authenticator, *domain.Credential) {
	p.t.Helper()
	if kind == nil {
		kind = []authenticator.Option{authenticator.DeviceBound()}
	}
	device := authenticator.New(origin, kind...)
	begun, err := p.relyingParty.BeginRegistration(p.user.Entity(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	created, err := device.Create(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	registration, err := p.relyingParty.VerifyRegistration(begun.State, ports.RegistrationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := domain.NewCredential(p.user.ID(), domain.PasskeyName(p.user.DisplayName()+"'s key"), registration, noon)
	if err != nil {
		p.t.Fatal(err)
	}
	p.update(func(tx ports.Tx) error { return tx.Credentials.Add(p.t.Context(), key, sqlitestore.Attestation()) })
	return device, key
}

func (p *person) signIn() identity.Principal {
	p.t.Helper()
	session, _ := domain.OpenSession(p.key, domain.Device{}, lifetime, noon, rand.Reader)
	p.update(func(tx ports.Tx) error { return tx.Sessions.Add(p.t.Context(), session) })
	return identity.Principal{User: p.user, Session: session, AuthContext: session.AuthContext(), Client: identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}}
}

// storedSession returns the stored state of the session.
func (p *person) storedSession() (state domain.SessionState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(p.t.Context(), p.Session.ID())
		if err == nil {
			state = s.State()
		}
		return err
	})
	return state
}

// storedKey returns the stored state of the passkey.
func (p *person) storedKey() (state domain.CredentialState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		c, err := tx.Credentials.ByID(p.t.Context(), p.key.ID())
		if err == nil {
			state = c.State()
		}
		return err
	})
	return state
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

func (p *person) begin(browser domain.Binding) ceremony.Begun {
	p.t.Helper()
	started, err := (&stepup.Service{Store: p.store, RelyingParty: p.relyingParty, Challenges: p.challenges()}).Begin(p.t.Context(), p.Principal, browser)
	if err != nil {
		p.t.Fatal(err)
	}
	return started
}

// attempt is a step-up with the response of an authenticator.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.AuthenticationAnswer
}

func (p *person) answer(variations ...authenticator.Variation) attempt {
	p.t.Helper()
	started := p.begin(domain.Binding{})
	return answerOf(p.t, p.device, started.ChallengeID, started.Options, variations...)
}

func answerOf(t *testing.T, device *authenticator.Authenticator, id domain.ChallengeID, options []byte, variations ...authenticator.Variation) attempt {
	t.Helper()
	created, err := device.Get(options, variations...)
	if err != nil {
		t.Fatal(err)
	}
	return attempt{id, ports.AuthenticationAnswer{
		ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AuthenticatorData: created.Response.AuthenticatorData,
		Signature: created.Response.Signature, UserHandle: created.Response.UserHandle,
	}}
}

func (l *fixture) stepUp(principal identity.Principal, a attempt) (stepup.SteppedUp, error) {
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	finish := &stepup.Service{
		Store: l.store, RelyingParty: l.relyingParty, Clock: clock(l.now), Random: rand.Reader, Issuer: l.issuer, Challenges: l.challenges(), Audit: log,
		PasskeyUsage: &ceremony.PasskeyUsage{Policy: l.policy, Audit: log},
	}
	return finish.Finish(l.t.Context(), principal, stepup.FinishInput{ChallengeID: a.challenge, Credential: a.answer})
}

func truncateSignature(signature []byte) []byte { return signature[:len(signature)/2] }

// Requirement: FIDO-Req-1
func TestBegin_AllowsOwnPasskeys(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	l.addUser("Ben")
	_, second := ada.createPasskey()
	var options struct {
		UserVerification string
		AllowCredentials []struct{ ID authenticator.Base64URL }
	}
	started := ada.begin(domain.Binding{})
	if err := json.Unmarshal(started.Options, &options); err != nil {
		t.Fatal(err)
	}
	var allowed []domain.CredentialID
	for _, c := range options.AllowCredentials {
		allowed = append(allowed, domain.CredentialID(c.ID))
	}
	want := []domain.CredentialID{ada.key.ID(), second.ID()}
	slices.Sort(allowed)
	slices.Sort(want)
	if !slices.Equal(allowed, want) || options.UserVerification != "required" || !started.ExpiresAt.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("%s", started.Options)
	}
}

func TestFinish_RefreshesAuthTime(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	other := ada.signIn()
	ada.device, ada.key = ada.createPasskey(authenticator.WithAlgorithms(authenticator.ES256)) // a phone, added after the sign-in
	l.now = noon.Add(time.Hour)
	if err := ada.RequireRecentAuth(ttl, l.now); !errors.Is(err, domain.ErrStepUpRequired) {
		t.Fatalf("before the step-up: %v", err)
	}
	stepped, err := l.stepUp(ada.Principal, ada.answer())
	if err != nil {
		t.Fatal(err)
	}
	want := ada.Session.State()
	want.AuthTime, want.AMR, want.Token = l.now, []string{"swk", "user", "mfa"}, stepped.Token.Digest()
	if got := ada.storedSession(); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(stepped.Session.State(), want) {
		t.Errorf("stored %+v\nreturned %+v\nwant %+v", got, stepped.Session.State(), want)
	}
	if used := ada.storedKey().LastUsedAt; !used.Equal(l.now) {
		t.Errorf("the passkey was used at %s", used)
	}
	log := ada.entries()
	if len(log) != 1 || log[0].Kind != domain.EventSteppedUp || log[0].SessionID != ada.Session.ID() || log[0].CredentialID != ada.key.ID() ||
		log[0].PasskeyName != "Ada's key" || log[0].IP != "127.0.0.1" {
		t.Errorf("logged %+v", log)
	}
	// The step-up opens no session and does not change another one.
	l.update(func(tx ports.Tx) error {
		active, err := tx.Sessions.ListActive(t.Context(), ada.user.ID(), l.now, domain.SessionID{}, 10)
		if len(active) != 2 {
			t.Errorf("%d sessions", len(active))
		}
		for _, s := range active {
			if s.ID() == other.Session.ID() && !s.AuthTime().Equal(noon) {
				t.Errorf("the other session has the AuthTime %s", s.AuthTime())
			}
		}
		return err
	})
}

// A copy of the token from before the step-up must not gain its assurance.
// Requirement: ASVS-7.2.4
func TestFinish_RotatesSessionToken(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	previous := ada.Session.State().Token
	stepped, err := l.stepUp(ada.Principal, ada.answer())
	if err != nil {
		t.Fatal(err)
	}
	l.update(func(tx ports.Tx) error {
		if s, err := tx.Sessions.ByToken(t.Context(), previous); !errors.Is(err, domain.ErrUnauthenticated) {
			t.Errorf("the previous token: %v, %v", s, err)
		}
		s, err := tx.Sessions.ByToken(t.Context(), stepped.Token.Digest())
		if err == nil && s.ID() != ada.Session.ID() {
			t.Errorf("the new token is of session %s", s.ID())
		}
		return err
	})
	// A request that was authenticated with the previous token just before is rejected, too.
	if _, err := l.stepUp(ada.Principal, ada.answer()); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("request with the previous token: %v", err)
	}
}

// A session with bearer tokens gets a new pair. An access token from before the step-up remains valid without its assurance;
// the refresh token from before revokes the session.
// Requirement: ASVS-7.2.4
func TestFinish_ReplacesBearerTokens(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	session, previous := domain.OpenBearerSession(ada.key, domain.Device{}, lifetime, l.issuer.RefreshKeys, noon, rand.Reader)
	l.update(func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), session) })
	ada.Session = session
	before := l.issuer.Policy.AccessClaims(session, noon, rand.Reader)
	ada.AuthContext = before.AuthContext()
	l.now = noon.Add(time.Minute)
	stepped, err := l.stepUp(ada.Principal, ada.answer())
	if err != nil || !stepped.Token.IsZero() || stepped.Tokens == nil || ada.storedSession().Token != stepped.Tokens.Refresh.Digest() {
		t.Fatalf("%+v, %v, stored token %x", stepped, err, ada.storedSession().Token)
	}
	after, err := l.issuer.Verify(t.Context(), stepped.Tokens.Access.Token.Reveal(), l.now)
	if err != nil || !after.AuthTime.Equal(l.now) {
		t.Fatalf("the new access token: %+v, %v", after, err)
	}
	for _, c := range []struct {
		claims domain.AccessClaims
		want   error
	}{{before, domain.ErrStepUpRequired}, {after, nil}} {
		principal := ada.Principal
		principal.AuthContext = c.claims.AuthContext()
		l.update(func(tx ports.Tx) error {
			reloaded, err := principal.Reload(t.Context(), tx, l.now)
			if got := reloaded.RequireRecentAuth(ttl, l.now); err == nil && !errors.Is(got, c.want) {
				t.Errorf("the access token of %s: %v, want %v", c.claims.AuthTime, got, c.want)
			}
			return err
		})
	}
	l.update(func(tx ports.Tx) error {
		s, err := tx.Sessions.ByID(t.Context(), session.ID())
		if err != nil {
			return err
		}
		if _, _, err := s.Refresh(previous, l.issuer.RefreshKeys, lifetime, l.now); !errors.Is(err, domain.ErrRefreshTokenReused) {
			t.Errorf("the previous refresh token: %v", err)
		}
		return nil
	})
}

func TestFinish_Rejections(t *testing.T) {
	for name, c := range map[string]struct {
		policy  domain.CounterPolicy
		attempt func(ada, ben *person) attempt
		want    error
		log     []string
	}{
		"bad signature": {
			attempt: func(ada, _ *person) attempt { return ada.answer(authenticator.ForgeSignature(truncateSignature)) },
			want:    domain.ErrPasskeyRejected, log: []string{"step_up_refused signature_invalid"},
		},
		"user not verified": {
			attempt: func(ada, _ *person) attempt {
				return ada.answer(authenticator.ForgeFlags(0, authenticator.UserVerified))
			},
			want: domain.ErrUserVerificationRequired, log: []string{"step_up_refused user_verification_missing"},
		},
		"cloned key": {
			policy: domain.CounterReject, attempt: func(ada, _ *person) attempt { return ada.answer(authenticator.ForgeSignCount(1)) },
			want: domain.ErrPasskeyRejected, log: []string{"passkey_flagged counter_regressed", "step_up_refused counter_regressed"},
		},
		"cloned key, suspended": {
			policy: domain.CounterSuspend, attempt: func(ada, _ *person) attempt { return ada.answer(authenticator.ForgeSignCount(1)) },
			want: domain.ErrPasskeyRejected, log: []string{"passkey_suspended counter_regressed", "step_up_refused counter_regressed"},
		},
		"suspended passkey": {
			attempt: func(ada, _ *person) attempt {
				ada.update(func(tx ports.Tx) error {
					s := ada.key.State()
					s.Status = domain.CredentialSuspended
					return tx.Credentials.Save(t.Context(), domain.RestoreCredential(s))
				})
				return ada.answer()
			},
			want: domain.ErrPasskeySuspended, log: []string{"step_up_refused passkey_suspended"},
		},
		"another user's passkey": {
			attempt: func(ada, ben *person) attempt {
				started := ada.begin(domain.Binding{})
				return answerOf(t, ben.device, started.ChallengeID, withoutAllowCredentials(t, started.Options))
			},
			want: domain.ErrPasskeyUnknown, log: []string{},
		},
		"unknown passkey": {
			attempt: func(ada, _ *person) attempt { return ada.answer(authenticator.ForgeAnswerID([]byte("unknown"))) },
			want:    domain.ErrPasskeyUnknown, log: []string{},
		},
		"id that is too long": {
			attempt: func(ada, _ *person) attempt { return ada.answer(authenticator.ForgeAnswerID(make([]byte, 1024))) },
			want:    domain.ErrPasskeyRejected, log: []string{"step_up_refused malformed"},
		},
		"expired challenge": {
			attempt: func(ada, _ *person) attempt {
				begun := ada.answer()
				ada.now = ada.now.Add(5 * time.Minute)
				return begun
			},
			want: domain.ErrChallengeExpired, log: []string{},
		},
		"another user's session": {
			attempt: func(_, ben *person) attempt { return ben.answer() },
			want:    domain.ErrChallengeNotFound, log: []string{"step_up_refused challenge_mismatch"},
		},
		"another browser": {
			attempt: func(ada, _ *person) attempt {
				started := ada.begin(domain.BindTo(domain.NewSecret("another")))
				return answerOf(t, ada.device, started.ChallengeID, started.Options)
			},
			want: domain.ErrChallengeNotFound, log: []string{"step_up_refused challenge_mismatch"},
		},
		"challenge of a sign-in": {
			attempt: func(ada, _ *person) attempt {
				begun, err := ada.relyingParty.BeginAuthentication(nil)
				if err != nil {
					t.Fatal(err)
				}
				started, err := ada.challenges().Begin(t.Context(), domain.PurposeLogin, domain.ChallengeContext{SessionID: ada.Session.ID()}, begun, nil)
				if err != nil {
					t.Fatal(err)
				}
				return answerOf(t, ada.device, started.ChallengeID, started.Options)
			},
			want: domain.ErrChallengeNotFound, log: []string{"step_up_refused challenge_mismatch"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			l.policy.Counter = c.policy
			ada, ben := l.addUser("Ada"), l.addUser("Ben")
			l.now = noon.Add(time.Hour)
			begun := c.attempt(ada, ben)
			if stepped, err := l.stepUp(ada.Principal, begun); !errors.Is(err, c.want) || stepped != (stepup.SteppedUp{}) {
				t.Errorf("got %+v, %v; want %v", stepped, err, c.want)
			}
			if got, want := ada.storedSession(), ada.Session.State(); !reflect.DeepEqual(got, want) {
				t.Errorf("the session was changed: %+v", got)
			}
			if key := ada.storedKey(); key.CloneWarning != (c.policy != "") || !key.LastUsedAt.IsZero() || (key.Status == domain.CredentialSuspended) !=
				(c.policy == domain.CounterSuspend || errors.Is(c.want, domain.ErrPasskeySuspended)) {
				t.Errorf("stored the passkey with warning %t, %s, used at %s", key.CloneWarning, key.Status, key.LastUsedAt)
			}
			for range 2 {
				if got := ada.kindsAndReasons(); !slices.Equal(got, c.log) || len(ben.entries()) != 0 {
					t.Errorf("logged %q and %+v, want %q", got, ben.entries(), c.log)
				}
				if _, err := l.stepUp(ada.Principal, begun); !errors.Is(err, domain.ErrChallengeNotFound) {
					t.Errorf("the same response again: %v", err)
				}
			}
		})
	}
}

// withoutAllowCredentials returns the options without their list, so that an authenticator can use any of its passkeys.
func withoutAllowCredentials(t *testing.T, options []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	edited, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return edited
}

func TestFinish_RejectionEventNamesSessionAndPasskey(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	if _, err := l.stepUp(ada.Principal, ada.answer(authenticator.ForgeSignature(truncateSignature))); err == nil {
		t.Fatal("the response was accepted")
	}
	log := ada.entries()
	if len(log) != 1 || log[0].SessionID != ada.Session.ID() || log[0].CredentialID != ada.key.ID() || log[0].PasskeyName != "Ada's key" || log[0].RequestID != "request-17" {
		t.Errorf("logged %+v", log)
	}
}

func TestFinish_RecordsAllowedAnomaly(t *testing.T) {
	l := newFixture(t)
	l.policy.Counter = domain.CounterFlag
	ada := l.addUser("Ada")
	if _, err := l.stepUp(ada.Principal, ada.answer(authenticator.ForgeSignCount(1))); err != nil {
		t.Fatal(err)
	}
	if got := ada.kindsAndReasons(); !slices.Equal(got, []string{"passkey_flagged counter_regressed", "stepped_up"}) {
		t.Errorf("logged %q", got)
	}
}

func TestFinish_ReplayedRejectionIsRecordedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		variation authenticator.Variation
		log       []string
	}{
		"a bad signature":     {authenticator.ForgeSignature(truncateSignature), []string{"step_up_refused signature_invalid"}},
		"a regressed counter": {authenticator.ForgeSignCount(1), []string{"passkey_flagged counter_regressed", "step_up_refused counter_regressed"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada := l.addUser("Ada")
			begun := ada.answer(c.variation)
			var responses sync.WaitGroup
			for range 16 {
				responses.Go(func() {
					if _, err := l.stepUp(ada.Principal, begun); err == nil {
						t.Error("the response was accepted")
					}
				})
			}
			responses.Wait()
			if got := ada.kindsAndReasons(); !slices.Equal(got, c.log) {
				t.Errorf("logged %q, want %q", got, c.log)
			}
		})
	}
}

func TestFinish_ResponseIsSingleUse(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	l.now = noon.Add(time.Hour)
	begun := ada.answer()
	results := make([]error, 16)
	var responses sync.WaitGroup
	for i := range results {
		responses.Go(func() { _, results[i] = l.stepUp(ada.Principal, begun) })
	}
	responses.Wait()
	accepted := 0
	for _, err := range results {
		switch {
		case err == nil:
			accepted++
		case !errors.Is(err, domain.ErrChallengeNotFound):
			t.Errorf("got %v", err)
		}
	}
	if got := ada.kindsAndReasons(); accepted != 1 || !slices.Equal(got, []string{"stepped_up"}) || ada.storedKey().CloneWarning {
		t.Errorf("%d responses accepted, logged %q, warning %t", accepted, got, ada.storedKey().CloneWarning)
	}
}

func TestFinish_UsesStoredSignCount(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	clone := *ada // on another device
	clone.Principal = ada.signIn()
	cloneAttempt, adaAttempt := clone.answer(authenticator.ForgeSignCount(5)), ada.answer(authenticator.ForgeSignCount(5))
	l.relyingParty.beforeVerify = func() {
		if _, err := l.stepUp(ada.Principal, adaAttempt); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.stepUp(clone.Principal, cloneAttempt); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("a copy of the key with the same counter: %v", err)
	}
}

// A step-up does not restore a session that ends meanwhile.
func TestFinish_SessionEndedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*person)
		want      error
	}{
		"revoked": {func(ada *person) {
			revoked := domain.RestoreSession(ada.Session.State())
			revoked.Revoke(ada.now)
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), revoked) })
		}, domain.ErrSessionRevoked},
		"account disabled": {func(ada *person) {
			ada.update(func(tx ports.Tx) error {
				disabled := domain.RestoreUser(ada.user.State())
				disabled.Disable(ada.now)
				return tx.Users.Save(t.Context(), disabled)
			})
		}, domain.ErrUserDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada := l.addUser("Ada")
			l.now = noon.Add(time.Hour)
			begun := ada.answer()
			l.relyingParty.beforeVerify = func() { c.meanwhile(ada) }
			if stepped, err := l.stepUp(ada.Principal, begun); !errors.Is(err, c.want) || stepped != (stepup.SteppedUp{}) {
				t.Errorf("got %+v, %v; want %v", stepped, err, c.want)
			}
			if s := ada.storedSession(); !s.AuthTime.Equal(noon) || !ada.storedKey().LastUsedAt.IsZero() {
				t.Errorf("AuthTime %s, passkey used at %s", s.AuthTime, ada.storedKey().LastUsedAt)
			}
			if _, err := l.stepUp(ada.Principal, begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same response again: %v", err)
			}
		})
	}
}

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
	l := newFixture(t)
	ada := l.addUser("Ada")
	begun := ada.answer()
	l.store = &failOnceStore{l.store, true}
	if _, err := l.stepUp(ada.Principal, begun); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := l.stepUp(ada.Principal, begun); err != nil {
		t.Errorf("the same response after the outage: %v", err)
	}
}

// unreadableStore is a store whose View fails.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

// Options without a list would make an authenticator offer passkeys of other accounts.
func TestBegin_StoreError(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	begin := &stepup.Service{Store: unreadableStore{l.store}, RelyingParty: l.relyingParty, Challenges: l.challenges()}
	if started, err := begin.Begin(t.Context(), ada.Principal, domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) || started.Options != nil {
		t.Errorf("got %s, %v", started.Options, err)
	}
}
