package acceptance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// Another service verifies tokens with only this server's address, and with a library that shares no code with the signer's.
// Requirement: RFC8725-3.8
func TestJWKS_IndependentVerifier(t *testing.T) {
	t.Parallel()
	const audience = "https://api.example.org"
	for _, algorithm := range []domain.SigningAlgorithm{domain.SigningES256, domain.SigningEdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, func(c *config.Config) {
				c.Access.Audience, c.Rotation.Algorithm = audience, algorithm
			})
			verifiedAt := func(token string, now time.Time) (jwt.Token, error) {
				keys, err := jwk.Fetch(t.Context(), s.origin+"/.well-known/jwks.json", jwk.WithHTTPClient(&http.Client{Transport: s.transport}))
				if err != nil {
					t.Fatal(err)
				}
				return jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(s.origin), jwt.WithAudience(audience),
					jwt.WithRequiredClaim("exp"), jwt.WithClock(jwt.ClockFunc(func() time.Time { return now })))
			}
			verified := func(token string) (jwt.Token, error) { return verifiedAt(token, clock.Now()) }
			_, verify := signUpForTokens(t, s, s.origin)
			token := verify.tokens(t).AccessToken
			got, err := verified(token)
			if err != nil {
				t.Fatal(err)
			}
			if subject, _ := got.Subject(); subject != verify.sessionContent(t, 201).User.ID {
				t.Errorf("the token has the subject %q", subject)
			}
			// A new token is valid for a service whose clock is some seconds slower, also a token for other services and one of a refresh.
			var service client.AccessToken
			if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/session/token", "", asBearer(token)...).Body, &service); err != nil {
				t.Fatal(err)
			}
			renewed := s.send(t, http.MethodPost, "/v1/session/refresh", string(encode(t, client.RefreshRequest{RefreshToken: verify.tokens(t).RefreshToken})))
			for name, fresh := range map[string]string{"the first": token, "for other services": service.AccessToken, "of a refresh": renewed.tokens(t).AccessToken} {
				for _, behind := range []time.Duration{time.Second, 5 * time.Second, 29 * time.Second} {
					if _, err := verifiedAt(fresh, clock.Now().Add(-behind)); err != nil {
						t.Errorf("%s, with a clock %s behind: %v", name, behind, err)
					}
				}
			}
			if _, err := verified(token[:len(token)-43] + strings.Repeat("A", 43)); err == nil {
				t.Error("a forged signature was accepted")
			}
			if _, err := s.app.UseCases().SigningKeys.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := verified(token); err != nil {
				t.Errorf("after a rotation: %v", err)
			}
			clock.advance(5 * time.Minute)
			if _, err := verified(token); err == nil {
				t.Error("an expired token was accepted")
			}
		})
	}
}
