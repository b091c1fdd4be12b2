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
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (h *fixture) refresh(token domain.RefreshToken, after time.Duration) (*signingkeys.TokenPair, error) {
	return h.at(after).Refresh(h.t.Context(), token, identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-19"})
}

func (h *fixture) mustRefresh(token domain.RefreshToken, after time.Duration) *signingkeys.TokenPair {
	h.t.Helper()
	pair, err := h.refresh(token, after)
	if err != nil {
		h.t.Fatal(err)
	}
	return pair
}

func TestRefresh_ExtendsSession(t *testing.T) {
	h := newFixture(t)
	actor, token := h.addUser("Ada").signInBearer(0)
	for i := 1; i <= 3; i++ {
		after := time.Duration(i) * 50 * time.Minute // each time shortly before its idle end
		pair := h.mustRefresh(token, after)
		if pair.RefreshExpiresIn != lifetime.IdleTTL || pair.Access.ExpiresIn != 5*time.Minute {
			t.Errorf("after %s: %+v", after, pair)
		}
		if got, err := h.authenticate(sessions.PresentedToken{AccessToken: pair.Access.Token.Reveal()}, after); err != nil || got.Session.ID() != actor.Session.ID() {
			t.Errorf("after %s the access token shows %+v, %v", after, got, err)
		}
		if is := h.storedSession(actor.Session.ID()); is.Token != pair.Refresh.Digest() || is.PreviousToken != token.Digest() || is.Device.IP != "203.0.113.9" || !is.AuthTime.Equal(noon) {
			t.Errorf("after %s: %+v", after, is)
		}
		token = pair.Refresh
	}
	// Though not for ever.
	for after := 150 * time.Minute; after < lifetime.TTL; after += 50 * time.Minute {
		token = h.mustRefresh(token, after).Refresh
	}
	if _, err := h.refresh(token, lifetime.TTL); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("at its absolute end: %v", err)
	}
}

func TestRefresh_ConcurrentCallsGetSameSuccessor(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	actor, token := ada.signInBearer(0)
	pairs := make([]*signingkeys.TokenPair, 16)
	service := h.at(0)
	service.Store = h.store.Store // hookedStore is not safe for concurrent use
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
		if _, err := h.authenticate(sessions.PresentedToken{AccessToken: pair.Access.Token.Reveal()}, time.Second); err != nil {
			t.Errorf("an access token of one of them: %v", err)
		}
	}
	if is := h.storedSession(actor.Session.ID()); is.Token != pairs[0].Refresh.Digest() {
		t.Errorf("left %+v", is)
	}
	h.mustRefresh(pairs[0].Refresh, time.Minute)
	if log := ada.entries(); len(log) != 0 {
		t.Errorf("logged %+v", log)
	}
}

func TestRefresh_ReuseRevokesSession(t *testing.T) {
	h := newFixture(t)
	ada := h.addUser("Ada")
	other, _ := ada.signInBearer(0)
	actor, stolen := ada.signInBearer(0)
	thiefs := h.mustRefresh(h.mustRefresh(stolen, time.Minute).Refresh, time.Minute)
	for _, want := range []error{domain.ErrRefreshTokenReused, domain.ErrSessionRevoked} {
		if pair, err := h.refresh(stolen, 2*time.Minute); !errors.Is(err, want) || pair != nil {
			t.Errorf("got %+v, %v; want %v", pair, err, want)
		}
	}
	if _, err := h.refresh(thiefs.Refresh, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the thief's refresh token: %v", err)
	}
	if _, err := h.authenticate(sessions.PresentedToken{AccessToken: thiefs.Access.Token.Reveal()}, 2*time.Minute); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("the thief's access token: %v", err)
	}
	if err := h.sessionErr(other.Session.ID(), 2*time.Minute); err != nil {
		t.Errorf("another session of hers: %v", err)
	}
	log := ada.entries()
	if len(log) != 1 {
		t.Fatalf("logged %+v", log)
	}
	if e := log[0]; e.Kind != domain.EventRefreshTokenReused || e.SessionID != actor.Session.ID() || e.IP != "203.0.113.9" || e.DeviceName != "curl/8.5.0" ||
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
		"the session was ended":    {nil, func(ada *person, a identity.Principal) { ada.revokeSession(a.Session) }, 0, domain.ErrSessionRevoked},
		"it was idle for too long": {nil, nil, lifetime.IdleTTL, domain.ErrSessionExpired},
		"the account was shut":     {nil, func(ada *person, _ identity.Principal) { ada.disable() }, 0, domain.ErrUserDisabled},
		"the account is gone":      {nil, func(ada *person, _ identity.Principal) { ada.remove() }, 0, domain.ErrRefreshTokenInvalid},
		"of another house": {func(*person, identity.Principal, domain.RefreshToken) domain.RefreshToken {
			_, token := newFixture(t).addUser("Mallory").signInBearer(0)
			return token
		}, nil, 0, domain.ErrRefreshTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			ada := h.addUser("Ada")
			actor, token := ada.signInBearer(0)
			if c.token != nil {
				token = c.token(ada, actor, token)
			}
			if c.meanwhile != nil {
				c.meanwhile(ada, actor)
			}
			if pair, err := h.refresh(token, c.after); !errors.Is(err, c.want) || pair != nil {
				t.Errorf("got %+v, %v; want %v", pair, err, c.want)
			}
			if name == "the account is gone" {
				return
			}
			if is := h.storedSession(actor.Session.ID()); is.Token != actor.Session.State().Token || is.Device.IP != "" {
				t.Errorf("left %+v", is)
			}
			if log := ada.entries(); len(log) != 0 {
				t.Errorf("logged %+v", log)
			}
		})
	}
}

// A browser's session has no refresh token, whoever makes one up for it.
func TestRefresh_RejectsCookieSession(t *testing.T) {
	h := newFixture(t)
	actor, cookie := h.addUser("Ada").signIn(0)
	raw := make([]byte, 64) // its id, and zeros
	if _, err := hex.Decode(raw, []byte(strings.ReplaceAll(actor.Session.ID().String(), "-", ""))); err != nil {
		t.Fatal(err)
	}
	token, err := domain.ParseRefreshToken("klr_" + base64.RawURLEncoding.EncodeToString(raw))
	if err != nil || token.SessionID() != actor.Session.ID() {
		t.Fatalf("%s, %v", token.SessionID(), err)
	}
	if pair, err := h.refresh(token, 0); !errors.Is(err, domain.ErrRefreshTokenInvalid) || pair != nil {
		t.Errorf("got %+v, %v", pair, err)
	}
	if _, err := h.authenticate(sessions.PresentedToken{SessionToken: cookie}, 0); err != nil {
		t.Errorf("the session afterwards: %v", err)
	}
}

func TestRefresh_RetryAfterStoreError(t *testing.T) {
	h := newFixture(t)
	_, token := h.addUser("Ada").signInBearer(0)
	h.store.unavailable = true
	if _, err := h.refresh(token, time.Minute); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("during the outage: %v", err)
	}
	h.store.unavailable = false
	h.mustRefresh(token, 10*time.Minute)
}

// failingKey is a signing key that cannot sign.
type failingKey struct{ ports.TokenKey }

func (failingKey) Sign(domain.AccessClaims) (domain.AccessToken, error) {
	return domain.AccessToken{}, errors.New("cannot sign")
}

// Tokens are signed after the commit. If that fails, the same refresh token yields the same successor again.
func TestRefresh_RetryAfterSigningError(t *testing.T) {
	h := newFixture(t)
	actor, token := h.addUser("Ada").signInBearer(0)
	working := h.issuer.SigningKeys
	h.issuer.SigningKeys = &signingkeys.Service{Store: h.store, TokenKeys: working.TokenKeys, Clock: clock(noon), External: signingkeys.ExternalKeys{failingKey{h.signingKey}}}
	if pair, err := h.refresh(token, 0); err == nil || pair != nil {
		t.Fatalf("got %+v, %v", pair, err)
	}
	h.issuer.SigningKeys = working
	if pair := h.mustRefresh(token, 5*time.Second); pair.Refresh.Digest() != h.storedSession(actor.Session.ID()).Token {
		t.Error("the successor is not the one that the session knows")
	}
}

func TestRefresh_StoreError(t *testing.T) {
	h := newFixture(t)
	_, token := h.addUser("Ada").signInBearer(0)
	h.service.Store = failingSessionsStore{h.store}
	if _, err := h.refresh(token, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// When the server's secret is replaced nobody is signed out.
func TestRefresh_AfterSecretRotation(t *testing.T) {
	h := newFixture(t)
	_, token := h.addUser("Ada").signInBearer(0)
	before := h.mustRefresh(token, 0)
	h.issuer.RefreshKeys = append(domain.KeyRing[domain.RefreshToken]{slices.Repeat([]byte{1}, 32)}, h.issuer.RefreshKeys...)
	if again := h.mustRefresh(token, time.Second); again.Refresh != before.Refresh {
		t.Error("a token replaced just before has another successor now")
	}
	h.mustRefresh(before.Refresh, time.Minute)
}
