package acceptance

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A page that starts does not know whether there is a session. Only the absence of one is not an error.
func TestSessionState_NullWithoutSession(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := startServer(t, c, nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie := sessionCookieOf(t, verify)
	const address = "/v1/session/state"
	for name, headers := range map[string][]string{
		"no cookie": nil, "an unknown cookie": {"Cookie", "keylodge_session=" + strings.Repeat("A", 43)}, "another site": {"Cookie", cookie, "Sec-Fetch-Site", "cross-site"},
	} {
		got := s.send(t, http.MethodGet, address, "", headers...)
		if want := `{"session":null,"user":null}`; got.StatusCode != 200 || string(got.Body) != want {
			t.Errorf("%s: status %d, %s", name, got.StatusCode, got.Body)
		}
	}
	signedIn := s.send(t, http.MethodGet, address, "", "Cookie", cookie)
	if plain := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie); plain.StatusCode != 200 || string(plain.Body) != string(signedIn.Body) {
		t.Errorf("with a session: %s, from /v1/session %s", signedIn.Body, plain.Body)
	}
	s.send(t, http.MethodGet, address, "", "Authorization", "Bearer x").requireProblem(t, 401, "unauthenticated")
	s.send(t, http.MethodGet, "/v1/session", "").requireProblem(t, 401, "unauthenticated")
	c.advance(1000 * time.Hour)
	s.send(t, http.MethodGet, address, "", "Cookie", cookie).requireProblem(t, 401, "session_expired")
}
