package sessions_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (f *fixture) refresh(token domain.RefreshToken, after time.Duration) (*signingkeys.TokenPair, error) {
	return f.at(after).Refresh(f.t.Context(), token, identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-19"})
}

func (f *fixture) mustRefresh(token domain.RefreshToken, after time.Duration) *signingkeys.TokenPair {
	f.t.Helper()
	pair, err := f.refresh(token, after)
	if err != nil {
		f.t.Fatal(err)
	}
	return pair
}

func TestRefresh_ExtendsSession(t *testing.T) {
	f := newFixture(t)
	principal, token := f.addUser("Ada").signInBearer(0)
	for i := 1; i <= 3; i++ {
		after := time.Duration(i) * 50 * time.Minute // shortly before its idle end
		pair := f.mustRefresh(token, after)
		if pair.RefreshExpiresIn != lifetime.IdleTTL || pair.Access.ExpiresIn != 5*time.Minute {
			t.Errorf("after %s: %+v", after, pair)
		}
		if got, err := f.authenticate(sessions.PresentedToken{AccessToken: pair.Access.Token.Reveal()}, after); err != nil || got.Session.ID() != principal.Session.ID() {
			t.Errorf("after %s: the access token authenticates %+v, %v", after, got, err)
		}
		if state := f.storedSession(principal.Session.ID()); state.Token != pair.Refresh.Digest() || state.PreviousToken != token.Digest() || state.Device.IP != "203.0.113.9" || !state.AuthTime.Equal(noon) {
			t.Errorf("after %s: %+v", after, state)
		}
		token = pair.Refresh
	}
	// The session still expires at its maximum age.
	for after := 150 * time.Minute; after < lifetime.TTL; after += 50 * time.Minute {
		token = f.mustRefresh(token, after).Refresh
	}
	if _, err := f.refresh(token, lifetime.TTL); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("at its maximum age: %v", err)
	}
}

func TestRefresh_ConcurrentCallsGetSameSuccessor(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	principal, token := ada.signInBearer(0)
	pairs := make([]*signingkeys.TokenPair, 16)
	service := f.at(0)
	service.Store = sessioncache.New(f.store.Store) // hookedStore is not safe for concurrent use
	var refreshing sync.WaitGroup
	for i := range pairs {
		refreshing.Go(func() {
			var err error
			if pairs[i], err = service.Refresh(t.Context(), token, identity.Client{}); err != nil {
				t.Error(err)
			}
		})
	}
	refreshing.Wait()
	if t.Failed() {
		return
	}
	for _, pair := range pairs {
		if pair.Refresh != pairs[0].Refresh || pair.RefreshExpiresIn != lifetime.IdleTTL {
			t.Errorf("got %q and %q", pair.Refresh.Reveal(), pairs[0].Refresh.Reveal())
		}
		if _, err := f.authenticate(sessions.PresentedToken{AccessToken: pair.Access.Token.Reveal()}, time.Second); err != nil {
			t.Errorf("an access token: %v", err)
		}
	}
	if state := f.storedSession(principal.Session.ID()); state.Token != pairs[0].Refresh.Digest() {
		t.Errorf("stored %+v", state)
	}
	f.mustRefresh(pairs[0].Refresh, time.Minute)
	if log := ada.entries(); len(log) != 0 {
		t.Errorf("logged %+v", log)
	}
}

func TestRefresh_ReuseRevokesSession(t *testing.T) {
	f := newFixture(t)
	ada := f.addUser("Ada")
	other, _ := ada.signInBearer(0)
	principal, stolen := ada.signInBearer(0)
	attackers := f.mustRefresh(f.mustRefresh(stolen, time.Minute).Refresh, time.Minute)
	for _, want := range []error{domain.ErrRefreshTokenReused, domain.ErrSessionRevoked} {
		if pair, err := f.refresh(stolen, 2*time.Minute); !errors.Is(err, want) || pair != nil {
			t.Errorf("got %+v, %v; want %v", pair, err, want)
		}
	}
	if _, err := f.refresh(attackers.Refresh, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the attacker's refresh token: %v", err)
	}
	if _, err := f.authenticate(sessions.PresentedToken{AccessToken: attackers.Access.Token.Reveal()}, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the attacker's access token: %v", err)
	}
	if err := f.sessionErr(other.Session.ID(), 2*time.Minute); err != nil {
		t.Errorf("another session of the user: %v", err)
	}
	log := ada.entries()
	if len(log) != 1 {
		t.Fatalf("logged %+v", log)
	}
	if e := log[0]; e.Kind != domain.EventRefreshTokenReused || e.SessionID != principal.Session.ID() || e.IP != "203.0.113.9" || e.DeviceName != "curl/8.5.0" ||
		e.RequestID != "request-19" || !e.At.Equal(noon.Add(2*time.Minute)) || e.Actor != domain.ActorUser {
		t.Errorf("logged %+v", e)
	}
}

func TestRefresh_Rejections(t *testing.T) {
	for name, c := range map[string]struct {
		token     func(*person, identity.Principal, domain.RefreshToken) domain.RefreshToken
		meanwhile func(*person, identity.Principal)
		after     time.Duration
		want      error
	}{
		"session revoked":       {nil, func(ada *person, a identity.Principal) { ada.revokeSession(a.Session) }, 0, domain.ErrSessionRevoked},
		"session idle too long": {nil, nil, lifetime.IdleTTL, domain.ErrSessionExpired},
		"account disabled":      {nil, func(ada *person, _ identity.Principal) { ada.disable() }, 0, domain.ErrUserDisabled},
		"account deleted":       {nil, func(ada *person, _ identity.Principal) { ada.remove() }, 0, domain.ErrRefreshTokenInvalid},
		"token of another server": {func(*person, identity.Principal, domain.RefreshToken) domain.RefreshToken {
			_, token := newFixture(t).addUser("Mallory").signInBearer(0)
			return token
		}, nil, 0, domain.ErrRefreshTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ada := f.addUser("Ada")
			principal, token := ada.signInBearer(0)
			if c.token != nil {
				token = c.token(ada, principal, token)
			}
			if c.meanwhile != nil {
				c.meanwhile(ada, principal)
			}
			if pair, err := f.refresh(token, c.after); !errors.Is(err, c.want) || pair != nil {
				t.Errorf("got %+v, %v; want %v", pair, err, c.want)
			}
			if name == "account deleted" {
				return
			}
			if state := f.storedSession(principal.Session.ID()); state.Token != principal.Session.State().Token || state.Device.IP != "" {
				t.Errorf("stored %+v", state)
			}
			if log := ada.entries(); len(log) != 0 {
				t.Errorf("logged %+v", log)
			}
		})
	}
}

// A session of a browser has no refresh token. A forged one with the id of such a session is rejected.
func TestRefresh_RejectsCookieSession(t *testing.T) {
	f := newFixture(t)
	principal, cookie := f.addUser("Ada").signIn(0)
	raw := make([]byte, 64) // the id of the session, then zeros
	if _, err := hex.Decode(raw, []byte(strings.ReplaceAll(principal.Session.ID().String(), "-", ""))); err != nil {
		t.Fatal(err)
	}
	token, err := domain.ParseRefreshToken("klr_" + base64.RawURLEncoding.EncodeToString(raw))
	if err != nil || token.SessionID() != principal.Session.ID() {
		t.Fatalf("%s, %v", token.SessionID(), err)
	}
	if pair, err := f.refresh(token, 0); !errors.Is(err, domain.ErrRefreshTokenInvalid) || pair != nil {
		t.Errorf("got %+v, %v", pair, err)
	}
	if _, err := f.authenticate(sessions.PresentedToken{SessionToken: cookie}, 0); err != nil {
		t.Errorf("the session afterwards: %v", err)
	}
}

func TestRefresh_RetryAfterStoreError(t *testing.T) {
	f := newFixture(t)
	_, token := f.addUser("Ada").signInBearer(0)
	f.store.unavailable = true
	if _, err := f.refresh(token, time.Minute); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("during the outage: %v", err)
	}
	f.store.unavailable = false
	f.mustRefresh(token, 10*time.Minute)
}

// failingKey is a signing key that cannot sign.
type failingKey struct{ ports.TokenKey }

func (failingKey) Sign(domain.AccessClaims) (domain.AccessToken, error) {
	return domain.AccessToken{}, errors.New("cannot sign")
}

// Tokens are signed after the commit. If that fails, the same refresh token yields the same successor again.
func TestRefresh_RetryAfterSigningError(t *testing.T) {
	f := newFixture(t)
	principal, token := f.addUser("Ada").signInBearer(0)
	working := f.issuer.SigningKeys
	f.issuer.SigningKeys = &signingkeys.Service{Store: f.store, TokenKeys: working.TokenKeys, Clock: clock(noon), External: signingkeys.ExternalKeys{failingKey{f.signingKey}}}
	if pair, err := f.refresh(token, 0); err == nil || pair != nil {
		t.Fatalf("got %+v, %v", pair, err)
	}
	f.issuer.SigningKeys = working
	if pair := f.mustRefresh(token, 5*time.Second); pair.Refresh.Digest() != f.storedSession(principal.Session.ID()).Token {
		t.Error("the refresh token is not that of the stored session")
	}
}

func TestRefresh_StoreError(t *testing.T) {
	f := newFixture(t)
	_, token := f.addUser("Ada").signInBearer(0)
	f.service.Store = sessioncache.New(failingSessionsStore{f.store})
	if _, err := f.refresh(token, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Replacing the secret of the server ends no session.
func TestRefresh_AfterSecretRotation(t *testing.T) {
	f := newFixture(t)
	_, token := f.addUser("Ada").signInBearer(0)
	before := f.mustRefresh(token, 0)
	f.issuer.RefreshKeys = append(domain.KeyRing[domain.RefreshToken]{slices.Repeat([]byte{1}, 32)}, f.issuer.RefreshKeys...)
	if again := f.mustRefresh(token, time.Second); again.Refresh != before.Refresh {
		t.Error("the token replaced before the rotation has another successor")
	}
	f.mustRefresh(before.Refresh, time.Minute)
}
