package sessions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

func (h *house) list(actor access.Actor, after domain.SessionID, limit int) (sessions.Page, error) {
	return (&sessions.List{Store: h.store, Clock: clock(noon)}).Execute(h.t.Context(), actor, after, limit)
}

func (h *house) revoke(actor access.Actor, id domain.SessionID) error {
	return (&sessions.Revoke{Store: h.store, Clock: clock(noon), Log: h.log}).Execute(h.t.Context(), actor, id)
}

func (h *house) revokeOthers(actor access.Actor) (int, error) {
	return (&sessions.RevokeOthers{Store: h.store, Clock: clock(noon), Log: h.log}).Execute(h.t.Context(), actor)
}

func TestAPersonSeesWhereTheyAreSignedIn(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada")
	h.moves("Ben").signsIn(0)
	ada.signsIn(-lifetime.IdleTTL) // expired just now
	ended, _ := ada.signsIn(-2 * time.Minute)
	h.ends(ended.Session)
	var newestFirst []domain.SessionID
	var last access.Actor
	for i := range 5 {
		last, _ = ada.signsIn(time.Duration(i-5) * time.Second)
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
func TestTheCallersOwnSessionIsShownAsItIsNow(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada")
	ada.signsIn(-10 * time.Minute)
	actor, token := ada.signsIn(-5 * time.Minute)
	now, err := h.authenticate(sessions.Proof{Session: token}, 0)
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
		if seen := s.Snapshot().LastSeenAt; !seen.Equal(want) {
			t.Errorf("last seen at %s, want %s", seen, want)
		}
	}
}

func TestAPersonEndsTheirOwnSessionsOnly(t *testing.T) {
	h := newHouse(t)
	ada, ben := h.moves("Ada"), h.moves("Ben")
	actor, _ := ada.signsIn(0)
	lost, _ := ada.signsIn(0)
	program, _ := ada.connects(0)
	ended, _ := ada.signsIn(0)
	h.ends(ended.Session)
	expired, _ := ada.signsIn(-lifetime.IdleTTL)
	bens, _ := ben.signsIn(0)
	gone, _ := newHouse(t).moves("Cy").signsIn(0)
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
		if err := h.isOver(c.id, 0); !errors.Is(err, c.over) {
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
		if logged[e.SessionID]++; e.Kind != domain.EventSessionRevoked || e.By != domain.ByUser || e.IP != "127.0.0.1" || e.RequestID != "request-17" {
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

func TestAPersonEndsAllSessionsButTheirOwn(t *testing.T) {
	h := newHouse(t)
	ada, ben := h.moves("Ada"), h.moves("Ben")
	actor, _ := ada.signsIn(0)
	others := []domain.SessionID{}
	for range 120 {
		other, _ := ada.signsIn(0)
		others = append(others, other.Session.ID())
	}
	program, _ := ada.connects(0)
	others = append(others, program.Session.ID())
	expired, _ := ada.signsIn(-lifetime.IdleTTL)
	bens, _ := ben.signsIn(0)
	if n, err := h.revokeOthers(actor); n != len(others) || err != nil {
		t.Errorf("ended %d, %v; want %d", n, err, len(others))
	}
	for _, id := range others {
		if err := h.isOver(id, 0); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("one of the others: %v", err)
		}
	}
	if err := errors.Join(h.isOver(actor.Session.ID(), 0), h.isOver(bens.Session.ID(), 0)); err != nil {
		t.Errorf("their own, or Ben's: %v", err)
	}
	if err := h.isOver(expired.Session.ID(), 0); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("the one that had expired: %v", err)
	}
	log := ada.entries()
	if len(log) != len(others) {
		t.Errorf("%d were logged", len(log))
	}
	for _, e := range log {
		if e.Kind != domain.EventSessionRevoked || e.By != domain.ByUser || e.IP != "127.0.0.1" {
			t.Errorf("logged %+v", e)
		}
	}
	if n, err := h.revokeOthers(actor); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
}
