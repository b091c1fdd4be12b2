package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

// watched is a store that counts its units of work that write. What happens in between comes before the next one.
type watched struct {
	ports.Store
	writes  int
	between func()
}

func (w *watched) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if between := w.between; between != nil {
		w.between = nil
		between()
	}
	w.writes++
	return w.Store.Update(ctx, fn)
}

// signedIn is a store with a user who signed in at noon, and the token that they got.
func signedIn(t *testing.T) (*watched, domain.SessionToken) {
	t.Helper()
	store := memory.New()
	ada, err := domain.NewApplicant("", "Ada", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := domain.NewCredential(ada.UserID, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		t.Fatal(err)
	}
	session, token, err := domain.OpenSession(key, domain.Device{}, lifetime, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.Admit(noon)), tx.Sessions.Add(t.Context(), session))
	})
	if err != nil {
		t.Fatal(err)
	}
	return &watched{Store: store}, token
}

func authenticate(t *testing.T, store ports.Store, token domain.SessionToken, after time.Duration) (sessions.Current, error) {
	t.Helper()
	return (&sessions.Authenticate{Store: store, Clock: clock(noon.Add(after)), Lifetime: lifetime}).Execute(t.Context(), token)
}

func signOut(t *testing.T, store ports.Store, token domain.SessionToken) error {
	t.Helper()
	return (&sessions.SignOut{Store: store, Clock: clock(noon)}).Execute(t.Context(), token)
}

func TestAUseIsWrittenOnceAMinute(t *testing.T) {
	store, token := signedIn(t)
	for after, writes := range []int{0, 0, 1, 1, 2} {
		current, err := authenticate(t, store, token, time.Duration(after)*30*time.Second)
		if err != nil || store.writes != writes {
			t.Errorf("after %d half minutes: %d writes, %v; want %d", after, store.writes, err, writes)
		}
		if seen := current.Session.Snapshot().LastSeenAt; !seen.Equal(noon.Add(time.Duration(writes) * time.Minute)) {
			t.Errorf("after %d half minutes: last seen at %s", after, seen)
		}
	}
}

func TestASessionThatEndsWhileItIsUsedStaysEnded(t *testing.T) {
	store, token := signedIn(t)
	store.between = func() {
		if err := signOut(t, store, token); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if current, err := authenticate(t, store, token, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) || current != (sessions.Current{}) {
			t.Errorf("got %+v, %v", current, err)
		}
	}
}

func TestNobodyIsTakenForTheHolderOfASessionThatEnded(t *testing.T) {
	store, token := signedIn(t)
	if current, err := authenticate(t, store, token, time.Hour); !errors.Is(err, domain.ErrSessionExpired) || current != (sessions.Current{}) {
		t.Errorf("got %+v, %v", current, err)
	}
}

func TestWhoeverWantsToBeSignedOutIs(t *testing.T) {
	store, token := signedIn(t)
	_, unknown := signedIn(t)
	for _, token := range []domain.SessionToken{unknown, token, token} {
		if err := signOut(t, store, token); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if _, err := authenticate(t, store, token, 0); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("afterwards: %v", err)
	}
}

// full is a store that takes nothing more.
type full struct{ ports.Store }

func (full) Update(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }

func TestWhoeverCouldNotBeSignedOutHearsOfIt(t *testing.T) {
	store, token := signedIn(t)
	if err := signOut(t, full{store}, token); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
