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
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/tokens"
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
	adasID       domain.UserID
	keyID        domain.CredentialID
	issuer       *tokens.Issuer
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
	l.adasID, l.keyID = ada.UserID, key.ID()
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
	begun, err := l.relyingParty.BeginRegistration(who.Entity(), nil)
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
	key, err := domain.NewCredential(who.UserID, "Ada's key", registration, noon)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *lodge) desk() *ceremony.Desk {
	return &ceremony.Desk{Store: l.store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
}

func (l *lodge) begin(store ports.Store) *login.Begin {
	return &login.Begin{Store: store, RelyingParty: l.relyingParty, Desk: l.desk(), Decoys: domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}}
}

// attempt is a sign-in that Ada's key has answered.
type attempt struct {
	challenge domain.ChallengeID
	answer    ports.AuthenticationAnswer
	browser   domain.Binding // that it comes from
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
	return attempt{challenge: started.ChallengeID, answer: ports.AuthenticationAnswer{
		ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AuthenticatorData: made.Response.AuthenticatorData,
		Signature: made.Response.Signature, UserHandle: made.Response.UserHandle,
	}}
}

// counts is a sign-in whose answer carries the given count.
func (l *lodge) counts(count uint32) attempt {
	l.t.Helper()
	return l.begins(domain.Binding{}, authenticator.ForgeSignCount(count))
}

func (l *lodge) finishes(a attempt) (access.Grant, error) { return l.finishesAs(a, access.Visitor{}) }

func (l *lodge) finishesAs(a attempt, visitor access.Visitor) (access.Grant, error) {
	log := &access.SecurityLog{Random: rand.Reader, Devices: names{}}
	finish := &login.Finish{
		Store: l.store, RelyingParty: l.relyingParty, Clock: clock{}, Desk: l.desk(), Log: log,
		Examiner: &access.Examiner{Policy: l.policy, Log: log},
		Door: &access.Door{
			Random: rand.Reader, Issuer: l.issuer, Log: log, Lifetime: domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour},
		},
	}
	return finish.Execute(l.t.Context(), login.Answer{ChallengeID: a.challenge, Binding: a.browser, Credential: a.answer, Visitor: visitor})
}

// log is Ada's: kinds and reasons, sorted.
func (l *lodge) log() []string {
	l.t.Helper()
	list := []string{}
	err := l.store.View(l.t.Context(), func(tx ports.Tx) error {
		events, err := tx.Events.OfUser(l.t.Context(), l.adasID, domain.EventID{}, 100)
		for _, e := range events {
			list = append(list, strings.TrimSpace(string(e.Kind())+" "+e.Snapshot().Reason))
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// operator has the store do something to Ada's account.
func (l *lodge) operator(does func(ctx context.Context, tx ports.Tx) error) {
	l.t.Helper()
	if err := l.store.Update(l.t.Context(), func(tx ports.Tx) error { return does(l.t.Context(), tx) }); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lodge) disablesAda(ctx context.Context, tx ports.Tx) error {
	ada, err := tx.Users.ByID(ctx, l.adasID)
	if err != nil {
		return err
	}
	ada.Disable(noon)
	return tx.Users.Save(ctx, ada)
}

func (l *lodge) deletesAda(ctx context.Context, tx ports.Tx) error {
	return tx.Users.Remove(ctx, l.adasID)
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

func TestASignInIsLogged(t *testing.T) {
	l := newLodge(t)
	if _, err := l.finishes(l.counts(2)); err != nil {
		t.Fatal(err)
	}
	if log := l.log(); !slices.Equal(log, []string{"signed_in"}) {
		t.Errorf("logged %q", log)
	}
}

// The owner of a passkey hears of each attempt that somebody made with it.
func TestARefusedSignInIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		policy    domain.CounterPolicy
		attempt   func(*lodge) attempt
		meanwhile func(*lodge)
		want      error
		log       []string
	}{
		"a bad signature": {
			attempt: func(l *lodge) attempt { return l.begins(domain.Binding{}, authenticator.ForgeSignature(halved)) },
			want:    domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"a counter that went back": {
			policy: domain.CounterReject, attempt: func(l *lodge) attempt { return l.counts(1) },
			want: domain.ErrPasskeyRejected, log: []string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
		"a shut account": {
			attempt: func(l *lodge) attempt { l.operator(l.disablesAda); return l.counts(2) },
			want:    domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		"an account that is shut meanwhile": {
			attempt:   func(l *lodge) attempt { return l.counts(2) },
			meanwhile: func(l *lodge) { l.operator(l.disablesAda) },
			want:      domain.ErrUserDisabled, log: []string{"sign_in_refused user_disabled"},
		},
		// Whether the account is shut is for its owner to know, not for whoever names one of its passkeys.
		"a bad signature, a shut account": {
			attempt: func(l *lodge) attempt {
				l.operator(l.disablesAda)
				return l.begins(domain.Binding{}, authenticator.ForgeSignature(halved))
			},
			want: domain.ErrPasskeyRejected, log: []string{"sign_in_refused signature_invalid"},
		},
		"an id that could be nobody's": {
			attempt: func(l *lodge) attempt {
				return l.begins(domain.Binding{}, authenticator.ForgeAnswerID(make([]byte, 1024)))
			},
			want: domain.ErrPasskeyRejected, log: []string{},
		},
		"a passkey that nobody has": {
			attempt: func(l *lodge) attempt {
				return l.begins(domain.Binding{}, authenticator.ForgeAnswerID([]byte("unknown")))
			},
			want: domain.ErrPasskeyUnknown, log: []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLodge(t)
			l.policy.Counter = c.policy
			begun := c.attempt(l)
			if c.meanwhile != nil {
				l.relyingParty.meanwhile = func() { c.meanwhile(l) }
			}
			if grant, err := l.finishes(begun); !errors.Is(err, c.want) || grant.Session != nil {
				t.Errorf("got %+v, %v; want %v", grant, err, c.want)
			}
			if log := l.log(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
			if n := l.sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
			if _, err := l.finishes(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same answer again: %v", err)
			}
			if log := l.log(); !slices.Equal(log, c.log) {
				t.Errorf("logged again: %q", log)
			}
		})
	}
}

func TestARefusedEntryNamesThePasskey(t *testing.T) {
	l := newLodge(t)
	if _, err := l.finishesAs(l.begins(domain.Binding{}, authenticator.ForgeSignature(halved)), access.Visitor{IP: "203.0.113.9", RequestID: "request-17"}); err == nil {
		t.Fatal("it was accepted")
	}
	l.operator(func(ctx context.Context, tx ports.Tx) error {
		events, err := tx.Events.OfUser(ctx, l.adasID, domain.EventID{}, 10)
		for _, e := range events {
			if is := e.Snapshot(); is.CredentialID != l.keyID || is.PasskeyName != "Ada's key" || is.IP != "203.0.113.9" || is.RequestID != "request-17" || !is.SessionID.IsZero() {
				t.Errorf("logged %+v", is)
			}
		}
		return err
	})
}

func TestAChallengeIsAnsweredInTheBrowserThatAskedForIt(t *testing.T) {
	l := newLodge(t)
	adas, bens := domain.BindTo(domain.NewSecret("Ada's browser")), domain.BindTo(domain.NewSecret("Ben's browser"))
	for browser, want := range map[domain.Binding]error{adas: nil, bens: domain.ErrChallengeNotFound, {}: domain.ErrChallengeNotFound} {
		begun := l.begins(adas)
		begun.browser = browser
		if _, err := l.finishes(begun); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// Who has an account cannot be found out by asking for its passkeys.
func TestAnAddressIsAnsweredWithPasskeysOrDecoys(t *testing.T) {
	l := newLodge(t)
	keyless, err := domain.NewApplicant("keyless@example.org", "", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l.operator(func(ctx context.Context, tx ports.Tx) error { return tx.Users.Add(ctx, keyless.Admit(noon)) })
	decoys := func(email domain.Email) []domain.CredentialDescriptor {
		return domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}.Of(email)
	}
	for email, want := range map[domain.Email][]domain.CredentialDescriptor{
		"":                    nil,
		"ada@example.org":     {{ID: l.keyID}},
		"keyless@example.org": decoys("keyless@example.org"),
		"nobody@example.org":  decoys("nobody@example.org"),
	} {
		started, err := l.begin(l.store).Execute(t.Context(), email, domain.Binding{})
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

func TestARefusedAnswerThatComesManyTimesIsLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		attempt func(*lodge) attempt
		log     []string
	}{
		"a bad signature": {
			func(l *lodge) attempt { return l.begins(domain.Binding{}, authenticator.ForgeSignature(halved)) },
			[]string{"sign_in_refused signature_invalid"},
		},
		"a counter that went back": {
			func(l *lodge) attempt { return l.counts(1) },
			[]string{"passkey_flagged counter_regressed", "sign_in_refused counter_regressed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLodge(t)
			begun := c.attempt(l)
			var answering sync.WaitGroup
			for range 16 {
				answering.Go(func() {
					if _, err := l.finishes(begun); !errors.Is(err, domain.ErrPasskeyRejected) && !errors.Is(err, domain.ErrChallengeNotFound) {
						t.Errorf("got %v", err)
					}
				})
			}
			answering.Wait()
			if log := l.log(); !slices.Equal(log, c.log) {
				t.Errorf("logged %q, want %q", log, c.log)
			}
		})
	}
}

// Then nobody has this passkey any more, and there is nobody to tell.
func TestAnAccountThatIsDeletedMeanwhileIsNotSignedInTo(t *testing.T) {
	for name, variations := range map[string][]authenticator.Variation{
		"a good answer": nil,
		"a bad one":     {authenticator.ForgeSignature(halved)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLodge(t)
			begun := l.begins(domain.Binding{}, variations...)
			l.relyingParty.meanwhile = func() { l.operator(l.deletesAda) }
			want := domain.ErrPasskeyUnknown
			if variations != nil {
				want = domain.ErrPasskeyRejected
			}
			if _, err := l.finishes(begun); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if _, err := l.finishes(begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the same answer again: %v", err)
			}
		})
	}
}

// bringing is an issuer with a key of its own.
func bringing(t *testing.T, store ports.Store) *tokens.Issuer {
	t.Helper()
	keys := jwt.New()
	key, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	return &tokens.Issuer{
		Keyring: tokens.NewKeyring(store, keys, nil, clock{}, domain.KeyRotation{}, tokens.Brought{key}), Keys: keys, Random: rand.Reader,
		RefreshKeys: domain.RefreshKeys{make([]byte, 32)}, Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
	}
}

func TestAProgramGetsTokensAndNoCookie(t *testing.T) {
	l := newLodge(t)
	l.issuer = bringing(t, l.store)
	for transport, bearer := range map[domain.Transport]bool{"": false, domain.TransportCookie: false, domain.TransportBearer: true} {
		grant, err := l.finishesAs(l.begins(domain.Binding{}), access.Visitor{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if grant.Token.IsZero() != bearer || (grant.Tokens != nil) != bearer || (grant.Session.Transport() == domain.TransportBearer) != bearer {
			t.Errorf("transport %q: %+v", transport, grant)
		}
		if !bearer {
			continue
		}
		if grant.Tokens.Refresh.Digest() != grant.Session.Snapshot().Token || grant.Tokens.RefreshExpiresIn != time.Hour || grant.Tokens.Access.ExpiresIn != 5*time.Minute {
			t.Errorf("granted %+v", grant.Tokens)
		}
		if claims, err := l.issuer.Read(t.Context(), grant.Tokens.Access.Token.Reveal(), noon); err != nil || claims.SessionID != grant.Session.ID() || claims.Subject != l.adasID {
			t.Errorf("the access token states %+v, %v", claims, err)
		}
	}
}

// A browser has one session at a time; a program's beside it is another matter.
func TestASignInReplacesTheBrowsersSessionOnly(t *testing.T) {
	for transport, want := range map[domain.Transport]error{domain.TransportCookie: domain.ErrSessionRevoked, domain.TransportBearer: nil} {
		l := newLodge(t)
		l.issuer = bringing(t, l.store)
		before, err := l.finishes(l.begins(domain.Binding{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.finishesAs(l.begins(domain.Binding{}), access.Visitor{Session: before.Token, Transport: transport}); err != nil {
			t.Fatal(err)
		}
		l.operator(func(ctx context.Context, tx ports.Tx) error {
			session, err := tx.Sessions.ByID(ctx, before.Session.ID())
			if err == nil && !errors.Is(session.Usable(noon), want) {
				t.Errorf("after a sign-in by %s the one before is %v", transport, session.Usable(noon))
			}
			return err
		})
	}
}

// A session is no use without its tokens, so none is opened if they cannot be made.
func TestNoSessionOpensWithoutItsTokens(t *testing.T) {
	l := newLodge(t)
	l.issuer = &tokens.Issuer{
		Keys: jwt.New(), Random: rand.Reader, RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
		Keyring: tokens.NewKeyring(down{l.store}, jwt.New(), nil, clock{}, domain.KeyRotation{}, nil),
	}
	begun := l.counts(2)
	if _, err := l.finishesAs(begun, access.Visitor{Transport: domain.TransportBearer}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := l.sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	if _, err := l.finishes(begun); err != nil {
		t.Errorf("the same answer after the outage: %v", err)
	}
}

// down is a store that cannot be read.
type down struct{ ports.Store }

func (down) View(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }
