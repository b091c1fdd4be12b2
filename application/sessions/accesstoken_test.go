package sessions_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// accessToken is one of the program's own.
func (h *house) accessToken(actor access.Actor, after time.Duration) string {
	h.t.Helper()
	pair, err := h.issuer.Pair(h.t.Context(), actor.Session, domain.RefreshToken{}, noon.Add(after))
	if err != nil {
		h.t.Fatal(err)
	}
	return pair.Access.Token.Reveal()
}

// forged is a token that our own key has signed and that states something else.
func (h *house) forged(actor access.Actor, differently func(*domain.AccessClaims)) string {
	h.t.Helper()
	claims, err := h.issuer.Policy.AccessClaims(actor.Session, noon, h.issuer.Random)
	if err != nil {
		h.t.Fatal(err)
	}
	differently(&claims)
	token, err := h.signing.Sign(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	return token.Reveal()
}

func TestACallerIsKnownByTheirAccessToken(t *testing.T) {
	h := newHouse(t)
	ada := h.moves("Ada")
	actor, _ := ada.connects(0)
	got, err := h.authenticate(sessions.Proof{Access: h.accessToken(actor, 0)}, time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != actor.Session.ID() || got.Visitor.RequestID != "request-18" {
		t.Fatalf("got %+v, %v", got, err)
	}
	// Their uses are noted as a browser's are.
	if h.writesDown() != 1 {
		t.Error("the use was not noted")
	}
	if is := h.session(actor.Session.ID()); !is.LastSeenAt.Equal(noon.Add(time.Minute)) || is.Device.IP != "203.0.113.9" {
		t.Errorf("left %+v", is)
	}
}

// An access token is signed, and that is not enough: it is worth nothing from the moment its session is.
func TestAnAccessTokenEndsWithItsSession(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*person, access.Actor)
		want      error
	}{
		"nothing happened":         {func(*person, access.Actor) {}, nil},
		"the session was revoked":  {func(ada *person, a access.Actor) { ada.ends(a.Session) }, domain.ErrSessionRevoked},
		"the account was shut":     {func(ada *person, _ access.Actor) { ada.isDisabled() }, domain.ErrUserDisabled},
		"the account was deleted":  {func(ada *person, _ access.Actor) { ada.isDeleted() }, domain.ErrAccessTokenInvalid},
		"the session is long over": {func(ada *person, a access.Actor) { ada.ends(a.Session); ada.sweeps() }, domain.ErrAccessTokenInvalid},
		"another one was revoked": {func(ada *person, _ access.Actor) {
			other, _ := ada.connects(0)
			ada.ends(other.Session)
		}, nil},
		"the session expired earlier than it said": {func(ada *person, a access.Actor) {
			is := a.Session.Snapshot()
			is.IdleEndsAt = noon
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), domain.RestoreSession(is)) })
		}, domain.ErrSessionExpired},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ada := h.moves("Ada")
			actor, _ := ada.connects(0)
			token := h.accessToken(actor, 0)
			c.meanwhile(ada, actor)
			got, err := h.authenticate(sessions.Proof{Access: token}, time.Second)
			if !errors.Is(err, c.want) || err != nil && got.Session != nil {
				t.Errorf("got %+v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// sweeps takes away what is over.
func (h *house) sweeps() {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		_, err := tx.Sessions.Sweep(h.t.Context(), noon, 100)
		return err
	})
}

func TestOnlyATokenForKeylodgeAboutItsOwnSessionIsBelieved(t *testing.T) {
	h := newHouse(t)
	ada, ben := h.moves("Ada"), h.moves("Ben")
	actor, _ := ada.connects(0)
	forServices, err := h.issuer.ForServices(t.Context(), actor.Session, actor.Proof, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, cookie := ada.signsIn(0)
	for name, c := range map[string]struct {
		token string
		after time.Duration
		want  error
	}{
		"its own":                   {h.forged(actor, func(*domain.AccessClaims) {}), 0, nil},
		"in its last moment":        {h.forged(actor, func(*domain.AccessClaims) {}), 5*time.Minute - 1, nil},
		"too old":                   {h.forged(actor, func(*domain.AccessClaims) {}), 5 * time.Minute, domain.ErrAccessTokenExpired},
		"for other services":        {forServices.Token.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"without the scope":         {h.forged(actor, func(c *domain.AccessClaims) { c.Scope = nil }), 0, domain.ErrAccessTokenInvalid},
		"with another scope":        {h.forged(actor, func(c *domain.AccessClaims) { c.Scope = []string{"accounts", "acc", "ount"} }), 0, domain.ErrAccessTokenInvalid},
		"about somebody else":       {h.forged(actor, func(c *domain.AccessClaims) { c.Subject = ben.user.ID() }), 0, domain.ErrAccessTokenInvalid},
		"about nobody":              {h.forged(actor, func(c *domain.AccessClaims) { c.Subject = domain.UserID{} }), 0, domain.ErrAccessTokenInvalid},
		"about no session":          {h.forged(actor, func(c *domain.AccessClaims) { c.SessionID = domain.SessionID{} }), 0, domain.ErrAccessTokenInvalid},
		"from another issuer":       {h.forged(actor, func(c *domain.AccessClaims) { c.Issuer = "https://mallory.example" }), 0, domain.ErrAccessTokenInvalid},
		"of a house like this one":  {newHouse(t).forged(actor, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
		"no token":                  {"x", 0, domain.ErrAccessTokenInvalid},
		"the value of a cookie":     {cookie.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"about a browser's session": {h.forged(access.Actor{Session: h.cookieSession(cookie)}, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			// A cookie beside it changes nothing.
			for _, proof := range []sessions.Proof{{Access: c.token}, {Access: c.token, Session: cookie}} {
				got, err := h.authenticate(proof, c.after)
				if !errors.Is(err, c.want) || err != nil && got.Session != nil {
					t.Errorf("got %+v, %v; want %v", got, err, c.want)
				}
			}
		})
	}
}

func (h *house) cookieSession(token domain.SessionToken) (s *domain.Session) {
	h.t.Helper()
	h.update(func(tx ports.Tx) (err error) {
		s, err = tx.Sessions.ByToken(h.t.Context(), token.Digest())
		return err
	})
	return s
}

func TestAnOutageIsNoBadToken(t *testing.T) {
	h := newHouse(t)
	actor, _ := h.moves("Ada").connects(0)
	token := h.accessToken(actor, 0)
	down := &sessions.Authenticate{Store: blind{h.store}, Clock: clock(noon), Issuer: h.issuer, LastSeen: h.lastSeen, Lifetime: lifetime}
	if _, err := down.Execute(t.Context(), sessions.Proof{Access: token}, access.Visitor{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestASessionMintsTokensForOtherServices(t *testing.T) {
	h := newHouse(t)
	actor, _ := h.moves("Ada").signsIn(0)
	minted, err := (&sessions.Mint{Clock: clock(noon), Issuer: h.issuer}).Execute(t.Context(), actor)
	if err != nil || minted.ExpiresIn != 5*time.Minute {
		t.Fatalf("got %+v, %v", minted, err)
	}
	claims, err := h.issuer.Keys.Verify(minted.Token.Reveal(), []ports.TokenKey{h.signing}, ports.TokenExpectation{Issuer: issuer, Audience: services, Now: noon})
	if err != nil || !slices.Equal(claims.Audience, []string{services}) || claims.SessionID != actor.Session.ID() || claims.Subject != actor.User.ID() {
		t.Errorf("a service reads %+v, %v", claims, err)
	}
	// A service cannot turn round and use it here, unless the operator made both one.
	if _, err := h.authenticate(sessions.Proof{Access: minted.Token.Reveal()}, 0); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("shown to Keylodge: %v", err)
	}
	late, err := (&sessions.Mint{Clock: clock(noon.Add(lifetime.IdleTTL - time.Minute)), Issuer: h.issuer}).Execute(t.Context(), actor)
	if err != nil || late.ExpiresIn != time.Minute {
		t.Errorf("a minute before the session ends: %+v, %v", late, err)
	}
}
