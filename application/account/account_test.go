package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: 12 * time.Hour}
)

const stepUp = domain.StepUpTTL(10 * time.Minute)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

type deviceNames struct{}

func (deviceNames) NameOf(userAgent string) string { return userAgent }

func newAuditLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
}

func update(t *testing.T, store ports.Store, fn func(ports.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// addUser stores a user with a verified address, unless email is empty, a passkey and a session.
func addUser(t *testing.T, store ports.Store, name string, email domain.Email) identity.Principal {
	t.Helper()
	applicant := domain.NewPendingUser(email, domain.DisplayName(name), noon, rand.Reader)
	state := applicant.ToUser(noon).State()
	if email != "" {
		state.EmailVerifiedAt = noon
	}
	user := domain.RestoreUser(state)
	key, err := domain.NewCredential(user.ID(), "", sqlitestore.Registration(domain.CredentialID(name)), noon)
	if err != nil {
		t.Fatal(err)
	}
	session, _ := domain.OpenSession(key, domain.Device{}, lifetime, noon, rand.Reader)
	update(t, store, func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), user), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()), tx.Sessions.Add(t.Context(), session))
	})
	return identity.Principal{User: user, Session: session, AuthContext: session.AuthContext(), Client: identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}}
}

func storedUser(t *testing.T, store ports.Store, id domain.UserID) (state domain.UserState) {
	t.Helper()
	update(t, store, func(tx ports.Tx) error {
		user, err := tx.Users.ByID(t.Context(), id)
		if err == nil {
			state = user.State()
		}
		return err
	})
	return state
}

func storedEvents(t *testing.T, store ports.Store, of domain.UserID) (list []domain.EventState) {
	t.Helper()
	update(t, store, func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), of, domain.EventID{}, 1000)
		for _, e := range events {
			list = append(list, e.State())
		}
		return err
	})
	return list
}

func changeAccount(t *testing.T, store ports.Store, principal identity.Principal, patch account.Patch) (account.Changed, error) {
	t.Helper()
	return (&account.Service{Store: store, Clock: clock(noon), Audit: newAuditLog(), EmailVerification: &emailverify.Service{}, StepUp: stepUp}).Change(t.Context(), principal, patch)
}

func TestChange_ChangesOnlyGivenFields(t *testing.T) {
	for name, c := range map[string]struct {
		patch    account.Patch
		email    domain.Email
		name     domain.DisplayName
		verified bool
		changed  []string // in the event; nil for none
	}{
		"nothing":                  {account.Patch{}, "ada@example.org", "Ada", true, nil},
		"same values":              {account.Patch{Email: new(domain.Email("ada@example.org")), DisplayName: new(domain.DisplayName("Ada"))}, "ada@example.org", "Ada", true, nil},
		"other name":               {account.Patch{DisplayName: new(domain.DisplayName("Countess"))}, "ada@example.org", "Countess", true, []string{"display_name"}},
		"no name":                  {account.Patch{DisplayName: new(domain.DisplayName(""))}, "ada@example.org", "", true, []string{"display_name"}},
		"other address":            {account.Patch{Email: new(domain.Email("ada@example.com"))}, "ada@example.com", "Ada", false, []string{"email"}},
		"no address":               {account.Patch{Email: new(domain.Email(""))}, "", "Ada", false, []string{"email"}},
		"both":                     {account.Patch{Email: new(domain.Email("ada@example.com")), DisplayName: new(domain.DisplayName("Countess"))}, "ada@example.com", "Countess", false, []string{"display_name", "email"}},
		"other name, same address": {account.Patch{Email: new(domain.Email("ada@example.org")), DisplayName: new(domain.DisplayName("Countess"))}, "ada@example.org", "Countess", true, []string{"display_name"}},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			ada := addUser(t, store, "Ada", "ada@example.org")
			ben := addUser(t, store, "Ben", "ben@example.org")
			changed, err := changeAccount(t, store, ada, c.patch)
			if err != nil {
				t.Fatal(err)
			}
			state := storedUser(t, store, ada.User.ID())
			if state.Email != c.email || state.DisplayName != c.name || state.EmailVerifiedAt.IsZero() == c.verified || !reflect.DeepEqual(state, changed.User.State()) {
				t.Errorf("stored %+v, returned %+v", state, changed.User)
			}
			if len(changed.AcceptedCredentials) != 1 || changed.AcceptedCredentials[0].ID() != "Ada" {
				t.Errorf("accepted %v", changed.AcceptedCredentials)
			}
			if got, want := storedUser(t, store, ben.User.ID()), ben.User.State(); !reflect.DeepEqual(got, want) {
				t.Errorf("Ben changed to %+v", got)
			}
			events := storedEvents(t, store, ada.User.ID())
			if c.changed == nil {
				if len(events) != 0 {
					t.Errorf("recorded %+v", events)
				}
				return
			}
			if len(events) != 1 || events[0].Kind != domain.EventAccountChanged || !slices.Equal(events[0].Changed, c.changed) || events[0].SessionID != ada.Session.ID() ||
				events[0].IP != "127.0.0.1" || events[0].Actor != domain.ActorUser {
				t.Errorf("recorded %+v", events)
			}
		})
	}
}

func TestChange_EmailTaken(t *testing.T) {
	store := sqlitestore.New(t)
	ada := addUser(t, store, "Ada", "ada@example.org")
	addUser(t, store, "Ben", "ben@example.org")
	_, err := changeAccount(t, store, ada, account.Patch{Email: new(domain.Email("ben@example.org")), DisplayName: new(domain.DisplayName("Countess"))})
	if !errors.Is(err, domain.ErrEmailTaken) {
		t.Errorf("got %v", err)
	}
	if got := storedUser(t, store, ada.User.ID()); !reflect.DeepEqual(got, ada.User.State()) || len(storedEvents(t, store, ada.User.ID())) != 0 {
		t.Errorf("stored %+v, recorded %+v", got, storedEvents(t, store, ada.User.ID()))
	}
}

// A change by another request after the authentication of this one is not reverted.
func TestChange_UsesStoredAccount(t *testing.T) {
	store := sqlitestore.New(t)
	ada := addUser(t, store, "Ada", "ada@example.org")
	if _, err := changeAccount(t, store, ada, account.Patch{Email: new(domain.Email("ada@example.com"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := changeAccount(t, store, ada, account.Patch{DisplayName: new(domain.DisplayName("Countess"))}); err != nil {
		t.Fatal(err)
	}
	if state := storedUser(t, store, ada.User.ID()); state.Email != "ada@example.com" || state.DisplayName != "Countess" {
		t.Errorf("stored %+v", state)
	}
}

func deleteAccount(t *testing.T, store ports.Store, principal identity.Principal, after time.Duration) error {
	t.Helper()
	return (&account.Service{Store: store, Clock: clock(noon.Add(after)), Audit: newAuditLog(), StepUp: stepUp}).Delete(t.Context(), principal)
}

func TestDelete_RequiresRecentAuth(t *testing.T) {
	stale := func(s *domain.Session) *domain.Session {
		state := s.State()
		state.AuthTime = noon.Add(-time.Hour)
		return domain.RestoreSession(state)
	}
	for name, c := range map[string]struct {
		after           time.Duration
		session, stored func(*domain.Session) *domain.Session
		want            error
	}{
		"just signed in":          {0, nil, nil, nil},
		"at the limit":            {time.Duration(stepUp), nil, nil, nil},
		"just beyond the limit":   {time.Duration(stepUp) + 1, nil, nil, domain.ErrStepUpRequired},
		"stepped up meanwhile":    {0, stale, nil, nil},
		"stored session is older": {0, nil, stale, domain.ErrStepUpRequired},
	} {
		t.Run(name, func(t *testing.T) {
			store := sqlitestore.New(t)
			ada := addUser(t, store, "Ada", "")
			if c.stored != nil {
				update(t, store, func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), c.stored(ada.Session)) })
			}
			if c.session != nil {
				ada.Session = c.session(ada.Session)
			}
			if err := deleteAccount(t, store, ada, c.after); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			update(t, store, func(tx ports.Tx) error {
				if _, err := tx.Users.ByID(t.Context(), ada.User.ID()); errors.Is(err, domain.ErrUserNotFound) != (c.want == nil) {
					t.Errorf("the user afterwards: %v", err)
				}
				return nil
			})
		})
	}
}

func TestDelete_AnonymisesEvents(t *testing.T) {
	store := sqlitestore.New(t)
	ada, ben := addUser(t, store, "Ada", "ada@example.org"), addUser(t, store, "Ben", "ben@example.org")
	if _, err := changeAccount(t, store, ada, account.Patch{DisplayName: new(domain.DisplayName("Countess"))}); err != nil {
		t.Fatal(err)
	}
	failed := domain.NewEvent(domain.EventState{
		Kind: domain.EventSignInRefused, UserID: ada.User.ID(), CredentialID: "Ada", PasskeyName: "a key", IP: "127.0.0.1", DeviceName: "curl", RequestID: "request-18",
		Reason: "signature_invalid",
	}, noon, rand.Reader)
	adas := domain.NewChallenge(domain.PurposeStepUp, ada.ChallengeContext(domain.Binding{}), []byte("state"), nil, time.Hour, noon, rand.Reader)
	bens := domain.NewChallenge(domain.PurposeStepUp, ben.ChallengeContext(domain.Binding{}), []byte("state"), nil, time.Hour, noon, rand.Reader)
	update(t, store, func(tx ports.Tx) error {
		return errors.Join(tx.Events.Add(t.Context(), failed), tx.Challenges.Add(t.Context(), adas), tx.Challenges.Add(t.Context(), bens))
	})

	if err := deleteAccount(t, store, ada, time.Minute); err != nil {
		t.Fatal(err)
	}

	update(t, store, func(tx ports.Tx) error {
		_, byID := tx.Users.ByID(t.Context(), ada.User.ID())
		_, byEmail := tx.Users.ByEmail(t.Context(), "ada@example.org")
		_, key := tx.Credentials.ByID(t.Context(), "Ada")
		_, session := tx.Sessions.ByID(t.Context(), ada.Session.ID())
		_, challenge := tx.Challenges.ByID(t.Context(), adas.ID())
		if !errors.Is(byID, domain.ErrUserNotFound) || !errors.Is(byEmail, domain.ErrUserNotFound) || !errors.Is(key, domain.ErrPasskeyUnknown) ||
			!errors.Is(session, domain.ErrSessionNotFound) || !errors.Is(challenge, domain.ErrChallengeNotFound) {
			t.Errorf("Ada was not deleted: %v, %v, %v, %v, %v", byID, byEmail, key, session, challenge)
		}
		_, byID = tx.Users.ByID(t.Context(), ben.User.ID())
		_, key = tx.Credentials.ByID(t.Context(), "Ben")
		_, session = tx.Sessions.ByID(t.Context(), ben.Session.ID())
		_, challenge = tx.Challenges.ByID(t.Context(), bens.ID())
		return errors.Join(byID, key, session, challenge)
	})
	if events := storedEvents(t, store, ada.User.ID()); len(events) != 0 {
		t.Errorf("events of Ada: %+v", events)
	}
	anonymous := storedEvents(t, store, domain.UserID{})
	got := map[domain.EventKind]domain.EventState{}
	for _, e := range anonymous {
		got[e.Kind] = e
	}
	for kind, want := range map[domain.EventKind]domain.EventState{
		domain.EventAccountChanged: {At: noon, Actor: domain.ActorUser},
		domain.EventSignInRefused:  {At: noon, Actor: domain.ActorUser, Reason: "signature_invalid"},
		domain.EventAccountDeleted: {At: noon.Add(time.Minute), Actor: domain.ActorUser},
	} {
		e := got[kind]
		want.ID, want.Kind = e.ID, kind
		if len(e.Changed) != 0 || e.ID != want.ID || e.Kind != want.Kind || !e.At.Equal(want.At) || e.Actor != want.Actor || e.Reason != want.Reason || !e.UserID.IsZero() ||
			!e.SessionID.IsZero() || e.CredentialID != "" || e.PasskeyName != "" || e.DeviceName != "" || e.IP != "" || e.RequestID != "" {
			t.Errorf("kept %+v, want %+v", e, want)
		}
	}
	if len(anonymous) != 3 {
		t.Errorf("kept %+v", anonymous)
	}
	if err := deleteAccount(t, store, ada, time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("second call: %v", err)
	}
}

func TestEvents_OwnNewestFirst(t *testing.T) {
	store := sqlitestore.New(t)
	ada, ben := addUser(t, store, "Ada", ""), addUser(t, store, "Ben", "")
	var newestFirst []domain.EventID
	for i := range 5 {
		for _, principal := range []identity.Principal{ada, ben} {
			e := domain.NewEvent(domain.EventState{UserID: principal.User.ID(), Kind: domain.EventSignedIn}, noon.Add(time.Duration(i)*time.Second), rand.Reader)
			update(t, store, func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
			if principal.User.ID() == ada.User.ID() {
				newestFirst = append([]domain.EventID{e.ID()}, newestFirst...)
			}
		}
	}
	for limit := 1; limit <= 6; limit++ {
		var seen []domain.EventID
		var before domain.EventID
		for more := true; more; {
			page, err := (&account.Service{Store: store}).Events(t.Context(), ada, before, limit)
			if err != nil || len(page.Events) > limit || page.More && len(page.Events) < limit {
				t.Fatalf("limit %d: %d events, More %t, %v", limit, len(page.Events), page.More, err)
			}
			for _, e := range page.Events {
				seen = append(seen, e.ID())
			}
			if more = page.More; more {
				before = seen[len(seen)-1]
			}
			if page.More == (len(seen) == 5) {
				t.Fatalf("limit %d: after %d of 5 events, More is %t", limit, len(seen), page.More)
			}
		}
		if !slices.Equal(seen, newestFirst) {
			t.Errorf("limit %d: got %v, want %v", limit, seen, newestFirst)
		}
	}
}

// unreadableStore is a store that cannot be read.
type unreadableStore struct{ ports.Store }

func (unreadableStore) View(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

func TestEvents_StoreError(t *testing.T) {
	ada := addUser(t, sqlitestore.New(t), "Ada", "")
	if page, err := (&account.Service{Store: unreadableStore{}}).Events(t.Context(), ada, domain.EventID{}, 10); !errors.Is(err, domain.ErrUnavailable) || len(page.Events) != 0 || page.More {
		t.Errorf("got %+v, %v", page, err)
	}
}
