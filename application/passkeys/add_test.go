package passkeys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// An attacker at an unlocked browser must not be able to add a passkey.
func TestBeginAdd_RequiresRecentAuth(t *testing.T) {
	for after, want := range map[time.Duration]error{
		0:                                 nil,
		time.Duration(stepUp):             nil,
		time.Duration(stepUp) + 1:         domain.ErrStepUpRequired,
		time.Duration(stepUp) + time.Hour: domain.ErrStepUpRequired,
	} {
		l := newFixture(t)
		ada := l.addUser("Ada")
		l.now = noon.Add(after)
		if started, err := ada.begin(ada.Principal, domain.Binding{}); !errors.Is(err, want) || err != nil && started.Options != nil {
			t.Errorf("after %s: %s, %v; want %v", after, started.Options, err, want)
		}
	}
}

func TestBeginAdd_ChecksLimit(t *testing.T) {
	l := newFixture(t)
	l.limit = 2
	ada := l.addUser("Ada")
	if _, err := ada.begin(ada.Principal, domain.Binding{}); err != nil {
		t.Errorf("below the limit: %v", err)
	}
	ada.addPasskey("another", domain.CredentialSuspended)
	if started, err := ada.begin(ada.Principal, domain.Binding{}); !errors.Is(err, domain.ErrPasskeyLimitReached) || started.Options != nil {
		t.Errorf("at the limit: %s, %v", started.Options, err)
	}
}

// An authenticator that has a passkey of the account must not create another one.
// Requirement: FIDO-Req-1
func TestBeginAdd_OptionsNameUserAndExcludePasskeys(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	l.addUser("Ben")
	ada.addPasskey("another", domain.CredentialSuspended)
	started, err := ada.begin(ada.Principal, domain.Binding{})
	if err != nil || !started.ExpiresAt.Equal(noon.Add(5*time.Minute)) {
		t.Fatalf("%+v, %v", started, err)
	}
	var options struct {
		User struct {
			ID                authenticator.Base64URL
			Name, DisplayName string
		}
		ExcludeCredentials []struct{ ID authenticator.Base64URL }
	}
	if err := json.Unmarshal(started.Options, &options); err != nil {
		t.Fatal(err)
	}
	var excluded []string
	for _, c := range options.ExcludeCredentials {
		excluded = append(excluded, string(c.ID))
	}
	slices.Sort(excluded)
	if domain.UserHandle(options.User.ID) != ada.user.Handle() || options.User.Name != "Ada" || options.User.DisplayName != "Ada" || !slices.Equal(excluded, []string{"Ada", "another"}) {
		t.Errorf("%s", started.Options)
	}
}

func TestFinishAdd(t *testing.T) {
	l := newFixture(t)
	ada, ben := l.addUser("Ada"), l.addUser("Ben")
	l.now = noon.Add(time.Minute)
	created := ada.createPasskey()
	added, err := l.add(ada.Principal, created)
	if err != nil {
		t.Fatal(err)
	}
	id := domain.CredentialID(created.answer.ID)
	if added.Credential.ID() != id || added.Credential.Name() != "the blue one" || added.Credential.UserID() != ada.user.ID() || added.User.ID() != ada.user.ID() {
		t.Errorf("added %+v of %+v", added.Credential, added.User)
	}
	want := []domain.CredentialID{"Ada", id}
	if got := credentialIDs(added.AcceptedCredentials); !slices.Equal(got, want) || !slices.Equal(ada.passkeyIDs(), want) || len(ben.passkeyIDs()) != 1 {
		t.Errorf("accepted %q, stored %q", got, ada.passkeyIDs())
	}
	log := ada.entries()
	if len(log) != 1 || len(ben.entries()) != 0 {
		t.Fatalf("logged %+v", log)
	}
	if e := log[0]; e.Kind != domain.EventPasskeyAdded || e.CredentialID != id || e.PasskeyName != "the blue one" || e.SessionID != ada.Session.ID() || e.IP != "127.0.0.1" {
		t.Errorf("logged %+v", e)
	}
	if _, err := l.add(ada.Principal, created); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("the same response again: %v", err)
	}
}

// Otherwise an attacker could get a passkey into another account, or register another user's passkey in their own.
func TestFinishAdd_RequiresSameSession(t *testing.T) {
	for name, in := range map[string]func(ada, ben *person) *person{
		"another user's session": func(_, ben *person) *person { return ben },
		"another session of the user": func(ada, _ *person) *person {
			other := *ada
			other.Principal = ada.signIn(ada.addPasskey("another", domain.CredentialActive))
			return &other
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada, ben := l.addUser("Ada"), l.addUser("Ben")
			created := ada.createPasskey()
			responder := in(ada, ben)
			before := len(responder.passkeyIDs())
			if _, err := l.add(responder.Principal, created); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("got %v", err)
			}
			if len(responder.passkeyIDs()) != before || len(ben.passkeyIDs()) != 1 {
				t.Errorf("Ada has %q, Ben %q", ada.passkeyIDs(), ben.passkeyIDs())
			}
			// The attempt is recorded for the responding user, not for the user of the challenge.
			log := responder.entries()
			if len(log) != 1 || log[0].Kind != domain.EventPasskeyAddRefused || log[0].Reason != string(domain.ReasonChallengeMismatch) || log[0].SessionID != responder.Session.ID() ||
				len(ada.entries())+len(ben.entries()) != 1 {
				t.Errorf("logged %+v, %+v", ada.entries(), ben.entries())
			}
		})
	}
}

func TestFinishAdd_RequiresBrowserBinding(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	started, err := ada.begin(ada.Principal, domain.BindTo(domain.NewSecret("Ada's browser")))
	if err != nil {
		t.Fatal(err)
	}
	created, err := authenticator.New(origin).Create(started.Options)
	if err != nil {
		t.Fatal(err)
	}
	answer := ports.RegistrationAnswer{ID: created.ID, ClientDataJSON: created.Response.ClientDataJSON, AttestationObject: created.Response.AttestationObject}
	if _, err := l.add(ada.Principal, attempt{started.ChallengeID, answer}); !errors.Is(err, domain.ErrChallengeNotFound) || len(ada.passkeyIDs()) != 1 {
		t.Errorf("got %v, stored %q", err, ada.passkeyIDs())
	}
}

func TestFinishAdd_Rejections(t *testing.T) {
	for name, c := range map[string]struct {
		attempt func(ada, ben *person) attempt
		want    error
		log     []string
	}{
		"another origin": {
			func(ada, _ *person) attempt {
				return ada.createPasskey(authenticator.ForgeOrigin("https://mallory.example"))
			},
			domain.ErrPasskeyRejected, []string{"passkey_add_refused origin_not_allowed"},
		},
		"user not verified": {
			func(ada, _ *person) attempt {
				return ada.createPasskey(authenticator.ForgeFlags(0, authenticator.UserVerified))
			},
			domain.ErrUserVerificationRequired, []string{"passkey_add_refused user_verification_missing"},
		},
		"expired challenge": {
			func(ada, _ *person) attempt {
				created := ada.createPasskey()
				ada.now = ada.now.Add(5 * time.Minute)
				return created
			},
			domain.ErrChallengeExpired, []string{},
		},
		"passkey of another user": {
			func(ada, _ *person) attempt { return ada.createPasskey(authenticator.ForgeCredentialID([]byte("Ben"))) },
			domain.ErrPasskeyAlreadyRegistered, []string{},
		},
		"unknown challenge": {
			func(ada, _ *person) attempt { return attempt{answer: ada.createPasskey().answer} },
			domain.ErrChallengeNotFound, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			ada, ben := l.addUser("Ada"), l.addUser("Ben")
			begun := c.attempt(ada, ben)
			for range 2 { // the second time the challenge is consumed
				added, err := l.add(ada.Principal, begun)
				if err == nil || added.Credential != nil || !errors.Is(err, c.want) && !errors.Is(err, domain.ErrChallengeNotFound) {
					t.Errorf("got %+v, %v; want %v", added, err, c.want)
				}
			}
			if _, err := l.add(ada.Principal, begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the challenge is not consumed: %v", err)
			}
			if got := ada.kindsAndReasons(); !slices.Equal(got, c.log) || len(ben.entries()) != 0 {
				t.Errorf("logged %q and %+v; want %q", got, ben.entries(), c.log)
			}
			if len(ada.passkeyIDs()) != 1 || len(ben.passkeyIDs()) != 1 {
				t.Errorf("Ada has %q, Ben %q", ada.passkeyIDs(), ben.passkeyIDs())
			}
		})
	}
}

func TestFinishAdd_ReplayedRejectionIsRecordedOnce(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	begun := ada.createPasskey(authenticator.ForgeOrigin("https://mallory.example"))
	var responses sync.WaitGroup
	for range 16 {
		responses.Go(func() {
			if _, err := l.add(ada.Principal, begun); err == nil {
				t.Error("the passkey was added")
			}
		})
	}
	responses.Wait()
	if got := ada.kindsAndReasons(); !slices.Equal(got, []string{"passkey_add_refused origin_not_allowed"}) {
		t.Errorf("logged %q", got)
	}
}

func TestFinishAdd_ConcurrentResponseIsRejected(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	begun := ada.createPasskey()
	l.relyingParty.beforeVerify = func() {
		if _, err := l.add(ada.Principal, begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.add(ada.Principal, begun); !errors.Is(err, domain.ErrChallengeNotFound) || len(ada.passkeyIDs()) != 2 {
		t.Errorf("second response: %v; stored %q", err, ada.passkeyIDs())
	}
}

// Concurrent responses cannot exceed the limit.
func TestFinishAdd_LimitUnderConcurrency(t *testing.T) {
	l := newFixture(t)
	l.limit = 4
	ada := l.addUser("Ada")
	attempts := make([]attempt, 16)
	for i := range attempts {
		attempts[i] = ada.createPasskey()
	}
	results := make([]error, len(attempts))
	var additions sync.WaitGroup
	for i := range attempts {
		additions.Go(func() { _, results[i] = l.add(ada.Principal, attempts[i]) })
	}
	additions.Wait()
	added := 0
	for _, err := range results {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, domain.ErrPasskeyLimitReached):
			t.Errorf("got %v", err)
		}
	}
	if added != 3 || len(ada.passkeyIDs()) != 4 || len(ada.entries()) != 3 {
		t.Errorf("%d added, %d stored, %d events", added, len(ada.passkeyIDs()), len(ada.entries()))
	}
	for i, err := range results {
		if err == nil {
			continue
		}
		if _, err := l.add(ada.Principal, attempts[i]); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("the challenge of a response beyond the limit is not consumed: %v", err)
		}
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
		return fmt.Errorf("committing: %w", domain.ErrUnavailable)
	}
	return s.Store.Update(ctx, fn)
}

func TestFinishAdd_RetryAfterStoreError(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	begun := ada.createPasskey()
	l.store = &failOnceStore{l.store, true}
	if added, err := l.add(ada.Principal, begun); !errors.Is(err, domain.ErrUnavailable) || added.Credential != nil {
		t.Fatalf("got %+v, %v", added, err)
	}
	if _, err := l.add(ada.Principal, begun); err != nil {
		t.Errorf("the same response after the outage: %v", err)
	}
}

// unreadableStore is a store whose View fails.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestPasskeys_StoreError(t *testing.T) {
	l := newFixture(t)
	ada := l.addUser("Ada")
	l.store = unreadableStore{l.store}
	if _, err := ada.begin(ada.Principal, domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("BeginAdd: %v", err)
	}
	if list, err := (&passkeys.Service{Store: l.store}).List(t.Context(), ada.Principal); !errors.Is(err, domain.ErrUnavailable) || list != nil {
		t.Errorf("List: %v, %v", list, err)
	}
}
