package ceremony_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixedClock struct{}

func (fixedClock) Now() time.Time { return noon }

func newChallenges(store ports.Store) *ceremony.Challenges {
	return &ceremony.Challenges{Store: store, Clock: fixedClock{}, Random: rand.Reader, TTL: ceremony.TTL(5 * time.Minute)}
}

// beginLogin is the challenge of a sign-in under way.
func beginLogin(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	started, err := newChallenges(store).Begin(t.Context(), domain.PurposeLogin, domain.ChallengeContext{}, ports.CeremonyOptions{State: []byte("state")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return started.ChallengeID
}

func isConsumed(t *testing.T, store ports.Store, id domain.ChallengeID) bool {
	t.Helper()
	err := store.View(context.WithoutCancel(t.Context()), func(tx ports.Tx) error {
		_, err := tx.Challenges.ByID(t.Context(), id)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Fatal(err)
	}
	return err != nil
}

func TestChallenges_FailConsumesUnlessUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		gone  bool // the caller
		spent bool
	}{
		"a bad signature":                        {domain.Reject(domain.ReasonSignatureInvalid, ""), false, true},
		"a passkey that nobody has":              {domain.ErrPasskeyUnknown, false, true},
		"a fault":                                {errors.New("disk on fire"), false, true},
		"a bad signature of somebody who is off": {domain.Reject(domain.ReasonSignatureInvalid, ""), true, true},
		"an outage":                              {fmt.Errorf("committing: %w", domain.ErrUnavailable), false, false},
		"a caller who went away":                 {fmt.Errorf("reading: %w", context.Canceled), true, false},
		"somebody else's context, the caller is": {context.Canceled, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			id := beginLogin(t, store)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if c.gone {
				leave()
			}
			if err := newChallenges(store).Fail(ctx, id, nil, c.cause); err != c.cause {
				t.Errorf("got %v, want the cause", err)
			}
			if spent := isConsumed(t, store, id); spent != c.spent {
				t.Errorf("spent %t, want %t", spent, c.spent)
			}
		})
	}
}

func TestChallenges_FailAfterConsumed(t *testing.T) {
	store := sqlitestore.New(t)
	id := beginLogin(t, store)
	for range 2 {
		if err := newChallenges(store).Fail(t.Context(), id, nil, domain.ErrChallengeExpired); err != domain.ErrChallengeExpired {
			t.Errorf("got %v", err)
		}
	}
}

// readOnlyStore is a store that takes nothing more.
type readOnlyStore struct{ ports.Store }

func (readOnlyStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestChallenges_FailReturnsStoreError(t *testing.T) {
	store := sqlitestore.New(t)
	err := newChallenges(readOnlyStore{store}).Fail(t.Context(), beginLogin(t, store), nil, domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), string(domain.ReasonSignatureInvalid)) {
		t.Errorf("got %v, want the outage and the cause", err)
	}
}

// addUser is somebody in whose log a refusal can be entered.
func addUser(t *testing.T, store ports.Store) domain.UserID {
	t.Helper()
	applicant, err := domain.NewPendingUser("", "Ada", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), applicant.ToUser(noon)) }); err != nil {
		t.Fatal(err)
	}
	return applicant.UserID
}

func failureEvent(t *testing.T, of domain.UserID) *domain.Event {
	t.Helper()
	event, err := domain.NewEvent(domain.EventState{Kind: domain.EventSignInRefused, UserID: of, Reason: "signature_invalid"}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func countEvents(t *testing.T, store ports.Store, of domain.UserID) (n int) {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), of, domain.EventID{}, 100)
		n = len(events)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// However often the same answer comes, it was one attempt: nobody fills another's log with a single challenge.
func TestChallenges_FailRecordsOneEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	cause := domain.Reject(domain.ReasonSignatureInvalid, "")
	var answering sync.WaitGroup
	for range 16 {
		event := failureEvent(t, owner)
		answering.Go(func() {
			if err := newChallenges(store).Fail(t.Context(), id, event, cause); err != error(cause) {
				t.Errorf("got %v", err)
			}
		})
	}
	answering.Wait()
	if n := countEvents(t, store, owner); n != 1 || !isConsumed(t, store, id) {
		t.Errorf("%d events, spent %t", n, isConsumed(t, store, id))
	}
}

func TestChallenges_FailUnavailableRecordsNoEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	if err := newChallenges(store).Fail(t.Context(), id, failureEvent(t, owner), domain.ErrUnavailable); err != domain.ErrUnavailable {
		t.Errorf("got %v", err)
	}
	if n := countEvents(t, store, owner); n != 0 {
		t.Errorf("%d events", n)
	}
}

// failingEventsStore is a store that enters nothing in anybody's log.
type failingEventsStore struct{ ports.Store }

type failingEvents struct{ ports.Events }

func (s failingEventsStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Events = failingEvents{tx.Events}
		return fn(tx)
	})
}

func (failingEvents) Add(context.Context, *domain.Event) error { return domain.ErrUnavailable }

// Otherwise an attempt could be made without leaving a trace.
func TestChallenges_FailRollsBackWithoutEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	err := newChallenges(failingEventsStore{store}).Fail(t.Context(), id, failureEvent(t, owner), domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || isConsumed(t, store, id) {
		t.Errorf("got %v, spent %t", err, isConsumed(t, store, id))
	}
}

// What is begun in a session can be looked at there and nowhere else.
func TestChallenges_PeekRequiresContext(t *testing.T) {
	store := sqlitestore.New(t)
	owner := addUser(t, store)
	key, err := domain.NewCredential(owner, "", sqlitestore.Registration("id"), noon)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), session) }); err != nil {
		t.Fatal(err)
	}
	adas := domain.ChallengeContext{SessionID: session.ID()}
	started, err := newChallenges(store).Begin(t.Context(), domain.PurposeStepUp, adas, ports.CeremonyOptions{Options: []byte("options"), State: []byte("state")}, nil)
	if err != nil || string(started.Options) != "options" || !started.ExpiresAt.Equal(noon.Add(5*time.Minute)) {
		t.Fatalf("started %+v, %v", started, err)
	}
	for name, c := range map[string]struct {
		by      domain.ChallengeContext
		purpose domain.Purpose
		want    error
	}{
		"in its session":      {adas, domain.PurposeStepUp, nil},
		"in none":             {domain.ChallengeContext{}, domain.PurposeStepUp, domain.ErrChallengeNotFound},
		"for another purpose": {adas, domain.PurposeAddPasskey, domain.ErrChallengeNotFound},
	} {
		err := store.View(t.Context(), func(tx ports.Tx) error {
			challenge, state, err := newChallenges(store).Peek(t.Context(), tx, started.ChallengeID, c.purpose, c.by, noon)
			if err == nil && (challenge.ID() != started.ChallengeID || string(state) != "state") {
				t.Errorf("%s: challenge %s with state %q", name, challenge.ID(), state)
			}
			return err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if isConsumed(t, store, started.ChallengeID) {
		t.Error("a look has taken the challenge")
	}
}
