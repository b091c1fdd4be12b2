package apikeys_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newService(t *testing.T) (*apikeys.Service, *clock) {
	c := &clock{noon}
	log := &audit.Log{Random: rand.Reader, Devices: sqlitestore.EchoDeviceNames{}}
	return &apikeys.Service{Store: sqlitestore.New(t), Clock: c, Random: rand.Reader, Audit: log}, c
}

func mustCreate(t *testing.T, s *apikeys.Service, name string) (apikeys.Key, domain.APIKeyToken) {
	t.Helper()
	key, token, err := s.Create(t.Context(), name, []domain.Scope{domain.ScopeUsersRead}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

func events(t *testing.T, s *apikeys.Service) (all []domain.EventState) {
	t.Helper()
	err := s.Store.View(t.Context(), func(tx ports.Tx) error {
		found, err := tx.Events.List(t.Context(), domain.EventID{}, domain.FirstEventID(noon.Add(time.Hour)), 100)
		all = nil
		for _, e := range found {
			all = append(all, e.State())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCreate_StoresDigestAndEvent(t *testing.T) {
	s, _ := newService(t)
	if _, _, err := s.Create(t.Context(), "", nil, 0); !errors.Is(err, domain.ErrInvalidRequest) || len(events(t, s)) != 0 {
		t.Errorf("an invalid key: %v, logged %v", err, events(t, s))
	}
	key, token := mustCreate(t, s, "Backup")
	if key.Status != domain.APIKeyActive || key.State().Token != token.Digest() {
		t.Errorf("got %+v", key.State())
	}
	log := events(t, s)
	if len(log) != 1 || log[0].Kind != domain.EventAPIKeyCreated || log[0].Actor != domain.ActorOperator || log[0].APIKey != key.ID() || !log[0].UserID.IsZero() {
		t.Errorf("logged %+v", log)
	}
}

func TestList_HasEndedKeys(t *testing.T) {
	s, c := newService(t)
	expired, _ := mustCreate(t, s, "Expired")
	c.now = noon.Add(time.Hour)
	revoked, _ := mustCreate(t, s, "Revoked")
	active, _ := mustCreate(t, s, "Active")
	if _, err := s.Revoke(t.Context(), revoked.ID()); err != nil {
		t.Fatal(err)
	}
	want := map[domain.APIKeyID]domain.APIKeyStatus{expired.ID(): domain.APIKeyExpired, revoked.ID(): domain.APIKeyRevoked, active.ID(): domain.APIKeyActive}
	var after domain.APIKeyID
	for range want {
		page, err := s.List(t.Context(), after, 1)
		if err != nil || len(page) != 1 || page[0].Status != want[page[0].ID()] {
			t.Fatalf("got %+v, %v", page, err)
		}
		after = page[0].ID()
	}
	if page, err := s.List(t.Context(), after, 1); err != nil || len(page) != 0 {
		t.Errorf("after the last one: %v, %v", page, err)
	}
}

func TestRevoke_IsIdempotent(t *testing.T) {
	s, c := newService(t)
	key, token := mustCreate(t, s, "Backup")
	other, otherToken := mustCreate(t, s, "Other")
	if _, err := s.Authenticate(t.Context(), token.Reveal()); err != nil { // the next one within a minute records no use
		t.Fatal(err)
	}
	for i := range 2 {
		c.now = noon.Add(time.Duration(i) * time.Minute)
		revoked, err := s.Revoke(t.Context(), key.ID())
		if err != nil || revoked.Status != domain.APIKeyRevoked || !revoked.State().RevokedAt.Equal(noon) {
			t.Errorf("got %+v, %v", revoked, err)
		}
	}
	c.now = noon.Add(time.Second)
	if _, err := s.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, domain.ErrAPIKeyInvalid) {
		t.Errorf("the revoked key: %v", err)
	}
	if got, err := s.Authenticate(t.Context(), otherToken.Reveal()); err != nil || got.ID() != other.ID() {
		t.Errorf("the other key: %v", err)
	}
	if log := events(t, s); len(log) != 3 || log[2].Kind != domain.EventAPIKeyRevoked || log[2].APIKey != key.ID() {
		t.Errorf("logged %+v", log)
	}
	if _, err := s.Revoke(t.Context(), domain.APIKeyID{}); !errors.Is(err, domain.ErrAPIKeyNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
}

// interruptedStore calls interrupt before each transaction that writes.
type interruptedStore struct {
	ports.Store
	interrupt func()
}

func (s interruptedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	s.interrupt()
	return s.Store.Update(ctx, fn)
}

func TestAuthenticate_DuringRevocation(t *testing.T) {
	s, _ := newService(t)
	key, token := mustCreate(t, s, "Backup")
	busy := *s
	busy.Store = interruptedStore{s.Store, func() {
		if _, err := s.Revoke(t.Context(), key.ID()); err != nil {
			t.Error(err)
		}
	}}
	if _, err := busy.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, domain.ErrAPIKeyInvalid) {
		t.Errorf("got %v", err)
	}
	if stored, err := s.List(t.Context(), domain.APIKeyID{}, 1); err != nil || stored[0].Status != domain.APIKeyRevoked || !stored[0].State().LastUsedAt.IsZero() {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

func TestAuthenticate(t *testing.T) {
	s, c := newService(t)
	key, token := mustCreate(t, s, "Backup")
	for _, step := range []struct {
		at   time.Duration
		last time.Duration // the recorded use
	}{{time.Second, time.Second}, {50 * time.Second, time.Second}, {62 * time.Second, 62 * time.Second}} {
		c.now = noon.Add(step.at)
		got, err := s.Authenticate(t.Context(), token.Reveal())
		stored, listErr := s.List(t.Context(), domain.APIKeyID{}, 1)
		if errors.Join(err, listErr) != nil || got.ID() != key.ID() || !stored[0].State().LastUsedAt.Equal(noon.Add(step.last)) {
			t.Errorf("after %v: %v, %v, stored %+v", step.at, got, errors.Join(err, listErr), stored[0].State())
		}
	}
	for name, presented := range map[string]string{"nothing": "", "another token": "klk_" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a session token": "kls_" + token.Reveal()[4:]} {
		if _, err := s.Authenticate(t.Context(), presented); !errors.Is(err, domain.ErrAPIKeyInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.now = noon.Add(time.Hour)
	if _, err := s.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, domain.ErrAPIKeyInvalid) {
		t.Errorf("an expired key: %v", err)
	}
}
