package acceptance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/domain"
)

// signedInPage is a page after a sign-up.
type signedInPage struct {
	t       *testing.T
	server  *server
	headers []string
	session sessionContent
}

func newSignedInPage(t *testing.T, s *server) signedInPage {
	t.Helper()
	_, verify := signUpWithHeaders(t, s, s.origin, "Origin", s.origin, "Sec-Fetch-Site", "same-origin")
	return signedInPage{t, s, []string{
		"Cookie", sessionCookieOf(t, verify), "X-CSRF-Token", verify.csrfToken(t), "Origin", s.origin, "Sec-Fetch-Site", "same-origin",
	}, verify.sessionContent(t, 201)}
}

func (p signedInPage) send(method, path, body string, further ...string) apiResponse {
	p.t.Helper()
	return p.server.send(p.t, method, path, body, slices.Concat(p.headers, further)...)
}

func clearsSessionCookie(a apiResponse) bool {
	return slices.ContainsFunc(a.Cookies(), func(c *http.Cookie) bool {
		return c.Name == sessionCookie && c.Value == "" && c.Expires.Year() == 1970
	})
}

func TestSessionCookie_ClearedWhenSessionEnded(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := newSignedInPage(t, s)
	var listed struct{ Items []struct{ ID string } }
	if err := json.Unmarshal(ada.send(http.MethodGet, "/v1/me/sessions", "").Body, &listed); err != nil || len(listed.Items) != 1 {
		t.Fatal(err)
	}
	if got := ada.send(http.MethodDelete, "/v1/me/sessions/"+listed.Items[0].ID, ""); got.StatusCode != 204 || !clearsSessionCookie(got) {
		t.Errorf("revoking the current session by id: %d %v", got.StatusCode, got.Cookies())
	}
	if got := ada.send(http.MethodDelete, "/v1/session", ""); got.StatusCode != 204 || !clearsSessionCookie(got) {
		t.Errorf("signing out of a revoked session: %d %v", got.StatusCode, got.Cookies())
	}
	ben := newSignedInPage(t, s)
	if got := ben.send(http.MethodDelete, "/v1/me", ""); got.StatusCode != 204 || !clearsSessionCookie(got) {
		t.Errorf("deleting the account: %d %v", got.StatusCode, got.Cookies())
	}
	// A sign-out with a token does not clear the cookie of another session.
	carol := newSignedInPage(t, s)
	_, appClient := signUpForTokens(t, s, s.origin)
	got := carol.send(http.MethodDelete, "/v1/session", "", "Authorization", "Bearer "+appClient.tokens(t).AccessToken)
	if got.StatusCode != 204 || clearsSessionCookie(got) {
		t.Errorf("signing out with a token: %d %v", got.StatusCode, got.Cookies())
	}
	if got := carol.send(http.MethodGet, "/v1/session", ""); got.StatusCode != 200 {
		t.Errorf("status %d, body %s", got.StatusCode, got.Body)
	}
}

// A password manager deletes passkeys that are missing in the list.
func TestSignals_ListRemainingPasskeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := newSignedInPage(t, s)
	first := ada.session.Passkey.ID
	accepted := func(a apiResponse) []string {
		t.Helper()
		var body struct {
			Signals struct {
				UserID   string   `json:"user_id"`
				Accepted []string `json:"accepted_credential_ids"`
			}
		}
		if err := json.Unmarshal(a.Body, &body); err != nil || body.Signals.UserID != ada.session.Signals.UserID {
			t.Fatalf("%v in %d %s", err, a.StatusCode, a.Body)
		}
		slices.Sort(body.Signals.Accepted)
		return body.Signals.Accepted
	}
	added := ada.addPasskey(authenticator.New(s.origin), "Blue key")
	var body struct{ Passkey struct{ ID string } }
	if err := json.Unmarshal(added.Body, &body); err != nil {
		t.Fatal(err)
	}
	both := []string{first, body.Passkey.ID}
	slices.Sort(both)
	for when, got := range map[string][]string{
		"adding":   accepted(added),
		"listing":  accepted(ada.send(http.MethodGet, "/v1/me/passkeys", "")),
		"changing": accepted(ada.send(http.MethodPatch, "/v1/me", `{"display_name":"Ada"}`)),
	} {
		if !slices.Equal(got, both) {
			t.Errorf("%s: %v, want %v", when, got, both)
		}
	}
	if got := accepted(ada.send(http.MethodDelete, "/v1/me/passkeys/"+first, "")); !slices.Equal(got, []string{body.Passkey.ID}) {
		t.Errorf("removing: %v", got)
	}
}

// A sign-in and a recovery list all passkeys of the account, and not only the one that was used.
func TestSignals_ListAllPasskeysAtSignIn(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	e := &env{t: t, clock: newClock(), driver: httpDriver{s}}
	ada := e.newUser("Ada", phone)
	ada.addsPasskey("Blue key", securityKey)
	codes := ada.makesBackupCodes()
	ada.signsIn()
	e.onNewDevice(ada).recovers(withBackupCode(codes[0]))

	accepted := map[string]int{}
	for _, x := range s.recording.exchanges() {
		var body client.SessionResponse
		if err := json.Unmarshal(x.received, &body); err == nil && body.Signals.UserID != "" {
			accepted[x.request.URL.Path] = len(slices.Compact(slices.Sorted(slices.Values(body.Signals.AcceptedCredentialIDs))))
		}
	}
	for path, want := range map[string]int{"/v1/signup/verify": 1, "/v1/login/verify": 2, "/v1/recovery/verify": 3} {
		if accepted[path] != want {
			t.Errorf("%s lists %d passkeys, want %d", path, accepted[path], want)
		}
	}
}

func (p signedInPage) addPasskey(device *authenticator.Authenticator, name string) apiResponse {
	p.t.Helper()
	options := p.send(http.MethodPost, "/v1/me/passkeys/options", "")
	var begun client.Ceremony
	if err := json.Unmarshal(options.Body, &begun); err != nil {
		p.t.Fatal(err)
	}
	credential, err := device.Create(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, cookie := range options.Cookies() {
		p.headers = append(p.headers, "Cookie", cookie.Name+"="+cookie.Value)
	}
	body := map[string]any{"challenge_id": begun.ChallengeID, "credential": credential, "passkey_name": name}
	return p.send(http.MethodPost, "/v1/me/passkeys/verify", string(encode(p.t, body)))
}

func TestAddPasskey_ValidatesName(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	got := newSignedInPage(t, s).addPasskey(authenticator.New(s.origin), "one\u202eeno")
	got.requireProblem(t, 400, "invalid_request")
	if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Field != "passkey_name" {
		t.Errorf("the reported errors are %+v, want one for passkey_name", p.Errors)
	}
}

func TestBindingCookie_SetForCeremoniesInASession(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := newSignedInPage(t, s)
	for _, path := range []string{"/v1/session/step-up/options", "/v1/me/passkeys/options"} {
		if got := ada.send(http.MethodPost, path, ""); got.StatusCode != 200 || len(got.Cookies()) != 2 || got.Cookies()[0].Name != "keylodge_browser" {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Cookies())
		}
	}
}

func TestEvents_RecordDeviceAndIP(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := newSignedInPage(t, s)
	changed := ada.send(http.MethodPatch, "/v1/me", `{"email":"ada@example.org"}`, "User-Agent", "curl/8.5.0")
	if changed.StatusCode != 200 {
		t.Fatalf("status %d, body %s", changed.StatusCode, changed.Body)
	}
	if _, err := s.app.UseCases().Admin.RevokeSessions(t.Context(), domain.UserRef{Email: "ada@example.org"}); err != nil {
		t.Fatal(err)
	}
	account, err := s.app.UseCases().Admin.ShowUser(t.Context(), domain.UserRef{Email: "ada@example.org"})
	if err != nil || account.Events[0].Kind() != domain.EventSessionRevoked {
		t.Fatalf("the account is %+v, error %v, want a session_revoked event", account, err)
	}
	id, err := domain.ParseUserID(ada.session.User.ID)
	if err != nil || id != account.User.ID() {
		t.Fatal(err)
	}

	_, other := signUpForTokens(t, s, s.origin, "User-Agent", "curl/8.5.0")
	events := s.send(t, http.MethodGet, "/v1/me/events", "", "Authorization", "Bearer "+other.tokens(t).AccessToken)
	for _, want := range []string{`"request_id":"` + other.Header.Get("X-Request-Id") + `"`, `"device":{"name":"curl","ip":"127.0.0.1"}`, `"actor":"user"`} {
		if !strings.Contains(string(events.Body), want) {
			t.Errorf("%s is not in %s", want, events.Body)
		}
	}
}

func TestEvents_OperatorActionsHaveNoDevice(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, appClient := signUpForTokens(t, s, s.origin)
	id, err := domain.ParseUserID(appClient.sessionContent(t, 201).User.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.app.UseCases().Admin.EnableUser(t.Context(), domain.UserRef{ID: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.app.UseCases().Admin.RecoverUser(t.Context(), domain.UserRef{ID: id}); err != nil {
		t.Fatal(err)
	}
	events := s.send(t, http.MethodGet, "/v1/me/events?limit=1", "", "Authorization", "Bearer "+appClient.tokens(t).AccessToken)
	for _, want := range []string{`"kind":"recovery_granted"`, `"actor":"operator"`, `"device":null`, `"request_id":null`, `"session_id":null`, `"passkey":null`} {
		if !strings.Contains(string(events.Body), want) {
			t.Errorf("%s is not in %s", want, events.Body)
		}
	}
}

// A page of another site can send a form without a preflight request, but not JSON.
// Requirement: OWASP-CSRF-simple-requests
func TestInput_UnusedBodyMustBeJSON(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := newSignedInPage(t, s)
	for _, call := range []struct{ method, path string }{
		{http.MethodPost, "/v1/session/token"}, {http.MethodPost, "/v1/session/step-up/options"}, {http.MethodPost, "/v1/me/passkeys/options"},
		{http.MethodDelete, "/v1/me/sessions"}, {http.MethodDelete, "/v1/session"},
	} {
		for _, mediaType := range []string{"application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"} {
			ada.send(call.method, call.path, "x=1", "Content-Type", mediaType).requireProblem(t, 415, "unsupported_media_type")
		}
	}
	if got := ada.send(http.MethodGet, "/v1/csrf", "", "Authorization", "Bearer x"); got.StatusCode != 401 {
		t.Errorf("requesting a CSRF token with an access token: %d %s", got.StatusCode, got.Body)
	}
}
