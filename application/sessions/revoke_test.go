package sessions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

func (h *fixture) list(actor identity.Principal, after domain.SessionID, limit int) (sessions.Page, error) {
	return h.at(0).List(h.t.Context(), actor, after, limit)
}

func (h *fixture) revoke(actor identity.Principal, id domain.SessionID) error {
	return h.at(0).Revoke(h.t.Context(), actor, id)
}

func (h *fixture) revokeOthers(actor identity.Principal) (int, error) {
	return h.at(0).RevokeOthers(h.t.Context(), actor)
}

func TestList_OwnNewestFirst(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	h.addUser("Ben").signIn(0)
	ada.signIn(-lifetime.IdleTTL) // expired just now
	ended, _ := ada.signIn(-2 * time.Minute)
	h.revokeSession(ended.Session)
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
			page, err := h.list(last, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.Sessions {
				seen = append(seen, s.ID())
			}
			if full := len(page.Sessions) == limit; page.More && !full || len(seen) > 5 || page.More == (len(seen) == 5) {
				t.Fatalf("by %d: after %d of 5 there is more: %t", limit, len(seen), page.More)
			}
			if !page.More {
				break
			}
			after = seen[len(seen)-1]
		}
		for i, id := range newestFirst {
			if len(seen) != 5 || seen[i] != id {
				t.Fatalf("by %d: got %v, want %v", limit, seen, newestFirst)
			}
		}
	}
}

// The use that shows the list is not written yet, and belongs in it.
func TestList_ShowsCurrentUseOfOwnSession(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	ada.signIn(-10 * time.Minute)
	actor, token := ada.signIn(-5 * time.Minute)
	now, err := h.authenticate(sessions.PresentedToken{SessionToken: token}, 0)
	if err != nil {
		t.Fatal(err)
	}
	page, err := h.list(now, domain.SessionID{}, 10)
	if err != nil || len(page.Sessions) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, s := range page.Sessions {
		want := noon.Add(-10 * time.Minute)
		if s.ID() == actor.Session.ID() {
			want = noon
		}
		if seen := s.State().LastSeenAt; !seen.Equal(want) {
			t.Errorf("last seen at %s, want %s", seen, want)
		}
	}
}

func TestRevoke_OwnSessionsOnly(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("Ada"), h.addUser("Ben")
	actor, _ := ada.signIn(0)
	lost, _ := ada.signIn(0)
	program, _ := ada.signInBearer(0)
	ended, _ := ada.signIn(0)
	h.revokeSession(ended.Session)
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	bens, _ := ben.signIn(0)
	gone, _ := newFixture(t).addUser("Cy").signIn(0)
	for name, c := range map[string]struct {
		id   domain.SessionID
		want error
		over error
	}{
		"another":          {lost.Session.ID(), nil, domain.ErrSessionRevoked},
		"a program's":      {program.Session.ID(), nil, domain.ErrSessionRevoked},
		"one that ended":   {ended.Session.ID(), domain.ErrSessionNotFound, domain.ErrSessionRevoked},
		"one that expired": {expired.Session.ID(), domain.ErrSessionNotFound, domain.ErrSessionExpired},
		"somebody else's":  {bens.Session.ID(), domain.ErrSessionNotFound, nil},
		"one that is none": {domain.SessionID{}, domain.ErrSessionNotFound, nil},
		"one of elsewhere": {gone.Session.ID(), domain.ErrSessionNotFound, nil},
	} {
		if err := h.revoke(actor, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if c.id.IsZero() || c.id == gone.Session.ID() {
			continue
		}
		if err := h.sessionErr(c.id, 0); !errors.Is(err, c.over) {
			t.Errorf("%s: afterwards %v, want %v", name, err, c.over)
		}
	}
	if err := h.revoke(actor, lost.Session.ID()); !errors.Is(err, domain.ErrSessionNotFound) {
		t.Errorf("once more: %v", err)
	}
	if err := h.revoke(actor, actor.Session.ID()); err != nil {
		t.Errorf("their own: %v", err)
	}
	logged := map[domain.SessionID]int{}
	for _, e := range ada.entries() {
		if logged[e.SessionID]++; e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorUser || e.IP != "127.0.0.1" || e.RequestID != "request-17" {
			t.Errorf("logged %+v", e)
		}
	}
	if len(logged) != 3 || logged[lost.Session.ID()] != 1 || logged[program.Session.ID()] != 1 || logged[actor.Session.ID()] != 1 {
		t.Errorf("logged %v", logged)
	}
	if log := ben.entries(); len(log) != 0 {
		t.Errorf("Ben's log: %+v", log)
	}
}

func TestRevokeOthers_KeepsOwnSession(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("Ada"), h.addUser("Ben")
	actor, _ := ada.signIn(0)
	others := []domain.SessionID{}
	for range 120 {
		other, _ := ada.signIn(0)
		others = append(others, other.Session.ID())
	}
	program, _ := ada.signInBearer(0)
	others = append(others, program.Session.ID())
	expired, _ := ada.signIn(-lifetime.IdleTTL)
	bens, _ := ben.signIn(0)
	if n, err := h.revokeOthers(actor); n != len(others) || err != nil {
		t.Errorf("ended %d, %v; want %d", n, err, len(others))
	}
	for _, id := range others {
		if err := h.sessionErr(id, 0); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("one of the others: %v", err)
		}
	}
	if err := errors.Join(h.sessionErr(actor.Session.ID(), 0), h.sessionErr(bens.Session.ID(), 0)); err != nil {
		t.Errorf("their own, or Ben's: %v", err)
	}
	if err := h.sessionErr(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the one that had expired: %v", err)
	}
	log := ada.entries()
	if len(log) != len(others) {
		t.Errorf("%d were logged", len(log))
	}
	for _, e := range log {
		if e.Kind != domain.EventSessionRevoked || e.Actor != domain.ActorUser || e.IP != "127.0.0.1" {
			t.Errorf("logged %+v", e)
		}
	}
	if n, err := h.revokeOthers(actor); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
}
