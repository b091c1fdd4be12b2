package sessions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

func (f *fixture) list(principal identity.Principal, after domain.SessionID, limit int) (sessions.Page, error) {
	return f.at(0).List(f.t.Context(), principal, after, limit)
}

func (f *fixture) revoke(principal identity.Principal, id domain.SessionID) error {
	return f.at(0).Revoke(f.t.Context(), principal, id)
}

func (f *fixture) revokeOthers(principal identity.Principal) (int, error) {
	return f.at(0).RevokeOthers(f.t.Context(), principal)
}

func TestList_OwnNewestFirst(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	f.addUser("Ben").signIn(0)
	ada.signIn(-lifetime.IdleTTL) // expires at noon
	revoked, _ := ada.signIn(-2 * time.Minute)
	f.revokeSession(revoked.Session)
	var newestFirst []domain.SessionID
	var last identity.Principal
	for i := range 5 {
		last, _ = ada.signIn(time.Duration(i-5) * time.Second)
		newestFirst = append([]domain.SessionID{last.Session.ID()}, newestFirst...)
	}
	for limit := 1; limit <= 6; limit++ {
		var seen []domain.SessionID
		var after domain.SessionID
		for {
			page, err := f.list(last, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.Sessions {
				seen = append(seen, s.ID())
			}
			if full := len(page.Sessions) == limit; page.More && !full || len(seen) > 5 || page.More == (len(seen) == 5) {
				t.Fatalf("limit %d: after %d of 5 sessions, More is %t", limit, len(seen), page.More)
			}
			if !page.More {
				break
			}
			after = seen[len(seen)-1]
		}
		for i, id := range newestFirst {
			if len(seen) != 5 || seen[i] != id {
				t.Fatalf("limit %d: got %v, want %v", limit, seen, newestFirst)
			}
		}
	}
}

// The list includes the use by its own request, which is not stored yet.
func TestList_ShowsCurrentUseOfOwnSession(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	ada.signIn(-10 * time.Minute)
	principal, token := ada.signIn(-5 * time.Minute)
	now, err := f.authenticate(sessions.PresentedToken{SessionToken: token}, 0)
	if err != nil {
		t.Fatal(err)
	}
	page, err := f.list(now, domain.SessionID{}, 10)
	if err != nil || len(page.Sessions) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, s := range page.Sessions {
		want := noon.Add(-10 * time.Minute)
		if s.ID() == principal.Session.ID() {
			want = noon
		}
		if seen := s.State().LastSeenAt; !seen.Equal(want) {
			t.Errorf("last seen at %s, want %s", seen, want)
		}
	}
}

func TestRevoke_OwnSessionsOnly(t *testing.T) {
	f := newFixture(t)
	ada, ben := f.addUser("Ada"), f.addUser("Ben")
	principal, _ := ada.signIn(0)
	lost, _ := ada.signIn(0)
	bearer, _ := ada.signInBearer(0)
	revoked, _ := ada.signIn(0)
	f.revokeSession(revoked.Session)
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	bens, _ := ben.signIn(0)
	gone, _ := newFixture(t).addUser("Cy").signIn(0)
	for name, c := range map[string]struct {
		id    domain.SessionID
		want  error
		after error
	}{
		"another session":  {lost.Session.ID(), nil, domain.ErrSessionRevoked},
		"by bearer tokens": {bearer.Session.ID(), nil, domain.ErrSessionRevoked},
		"revoked":          {revoked.Session.ID(), domain.ErrSessionNotFound, domain.ErrSessionRevoked},
		"expired":          {expired.Session.ID(), domain.ErrSessionNotFound, domain.ErrSessionExpired},
		"of another user":  {bens.Session.ID(), domain.ErrSessionNotFound, nil},
		"zero id":          {domain.SessionID{}, domain.ErrSessionNotFound, nil},
		"unknown id":       {gone.Session.ID(), domain.ErrSessionNotFound, nil},
	} {
		if err := f.revoke(principal, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if c.id.IsZero() || c.id == gone.Session.ID() {
			continue
		}
		if err := f.sessionErr(c.id, 0); !errors.Is(err, c.after) {
			t.Errorf("%s: afterwards: %v, want %v", name, err, c.after)
		}
	}
	if err := f.revoke(principal, lost.Session.ID()); !errors.Is(err, domain.ErrSessionNotFound) {
		t.Errorf("second call: %v", err)
	}
	if err := f.revoke(principal, principal.Session.ID()); err != nil {
		t.Errorf("the session of the request: %v", err)
	}
	logged := map[domain.SessionID]int{}
	for _, e := range ada.entries() {
		if logged[e.SessionID]++; e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorUser || e.IP != "127.0.0.1" || e.RequestID != "request-17" {
			t.Errorf("logged %+v", e)
		}
	}
	if len(logged) != 3 || logged[lost.Session.ID()] != 1 || logged[bearer.Session.ID()] != 1 || logged[principal.Session.ID()] != 1 {
		t.Errorf("logged %v", logged)
	}
	if log := ben.entries(); len(log) != 0 {
		t.Errorf("events of Ben: %+v", log)
	}
}

func TestRevokeOthers_KeepsOwnSession(t *testing.T) {
	f := newFixture(t)
	ada, ben := f.addUser("Ada"), f.addUser("Ben")
	principal, _ := ada.signIn(0)
	others := []domain.SessionID{}
	for range 120 {
		other, _ := ada.signIn(0)
		others = append(others, other.Session.ID())
	}
	bearer, _ := ada.signInBearer(0)
	others = append(others, bearer.Session.ID())
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	bens, _ := ben.signIn(0)
	if n, err := f.revokeOthers(principal); n != len(others) || err != nil {
		t.Errorf("revoked %d, %v; want %d", n, err, len(others))
	}
	for _, id := range others {
		if err := f.sessionErr(id, 0); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("another session: %v", err)
		}
	}
	if err := errors.Join(f.sessionErr(principal.Session.ID(), 0), f.sessionErr(bens.Session.ID(), 0)); err != nil {
		t.Errorf("the session of the request, or Ben's: %v", err)
	}
	if err := f.sessionErr(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the expired session: %v", err)
	}
	log := ada.entries()
	if len(log) != len(others) {
		t.Errorf("%d events were recorded", len(log))
	}
	for _, e := range log {
		if e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorUser || e.IP != "127.0.0.1" {
			t.Errorf("logged %+v", e)
		}
	}
	if n, err := f.revokeOthers(principal); n != 0 || err != nil {
		t.Errorf("second call: %d, %v", n, err)
	}
}
