package sessions_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// accessToken returns an access token of the session, issued at noon plus after.
func (f *fixture) accessToken(principal identity.Principal, after time.Duration) string {
	f.t.Helper()
	pair, err := f.issuer.IssuePair(f.t.Context(), principal.Session, domain.RefreshToken{}, noon.Add(after))
	if err != nil {
		f.t.Fatal(err)
	}
	return pair.Access.Token.Reveal()
}

// forgeToken returns an access token with changed claims, signed with the key of the server.
func (f *fixture) forgeToken(principal identity.Principal, change func(*domain.AccessClaims)) string {
	f.t.Helper()
	claims := f.issuer.Policy.AccessClaims(principal.Session, noon, f.issuer.Random)
	change(&claims)
	token, err := f.signingKey.Sign(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return token.Reveal()
}

func TestAuthenticate_AccessToken(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	principal, _ := ada.signInBearer(0)
	got, err := f.authenticate(sessions.PresentedToken{AccessToken: f.accessToken(principal, 0)}, time.Minute)
	if err != nil || got.User.ID() != ada.user.ID() || got.Session.ID() != principal.Session.ID() || got.Client.RequestID != "request-18" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if f.flushLastSeen() != 1 {
		t.Error("the use of the session was not recorded")
	}
	if state := f.storedSession(principal.Session.ID()); !state.LastSeenAt.Equal(noon.Add(time.Minute)) || state.Device.IP != "203.0.113.9" {
		t.Errorf("stored %+v", state)
	}
}

// An access token is rejected from the moment its session ends, although its signature is valid.
// Requirement: ASVS-7.2.1
func TestAuthenticate_AccessTokenEndsWithSession(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*person, identity.Principal)
		want      error
	}{
		"no change":                     {func(*person, identity.Principal) {}, nil},
		"session revoked":               {func(ada *person, a identity.Principal) { ada.revokeSession(a.Session) }, domain.ErrSessionRevoked},
		"account disabled":              {func(ada *person, _ identity.Principal) { ada.disable() }, domain.ErrUserDisabled},
		"account deleted":               {func(ada *person, _ identity.Principal) { ada.remove() }, domain.ErrAccessTokenInvalid},
		"session deleted after its end": {func(ada *person, a identity.Principal) { ada.revokeSession(a.Session); ada.deleteExpired() }, domain.ErrAccessTokenInvalid},
		"another session revoked": {func(ada *person, _ identity.Principal) {
			other, _ := ada.signInBearer(0)
			ada.revokeSession(other.Session)
		}, nil},
		"session expired early": {func(ada *person, a identity.Principal) {
			state := a.Session.State()
			state.IdleEndsAt = noon
			ada.update(func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), domain.RestoreSession(state)) })
		}, domain.ErrSessionExpired},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ada := f.addUser("Ada")
			principal, _ := ada.signInBearer(0)
			token := f.accessToken(principal, 0)
			c.meanwhile(ada, principal)
			got, err := f.authenticate(sessions.PresentedToken{AccessToken: token}, time.Second)
			if !errors.Is(err, c.want) || err != nil && got.Session != nil {
				t.Errorf("got %+v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// deleteExpired deletes the sessions that have ended by noon.
func (f *fixture) deleteExpired() {
	f.t.Helper()
	f.update(func(tx ports.Tx) error {
		_, err := tx.Sessions.DeleteExpired(f.t.Context(), noon, 100)
		return err
	})
}

func TestAuthenticate_RejectsForeignAccessTokens(t *testing.T) {
	f := newFixture(t)
	ada, ben := f.addUser("Ada"), f.addUser("Ben")
	principal, _ := ada.signInBearer(0)
	forServices, err := f.issuer.IssueServiceToken(t.Context(), principal.Session, principal.AuthContext, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, cookie := ada.signIn(0)
	for name, c := range map[string]struct {
		token string
		after time.Duration
		want  error
	}{
		"unchanged":                 {f.forgeToken(principal, func(*domain.AccessClaims) {}), 0, nil},
		"just before its expiry":    {f.forgeToken(principal, func(*domain.AccessClaims) {}), 5*time.Minute - 1, nil},
		"expired":                   {f.forgeToken(principal, func(*domain.AccessClaims) {}), 5 * time.Minute, domain.ErrAccessTokenExpired},
		"for other services":        {forServices.Token.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"without the scope":         {f.forgeToken(principal, func(c *domain.AccessClaims) { c.Scope = nil }), 0, domain.ErrAccessTokenInvalid},
		"with another scope":        {f.forgeToken(principal, func(c *domain.AccessClaims) { c.Scope = []string{"accounts", "acc", "ount"} }), 0, domain.ErrAccessTokenInvalid},
		"subject of another user":   {f.forgeToken(principal, func(c *domain.AccessClaims) { c.Subject = ben.user.ID() }), 0, domain.ErrAccessTokenInvalid},
		"no subject":                {f.forgeToken(principal, func(c *domain.AccessClaims) { c.Subject = domain.UserID{} }), 0, domain.ErrAccessTokenInvalid},
		"no session":                {f.forgeToken(principal, func(c *domain.AccessClaims) { c.SessionID = domain.SessionID{} }), 0, domain.ErrAccessTokenInvalid},
		"from another issuer":       {f.forgeToken(principal, func(c *domain.AccessClaims) { c.Issuer = "https://mallory.example" }), 0, domain.ErrAccessTokenInvalid},
		"signed by another server":  {newFixture(t).forgeToken(principal, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
		"malformed":                 {"x", 0, domain.ErrAccessTokenInvalid},
		"session token of a cookie": {cookie.Reveal(), 0, domain.ErrAccessTokenInvalid},
		"session of a browser":      {f.forgeToken(identity.Principal{Session: f.cookieSession(cookie)}, func(*domain.AccessClaims) {}), 0, domain.ErrAccessTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			// A valid cookie in the same request makes no difference.
			for _, presented := range []sessions.PresentedToken{{AccessToken: c.token}, {AccessToken: c.token, SessionToken: cookie}} {
				got, err := f.authenticate(presented, c.after)
				if !errors.Is(err, c.want) || err != nil && got.Session != nil {
					t.Errorf("got %+v, %v; want %v", got, err, c.want)
				}
			}
		})
	}
}

func (f *fixture) cookieSession(token domain.SessionToken) (s *domain.Session) {
	f.t.Helper()
	f.update(func(tx ports.Tx) (err error) {
		s, err = tx.Sessions.ByToken(f.t.Context(), token.Digest())
		return err
	})
	return s
}

func TestAuthenticate_StoreError(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signInBearer(0)
	token := f.accessToken(principal, 0)
	f.service.Store = sessioncache.New(failingSessionsStore{f.store})
	if _, err := f.authenticate(sessions.PresentedToken{AccessToken: token}, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestIssueAccessToken(t *testing.T) {
	f := newFixture(t)
	principal, _ := f.addUser("Ada").signIn(0)
	issued, err := f.at(0).IssueAccessToken(t.Context(), principal)
	if err != nil || issued.ExpiresIn != 5*time.Minute {
		t.Fatalf("got %+v, %v", issued, err)
	}
	claims, err := f.issuer.SigningKeys.TokenKeys.Verify(issued.Token.Reveal(), []ports.TokenKey{f.signingKey}, ports.ExpectedClaims{Issuer: issuerURL, Audience: serviceAudience, Now: noon})
	if err != nil || !slices.Equal(claims.Audience, []string{serviceAudience}) || claims.SessionID != principal.Session.ID() || claims.Subject != principal.User.ID() {
		t.Errorf("the claims are %+v, %v", claims, err)
	}
	// A service cannot use the token at Keylodge, unless the operator configured the same audience for both.
	if _, err := f.authenticate(sessions.PresentedToken{AccessToken: issued.Token.Reveal()}, 0); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("presented to Keylodge: %v", err)
	}
	late, err := f.at(lifetime.IdleTTL-time.Minute).IssueAccessToken(t.Context(), principal)
	if err != nil || late.ExpiresIn != time.Minute {
		t.Errorf("a minute before the session ends: %+v, %v", late, err)
	}
}
