package acceptance

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// A request cannot set members that the server decides (OWASP ASVS 5.0, 15.3.3).
// Requirement: ASVS-15.3.3
func TestMassAssignment_ServerOwnedMembersIgnored(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	const more = `"id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","user_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","email_verified":true,"pending_email":"ben@example.org",` +
		`"created_at":"2001-01-01T00:00:00Z","auth_time":"2099-01-01T00:00:00Z","expires_at":"2099-01-01T00:00:00Z","amr":["hwk"],"assurance":"recovery",` +
		`"status":"active","sign_count":7,"backup_eligible":false,"role":"admin","is_admin":true,"disabled":false,"handle":"AAAA","passkeys":[],"session":{"id":"x"},` +
		`"user":{"id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","email_verified":true},"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}`
	var begun client.Ceremony
	options := s.send(t, http.MethodPost, "/v1/signup/options", `{"email":"ada@example.org","display_name":"Ada",`+more+`}`)
	if err := json.Unmarshal(options.Body, &begun); err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(s.origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	verify := s.send(t, http.MethodPost, "/v1/signup/verify", strings.Replace(string(encode(t, map[string]any{"challenge_id": begun.ChallengeID, "credential": credential})), "{", "{"+more+",", 1))
	first := verify.sessionContent(t, 201)
	cookie := verify.Cookies()[0].Name + "=" + verify.Cookies()[0].Value
	patched := s.send(t, http.MethodPatch, "/v1/me", `{"display_name":"Ada L.",`+more+`}`, "Cookie", cookie, "X-CSRF-Token", verify.csrfToken(t)).sessionContent(t, 200)
	now := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie).sessionContent(t, 200)
	for when, got := range map[string]sessionContent{"signing up": first, "changing": patched, "reading": now} {
		if u := got.User; u.ID == "01a206fa-f19b-71aa-8eee-8e90a9bc70db" || u.ID != first.User.ID || *u.Email != "ada@example.org" || *u.EmailVerified || !u.CreatedAt.Equal(first.User.CreatedAt) {
			t.Errorf("%s: the user is %+v", when, u)
		}
	}
	if s := now.Session; s.Assurance != "passkey" || !s.AuthTime.Equal(s.CreatedAt) || s.ExpiresAt.Year() == 2099 || s.AMR[0] != "swk" {
		t.Errorf("the session is %+v", s)
	}
	if p := first.Passkey; p.SignCount != 0 || !p.BackupEligible {
		t.Errorf("the passkey is %+v", p)
	}
	if *patched.User.DisplayName != "Ada L." {
		t.Errorf("the display name is %s", *patched.User.DisplayName)
	}
}

// A link, an image or a prefetch changes nothing (OWASP ASVS 5.0, 3.5.3).
// Requirement: ASVS-3.5.1
func TestSafeMethods_ChangeNothingInABrowser(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie := verify.Cookies()[0].Name + "=" + verify.Cookies()[0].Value
	seen := regexp.MustCompile(`"last_seen_at":"[^"]*"`)
	everything := func() string {
		t.Helper()
		var all strings.Builder
		for _, path := range []string{"/v1/session", "/v1/me", "/v1/me/passkeys", "/v1/me/sessions", "/v1/me/events", "/v1/me/recovery"} {
			got := s.send(t, http.MethodGet, path, "", "Cookie", cookie)
			if got.StatusCode != 200 {
				t.Fatalf("%s: %d %s", path, got.StatusCode, got.Body)
			}
			all.Write(seen.ReplaceAll(got.Body, nil))
		}
		return all.String()
	}
	before := everything()
	passkey := verify.sessionContent(t, 201).Passkey.ID
	for _, call := range allRoutes(t) {
		for _, path := range []string{call[1], strings.ReplaceAll(call[1], "/7", "/"+passkey)} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				got := s.send(t, method, path, "", "Cookie", cookie, "X-CSRF-Token", verify.csrfToken(t), "X-HTTP-Method-Override", call[0])
				if set := got.Header.Get("Set-Cookie"); set != "" {
					t.Errorf("%s %s sets %s", method, path, set)
				}
			}
		}
	}
	if after := everything(); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}
