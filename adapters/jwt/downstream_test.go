package jwt_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	keylodge "github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	issuer       = "https://keylodge.example"
	testAudience = "https://api.example"
)

// service verifies tokens with the JWKS URL, the issuer and its own audience. Its library shares no code with the one that signs
// them.
type service struct {
	jwksURL, issuer, audience string
	now                       time.Time
}

func (s service) accepts(ctx context.Context, token string) (jwt.Token, error) {
	keys, err := jwk.Fetch(ctx, s.jwksURL)
	if err != nil {
		return nil, err
	}
	signed, err := jws.Parse([]byte(token), jws.WithCompact())
	if err != nil {
		return nil, err
	}
	if typ, _ := signed.Signatures()[0].ProtectedHeaders().Type(); typ != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	return jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(s.issuer), jwt.WithAudience(s.audience),
		jwt.WithRequiredClaim("exp"), jwt.WithClock(jwt.ClockFunc(func() time.Time { return s.now })))
}

func TestJWKS_VerifiesTokensDownstream(t *testing.T) {
	keys := keylodge.New()
	var known []ports.TokenKey
	for _, algorithm := range []domain.SigningAlgorithm{domain.SigningES256, domain.SigningEdDSA} {
		key, err := keys.Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, key)
	}
	published := publish(t, known)
	now := time.Now()
	signed := claims(t, now)
	good := service{published, issuer, testAudience, now}
	for _, key := range known {
		token, err := key.Sign(signed)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := good.accepts(t.Context(), token.Reveal())
		if err != nil {
			t.Fatalf("%s: %v", key.Algorithm(), err)
		}
		subject, _ := accepted.Subject()
		var session string
		if err := accepted.Get("sid", &session); err != nil || subject != signed.Subject.String() || session != signed.SessionID.String() {
			t.Errorf("%s: subject %s, session %q, %v", key.Algorithm(), subject, session, err)
		}
		for name, other := range map[string]service{
			"another issuer":   {published, "https://evil.example", testAudience, now},
			"another audience": {published, issuer, "https://other.example", now},
			"a later time":     {published, issuer, testAudience, signed.ExpiresAt},
			"an earlier time":  {published, issuer, testAudience, signed.IssuedAt.Add(-time.Minute)},
		} {
			if _, err := other.accepts(t.Context(), token.Reveal()); err == nil {
				t.Errorf("%s: accepted with %s", key.Algorithm(), name)
			}
		}
		unpublished, err := keys.Generate(key.Algorithm())
		if err != nil {
			t.Fatal(err)
		}
		forged, err := unpublished.Sign(signed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := good.accepts(t.Context(), forged.Reveal()); err == nil {
			t.Errorf("%s: accepted a token of an unpublished key", key.Algorithm())
		}
	}
}

// Services with a clock up to half a minute behind accept a new token: this library compares iat with its clock and has no leeway
// unless it is configured.
// Requirement: ASVS-9.2.1
func TestJWKS_AcceptsFreshTokenWithSlowClock(t *testing.T) {
	key, err := keylodge.New().Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	published, now := publish(t, []ports.TokenKey{key}), time.Now()
	session := domain.RestoreSession(domain.SessionState{IdleEndsAt: now.Add(time.Hour), AuthTime: now, AMR: []string{"hwk"}})
	signed := domain.AccessPolicy{Issuer: issuer, Audience: testAudience, TTL: 5 * time.Minute}.AccessClaims(session, now, rand.Reader)
	token, err := key.Sign(signed)
	if err != nil {
		t.Fatal(err)
	}
	for _, behind := range []time.Duration{0, time.Second, 5 * time.Second, 29 * time.Second} {
		if _, err := (service{published, issuer, testAudience, now.Add(-behind)}).accepts(t.Context(), token.Reveal()); err != nil {
			t.Errorf("with a clock %s behind: %v", behind, err)
		}
	}
	if _, err := (service{published, issuer, testAudience, now.Add(-time.Minute)}).accepts(t.Context(), token.Reveal()); err == nil {
		t.Error("accepted with a clock a minute behind, although this library compares iat")
	}
}

// The kid is the thumbprint that other libraries calculate from the published key.
func TestThumbprint_MatchesOtherLibraries(t *testing.T) {
	for _, algorithm := range []domain.SigningAlgorithm{domain.SigningES256, domain.SigningEdDSA} {
		key, err := keylodge.New().Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.Public()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwk.ParseKey(public)
		if err != nil {
			t.Fatal(err)
		}
		thumbprint, err := parsed.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if id := base64.RawURLEncoding.EncodeToString(thumbprint); id != key.ID() {
			t.Errorf("%s: the kid is %s, the thumbprint %s", algorithm, key.ID(), id)
		}
	}
}

func publish(t *testing.T, keys []ports.TokenKey) string {
	t.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	for _, key := range keys {
		public, err := key.Public()
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, public)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/.well-known/jwks.json"
}

func claims(t *testing.T, now time.Time) domain.AccessClaims {
	t.Helper()
	user, err := domain.ParseUserID("0195517e-5d1d-7a6b-8f0e-3c1f0a2b4c5d")
	if err != nil {
		t.Fatal(err)
	}
	session, err := domain.ParseSessionID("0195517e-5d1e-7b7c-9a1b-6d7e8f901a2b")
	if err != nil {
		t.Fatal(err)
	}
	return domain.AccessClaims{
		TokenID: "f9hXtP1wGmLzRkQ2", Issuer: issuer, Audience: []string{testAudience, issuer}, ClientID: "keylodge", Subject: user, SessionID: session,
		IssuedAt: now.Truncate(time.Second), ExpiresAt: now.Add(5 * time.Minute).Truncate(time.Second),
		AuthTime: now.Add(-time.Hour).Truncate(time.Second), AMR: []string{"hwk", "user", "mfa"},
	}
}
