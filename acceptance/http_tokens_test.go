package acceptance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func (a apiResponse) tokens(t *testing.T) client.Tokens {
	t.Helper()
	var body struct{ Tokens client.Tokens }
	if err := json.Unmarshal(a.Body, &body); err != nil || body.Tokens.AccessToken == "" || body.Tokens.RefreshToken == "" {
		t.Fatalf("no tokens in %d %s", a.StatusCode, a.Body)
	}
	return body.Tokens
}

// jwtPart decodes a part of a JWT: 0 for the header, 1 for the claims.
func jwtPart(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestBearer_TokensAndNoCookie(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	_, verify := signUpForTokens(t, s, s.origin)
	pair := verify.tokens(t)
	if len(verify.Cookies()) != 0 || strings.Contains(string(verify.Body), "csrf_token") {
		t.Errorf("a sign-up with tokens has cookies %v or a CSRF token: %s", verify.Cookies(), verify.Body)
	}
	if pair.TokenType != "Bearer" || pair.ExpiresIn < 299 || pair.ExpiresIn > 300 || pair.RefreshExpiresIn != 7*24*60*60 || !strings.HasPrefix(pair.RefreshToken, "klr_") {
		t.Errorf("the tokens are %+v", pair)
	}
	header, claims := jwtPart(t, pair.AccessToken, 0), jwtPart(t, pair.AccessToken, 1)
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] == "" || header["kid"] == nil || len(header) != 3 {
		t.Errorf("header %v", header)
	}
	content := verify.sessionContent(t, 201)
	now := float64(clock.Now().Unix())
	if claims["iss"] != s.origin || claims["aud"] != s.origin || claims["sub"] != content.User.ID || claims["sid"] == "" || claims["jti"] == "" ||
		claims["iat"] != now-30 || claims["client_id"] != "keylodge" || claims["exp"] != now+300 || claims["auth_time"] != now || claims["scope"] != "account" || len(claims) != 11 {
		t.Errorf("claims %v", claims)
	}
	session := s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "bearer "+pair.AccessToken)
	if session.StatusCode != 200 || !strings.Contains(string(session.Body), `"transport":"bearer"`) {
		t.Errorf("status %d, body %s", session.StatusCode, session.Body)
	}
	for _, secret := range []string{pair.AccessToken, pair.RefreshToken} {
		if strings.Contains(s.log.text(), secret) {
			t.Error("the log has a token")
		}
	}
}

func TestBearer_InvalidTokenDoesNotFallBackToCookie(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie := sessionCookieOf(t, verify)
	if session := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie); session.StatusCode != 200 || session.Header.Get("WWW-Authenticate") != "" {
		t.Fatalf("status %d, body %s", session.StatusCode, session.Body)
	}
	for _, header := range []string{"Bearer x", "Bearer ", "Bearer", "Bearer\tx", "Bearer " + strings.SplitN(cookie, "=", 2)[1]} {
		got := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie, "Authorization", header)
		got.requireProblem(t, 401, "unauthenticated")
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != `Bearer realm="keylodge", error="invalid_token"` {
			t.Errorf("for %q WWW-Authenticate is %q", header, challenge)
		}
	}
	// A browser behind a proxy with HTTP Basic authentication sends the proxy's credentials with every request.
	for _, header := range []string{"Basic YWRhOng=", "x"} {
		got := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie, "Authorization", header, "Sec-Fetch-Site", "same-origin")
		if got.StatusCode != 200 || got.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("with %q beside the cookie: %d %s", header, got.StatusCode, got.Body)
		}
		got = s.send(t, http.MethodGet, "/v1/session", "", "Authorization", header)
		got.requireProblem(t, 401, "unauthenticated")
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != `Bearer realm="keylodge"` {
			t.Errorf("for %q without a cookie WWW-Authenticate is %q", header, challenge)
		}
	}
	if got := s.send(t, http.MethodGet, "/v1/session", ""); got.Header.Get("WWW-Authenticate") != `Bearer realm="keylodge"` {
		t.Errorf("without Authorization WWW-Authenticate is %q", got.Header.Get("WWW-Authenticate"))
	}
}

// If the audience is another service, this server rejects the tokens for it, so that the service cannot use them here.
// Requirement: ASVS-6.3.4, ASVS-9.2.1
func TestBearer_OtherAudienceRejected(t *testing.T) {
	t.Parallel()
	const service = "https://api.example.org"
	s := startServer(t, newClock(), func(c *config.Config) { c.Access.Audience = service })
	_, verify := signUpWithHeaders(t, s, s.origin)
	mint := func(headers ...string) string {
		t.Helper()
		got := s.send(t, http.MethodPost, "/v1/session/token", "", headers...)
		var minted client.AccessToken
		if err := json.Unmarshal(got.Body, &minted); err != nil || got.StatusCode != 200 || minted.TokenType != "Bearer" || minted.ExpiresIn < 299 {
			t.Fatalf("status %d, body %s", got.StatusCode, got.Body)
		}
		return minted.AccessToken
	}
	minted := mint("Cookie", sessionCookieOf(t, verify), "X-CSRF-Token", verify.csrfToken(t))
	if aud := jwtPart(t, minted, 1)["aud"]; aud != service {
		t.Errorf("aud %v", aud)
	}
	s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "Bearer "+minted).requireProblem(t, 401, "unauthenticated")

	_, appClient := signUpForTokens(t, s, s.origin)
	own := appClient.tokens(t).AccessToken
	if aud, _ := jwtPart(t, own, 1)["aud"].([]any); len(aud) != 2 || !slices.Contains(aud, any(service)) || !slices.Contains(aud, any(s.origin)) {
		t.Errorf("the aud of an app client's access token is %v", jwtPart(t, own, 1)["aud"])
	}
	if got := s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "Bearer "+own); got.StatusCode != 200 {
		t.Errorf("status %d, body %s", got.StatusCode, got.Body)
	}
	s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "Bearer "+mint("Authorization", "Bearer "+own)).requireProblem(t, 401, "unauthenticated")
}

func TestJWKS_KeysPublishedBeforeUse(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	published := func() (ids []any) {
		t.Helper()
		got := s.send(t, http.MethodGet, "/.well-known/jwks.json", "", "Origin", "https://app.example")
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(got.Body, &set); err != nil || got.StatusCode != 200 || got.Header.Get("Cache-Control") != "public, max-age=300" ||
			got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Content-Type") != "application/jwk-set+json" {
			t.Fatalf("status %d, header %v, body %s", got.StatusCode, got.Header, got.Body)
		}
		for _, key := range set.Keys {
			if key["d"] != nil || key["kty"] != "EC" || key["crv"] != "P-256" || key["use"] != "sig" || key["alg"] != "ES256" {
				t.Errorf("the published key is %v, want a public ES256 key", key)
			}
			ids = append(ids, key["kid"])
		}
		return ids
	}
	signer := func() any {
		t.Helper()
		_, verify := signUpForTokens(t, s, s.origin)
		return jwtPart(t, verify.tokens(t).AccessToken, 0)["kid"]
	}
	first := published()
	if len(first) != 1 || signer() != first[0] {
		t.Fatalf("the published keys are %v, want only the signing key", first)
	}
	if _, err := s.app.UseCases().SigningKeys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	both := published()
	if len(both) != 2 || !slices.Contains(both, first[0]) || signer() != first[0] {
		t.Fatalf("just after a rotation: %v", both)
	}
	clock.advance(2 * time.Hour)
	if kid := signer(); kid == first[0] || !slices.Contains(both, kid) {
		t.Errorf("two hours after its publication the new key does not sign")
	}
	if now := published(); len(now) != 2 {
		t.Errorf("the old key is not published, although its tokens are valid: %v", now)
	}
}

func TestLists_InvalidQueryReported(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie := sessionCookieOf(t, verify)
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=-1": "limit", "limit=x": "limit", "limit=1e1": "limit",
		"cursor=x": "cursor", "cursor=01a206fa-f19b-71aa-8eee-8e90a9bc70d": "cursor",
	} {
		for _, path := range []string{"/v1/me/events", "/v1/me/sessions"} {
			got := s.send(t, http.MethodGet, path+"?"+query, "", "Cookie", cookie)
			got.requireProblem(t, 400, "invalid_request")
			if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Field != field {
				t.Errorf("%s?%s: %+v", path, query, p.Errors)
			}
		}
	}
	for _, query := range []string{"", "?limit=1", "?limit=100", "?cursor=01a206fa-f19b-71aa-8eee-8e90a9bc70db", "?limit=&cursor="} {
		if got := s.send(t, http.MethodGet, "/v1/me/events"+query, "", "Cookie", cookie); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.Body)
		}
	}
}

func TestPatch_AbsentMembersUnchanged(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie, csrf := sessionCookieOf(t, verify), verify.csrfToken(t)
	for _, step := range []struct{ body, name, email string }{
		{`{"display_name":"Ada","email":"ada@example.org"}`, `"Ada"`, `"ada@example.org"`},
		{`{}`, `"Ada"`, `"ada@example.org"`},
		{`{"email":null}`, `"Ada"`, `null`},
		{`{"email":"Ada@Example.org","role":"admin","id":"x","email_verified":true}`, `"Ada"`, `"ada@example.org"`},
		{`{"display_name":""}`, `null`, `"ada@example.org"`},
	} {
		got := s.send(t, http.MethodPatch, "/v1/me", step.body, "Cookie", cookie, "X-CSRF-Token", csrf)
		if got.StatusCode != 200 || !strings.Contains(string(got.Body), `"display_name":`+step.name+`,"locale":null,"groups":[],"created_at"`) ||
			!strings.Contains(string(got.Body), `"email":`+step.email+`,"email_verified":false`) {
			t.Errorf("after %s: %d %s", step.body, got.StatusCode, got.Body)
		}
	}
	for _, body := range []string{`{"email":7}`, `{"display_name":["Ada"]}`, `{"email":{}}`} {
		s.send(t, http.MethodPatch, "/v1/me", body, "Cookie", cookie, "X-CSRF-Token", csrf).requireProblem(t, 400, "invalid_request")
	}
}
