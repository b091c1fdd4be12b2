package sessions_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// accessToken is one of the program's own.
func (h *fixture) accessToken(actor identity.Principal, after time.Duration) string {
	h.t.Helper()
	pair, err := h.issuer.IssuePair(h.t.Context(), actor.Session, domain.RefreshToken{}, noon.Add(after))
	if err != nil {
		h.t.Fatal(err)
	}
	return pair.Access.Token.Reveal()
}

// forgeToken is a token that our own key has signed and that states something else.
func (h *fixture) forgeToken(actor identity.Principal, differently func(*domain.AccessClaims)) string {
	h.t.Helper()
	claims := h.issuer.Policy.AccessClaims(actor.Session, noon, h.issuer.Random)
	differently(&claims)
	token, err := h.signingKey.Sign(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	return token.Reveal()
}

func TestAuthenticate_AccessToken(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	actor, _ := ada.signInBearer(0)
	got, err := h.authenticate(sessions.PresentedToken{AccessToken: h.accessToken(actor, 0)}, time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != actor.Session.ID() || got.Client.RequestID != "request-18" {
		t.Fatalf("got %+v, %v", got, err)
	}
	// Their uses are noted as a browser's are.
	if h.flushLastSeen() != 1 {
		t.Error("the use was not noted")
	}
	if is := h.storedSession(actor.Session.ID()); !is.LastSeenAt.Equal(noon.Add(time.Minute)) || is.Device.IP != "203.0.113.9" {
		t.Errorf("left %+v", is)
	}
}

// An access token is signed, and that is not enough: it is worth nothing from the moment its session is.
func TestAuthenticate_AccessTokenEndsWithSession(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*person, identity.Principal)
		want      error
	}{
		"nothing happened":         {func(*person, identity.Principal) {}, nil},
		"the session was revoked":  {func(ada *person, a identity.Principal) { ada.revokeSession(a.Session) }, domain.ErrSessionRevoked},
		"the account was shut":     {func(ada *person, _ identity.Principal) { ada.disable() }, domain.ErrUserDisabled},
		"the account was deleted":  {func(ada *person, _ identity.Principal) { ada.remove() }, domain.ErrAccessTokenInvalid},
		"the session is long over": {func(ada *person, a identity.Principal) { ada.revokeSession(a.Session); ada.deleteExpired() }, domain.ErrAccessTokenInvalid},
		"another one was revoked": {func(ada *person, _ identity.Principal) {
			other, _ := ada.signInBearer(0)
			ada.revokeSession(other.Session)
		}, nil},
		"the session expired earlier than it said": {func(ada *person, a identity.Principal) {
			is := a.Session.State()
			is.IdleEndsAt = noon
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), domain.RestoreSession(is)) })
		}, domain.ErrSessionExpired},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ada := h.addUser("Ada")
			actor, _ := ada.signInBearer(0)
			token := h.accessToken(actor, 0)
			c.meanwhile(ada, actor)
			got, err := h.authenticate(sessions.PresentedToken{AccessToken: token}, time.Second)
			if !errors.Is(err, c.want) || err != nil && got.Session != nil {
				t.Errorf("got %+v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// deleteExpired takes away what is over.
func (h *fixture) deleteExpired() {
	h.t.Helper()
	h.update(func(tx ports.Tx) error {
		_, err := tx.Sessions.DeleteExpired(h.t.Context(), noon, 100)
		return err
	})
}

func TestAuthenticate_RejectsForeignAccessTokens(t *testing.T) {
	h := newFixture(t)
	ada, ben := h.addUser("Ada"), h.addUser("Ben")
	actor, _ := ada.signInBearer(0)
	forServices, err := h.issuer.IssueServiceToken(t.Context(), actor.Session, actor.AuthContext, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, cookie := ada.signIn(0)
	for name, c := range map[string]struct {
		token string
		after time.Duration
		want  error
	}{
		"its own":                   {h.forgeToken(actor, func(*domain.AccessClaims) {}), 0, nil},
		"in its last moment":        {h.forgeToken(actor, func(*domain.AccessClaims) {}), 5*time.Minute - 1, nil},
		"too old":                   {h.forgeToken(actor, func(*domain.AccessClaims) {}), 5 * time.Minute, domain.ErrAccessTokenExpired},
		"for other services":        {forServices.Token.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"without the scope":         {h.forgeToken(actor, func(c *domain.AccessClaims) { c.Scope = nil }), 0, domain.ErrAccessTokenInvalid},
		"with another scope":        {h.forgeToken(actor, func(c *domain.AccessClaims) { c.Scope = []string{"accounts", "acc", "ount"} }), 0, domain.ErrAccessTokenInvalid},
		"about somebody else":       {h.forgeToken(actor, func(c *domain.AccessClaims) { c.Subject = ben.user.ID() }), 0, domain.ErrAccessTokenInvalid},
		"about nobody":              {h.forgeToken(actor, func(c *domain.AccessClaims) { c.Subject = domain.UserID{} }), 0, domain.ErrAccessTokenInvalid},
		"about no session":          {h.forgeToken(actor, func(c *domain.AccessClaims) { c.SessionID = domain.SessionID{} }), 0, domain.ErrAccessTokenInvalid},
		"from another issuer":       {h.forgeToken(actor, func(c *domain.AccessClaims) { c.Issuer = "https://mallory.example" }), 0, domain.ErrAccessTokenInvalid},
		"of a house like this one":  {newFixture(t).forgeToken(actor, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
		"no token":                  {"x", 0, domain.ErrAccessTokenInvalid},
		"the value of a cookie":     {cookie.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"about a browser's session": {h.forgeToken(identity.Principal{Session: h.cookieSession(cookie)}, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			// A cookie beside it changes nothing.
			for _, proof := range []sessions.PresentedToken{{AccessToken: c.token}, {AccessToken: c.token, SessionToken: cookie}} {
				got, err := h.authenticate(proof, c.after)
				if !errors.Is(err, c.want) || err != nil && got.Session != nil {
					t.Errorf("got %+v, %v; want %v", got, err, c.want)
				}
			}
		})
	}
}

func (h *fixture) cookieSession(token domain.SessionToken) (s *domain.Session) {
	h.t.Helper()
	h.update(func(tx ports.Tx) (err error) {
		s, err = tx.Sessions.ByToken(h.t.Context(), token.Digest())
		return err
	})
	return s
}

func TestAuthenticate_StoreError(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signInBearer(0)
	token := h.accessToken(actor, 0)
	h.service.Store = failingSessionsStore{h.store}
	if _, err := h.authenticate(sessions.PresentedToken{AccessToken: token}, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestIssueAccessToken(t *testing.T) {
	h := newFixture(t)
	actor, _ := h.addUser("Ada").signIn(0)
	minted, err := h.at(0).IssueAccessToken(t.Context(), actor)
	if err != nil || minted.ExpiresIn != 5*time.Minute {
		t.Fatalf("got %+v, %v", minted, err)
	}
	claims, err := h.issuer.SigningKeys.TokenKeys.Verify(minted.Token.Reveal(), []ports.TokenKey{h.signingKey}, ports.ExpectedClaims{Issuer: issuerURL, Audience: serviceAudience, Now: noon})
	if err != nil || !slices.Equal(claims.Audience, []string{serviceAudience}) || claims.SessionID != actor.Session.ID() || claims.Subject != actor.User.ID() {
		t.Errorf("a service reads %+v, %v", claims, err)
	}
	// A service cannot turn round and use it here, unless the operator made both one.
	if _, err := h.authenticate(sessions.PresentedToken{AccessToken: minted.Token.Reveal()}, 0); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("shown to Keylodge: %v", err)
	}
	late, err := h.at(lifetime.IdleTTL-time.Minute).IssueAccessToken(t.Context(), actor)
	if err != nil || late.ExpiresIn != time.Minute {
		t.Errorf("a minute before the session ends: %+v, %v", late, err)
	}
}
