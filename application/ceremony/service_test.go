package ceremony_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixedClock struct{}

func (fixedClock) Now() time.Time { return noon }

func newService(store ports.Store) *ceremony.Service {
	return &ceremony.Service{Store: store, Clock: fixedClock{}, Random: rand.Reader, TTL: ceremony.TTL(5 * time.Minute)}
}

// beginLogin begins a sign-in and returns its challenge.
func beginLogin(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	started, err := newService(store).Begin(t.Context(), domain.PurposeLogin, domain.ChallengeContext{}, ports.CeremonyOptions{State: []byte("state")}, nil)
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

func TestService_RejectConsumesUnlessUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		cause    error
		canceled bool // the context of the caller
		consumed bool
	}{
		"a bad signature":                    {domain.Reject(domain.ReasonSignatureInvalid, ""), false, true},
		"an unknown passkey":                 {domain.ErrPasskeyUnknown, false, true},
		"any other error":                    {errors.New("disk error"), false, true},
		"a bad signature, a canceled caller": {domain.Reject(domain.ReasonSignatureInvalid, ""), true, true},
		"an outage":                          {fmt.Errorf("committing: %w", domain.ErrUnavailable), false, false},
		"a canceled caller":                  {fmt.Errorf("reading: %w", context.Canceled), true, false},
		"another context was canceled":       {context.Canceled, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			id := beginLogin(t, store)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.canceled {
				cancel()
			}
			if err := newService(store).Reject(ctx, id, c.cause); err != c.cause {
				t.Errorf("got %v, want the cause", err)
			}
			if consumed := isConsumed(t, store, id); consumed != c.consumed {
				t.Errorf("consumed %t, want %t", consumed, c.consumed)
			}
		})
	}
}

func TestService_RejectAfterConsumed(t *testing.T) {
	store := sqlitestore.New(t)
	id := beginLogin(t, store)
	for range 2 {
		if err := newService(store).Reject(t.Context(), id, domain.ErrChallengeExpired); err != domain.ErrChallengeExpired {
			t.Errorf("got %v", err)
		}
	}
}

// readOnlyStore is a store whose Update fails.
type readOnlyStore struct{ ports.Store }

func (readOnlyStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestService_RejectReturnsStoreError(t *testing.T) {
	store := sqlitestore.New(t)
	err := newService(readOnlyStore{store}).Reject(t.Context(), beginLogin(t, store), domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), string(domain.ReasonSignatureInvalid)) {
		t.Errorf("got %v, want the outage and the cause", err)
	}
}

// addUser adds a user and returns their id.
func addUser(t *testing.T, store ports.Store) domain.UserID {
	t.Helper()
	pendingUser := domain.NewPendingUser("", "Ada", noon, rand.Reader)
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), pendingUser.ToUser(noon)) }); err != nil {
		t.Fatal(err)
	}
	return pendingUser.UserID
}

func failureEvent(t *testing.T, user domain.UserID) *domain.Event {
	t.Helper()
	return domain.NewEvent(domain.EventState{Kind: domain.EventSignInRefused, UserID: user, Reason: "signature_invalid"}, noon, rand.Reader)
}

func countEvents(t *testing.T, store ports.Store, user domain.UserID) (n int) {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), user, domain.EventID{}, 100)
		n = len(events)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// failFinish finishes the ceremony with a response whose verification fails with cause.
func failFinish(t *testing.T, store ports.Store, id domain.ChallengeID, event *domain.Event, cause error) error {
	t.Helper()
	return newService(store).Finish(t.Context(), ceremony.Answer{
		ChallengeID: id, Purpose: domain.PurposeLogin,
		Verify:  func(*domain.Challenge, []byte) error { return cause },
		Failure: func(error) *domain.Event { return event },
	}, noon)
}

// Repeated responses to a challenge are one attempt, so that an attacker cannot fill an audit log with one challenge.
func TestService_FinishRecordsOneEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	cause := domain.Reject(domain.ReasonSignatureInvalid, "")
	var responses sync.WaitGroup
	for range 16 {
		event := failureEvent(t, owner)
		responses.Go(func() {
			if err := failFinish(t, store, id, event, cause); err != error(cause) && !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	responses.Wait()
	if n := countEvents(t, store, owner); n != 1 || !isConsumed(t, store, id) {
		t.Errorf("%d events, consumed %t", n, isConsumed(t, store, id))
	}
}

func TestService_FinishUnavailableRecordsNoEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	if err := failFinish(t, store, id, failureEvent(t, owner), domain.ErrUnavailable); err != domain.ErrUnavailable {
		t.Errorf("got %v", err)
	}
	if n := countEvents(t, store, owner); n != 0 {
		t.Errorf("%d events", n)
	}
}

// failingEventsStore is a store that fails to add events.
type failingEventsStore struct{ ports.Store }

type failingEvents struct{ ports.Events }

func (s failingEventsStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Events = failingEvents{tx.Events}
		return fn(tx)
	})
}

func (failingEvents) Add(context.Context, *domain.Event) error { return domain.ErrUnavailable }

// Otherwise an attempt could be made without an event in the audit log.
func TestService_FinishRollsBackWithoutEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	err := failFinish(t, failingEventsStore{store}, id, failureEvent(t, owner), domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || isConsumed(t, store, id) {
		t.Errorf("got %v, consumed %t", err, isConsumed(t, store, id))
	}
}

// A challenge that was issued in a session is accepted in that session only. A response from elsewhere consumes it, too.
func TestService_FinishRequiresContext(t *testing.T) {
	store := sqlitestore.New(t)
	owner := addUser(t, store)
	key, err := domain.NewCredential(owner, "", sqlitestore.Registration("id"), noon)
	if err != nil {
		t.Fatal(err)
	}
	session, _ := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}, noon, rand.Reader)
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), session) }); err != nil {
		t.Fatal(err)
	}
	adaContext := domain.ChallengeContext{SessionID: session.ID()}
	for name, c := range map[string]struct {
		by      domain.ChallengeContext
		purpose domain.Purpose
		want    error
	}{
		"in its session":      {adaContext, domain.PurposeStepUp, nil},
		"without a session":   {domain.ChallengeContext{}, domain.PurposeStepUp, domain.ErrChallengeNotFound},
		"for another purpose": {adaContext, domain.PurposeAddPasskey, domain.ErrChallengeNotFound},
	} {
		begun, err := newService(store).Begin(t.Context(), domain.PurposeStepUp, adaContext, ports.CeremonyOptions{Options: []byte("options"), State: []byte("state")}, nil)
		if err != nil || string(begun.Options) != "options" || !begun.ExpiresAt.Equal(noon.Add(5*time.Minute)) {
			t.Fatalf("begun %+v, %v", begun, err)
		}
		verified, committed := false, false
		err = newService(store).Finish(t.Context(), ceremony.Answer{
			ChallengeID: begun.ChallengeID, Purpose: c.purpose, By: c.by,
			Verify: func(challenge *domain.Challenge, state []byte) error {
				verified = true
				if challenge.ID() != begun.ChallengeID || string(state) != "state" {
					t.Errorf("%s: challenge %s with state %q", name, challenge.ID(), state)
				}
				return nil
			},
			Commit: func(ports.Tx) error { committed = true; return nil },
		}, noon)
		if !errors.Is(err, c.want) || verified != (c.want == nil) || committed != (c.want == nil) {
			t.Errorf("%s: got %v, want %v; verified %t, committed %t", name, err, c.want, verified, committed)
		}
		if !isConsumed(t, store, begun.ChallengeID) {
			t.Errorf("%s: the challenge is not consumed", name)
		}
	}
}

// The first response consumes the challenge, whichever step fails and with whichever error, except an outage. The changes of
// the ceremony are committed only if it succeeds or fails with CommitWith.
func TestService_FinishConsumesChallengeExactlyOnce(t *testing.T) {
	rejected := domain.Reject(domain.ReasonSignatureInvalid, "")
	for _, step := range []string{"load", "verify", "commit", "none"} {
		for name, c := range map[string]struct {
			failure error
			want    error
			consume bool
			keep    bool // the changes of Commit
		}{
			"a rejection":           {rejected, rejected, true, false},
			"a domain error":        {domain.ErrUserDisabled, domain.ErrUserDisabled, true, false},
			"any other error":       {errors.New("disk error"), nil, true, false},
			"an outage":             {domain.ErrUnavailable, domain.ErrUnavailable, false, false},
			"a committed rejection": {ports.CommitWith(rejected), rejected, true, true},
			"an expired challenge":  {domain.ErrChallengeExpired, domain.ErrChallengeExpired, true, false},
			"a consumed challenge":  {domain.ErrChallengeNotFound, domain.ErrChallengeNotFound, true, false},
		} {
			t.Run(step+"/"+name, func(t *testing.T) {
				store := sqlitestore.New(t)
				id, owner, removed := beginLogin(t, store), addUser(t, store), addUser(t, store)
				fail := func(at string) error {
					if at == step {
						return c.failure
					}
					return nil
				}
				commits := 0
				finish := func() error {
					return newService(store).Finish(t.Context(), ceremony.Answer{
						ChallengeID: id, Purpose: domain.PurposeLogin,
						Load:   func(ports.Tx) error { return fail("load") },
						Verify: func(*domain.Challenge, []byte) error { return fail("verify") },
						Commit: func(tx ports.Tx) error {
							commits++
							if err := tx.Users.Remove(t.Context(), removed); err != nil {
								return err
							}
							return fail("commit")
						},
						Failure: func(error) *domain.Event { return failureEvent(t, owner) },
					}, noon)
				}
				err := finish()
				switch {
				case step == "none" && err != nil, step != "none" && err == nil, c.want != nil && step != "none" && !errors.Is(err, c.want):
					t.Errorf("got %v, want %v", err, c.want)
				}
				consume, keep := c.consume || step == "none", c.keep && step == "commit" || step == "none"
				if isConsumed(t, store, id) != consume {
					t.Errorf("consumed %t, want %t", !consume, consume)
				}
				if kept := userRemoved(t, store, removed); kept != keep {
					t.Errorf("changes of Commit kept: %t, want %t", kept, keep)
				}
				events := 0
				if consume && !keep {
					events = 1
				}
				if n := countEvents(t, store, owner); n != events {
					t.Errorf("%d events, want %d", n, events)
				}
				before := commits
				if err := finish(); consume && (!errors.Is(err, domain.ErrChallengeNotFound) || commits != before) {
					t.Errorf("the same response again: %v, and %d more commits", err, commits-before)
				}
				if n := countEvents(t, store, owner); consume && n != events {
					t.Errorf("%d events after the same response again, want %d", n, events)
				}
			})
		}
	}
}

func TestService_FinishOfConcurrentAnswersCommitsOnce(t *testing.T) {
	store := sqlitestore.New(t)
	id := beginLogin(t, store)
	var commits, successes atomic.Int32
	var responses, verified sync.WaitGroup
	verified.Add(16)
	for range 16 {
		responses.Go(func() {
			err := newService(store).Finish(t.Context(), ceremony.Answer{
				ChallengeID: id, Purpose: domain.PurposeLogin,
				Verify: func(*domain.Challenge, []byte) error {
					verified.Done()
					verified.Wait() // all read the challenge before one consumes it
					return nil
				},
				Commit: func(ports.Tx) error { commits.Add(1); return nil },
			}, noon)
			switch {
			case err == nil:
				successes.Add(1)
			case !errors.Is(err, domain.ErrChallengeNotFound):
				t.Errorf("got %v", err)
			}
		})
	}
	responses.Wait()
	if commits.Load() != 1 || successes.Load() != 1 || !isConsumed(t, store, id) {
		t.Errorf("%d commits, %d successes, consumed %t", commits.Load(), successes.Load(), isConsumed(t, store, id))
	}
}

func userRemoved(t *testing.T, store ports.Store, id domain.UserID) bool {
	t.Helper()
	err := store.View(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Users.ByID(t.Context(), id)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		t.Fatal(err)
	}
	return err != nil
}

// The first response finds the challenge in memory, also if it was consumed meanwhile; then its transaction commits nothing. Later
// responses, and those to another process, find what the database has.
func TestService_KeepsIssuedChallengeForOneResponse(t *testing.T) {
	for name, c := range map[string]struct {
		consumed bool  // meanwhile, by another process
		verified []int // responses
		errors   [2]error
	}{
		"once":               {false, []int{0}, [2]error{nil, domain.ErrChallengeNotFound}},
		"consumed meanwhile": {true, []int{0}, [2]error{domain.ErrChallengeNotFound, domain.ErrChallengeNotFound}},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			service := newService(store)
			begun, err := service.Begin(t.Context(), domain.PurposeLogin, domain.ChallengeContext{}, ports.CeremonyOptions{State: []byte("state")}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.consumed {
				if err := newService(store).Reject(t.Context(), begun.ChallengeID, domain.ErrChallengeExpired); err != domain.ErrChallengeExpired {
					t.Fatal(err)
				}
			}
			var verified []int
			for i, want := range c.errors {
				err := service.Finish(t.Context(), ceremony.Answer{
					ChallengeID: begun.ChallengeID, Purpose: domain.PurposeLogin,
					Verify: func(_ *domain.Challenge, state []byte) error {
						if string(state) != "state" {
							t.Errorf("response %d: state %q", i, state)
						}
						verified = append(verified, i)
						return nil
					},
					Commit: func(ports.Tx) error { return nil },
				}, noon)
				if !errors.Is(err, want) {
					t.Errorf("response %d: got %v, want %v", i, err, want)
				}
			}
			if !slices.Equal(verified, c.verified) {
				t.Errorf("responses %d were verified, want %d", verified, c.verified)
			}
		})
	}
}
