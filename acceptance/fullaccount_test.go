package acceptance

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// serverWithDB is a server whose database file the test reads.
type serverWithDB struct {
	*server
	t     *testing.T
	clock *clock
	file  string
}

func startServerWithDB(t *testing.T) *serverWithDB {
	t.Helper()
	s := &serverWithDB{t: t, clock: newClock(), file: filepath.Join(t.TempDir(), "keylodge.db")}
	s.server = startServer(t, s.clock, func(c *config.Config) { c.Database = config.SQLite(s.file) })
	return s
}

// withT returns the same server for a subtest.
func (s *serverWithDB) withT(t *testing.T) *serverWithDB {
	within := *s
	within.t = t
	return &within
}

// allRows returns all rows of the database as strings, without those of the excepted tables.
func (s *serverWithDB) allRows(except ...string) (all []string) {
	s.t.Helper()
	db, err := driver.Open("file:" + s.file + "?mode=ro")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range queryRows(s.t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`) {
		if name := table["name"].(string); !slices.Contains(except, name) {
			for _, row := range queryRows(s.t, db, `SELECT * FROM `+name) {
				all = append(all, name+" "+fmt.Sprint(row)) // fmt prints a map in the order of its keys
			}
		}
	}
	slices.Sort(all)
	return all
}

func queryRows(t *testing.T, db *sql.DB, query string) (all []map[string]any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, column := range columns {
			if blob, isBlob := values[i].([]byte); isBlob {
				values[i] = fmt.Sprintf("%x", blob)
			}
			row[column] = values[i]
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// fullAccount is an account with everything that an account can have: a session in a browser and one of an app client, a passkey,
// backup codes, and an authenticator app that is not confirmed yet.
type fullAccount struct {
	*serverWithDB
	device           *authenticator.Authenticator
	userID           string
	email            string
	passkeyID        string
	sessionID        string // of the browser
	appSessionID     string // of the app client
	browserCookie    string
	sessionCookie    string
	csrf             string
	headers          []string // of the browser
	anonymousHeaders []string // of the browser, without its session
	refreshToken     string
	codes            []string
	app              totpApp
	grantToken       string // set by redeemBackupCode
}

// newFullAccount signs up a user with the name, from which the address is derived.
func (s *serverWithDB) newFullAccount(name string) *fullAccount {
	s.t.Helper()
	a := &fullAccount{serverWithDB: s, device: authenticator.New(s.origin), email: strings.ToLower(name) + "@example.org"}
	browser, app := client.NewBrowser(s.origin, s.transport), client.New(s.origin, s.transport)
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	begun, err := browser.BeginSignUp(client.SignUpOptionsRequest{Email: &a.email, DisplayName: &name})
	must(err)
	signedUp, err := browser.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: a.createCredential(a.device, begun)})
	must(err)
	a.userID, a.passkeyID, a.sessionID = signedUp.User.ID, signedUp.Passkey.ID, signedUp.Session.ID
	a.sessionCookie, a.csrf = sessionCookie+"="+browser.SessionToken(), signedUp.CSRFToken
	for _, cookie := range browser.Cookies() {
		if cookie.Name == "keylodge_browser" {
			a.browserCookie = cookie.Name + "=" + cookie.Value
		}
	}
	a.anonymousHeaders = []string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin", "Cookie", a.browserCookie}
	a.headers = a.headersInBrowserOf(a)

	begun, err = app.BeginSignIn(client.SignInOptionsRequest{})
	must(err)
	signedIn, err := app.FinishSignIn(client.SignInVerifyRequest{ChallengeID: begun.ChallengeID, Credential: a.getAssertion(begun), Transport: "bearer"})
	must(err)
	a.appSessionID, a.refreshToken = signedIn.Session.ID, signedIn.Tokens.RefreshToken
	a.codes, err = browser.MakeBackupCodes()
	must(err)
	secret, err := browser.SetUpTOTP()
	must(err)
	a.app = totpApp{&env{t: s.t, clock: s.clock}, secret}
	return a
}

// headersInBrowserOf returns the headers of this account's session in the browser of another account.
func (a *fullAccount) headersInBrowserOf(other *fullAccount) []string {
	return []string{"Origin", a.origin, "Sec-Fetch-Site", "same-origin", "Cookie", other.browserCookie + "; " + a.sessionCookie, "X-CSRF-Token", a.csrf}
}

func (s *serverWithDB) encode(value any) string { return string(encode(s.t, value)) }

// mustSend sends a request and fails the test if the response is an error.
func (s *serverWithDB) mustSend(method, path, body string, into any, headers []string) apiResponse {
	s.t.Helper()
	got := s.send(s.t, method, path, body, headers...)
	if got.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, got.StatusCode, got.Body)
	}
	if into != nil {
		if err := json.Unmarshal(got.Body, into); err != nil {
			s.t.Fatal(err)
		}
	}
	return got
}

func (s *serverWithDB) createCredential(device *authenticator.Authenticator, begun client.Ceremony) authenticator.RegistrationResponse {
	s.t.Helper()
	credential, err := device.Create(begun.Options)
	if err != nil {
		s.t.Fatal(err)
	}
	return credential
}

func (a *fullAccount) getAssertion(begun client.Ceremony) authenticator.AuthenticationResponse {
	a.t.Helper()
	proved, err := a.device.Get(begun.Options)
	if err != nil {
		a.t.Fatal(err)
	}
	return proved
}

// validRequest returns path and body of a valid request of the operation in the account's browser. The body is nil if there is
// none. It fails the test for an unknown operation with parameters.
func (a *fullAccount) validRequest(o operation) (path string, body map[string]any) {
	a.t.Helper()
	const ( // as in the examples of openapi.yaml
		returnTo  = "https://app.example.org/callback"
		verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
		challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	)
	begin := func(path, body string, headers []string) (begun client.Ceremony) {
		a.t.Helper()
		a.mustSend(http.MethodPost, path, body, &begun, headers)
		return begun
	}
	finishBody := func(begun client.Ceremony, credential any, more map[string]any) map[string]any {
		body := map[string]any{"challenge_id": begun.ChallengeID, "credential": credential}
		maps.Copy(body, more)
		return body
	}
	switch o.id {
	case "beginSignUp":
		return o.path, map[string]any{"email": "friend-of-" + a.email, "display_name": "Carol"}
	case "finishSignUp":
		begun := begin("/v1/signup/options", a.encode(map[string]string{"email": "friend-of-" + a.email, "display_name": "Carol"}), a.anonymousHeaders)
		return o.path, finishBody(begun, a.createCredential(authenticator.New(a.origin), begun), map[string]any{"passkey_name": "Carol's key"})
	case "beginSignIn":
		return o.path, map[string]any{"email": a.email}
	case "finishSignIn":
		begun := begin("/v1/login/options", "", a.anonymousHeaders)
		return o.path, finishBody(begun, a.getAssertion(begun), nil)
	case "refreshSession":
		return o.path, map[string]any{"refresh_token": a.refreshToken}
	case "reportSignInSteps":
		return o.path, map[string]any{"steps": []map[string]any{{"way": "prompt", "outcome": "done"}}}
	case "planSignIn":
		return o.path, map[string]any{"email": a.email, "capabilities": map[string]any{"conditionalGet": true}}
	case "issueAuthorizationCode":
		return o.path, map[string]any{"return_to": returnTo, "code_challenge": challenge, "state": "state"}
	case "redeemAuthorizationCode":
		var issued struct{ Location string }
		a.mustSend(http.MethodPost, "/v1/session/code", a.encode(map[string]string{"return_to": returnTo, "code_challenge": challenge}), &issued, a.headers)
		location, err := url.Parse(issued.Location)
		if err != nil {
			a.t.Fatal(err)
		}
		return o.path, map[string]any{"code": location.Query().Get("code"), "code_verifier": verifier, "return_to": returnTo}
	case "finishStepUp":
		begun := begin("/v1/session/step-up/options", "", a.headers)
		return o.path, finishBody(begun, a.getAssertion(begun), nil)
	case "changeAccount":
		return o.path, map[string]any{"display_name": "Countess"}
	case "confirmEmail":
		return o.path, map[string]any{"code": "12345678"}
	case "finishAddingPasskey":
		begun := begin("/v1/me/passkeys/options", "", a.headers)
		return o.path, finishBody(begun, a.createCredential(authenticator.New(a.origin, authenticator.DeviceBound()), begun), map[string]any{"passkey_name": "Blue key"})
	case "renamePasskey":
		return strings.Replace(o.path, "{id}", a.passkeyID, 1), map[string]any{"name": "Red key"}
	case "removePasskey":
		return strings.Replace(o.path, "{id}", a.passkeyID, 1), nil
	case "endSession":
		return strings.Replace(o.path, "{id}", a.appSessionID, 1), nil
	case "revokeSession":
		return strings.Replace(o.path, "{id}", a.appSessionID, 1), nil
	case "confirmAuthenticatorApp":
		return o.path, map[string]any{"code": a.app.code()}
	case "redeemRecovery":
		return o.path, map[string]any{"backup_code": a.codes[0]}
	case "beginRecovery":
		a.redeemBackupCode()
		return o.path, map[string]any{"grant_token": a.grantToken}
	case "finishRecovery":
		a.redeemBackupCode()
		begun := begin("/v1/recovery/options", a.encode(map[string]string{"grant_token": a.grantToken}), a.anonymousHeaders)
		return o.path, finishBody(begun, a.createCredential(authenticator.New(a.origin), begun), map[string]any{"grant_token": a.grantToken})
	case "revokeSessionsByAddress":
		return o.path, map[string]any{"addresses": "0.0.0.0/0", "user_id": a.userID, "dry_run": true}
	case "createUser":
		return o.path, map[string]any{"email": "friend-of-" + a.email, "display_name": "Ben", "groups": []string{"staff"}}
	case "createInvites":
		return o.path, map[string]any{"email": "friend-of-" + a.email, "expires_in": 3600}
	case "revokeInvite":
		return strings.Replace(o.path, "{id}", a.createInvite(), 1), nil
	}
	if o.byAPIKey {
		return strings.NewReplacer("{id}", a.userID, "{group}", "staff").Replace(o.path), nil
	}
	if o.requestMembers != nil || strings.Contains(o.path, "{") {
		a.t.Errorf("the operation %s is new: add it to fullAccount.validRequest", o.id)
	}
	return o.path, nil
}

// createInvite returns the id of a new invite.
func (a *fullAccount) createInvite() string {
	a.t.Helper()
	created, err := a.server.app.UseCases().Admin.CreateInvites(a.t.Context(), admin.InviteInput{TTL: time.Hour, Count: 1})
	if err != nil {
		a.t.Fatal(err)
	}
	return created[0].ID().String()
}

func (a *fullAccount) redeemBackupCode() {
	a.t.Helper()
	var redeemed client.GrantRequest
	a.mustSend(http.MethodPost, "/v1/recovery/redeem", a.encode(map[string]string{"backup_code": a.codes[0]}), &redeemed, a.anonymousHeaders)
	a.grantToken = redeemed.GrantToken
}

// sendOperation sends the request that validRequest has prepared.
func (a *fullAccount) sendOperation(o operation, path string, body map[string]any, headers []string) apiResponse {
	a.t.Helper()
	text := ""
	if body != nil {
		text = a.encode(body)
	}
	return a.send(a.t, o.method, path, text, headers...)
}

// rows returns the rows with the account's id, without challenges, which the first response deletes.
func (a *fullAccount) rows(except ...string) (found []string) {
	a.t.Helper()
	for _, row := range a.allRows(append(except, "webauthn_challenges")...) {
		if strings.Contains(row, a.userID) {
			found = append(found, row)
		}
	}
	return found
}

// secrets returns the values that no response to another account may contain.
func (a *fullAccount) secrets() []string {
	return append([]string{a.userID, a.email, a.passkeyID, a.sessionID, a.appSessionID}, a.codes...)
}
