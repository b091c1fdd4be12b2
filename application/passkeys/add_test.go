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

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Whoever finds an unlocked browser must not leave a passkey of theirs behind.
func TestAddingAPasskeyNeedsAFreshProof(t *testing.T) {
	for after, want := range map[time.Duration]error{
		0:                                 nil,
		time.Duration(stepUp):             nil,
		time.Duration(stepUp) + 1:         domain.ErrStepUpRequired,
		time.Duration(stepUp) + time.Hour: domain.ErrStepUpRequired,
	} {
		l := newLodge(t)
		ada := l.moves("Ada")
		l.now = noon.Add(after)
		if started, err := ada.begins(ada.Actor, domain.Binding{}); !errors.Is(err, want) || err != nil && started.Options != nil {
			t.Errorf("after %s: %s, %v; want %v", after, started.Options, err, want)
		}
	}
}

func TestNobodyMakesAPasskeyForNothing(t *testing.T) {
	l := newLodge(t)
	l.limit = 2
	ada := l.moves("Ada")
	if _, err := ada.begins(ada.Actor, domain.Binding{}); err != nil {
		t.Errorf("with room for one: %v", err)
	}
	ada.owns("another", domain.CredentialSuspended)
	if started, err := ada.begins(ada.Actor, domain.Binding{}); !errors.Is(err, domain.ErrPasskeyLimitReached) || started.Options != nil {
		t.Errorf("with room for none: %s, %v", started.Options, err)
	}
}

// An authenticator that holds one of theirs already would only replace or double it.
func TestTheOptionsNameThePersonAndAllTheirPasskeys(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	l.moves("Ben")
	ada.owns("another", domain.CredentialSuspended)
	started, err := ada.begins(ada.Actor, domain.Binding{})
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

func TestANewPasskeyJoinsTheOthers(t *testing.T) {
	l := newLodge(t)
	ada, ben := l.moves("Ada"), l.moves("Ben")
	l.now = noon.Add(time.Minute)
	made := ada.makes()
	added, err := l.adds(ada.Actor, made)
	if err != nil {
		t.Fatal(err)
	}
	id := domain.CredentialID(made.answer.ID)
	if added.Credential.ID() != id || added.Credential.Name() != "the blue one" || added.Credential.UserID() != ada.user.ID() || added.User.ID() != ada.user.ID() {
		t.Errorf("added %+v of %+v", added.Credential, added.User)
	}
	want := []domain.CredentialID{"Ada", id}
	if got := ids(added.Accepted); !slices.Equal(got, want) || !slices.Equal(ada.ring(), want) || len(ben.ring()) != 1 {
		t.Errorf("accepted %q, stored %q", got, ada.ring())
	}
	log := ada.entries()
	if len(log) != 1 || len(ben.entries()) != 0 {
		t.Fatalf("logged %+v", log)
	}
	if e := log[0]; e.Kind != domain.EventPasskeyAdded || e.CredentialID != id || e.PasskeyName != "the blue one" || e.SessionID != ada.Session.ID() || e.IP != "127.0.0.1" {
		t.Errorf("logged %+v", e)
	}
	if _, err := l.adds(ada.Actor, made); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("the same answer again: %v", err)
	}
}

// Otherwise somebody could have another person answer, or answer for them, and own a passkey of theirs.
func TestAPasskeyIsAddedInTheSessionThatAskedForIt(t *testing.T) {
	for name, in := range map[string]func(ada, ben *person) *person{
		"somebody else's": func(_, ben *person) *person { return ben },
		"another of her own": func(ada, _ *person) *person {
			other := *ada
			other.Actor = ada.signsIn(ada.owns("another", domain.CredentialActive))
			return &other
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLodge(t)
			ada, ben := l.moves("Ada"), l.moves("Ben")
			made := ada.makes()
			answering := in(ada, ben)
			before := len(answering.ring())
			if _, err := l.adds(answering.Actor, made); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("got %v", err)
			}
			if len(answering.ring()) != before || len(ben.ring()) != 1 {
				t.Errorf("Ada has %q now, Ben %q", ada.ring(), ben.ring())
			}
			// It is told to whoever tried, who is known, and not to whom the challenge was.
			log := answering.entries()
			if len(log) != 1 || log[0].Kind != domain.EventPasskeyAddRefused || log[0].Reason != string(domain.ReasonChallengeMismatch) || log[0].SessionID != answering.Session.ID() ||
				len(ada.entries())+len(ben.entries()) != 1 {
				t.Errorf("logged %+v, %+v", ada.entries(), ben.entries())
			}
		})
	}
}

func TestAPasskeyIsAddedInTheBrowserThatAskedForIt(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	started, err := ada.begins(ada.Actor, domain.BindTo(domain.NewSecret("Ada's browser")))
	if err != nil {
		t.Fatal(err)
	}
	made, err := authenticator.New(origin).Create(started.Options)
	if err != nil {
		t.Fatal(err)
	}
	answer := ports.RegistrationAnswer{ID: made.ID, ClientDataJSON: made.Response.ClientDataJSON, AttestationObject: made.Response.AttestationObject}
	if _, err := l.adds(ada.Actor, attempt{started.ChallengeID, answer}); !errors.Is(err, domain.ErrChallengeNotFound) || len(ada.ring()) != 1 {
		t.Errorf("got %v, has %q", err, ada.ring())
	}
}

func TestARefusedPasskeyIsNotAdded(t *testing.T) {
	for name, c := range map[string]struct {
		attempt func(ada, ben *person) attempt
		want    error
		log     []string
	}{
		"for another site": {
			func(ada, _ *person) attempt { return ada.makes(authenticator.ForgeOrigin("https://mallory.example")) },
			domain.ErrPasskeyRejected, []string{"passkey_add_refused origin_not_allowed"},
		},
		"nobody was verified": {
			func(ada, _ *person) attempt {
				return ada.makes(authenticator.ForgeFlags(0, authenticator.UserVerified))
			},
			domain.ErrUserVerificationRequired, []string{"passkey_add_refused user_verification_missing"},
		},
		"too late": {
			func(ada, _ *person) attempt {
				made := ada.makes()
				ada.now = ada.now.Add(5 * time.Minute)
				return made
			},
			domain.ErrChallengeExpired, []string{},
		},
		"that somebody else has": {
			func(ada, _ *person) attempt { return ada.makes(authenticator.ForgeCredentialID([]byte("Ben"))) },
			domain.ErrPasskeyAlreadyRegistered, []string{},
		},
		"with a challenge that nobody knows": {
			func(ada, _ *person) attempt { return attempt{answer: ada.makes().answer} },
			domain.ErrChallengeNotFound, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLodge(t)
			ada, ben := l.moves("Ada"), l.moves("Ben")
			begun := c.attempt(ada, ben)
			for range 2 { // the second time the challenge is spent
				added, err := l.adds(ada.Actor, begun)
				if err == nil || added.Credential != nil || !errors.Is(err, c.want) && !errors.Is(err, domain.ErrChallengeNotFound) {
					t.Errorf("got %+v, %v; want %v", added, err, c.want)
				}
			}
			if _, err := l.adds(ada.Actor, begun); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("the challenge is not spent: %v", err)
			}
			if got := ada.heads(); !slices.Equal(got, c.log) || len(ben.entries()) != 0 {
				t.Errorf("logged %q and %+v; want %q", got, ben.entries(), c.log)
			}
			if len(ada.ring()) != 1 || len(ben.ring()) != 1 {
				t.Errorf("Ada has %q, Ben %q", ada.ring(), ben.ring())
			}
		})
	}
}

func TestARefusedPasskeyIsLoggedOnceHoweverOftenItComes(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	begun := ada.makes(authenticator.ForgeOrigin("https://mallory.example"))
	var answering sync.WaitGroup
	for range 16 {
		answering.Go(func() {
			if _, err := l.adds(ada.Actor, begun); err == nil {
				t.Error("it was added")
			}
		})
	}
	answering.Wait()
	if got := ada.heads(); !slices.Equal(got, []string{"passkey_add_refused origin_not_allowed"}) {
		t.Errorf("logged %q", got)
	}
}

func TestAnAnswerThatWasTakenMeanwhileAddsNothing(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	begun := ada.makes()
	l.relyingParty.meanwhile = func() {
		if _, err := l.adds(ada.Actor, begun); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.adds(ada.Actor, begun); !errors.Is(err, domain.ErrChallengeNotFound) || len(ada.ring()) != 2 {
		t.Errorf("the second got %v; there are %q", err, ada.ring())
	}
}

// Of many who come to the last free places at once, as many get one as there are.
func TestTheLimitHoldsAlsoWhenManyComeAtOnce(t *testing.T) {
	l := newLodge(t)
	l.limit = 4
	ada := l.moves("Ada")
	made := make([]attempt, 16)
	for i := range made {
		made[i] = ada.makes()
	}
	results := make([]error, len(made))
	var adding sync.WaitGroup
	for i := range made {
		adding.Go(func() { _, results[i] = l.adds(ada.Actor, made[i]) })
	}
	adding.Wait()
	added := 0
	for _, err := range results {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, domain.ErrPasskeyLimitReached):
			t.Errorf("got %v", err)
		}
	}
	if added != 3 || len(ada.ring()) != 4 || len(ada.entries()) != 3 {
		t.Errorf("%d were added; there are %d, and %d events", added, len(ada.ring()), len(ada.entries()))
	}
	for i, err := range results {
		if err == nil {
			continue
		}
		if _, err := l.adds(ada.Actor, made[i]); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Errorf("a challenge for which there was no room is not spent: %v", err)
		}
	}
}

// failing is a store whose next unit of work that writes is lost.
type failing struct {
	ports.Store
	lost bool
}

func (s *failing) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.lost {
		s.lost = false
		return fmt.Errorf("committing: %w", domain.ErrUnavailable)
	}
	return s.Store.Update(ctx, fn)
}

func TestAnAnswerMayComeAgainAfterAnOutage(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	begun := ada.makes()
	l.store = &failing{l.store, true}
	if added, err := l.adds(ada.Actor, begun); !errors.Is(err, domain.ErrUnavailable) || added.Credential != nil {
		t.Fatalf("got %+v, %v", added, err)
	}
	if _, err := l.adds(ada.Actor, begun); err != nil {
		t.Errorf("the same answer after the outage: %v", err)
	}
}

// down is a store that cannot be read.
type down struct{ ports.Store }

func (down) View(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }

func TestAnOutageIsNoEmptyRing(t *testing.T) {
	l := newLodge(t)
	ada := l.moves("Ada")
	l.store = down{l.store}
	if _, err := ada.begins(ada.Actor, domain.Binding{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("beginning: %v", err)
	}
	if list, err := (&passkeys.List{Store: l.store}).Execute(t.Context(), ada.Actor); !errors.Is(err, domain.ErrUnavailable) || list != nil {
		t.Errorf("listing: %v, %v", list, err)
	}
}
