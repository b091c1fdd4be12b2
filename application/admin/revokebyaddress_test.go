package admin_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (p *person) addSessionsAt(ip string, n int) (ids []domain.SessionID) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		ids = nil
		for range n {
			session, _ := domain.OpenSession(p.key, domain.Device{IP: ip}, lifetime, noon, rand.Reader)
			if err := tx.Sessions.Add(p.t.Context(), session); err != nil {
				return err
			}
			ids = append(ids, session.ID())
		}
		return nil
	})
	return ids
}

func addresses(t *testing.T, text string) domain.AddressRange {
	t.Helper()
	parsed, err := domain.ParseAddressRange("addresses", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// recordedStore records the number of sessions that each transaction stores.
type recordedStore struct {
	ports.Store
	saved []int
}

type recordedSessions struct {
	ports.Sessions
	*recordedStore
}

func (s *recordedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	s.saved = append(s.saved, 0)
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		tx.Sessions = recordedSessions{tx.Sessions, s}
		return fn(tx)
	})
}

func (s recordedSessions) Save(ctx context.Context, session *domain.Session) error {
	s.saved[len(s.saved)-1]++
	return s.Sessions.Save(ctx, session)
}

func TestRevokeSessionsByAddress(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	inside, outside := ada.addSessionsAt("192.0.2.7", 600), ada.addSessionsAt("198.51.100.7", 600)
	bens := ben.addSessionsAt("192.0.2.99", 40)
	store := &recordedStore{Store: h.store}
	operator := operatorWith(t, domain.ScopeSessionsWrite)
	service := (&admin.Service{Store: store, Clock: clock{}, Audit: h.auditLog}).As(operator, identity.Client{})
	filter := admin.AddressFilter{Addresses: addresses(t, "192.0.2.0/24")}

	dry := filter
	dry.DryRun = true
	if got, err := service.RevokeSessionsByAddress(t.Context(), dry, domain.SessionID{}); err != nil || got.Matched != 640 || got.Revoked != 0 || got.More || len(store.saved) != 0 {
		t.Errorf("a dry run: %+v, %v, %d transactions", got, err, len(store.saved))
	}
	matched, revoked, calls := 0, 0, 0
	for result := (admin.AddressMatches{More: true}); result.More; calls++ {
		var err error
		if result, err = service.RevokeSessionsByAddress(t.Context(), filter, result.Next); err != nil {
			t.Fatal(err)
		}
		matched, revoked = matched+result.Matched, revoked+result.Revoked
	}
	if matched != 640 || revoked != 640 || calls < 2 {
		t.Errorf("matched %d, revoked %d, with %d calls", matched, revoked, calls)
	}
	for _, n := range store.saved {
		if n > 32 {
			t.Errorf("one transaction stored %d sessions", n)
		}
	}
	for _, id := range []domain.SessionID{inside[0], inside[599], bens[39]} {
		if err := h.sessionErr(id); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("session %s: %v", id, err)
		}
	}
	if err := h.sessionErr(outside[0]); err != nil {
		t.Errorf("a session outside of the range: %v", err)
	}
	log := h.events(ben.user.ID())
	if len(log) != 40 || log[0].Kind != domain.EventSessionRevoked || log[0].Actor != domain.ActorOperator || log[0].APIKey != operator.APIKeyID() {
		t.Errorf("%d events, %+v", len(log), log[0])
	}
}

func TestRevokeSessionsByAddress_OfOneUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	adas, bens := ada.addSessionsAt("192.0.2.7", 1), ben.addSessionsAt("192.0.2.7", 1)
	elsewhere := ada.addSessionsAt("192.0.2.8", 1)
	service := &admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog}
	filter := admin.AddressFilter{Addresses: addresses(t, "192.0.2.7"), User: ada.ref()}
	for i, want := range []int{1, 0} {
		if got, err := service.RevokeSessionsByAddress(t.Context(), filter, domain.SessionID{}); err != nil || got.Matched != want || got.Revoked != want || got.More {
			t.Errorf("call %d: %+v, %v", i, got, err)
		}
	}
	for id, want := range map[domain.SessionID]error{adas[0]: domain.ErrSessionRevoked, bens[0]: nil, elsewhere[0]: nil} {
		if err := h.sessionErr(id); !errors.Is(err, want) {
			t.Errorf("session %s: %v, want %v", id, err, want)
		}
	}
	filter.User = domain.UserRef{Email: "carol@example.org"}
	if got, err := service.RevokeSessionsByAddress(t.Context(), filter, domain.SessionID{}); !errors.Is(err, domain.ErrUserNotFound) || got.Matched != 0 {
		t.Errorf("an unknown user: %+v, %v", got, err)
	}
}

func signingKeys(t *testing.T, store ports.Store) *signingkeys.Service {
	t.Helper()
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotation := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 720 * time.Hour, TokenTTL: 5 * time.Minute}
	return &signingkeys.Service{Store: store, TokenKeys: jwt.New(), Sealer: sealer, Clock: clock{}, Rotation: rotation}
}

func TestRotateSigningKeys_RecordsEvent(t *testing.T) {
	h := newFixture(t)
	operator := operatorWith(t, domain.ScopeSigningKeysRead, domain.ScopeSigningKeysWrite)
	service := (&admin.Service{Store: h.store, Clock: clock{}, Audit: h.auditLog, SigningKeys: signingKeys(t, h.store)}).As(operator, identity.Client{})
	rotated, err := service.RotateSigningKeys(t.Context())
	if err != nil || len(rotated) != 1 {
		t.Fatalf("got %v, %v", rotated, err)
	}
	if listed, err := service.ListSigningKeys(t.Context()); err != nil || fmt.Sprint(listed) != fmt.Sprint(rotated) {
		t.Errorf("listed %v, %v", listed, err)
	}
	log := h.events(domain.UserID{})
	if len(log) != 1 || log[0].Kind != domain.EventSigningKeyRotated || log[0].Actor != domain.ActorOperator || log[0].APIKey != operator.APIKeyID() {
		t.Errorf("logged %+v", log)
	}
}

func TestListEvents_OfOneUser(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("ada"), h.addUser("ben")
	var want []domain.EventID
	for i, user := range []*person{ada, ben, ada} {
		e := domain.NewEvent(domain.EventState{UserID: user.user.ID(), Kind: domain.EventSignedIn}, noon.Add(time.Duration(i)*time.Second-time.Hour), rand.Reader)
		if user == ada {
			want = append(want, e.ID())
		}
		h.update(func(tx ports.Tx) error { return tx.Events.Add(t.Context(), e) })
	}
	service := &admin.Service{Store: h.store, Clock: clock{}}
	page, err := service.ListEvents(t.Context(), admin.EventFilter{User: ada.ref()}, domain.EventID{}, 1)
	if err != nil || len(page.Events) != 1 || page.Events[0].ID() != want[0] || !page.More {
		t.Errorf("the first page: %+v, %v", page, err)
	}
	if page, err = service.ListEvents(t.Context(), admin.EventFilter{User: ada.ref()}, page.Next, 9); err != nil || len(page.Events) != 1 || page.Events[0].ID() != want[1] || page.More {
		t.Errorf("the second page: %+v, %v", page, err)
	}
	if _, err := service.ListEvents(t.Context(), admin.EventFilter{User: domain.UserRef{Email: "carol@example.org"}}, domain.EventID{}, 9); !errors.Is(err, domain.ErrUserNotFound) {
		t.Errorf("an unknown user: %v", err)
	}
}
