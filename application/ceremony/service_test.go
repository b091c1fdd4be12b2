package ceremony_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

func newService(store ports.Store) *ceremony.Service {
	return &ceremony.Service{Store: store, Clock: fixedClock{}, Random: rand.Reader, TTL: ceremony.TTL(5 * time.Minute)}
}

// beginLogin is the challenge of a sign-in under way.
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
			if err := newService(store).Reject(ctx, id, c.cause); err != c.cause {
				t.Errorf("got %v, want the cause", err)
			}
			if spent := isConsumed(t, store, id); spent != c.spent {
				t.Errorf("spent %t, want %t", spent, c.spent)
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

// readOnlyStore is a store that takes nothing more.
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

// addUser is somebody in whose log a refusal can be entered.
func addUser(t *testing.T, store ports.Store) domain.UserID {
	t.Helper()
	applicant := domain.NewPendingUser("", "Ada", noon, rand.Reader)
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), applicant.ToUser(noon)) }); err != nil {
		t.Fatal(err)
	}
	return applicant.UserID
}

func failureEvent(t *testing.T, of domain.UserID) *domain.Event {
	t.Helper()
	return domain.NewEvent(domain.EventState{Kind: domain.EventSignInRefused, UserID: of, Reason: "signature_invalid"}, noon, rand.Reader)
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

// failFinish finishes the ceremony with an answer whose verification fails because of cause.
func failFinish(t *testing.T, store ports.Store, id domain.ChallengeID, event *domain.Event, cause error) error {
	t.Helper()
	return newService(store).Finish(t.Context(), ceremony.Answer{
		ChallengeID: id, Purpose: domain.PurposeLogin,
		Verify:  func(*domain.Challenge, []byte) error { return cause },
		Failure: func(error) *domain.Event { return event },
	}, noon)
}

// However often the same answer comes, it was one attempt: nobody fills another's log with a single challenge.
func TestService_FinishRecordsOneEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	cause := domain.Reject(domain.ReasonSignatureInvalid, "")
	var answering sync.WaitGroup
	for range 16 {
		event := failureEvent(t, owner)
		answering.Go(func() {
			if err := failFinish(t, store, id, event, cause); err != error(cause) && !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	answering.Wait()
	if n := countEvents(t, store, owner); n != 1 || !isConsumed(t, store, id) {
		t.Errorf("%d events, spent %t", n, isConsumed(t, store, id))
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
func TestService_FinishRollsBackWithoutEvent(t *testing.T) {
	store := sqlitestore.New(t)
	id, owner := beginLogin(t, store), addUser(t, store)
	err := failFinish(t, failingEventsStore{store}, id, failureEvent(t, owner), domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || isConsumed(t, store, id) {
		t.Errorf("got %v, spent %t", err, isConsumed(t, store, id))
	}
}

// A challenge that was issued in a session is answered there and nowhere else, and a wrong answer consumes it too.
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
	adas := domain.ChallengeContext{SessionID: session.ID()}
	for name, c := range map[string]struct {
		by      domain.ChallengeContext
		purpose domain.Purpose
		want    error
	}{
		"in its session":      {adas, domain.PurposeStepUp, nil},
		"in none":             {domain.ChallengeContext{}, domain.PurposeStepUp, domain.ErrChallengeNotFound},
		"for another purpose": {adas, domain.PurposeAddPasskey, domain.ErrChallengeNotFound},
	} {
		begun, err := newService(store).Begin(t.Context(), domain.PurposeStepUp, adas, ports.CeremonyOptions{Options: []byte("options"), State: []byte("state")}, nil)
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

// The first answer consumes the challenge, at whichever step it fails and whatever the failure is, except an outage. What
// the ceremony stores is kept if and only if it succeeds or says so by CommitWith.
func TestService_FinishConsumesChallengeExactlyOnce(t *testing.T) {
	rejected := domain.Reject(domain.ReasonSignatureInvalid, "")
	for _, step := range []string{"load", "verify", "commit", "none"} {
		for name, c := range map[string]struct {
			failure error
			want    error
			consume bool
			keep    bool // what Commit has written
		}{
			"a rejection":       {rejected, rejected, true, false},
			"a rule":            {domain.ErrUserDisabled, domain.ErrUserDisabled, true, false},
			"any other error":   {errors.New("disk on fire"), nil, true, false},
			"an outage":         {domain.ErrUnavailable, domain.ErrUnavailable, false, false},
			"a kept rejection":  {ports.CommitWith(rejected), rejected, true, true},
			"its expiry":        {domain.ErrChallengeExpired, domain.ErrChallengeExpired, true, false},
			"another's success": {domain.ErrChallengeNotFound, domain.ErrChallengeNotFound, true, false},
		} {
			t.Run(step+"/"+name, func(t *testing.T) {
				store := sqlitestore.New(t)
				id, owner, written := beginLogin(t, store), addUser(t, store), addUser(t, store)
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
							if err := tx.Users.Remove(t.Context(), written); err != nil {
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
				if kept := userRemoved(t, store, written); kept != keep {
					t.Errorf("kept %t, want %t", kept, keep)
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
					t.Errorf("the same answer again: %v, and %d more commits", err, commits-before)
				}
				if n := countEvents(t, store, owner); consume && n != events {
					t.Errorf("%d events after the same answer again, want %d", n, events)
				}
			})
		}
	}
}

func TestService_FinishOfConcurrentAnswersCommitsOnce(t *testing.T) {
	store := sqlitestore.New(t)
	id := beginLogin(t, store)
	var commits, successes atomic.Int32
	var answering, verified sync.WaitGroup
	verified.Add(16)
	for range 16 {
		answering.Go(func() {
			err := newService(store).Finish(t.Context(), ceremony.Answer{
				ChallengeID: id, Purpose: domain.PurposeLogin,
				Verify: func(*domain.Challenge, []byte) error {
					verified.Done()
					verified.Wait() // all have seen the challenge before any consumes it
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
	answering.Wait()
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
