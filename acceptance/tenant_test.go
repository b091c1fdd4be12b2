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

// estate is a server of which a test knows the database, too.
type estate struct {
	*server
	t     *testing.T
	clock *clock
	file  string
}

func startEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{t: t, clock: newClock(), file: filepath.Join(t.TempDir(), "keylodge.db")}
	e.server = startServer(t, e.clock, func(c *bootstrap.Config) { c.Database = bootstrap.SQLite(e.file) })
	return e
}

// in is the same estate in a test within the test.
func (e *estate) in(t *testing.T) *estate {
	within := *e
	within.t = t
	return &within
}

// rows are everything in the database, a text for each row, but for the tables that are left out.
func (e *estate) rows(but ...string) (all []string) {
	e.t.Helper()
	db, err := driver.Open("file:" + e.file + "?mode=ro")
	if err != nil {
		e.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range scan(e.t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`) {
		if name := table["name"].(string); !slices.Contains(but, name) {
			for _, row := range scan(e.t, db, `SELECT * FROM `+name) {
				all = append(all, name+" "+fmt.Sprint(row)) // a map is printed in the order of its keys
			}
		}
	}
	slices.Sort(all)
	return all
}

func scan(t *testing.T, db *sql.DB, query string) (all []map[string]any) {
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

// tenant is somebody who has everything that one can have: a browser and a program that are signed in, a passkey, backup
// codes, and an app that is about to be confirmed.
type tenant struct {
	*estate
	device    *authenticator.Authenticator
	userID    string
	email     string
	passkeyID string
	sessionID string // of the browser
	programID string // of the program
	browser   string // its cookie
	session   string // the cookie of that
	csrf      string
	headers   []string // of their browser
	bare      []string // without its session
	refresh   string
	codes     []string
	app       app
	grant     string // what a code of theirs has bought, once it has
}

// moves in. Names are told apart in every answer.
func (e *estate) moves(name string) *tenant {
	e.t.Helper()
	p := &tenant{estate: e, device: authenticator.New(e.origin), email: strings.ToLower(name) + "@example.org"}
	p.bare = []string{"Origin", e.origin, "Sec-Fetch-Site", "same-origin"}
	var begun ceremonyBody
	options := p.must(http.MethodPost, "/v1/signup/options", p.encode(map[string]any{"email": p.email, "display_name": name}), &begun, p.bare)
	p.browser = options.Cookies()[0].Name + "=" + options.Cookies()[0].Value
	p.bare = append(p.bare, "Cookie", p.browser)
	entered := p.must(http.MethodPost, "/v1/signup/verify", p.encode(map[string]any{"challenge_id": begun.ChallengeID, "credential": p.makes(p.device, begun)}), nil, p.bare)
	content := entered.content(e.t, 201)
	p.userID, p.passkeyID = content.User.ID, content.Passkey.ID
	p.session, p.csrf = sessionCookieOf(e.t, entered), entered.csrfToken(e.t)
	p.headers = p.inBrowserOf(p)

	p.must(http.MethodPost, "/v1/login/options", "", &begun, nil)
	program := p.must(http.MethodPost, "/v1/login/verify", p.encode(map[string]any{"challenge_id": begun.ChallengeID, "credential": p.gets(begun), "transport": "bearer"}), nil, nil)
	p.refresh = program.tokens(e.t).RefreshToken
	var listed struct {
		Items []struct {
			ID      string
			Current bool
		}
	}
	p.must(http.MethodGet, "/v1/me/sessions", "", &listed, p.headers)
	for _, item := range listed.Items {
		if item.Current {
			p.sessionID = item.ID
		} else {
			p.programID = item.ID
		}
	}
	var made struct{ Codes []string }
	p.must(http.MethodPost, "/v1/me/recovery/backup-codes", "", &made, p.headers)
	p.codes = made.Codes
	var shown struct{ Secret string }
	p.must(http.MethodPost, "/v1/me/recovery/totp", "", &shown, p.headers)
	p.app = app{&lodge{t: e.t, clock: e.clock}, shown.Secret}
	return p
}

// inBrowserOf are the headers of the person who is signed in to somebody else's browser.
func (p *tenant) inBrowserOf(other *tenant) []string {
	return []string{"Origin", p.origin, "Sec-Fetch-Site", "same-origin", "Cookie", other.browser + "; " + p.session, "X-CSRF-Token", p.csrf}
}

func (e *estate) encode(value any) string { return string(encode(e.t, value)) }

// must make a call that is not refused.
func (e *estate) must(method, path, body string, into any, headers []string) answer {
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

func (e *estate) makes(device *authenticator.Authenticator, begun ceremonyBody) authenticator.RegistrationResponse {
	e.t.Helper()
	made, err := device.Create(begun.Options)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

func (p *tenant) gets(begun ceremonyBody) authenticator.AuthenticationResponse {
	p.t.Helper()
	proved, err := p.device.Get(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	return proved
}

// wants prepares a call that is all in order when this person makes it in their browser: its path, and its body or nil. It
// fails for an operation that it does not know.
func (p *tenant) wants(o operation) (path string, body map[string]any) {
	p.t.Helper()
	begin := func(path, body string, headers []string) (begun ceremonyBody) {
		p.t.Helper()
		p.must(http.MethodPost, path, body, &begun, headers)
		return begun
	}
	answer := func(begun ceremonyBody, credential any, more map[string]any) map[string]any {
		body := map[string]any{"challenge_id": begun.ChallengeID, "credential": credential}
		maps.Copy(body, more)
		return body
	}
	switch o.id {
	case "beginSignUp":
		return o.path, map[string]any{"email": "friend-of-" + p.email, "display_name": "Carol"}
	case "finishSignUp":
		begun := begin("/v1/signup/options", p.encode(map[string]string{"email": "friend-of-" + p.email, "display_name": "Carol"}), p.bare)
		return o.path, answer(begun, p.makes(authenticator.New(p.origin), begun), map[string]any{"passkey_name": "Carol's key"})
	case "beginSignIn":
		return o.path, map[string]any{"email": p.email}
	case "finishSignIn":
		begun := begin("/v1/login/options", "", p.bare)
		return o.path, answer(begun, p.gets(begun), nil)
	case "refreshSession":
		return o.path, map[string]any{"refresh_token": p.refresh}
	case "finishStepUp":
		begun := begin("/v1/session/step-up/options", "", p.headers)
		return o.path, answer(begun, p.gets(begun), nil)
	case "changeAccount":
		return o.path, map[string]any{"display_name": "Countess"}
	case "confirmEmail":
		return o.path, map[string]any{"code": "12345678"}
	case "finishAddingPasskey":
		begun := begin("/v1/me/passkeys/options", "", p.headers)
		return o.path, answer(begun, p.makes(authenticator.New(p.origin, authenticator.DeviceBound()), begun), map[string]any{"passkey_name": "Blue key"})
	case "renamePasskey":
		return strings.Replace(o.path, "{id}", p.passkeyID, 1), map[string]any{"name": "Red key"}
	case "removePasskey":
		return strings.Replace(o.path, "{id}", p.passkeyID, 1), nil
	case "endSession":
		return strings.Replace(o.path, "{id}", p.programID, 1), nil
	case "confirmAuthenticatorApp":
		return o.path, map[string]any{"code": p.app.shows()}
	case "redeemRecovery":
		return o.path, map[string]any{"backup_code": p.codes[0]}
	case "beginRecovery":
		p.buysGrant()
		return o.path, map[string]any{"grant_token": p.grant}
	case "finishRecovery":
		p.buysGrant()
		begun := begin("/v1/recovery/options", p.encode(map[string]string{"grant_token": p.grant}), p.bare)
		return o.path, answer(begun, p.makes(authenticator.New(p.origin), begun), map[string]any{"grant_token": p.grant})
	}
	if o.request != nil || strings.Contains(o.path, "{") {
		p.t.Errorf("%s is new: tell tenant.wants how it is called", o.id)
	}
	return o.path, nil
}

func (p *tenant) buysGrant() {
	p.t.Helper()
	var bought struct {
		Token string `json:"grant_token"`
	}
	p.must(http.MethodPost, "/v1/recovery/redeem", p.encode(map[string]string{"backup_code": p.codes[0]}), &bought, p.bare)
	p.grant = bought.Token
}

// makes the call of an operation that wants has prepared.
func (p *tenant) calls(o operation, path string, body map[string]any, headers []string) answer {
	p.t.Helper()
	text := ""
	if body != nil {
		text = p.encode(body)
	}
	return p.send(p.t, o.method, path, text, headers...)
}

// keeps are the rows that are about the person, but for ceremonies, which are over as soon as somebody answers.
func (p *tenant) keeps(but ...string) (theirs []string) {
	p.t.Helper()
	for _, row := range p.rows(append(but, "webauthn_challenges")...) {
		if strings.Contains(row, p.userID) {
			theirs = append(theirs, row)
		}
	}
	return theirs
}

// secrets are what no answer to anybody else may contain.
func (p *tenant) secrets() []string {
	return append([]string{p.userID, p.email, p.passkeyID, p.sessionID, p.programID}, p.codes...)
}
