package acceptance

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// publicOperations are the operations that need no session, each with what it needs instead.
var publicOperations = map[string]string{
	"getConfig":               "nothing: the response is public",
	"beginSignUp":             "nothing: the user has no account yet",
	"finishSignUp":            "a new passkey",
	"beginSignIn":             "nothing: an address without an account has decoys",
	"planSignIn":              "nothing: an address without an account has decoys",
	"reportSignInSteps":       "nothing: it counts",
	"finishSignIn":            "a passkey",
	"getSessionState":         "nothing: without a session the response is null",
	"signOut":                 "nothing: without a session it has no effect",
	"forwardAuth":             "a trusted proxy, and the cookie of the application",
	"refreshSession":          "the refresh token",
	"redeemAuthorizationCode": "the authorization code, and its verifier",
	"redeemRecovery":          "a recovery code",
	"beginRecovery":           "the grant",
	"finishRecovery":          "the grant, and a new passkey",
	"getKeys":                 "nothing: public keys",
	"getPasskeyEndpoints":     "nothing: the response is public",
	"getOpenAPI":              "nothing: the response is public",
	"getLiveness":             "nothing: the response is public",
	"getReadiness":            "nothing: the response is public",
	"getRelatedOrigins":       "nothing: the response is public",
	"getAssetLinks":           "nothing: the response is public",
	"getAppSiteAssociation":   "nothing: the response is public",
	"changePassword":          "nothing: it redirects to the page",
}

// Function level: all other operations need a session.
// Requirement: ASVS-7.2.1, ASVS-4.1.3, ASVS-8.2.1, OWASP-sessions-strict
func TestAuthorization_PublicOperationsAreListed(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada, signedOut := s.newFullAccount("Ada"), s.newFullAccount("Ben")
	signedOut.mustSend(http.MethodDelete, "/v1/session", "", nil, signedOut.headers)
	for _, o := range readOpenAPI(t).operations(t) {
		if publicOperations[o.id] != "" && !o.public {
			t.Errorf("%s needs a session, but is listed as public", o.id)
		}
	}
	for _, o := range readOpenAPI(t).operations(t) {
		if o.public {
			if publicOperations[o.id] == "" {
				t.Errorf("%s needs no session: add it to publicOperations with what it needs instead", o.id)
			}
			continue
		}
		path, body := ada.validRequest(o)
		for name, headers := range map[string][]string{
			"no session":                 nil,
			"a revoked session":          signedOut.headers,
			"a forged cookie":            {"Cookie", "keylodge_session=kls_" + strings.Repeat("A", 43), "X-CSRF-Token", ada.csrf},
			"a refresh token":            {"Authorization", "Bearer " + ada.refreshToken},
			"a CSRF token alone":         {"X-CSRF-Token", ada.csrf},
			"headers with the user's id": {"X-User-Id", ada.userID, "X-Forwarded-User", ada.email, "Remote-User", ada.email},
		} {
			before := ada.rows()
			got := ada.sendOperation(o, path, body, headers)
			if got.StatusCode != 401 {
				t.Errorf("%s accepts %s: %d %s", o.id, name, got.StatusCode, got.Body)
			}
			if !slices.Equal(ada.rows(), before) {
				t.Errorf("%s with %s has changed rows", o.id, name)
			}
		}
	}
}

// Object level: with Ada's ids, or with Ada's response to a ceremony, Ben can access only his own account.
// Requirement: ASVS-8.2.1
func TestAuthorization_OtherAccountsAreUnreachable(t *testing.T) {
	t.Parallel()
	byPossession := []string{"refreshSession", "redeemAuthorizationCode", "redeemRecovery", "beginRecovery", "beginSignIn", "planSignIn", "beginSignUp"} // the token or the code identifies the account
	s := startServerWithDB(t)
	for _, o := range readOpenAPI(t).operations(t) {
		if slices.Contains(byPossession, o.id) {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			s := s.withT(t)
			ada, ben := s.newFullAccount("Ada-"+o.id), s.newFullAccount("Ben-"+o.id)
			path, body := ada.validRequest(o)
			before := ada.rows()
			headers := ben.headers
			if !o.public {
				headers = ben.headersInBrowserOf(ada) // so that only the session differs
			}
			got := ben.sendOperation(o, path, body, headers)
			if o.namesResource() && (got.StatusCode != 404 || got.problem(t).Code != "not_found" && got.problem(t).Code != "challenge_not_found") {
				t.Errorf("Ben gets %d %s", got.StatusCode, got.Body)
			}
			response := string(got.Body)
			for _, secret := range ada.secrets() {
				if strings.Contains(response, secret) {
					t.Errorf("the response to Ben has Ada's %s: %s", secret, got.Body)
				}
			}
			if after := ada.rows(); !slices.Equal(after, before) {
				t.Errorf("Ben changed Ada's rows\nbefore %q\nafter  %q", before, after)
			}
			// The control case: the same request by Ada succeeds.
			if path, body := ada.validRequest(o); o.namesResource() {
				headers := ada.headers
				if o.public {
					headers = ada.anonymousHeaders
				}
				if got := ada.sendOperation(o, path, body, headers); got.StatusCode >= 300 && got.problem(t).Code != "last_passkey" {
					t.Errorf("Ada gets %d %s", got.StatusCode, got.Body)
				}
			}
		})
	}
}

// sensitiveOperations change the ways of signing in. The operations of sensitiveAfterRecovery need a step-up only in a session
// that was opened by a recovery.
var (
	sensitiveOperations    = []string{"beginAddingPasskey", "changeAccount", "deleteAccount", "makeBackupCodes", "removeAuthenticatorApp", "removePasskey", "setUpAuthenticatorApp"}
	sensitiveAfterRecovery = []string{"confirmAuthenticatorApp", "confirmEmail", "sendEmailCode"}
	mailOperations         = []string{"confirmEmail", "sendEmailCode"} // only with e-mail; see the stories with e-mail
	sensitiveByApplication = []string{"issueAuthorizationCode"}        // see the story of an application that requires a recent sign-in
	sensitiveForOldTokens  = []string{"finishAddingPasskey"}           // with a token issued before the step-up; see TestAccessToken_issuedBeforeStepUpIsNotRecent
)

// Requirement: ASVS-7.5.1
func TestAuthorization_SensitiveOperationsNeedStepUp(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada, ben := s.newFullAccount("Ada"), s.newFullAccount("Ben")
	operations := readOpenAPI(t).operations(t)
	finish := operations[slices.IndexFunc(operations, func(o operation) bool { return o.id == "finishRecovery" })]
	path, body := ben.validRequest(finish)
	verify := ben.sendOperation(finish, path, body, ben.anonymousHeaders)
	ben.headers = []string{"Cookie", sessionCookieOf(t, verify), "X-CSRF-Token", verify.csrfToken(t)}
	requireStepUp := func(a *fullAccount, o operation) {
		t.Helper()
		path, body := o.path, map[string]any(nil)
		switch o.id {
		case "changeAccount": // the name alone is not sensitive
			body = map[string]any{"email": "mallory@example.org"}
		default:
			path, body = a.validRequest(o)
		}
		before := a.rows("sessions")
		if got := a.sendOperation(o, path, body, a.headers); got.StatusCode != 403 || got.problem(t).Code != "step_up_required" {
			t.Errorf("%s without a step-up: %d %s", o.id, got.StatusCode, got.Body)
		}
		if !slices.Equal(a.rows("sessions"), before) {
			t.Errorf("%s was rejected but has changed rows", o.id)
		}
	}
	for _, o := range operations {
		if !o.mayRequireStepUp {
			continue
		}
		switch {
		case slices.Contains(mailOperations, o.id), slices.Contains(sensitiveForOldTokens, o.id), slices.Contains(sensitiveByApplication, o.id):
		case slices.Contains(sensitiveOperations, o.id), slices.Contains(sensitiveAfterRecovery, o.id):
			requireStepUp(ben, o)
		default:
			t.Errorf("the operation %s is new: add it to sensitiveOperations or sensitiveAfterRecovery", o.id)
		}
	}
	s.clock.advance(10*time.Minute + time.Second)
	for _, o := range operations {
		if slices.Contains(sensitiveOperations, o.id) {
			requireStepUp(ada, o)
		}
	}
}

// GET, HEAD and OPTIONS requests, which links and images on other pages can cause, write nothing and set no cookie. A header
// with another method has no effect.
// Requirement: ASVS-3.5.1
func TestSafeMethods_WriteNothing(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada := s.newFullAccount("Ada")
	before := s.allRows("job_leases") // the server's jobs write them
	for _, o := range readOpenAPI(t).operations(t) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			path := strings.Replace(o.path, "{id}", ada.passkeyID, 1)
			got := s.send(t, method, path, "", append(ada.headers, "X-HTTP-Method-Override", o.method)...)
			configured := (got.StatusCode != 404 || !strings.HasPrefix(o.path, "/.well-known/")) && o.id != "forwardAuth" // for a trusted proxy only
			if o.method == http.MethodGet && method != http.MethodOptions && configured && got.StatusCode >= 400 {
				t.Errorf("%s %s: %d %s", method, o.path, got.StatusCode, got.Body)
			}
			if set := got.Header.Get("Set-Cookie"); set != "" {
				t.Errorf("%s %s sets %s", method, o.path, set)
			}
		}
	}
	if after := s.allRows("job_leases"); !slices.Equal(after, before) {
		t.Errorf("before %q\nafter  %q", before, after)
	}
}

// Only a passkey opens a session: no other site can use it (phishing resistance), and its owner must confirm each use
// (intent). Other operations that return tokens continue such a session.
// Requirement: ASVS-6.3.3, ASVS-6.3.4, NIST-2.2.2, NIST-5.1
func TestSession_OpenedByPasskeyOnly(t *testing.T) {
	t.Parallel()
	continues := map[string]string{"refreshSession": "a refresh token", "mintAccessToken": "a session", "finishStepUp": "a session, and a passkey", "redeemAuthorizationCode": "a session, by its code"}
	opening := 0
	for _, o := range readOpenAPI(t).operations(t) {
		gives := slices.ContainsFunc(o.responseSchemas, func(name string) bool {
			return slices.Contains([]string{"SessionResponse", "CookieSessionResponse", "BearerSessionResponse", "Tokens", "AccessToken", "RefreshToken"}, name)
		})
		switch {
		case !gives || continues[o.id] != "":
		case o.requestMembers["credential"] && o.requestMembers["challenge_id"]:
			opening++
		default:
			t.Errorf("%s opens a session without a passkey", o.id)
		}
	}
	if opening != 3 {
		t.Errorf("%d operations open sessions, want 3: sign-up, sign-in and recovery", opening)
	}
}

// Requirement: ASVS-3.3.1, NIST-5.1.1
func TestStepUp_CookieLastsAsLongAsSession(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada := s.newFullAccount("Ada")
	s.clock.advance(2 * time.Hour)
	path, body := ada.validRequest(operation{id: "finishStepUp", path: "/v1/session/step-up/verify"})
	got := s.mustSend(http.MethodPost, path, s.encode(body), nil, ada.headers)
	if len(got.Cookies()) != 1 || got.Cookies()[0].Name != sessionCookie {
		t.Fatalf("the step-up sets the cookies %v", got.Cookies())
	}
	if set := got.Cookies()[0]; set.MaxAge != int((30*day-2*time.Hour)/time.Second) || !set.HttpOnly || set.SameSite != http.SameSiteLaxMode || set.Path != "/" {
		t.Errorf("the step-up sets the cookie %s", got.Header.Get("Set-Cookie"))
	}
	// The CSRF token is bound to the session, so it stays valid.
	headers := []string{"Cookie", sessionCookieOf(t, got), "X-CSRF-Token", ada.csrf}
	s.mustSend(http.MethodPatch, "/v1/me", `{"display_name":"Countess"}`, nil, headers)
}

// A copy of the database has no usable token or code, and no digest with which codes could be guessed.
// Requirement: ASVS-6.5.2, NIST-4.2.1.1
func TestDatabase_HoldsNoUsableSecrets(t *testing.T) {
	t.Parallel()
	s := startServerWithDB(t)
	ada := s.newFullAccount("Ada")
	ada.mustSend(http.MethodPost, "/v1/me/recovery/totp/confirm", s.encode(map[string]string{"code": ada.app.code()}), nil, ada.headers)
	ada.redeemBackupCode()
	_, token, _ := strings.Cut(ada.sessionCookie, "=")
	dump := strings.ToLower(strings.Join(s.allRows(), "\n"))
	secret, err := base32.StdEncoding.DecodeString(ada.app.secret)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"the session's token": token, "the refresh token": ada.refreshToken, "the grant's token": ada.grantToken,
		"the app's secret": ada.app.secret, "the browser's cookie": strings.Split(ada.browserCookie, "=")[1],
	}
	forms := map[string][]byte{"the app's secret, raw": secret}
	for what, text := range shown {
		forms[what] = []byte(text)
	}
	for _, code := range ada.codes {
		plain := strings.ReplaceAll(code, "-", "")
		forms["a backup code"], forms["a backup code "+code] = []byte(code), []byte(plain)
		// Without a key, an attacker could hash all codes, with a salt or without.
		unkeyed := sha256.Sum256([]byte(plain))
		forms["the hash of "+code] = unkeyed[:]
	}
	for what, form := range forms {
		if strings.Contains(dump, strings.ToLower(string(form))) || strings.Contains(dump, fmt.Sprintf("%x", form)) {
			t.Errorf("the database has %s in readable form", what)
		}
	}
	for _, table := range []string{"backup_codes ", "totps ", "recovery_grants ", "sessions "} { // the control case: these tables were read
		if !strings.Contains(dump, table) {
			t.Errorf("the table %s is empty", table)
		}
	}
}
