package acceptance

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/bootstrap"
)

// serverWithDB is a server of which a test knows the database, too.
type serverWithDB struct {
	*server
	t     *testing.T
	clock *clock
	file  string
}

func startServerWithDB(t *testing.T) *serverWithDB {
	t.Helper()
	e := &serverWithDB{t: t, clock: newClock(), file: filepath.Join(t.TempDir(), "keylodge.db")}
	e.server = startServer(t, e.clock, func(c *bootstrap.Config) { c.Database = bootstrap.SQLite(e.file) })
	return e
}

// withT is the same estate in a test within the test.
func (e *serverWithDB) withT(t *testing.T) *serverWithDB {
	within := *e
	within.t = t
	return &within
}

// allRows are everything in the database, a text for each row, but for the tables that are left out.
func (e *serverWithDB) allRows(but ...string) (all []string) {
	e.t.Helper()
	db, err := driver.Open("file:" + e.file + "?mode=ro")
	if err != nil {
		e.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range queryRows(e.t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`) {
		if name := table["name"].(string); !slices.Contains(but, name) {
			for _, row := range queryRows(e.t, db, `SELECT * FROM `+name) {
				all = append(all, name+" "+fmt.Sprint(row)) // a map is printed in the order of its keys
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

// fullAccount is somebody who has everything that one can have: a browser and a program that are signed in, a passkey, backup
// codes, and an app that is about to be confirmed.
type fullAccount struct {
	*serverWithDB
	device           *authenticator.Authenticator
	userID           string
	email            string
	passkeyID        string
	sessionID        string // of the browser
	appSessionID     string // of the program
	browserCookie    string // its cookie
	sessionCookie    string // the cookie of that
	csrf             string
	headers          []string // of their browser
	anonymousHeaders []string // without its session
	refreshToken     string
	codes            []string
	app              totpApp
	grantToken       string // what a code of theirs has bought, once it has
}

// newFullAccount in. Names are told apart in every answer.
func (e *serverWithDB) newFullAccount(name string) *fullAccount {
	e.t.Helper()
	p := &fullAccount{serverWithDB: e, device: authenticator.New(e.origin), email: strings.ToLower(name) + "@example.org"}
	p.anonymousHeaders = []string{"Origin", e.origin, "Sec-Fetch-Site", "same-origin"}
	var begun ceremonyResponse
	options := p.mustSend(http.MethodPost, "/v1/signup/options", p.encode(map[string]any{"email": p.email, "display_name": name}), &begun, p.anonymousHeaders)
	p.browserCookie = options.Cookies()[0].Name + "=" + options.Cookies()[0].Value
	p.anonymousHeaders = append(p.anonymousHeaders, "Cookie", p.browserCookie)
	entered := p.mustSend(http.MethodPost, "/v1/signup/verify", p.encode(map[string]any{"challenge_id": begun.ChallengeID, "credential": p.createCredential(p.device, begun)}), nil, p.anonymousHeaders)
	content := entered.sessionContent(e.t, 201)
	p.userID, p.passkeyID = content.User.ID, content.Passkey.ID
	p.sessionCookie, p.csrf = sessionCookieOf(e.t, entered), entered.csrfToken(e.t)
	p.headers = p.headersInBrowserOf(p)

	p.mustSend(http.MethodPost, "/v1/login/options", "", &begun, nil)
	program := p.mustSend(http.MethodPost, "/v1/login/verify", p.encode(map[string]any{"challenge_id": begun.ChallengeID, "credential": p.getAssertion(begun), "transport": "bearer"}), nil, nil)
	p.refreshToken = program.tokens(e.t).RefreshToken
	var listed struct {
		Items []struct {
			ID      string
			Current bool
		}
	}
	p.mustSend(http.MethodGet, "/v1/me/sessions", "", &listed, p.headers)
	for _, item := range listed.Items {
		if item.Current {
			p.sessionID = item.ID
		} else {
			p.appSessionID = item.ID
		}
	}
	var made struct{ Codes []string }
	p.mustSend(http.MethodPost, "/v1/me/recovery/backup-codes", "", &made, p.headers)
	p.codes = made.Codes
	var shown struct{ Secret string }
	p.mustSend(http.MethodPost, "/v1/me/recovery/totp", "", &shown, p.headers)
	p.app = totpApp{&env{t: e.t, clock: e.clock}, shown.Secret}
	return p
}

// headersInBrowserOf are the headers of the person who is signed in to somebody else's browser.
func (p *fullAccount) headersInBrowserOf(other *fullAccount) []string {
	return []string{"Origin", p.origin, "Sec-Fetch-Site", "same-origin", "Cookie", other.browserCookie + "; " + p.sessionCookie, "X-CSRF-Token", p.csrf}
}

func (e *serverWithDB) encode(value any) string { return string(encode(e.t, value)) }

// mustSend make a call that is not refused.
func (e *serverWithDB) mustSend(method, path, body string, into any, headers []string) apiResponse {
	e.t.Helper()
	got := e.send(e.t, method, path, body, headers...)
	if got.StatusCode >= 300 {
		e.t.Fatalf("%s %s: %d %s", method, path, got.StatusCode, got.body)
	}
	if into != nil {
		if err := json.Unmarshal(got.body, into); err != nil {
			e.t.Fatal(err)
		}
	}
	return got
}

func (e *serverWithDB) createCredential(device *authenticator.Authenticator, begun ceremonyResponse) authenticator.RegistrationResponse {
	e.t.Helper()
	made, err := device.Create(begun.Options)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

func (p *fullAccount) getAssertion(begun ceremonyResponse) authenticator.AuthenticationResponse {
	p.t.Helper()
	proved, err := p.device.Get(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	return proved
}

// validRequest prepares a call that is all in order when this person makes it in their browser: its path, and its body or nil. It
// fails for an operation that it does not know.
func (p *fullAccount) validRequest(o operation) (path string, body map[string]any) {
	p.t.Helper()
	begin := func(path, body string, headers []string) (begun ceremonyResponse) {
		p.t.Helper()
		p.mustSend(http.MethodPost, path, body, &begun, headers)
		return begun
	}
	answer := func(begun ceremonyResponse, credential any, more map[string]any) map[string]any {
		body := map[string]any{"challenge_id": begun.ChallengeID, "credential": credential}
		maps.Copy(body, more)
		return body
	}
	switch o.id {
	case "beginSignUp":
		return o.path, map[string]any{"email": "friend-of-" + p.email, "display_name": "Carol"}
	case "finishSignUp":
		begun := begin("/v1/signup/options", p.encode(map[string]string{"email": "friend-of-" + p.email, "display_name": "Carol"}), p.anonymousHeaders)
		return o.path, answer(begun, p.createCredential(authenticator.New(p.origin), begun), map[string]any{"passkey_name": "Carol's key"})
	case "beginSignIn":
		return o.path, map[string]any{"email": p.email}
	case "finishSignIn":
		begun := begin("/v1/login/options", "", p.anonymousHeaders)
		return o.path, answer(begun, p.getAssertion(begun), nil)
	case "refreshSession":
		return o.path, map[string]any{"refresh_token": p.refreshToken}
	case "finishStepUp":
		begun := begin("/v1/session/step-up/options", "", p.headers)
		return o.path, answer(begun, p.getAssertion(begun), nil)
	case "changeAccount":
		return o.path, map[string]any{"display_name": "Countess"}
	case "confirmEmail":
		return o.path, map[string]any{"code": "12345678"}
	case "finishAddingPasskey":
		begun := begin("/v1/me/passkeys/options", "", p.headers)
		return o.path, answer(begun, p.createCredential(authenticator.New(p.origin, authenticator.DeviceBound()), begun), map[string]any{"passkey_name": "Blue key"})
	case "renamePasskey":
		return strings.Replace(o.path, "{id}", p.passkeyID, 1), map[string]any{"name": "Red key"}
	case "removePasskey":
		return strings.Replace(o.path, "{id}", p.passkeyID, 1), nil
	case "endSession":
		return strings.Replace(o.path, "{id}", p.appSessionID, 1), nil
	case "confirmAuthenticatorApp":
		return o.path, map[string]any{"code": p.app.code()}
	case "redeemRecovery":
		return o.path, map[string]any{"backup_code": p.codes[0]}
	case "beginRecovery":
		p.redeemBackupCode()
		return o.path, map[string]any{"grant_token": p.grantToken}
	case "finishRecovery":
		p.redeemBackupCode()
		begun := begin("/v1/recovery/options", p.encode(map[string]string{"grant_token": p.grantToken}), p.anonymousHeaders)
		return o.path, answer(begun, p.createCredential(authenticator.New(p.origin), begun), map[string]any{"grant_token": p.grantToken})
	}
	if o.requestMembers != nil || strings.Contains(o.path, "{") {
		p.t.Errorf("%s is new: tell tenant.wants how it is called", o.id)
	}
	return o.path, nil
}

func (p *fullAccount) redeemBackupCode() {
	p.t.Helper()
	var bought struct {
		Token string `json:"grant_token"`
	}
	p.mustSend(http.MethodPost, "/v1/recovery/redeem", p.encode(map[string]string{"backup_code": p.codes[0]}), &bought, p.anonymousHeaders)
	p.grantToken = bought.Token
}

// makes the call of an operation that wants has prepared.
func (p *fullAccount) sendOperation(o operation, path string, body map[string]any, headers []string) apiResponse {
	p.t.Helper()
	text := ""
	if body != nil {
		text = p.encode(body)
	}
	return p.send(p.t, o.method, path, text, headers...)
}

// rows are the rows that are about the person, but for ceremonies, which are over as soon as somebody answers.
func (p *fullAccount) rows(but ...string) (theirs []string) {
	p.t.Helper()
	for _, row := range p.allRows(append(but, "webauthn_challenges")...) {
		if strings.Contains(row, p.userID) {
			theirs = append(theirs, row)
		}
	}
	return theirs
}

// secrets are what no answer to anybody else may contain.
func (p *fullAccount) secrets() []string {
	return append([]string{p.userID, p.email, p.passkeyID, p.sessionID, p.appSessionID}, p.codes...)
}
