package ceremony_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type stoppedClock struct{}

func (stoppedClock) Now() time.Time { return noon }

func desk(store ports.Store) *ceremony.Desk {
	return &ceremony.Desk{Store: store, Clock: stoppedClock{}, Random: rand.Reader, TTL: ceremony.TTL(5 * time.Minute)}
}

// begun is the challenge of a sign-in under way.
func begun(t *testing.T, store ports.Store) domain.ChallengeID {
	t.Helper()
	started, err := desk(store).Start(t.Context(), domain.PurposeLogin, domain.Binding{}, ports.Ceremony{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return started.ChallengeID
}

func isSpent(t *testing.T, store ports.Store, id domain.ChallengeID) bool {
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

func TestARefusalSpendsTheChallengeAndAnInterruptionDoesNot(t *testing.T) {
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
			store := memory.New()
			id := begun(t, store)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if c.gone {
				leave()
			}
			if err := desk(store).Refuse(ctx, id, c.cause); err != c.cause {
				t.Errorf("got %v, want the cause", err)
			}
			if spent := isSpent(t, store, id); spent != c.spent {
				t.Errorf("spent %t, want %t", spent, c.spent)
			}
		})
	}
}

func TestAChallengeThatIsGoneAlreadyCanBeRefused(t *testing.T) {
	store := memory.New()
	id := begun(t, store)
	for range 2 {
		if err := desk(store).Refuse(t.Context(), id, domain.ErrChallengeExpired); err != domain.ErrChallengeExpired {
			t.Errorf("got %v", err)
		}
	}
}

// full is a store that takes nothing more.
type full struct{ ports.Store }

func (full) Update(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }

func TestAChallengeThatCouldNotBeSpentIsTold(t *testing.T) {
	store := memory.New()
	err := desk(full{store}).Refuse(t.Context(), begun(t, store), domain.Reject(domain.ReasonSignatureInvalid, ""))
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), string(domain.ReasonSignatureInvalid)) {
		t.Errorf("got %v, want the outage and the cause", err)
	}
}
