package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	publicURL       = "http://localhost:8080"
	crossSiteOrigin = "https://app.example"       // an allowed origin on another site
	sameSiteOrigin  = "http://app.localhost:3000" // an allowed origin within the RP id
)

var sessionLifetime = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}

// newIssuer signs with a key of its own.
func newIssuer(t *testing.T) *signingkeys.Issuer {
	t.Helper()
	keys := jwt.New()
	key, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	return &signingkeys.Issuer{
		KeySet: signingkeys.NewKeySet(sqlitestore.New(t), keys, nil, clock{}, domain.KeyRotation{}, signingkeys.ExternalKeys{key}), Keys: keys, Random: rand.Reader,
		Policy: domain.AccessPolicy{Issuer: publicURL, Audience: publicURL, TTL: 5 * time.Minute}, RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
	}
}

// failingStore is a store that may lose what is written.
type failingStore struct {
	ports.Store
	failing bool
}

func (s *failingStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.failing {
		return domain.ErrUnavailable
	}
	return s.Store.Update(ctx, fn)
}

// fixture is the API where Ada is signed in, in a browser and with a program.
type fixture struct {
	t       *testing.T
	api     *fiber.App
	store   *failingStore
	log     *bytes.Buffer // the operator's
	ada     *domain.User
	session *domain.Session // the browser's
	cookie  string
	csrf    string
	bearer  string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	l := &fixture{t: t, store: &failingStore{Store: sqlitestore.New(t)}, log: &bytes.Buffer{}}
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	issuer, now := newIssuer(t), clock{}.Now()
	l.api = httpapi.New(httpapi.Config{
		PublicURL: publicURL, Origins: []string{publicURL, crossSiteOrigin, sameSiteOrigin}, RPID: "localhost",
		BindingKeys: [][]byte{make([]byte, 32)}, CSRFKeys: [][]byte{make([]byte, 32)},
		AuthenticatorName: func(domain.AAGUID) string { return "" },
	}, application.UseCases{
		Sessions:  &sessions.Service{Store: l.store, Clock: clock{}, Issuer: issuer, Audit: log, Lifetime: sessionLifetime},
		Account:   &account.Service{Store: l.store, Clock: clock{}, Audit: log, EmailVerification: &emailverify.Service{}},
		Passkeys:  &passkeys.Service{Store: l.store, Clock: clock{}, Audit: log},
		RateLimit: &ratelimit.Service{},
	}, metrics.New(), slog.New(slog.NewTextHandler(l.log, nil)))

	applicant := domain.NewPendingUser("ada@example.org", "Ada", now, rand.Reader)
	l.ada = applicant.ToUser(now)
	key, err := domain.NewCredential(l.ada.ID(), "a key", sqlitestore.Registration("id"), now)
	if err != nil {
		t.Fatal(err)
	}
	var token domain.SessionToken
	l.session, token = domain.OpenSession(key, domain.Device{}, sessionLifetime, now, rand.Reader)
	program, refresh := domain.OpenBearerSession(key, domain.Device{}, sessionLifetime, issuer.RefreshKeys, now, rand.Reader)
	l.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), l.ada), tx.Credentials.Add(t.Context(), key), tx.Sessions.Add(t.Context(), l.session), tx.Sessions.Add(t.Context(), program))
	})
	pair, err := issuer.IssuePair(t.Context(), program, refresh, now)
	if err != nil {
		t.Fatal(err)
	}
	l.bearer = "Bearer " + pair.Access.Token.Reveal()
	l.cookie = "keylodge_session=" + token.Reveal()
	l.csrf = l.csrfToken(l.cookie)
	return l
}

func (l *fixture) update(fn func(ports.Tx) error) {
	l.t.Helper()
	if err := l.store.Update(l.t.Context(), fn); err != nil {
		l.t.Fatal(err)
	}
}

// apiResponse is what came back: the status, the header and the body's members.
type apiResponse struct {
	status int
	header http.Header
	body   map[string]any
}

func (a apiResponse) code() string { code, _ := a.body["code"].(string); return code }

// fieldErrors are the fields that a problem names, with what is wrong with them.
func (a apiResponse) fieldErrors() (list []string) {
	errs, _ := a.body["errors"].([]any)
	for _, each := range errs {
		fault := each.(map[string]any)
		list = append(list, fault["field"].(string)+" "+fault["code"].(string))
	}
	slices.Sort(list)
	return list
}

// call makes a request with the headers that have a value.
func (l *fixture) call(method, path, body string, headers map[string]string) apiResponse {
	l.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := l.api.Test(request, -1)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	got := apiResponse{status: response.StatusCode, header: response.Header}
	read, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	if len(bytes.TrimSpace(read)) > 0 {
		if err := json.Unmarshal(read, &got.body); err != nil {
			l.t.Fatalf("%v in %s", err, read)
		}
	}
	return got
}

func (l *fixture) csrfToken(cookie string) string {
	l.t.Helper()
	got := l.call(http.MethodGet, "/v1/csrf", "", map[string]string{"Cookie": cookie})
	token, _ := got.body["csrf_token"].(string)
	if got.status != 200 || token == "" {
		l.t.Fatalf("%+v", got)
	}
	return token
}

// sessionError says how Ada's browser session has ended; nil if it lasts.
func (l *fixture) sessionError() (over error) {
	l.t.Helper()
	l.update(func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(l.t.Context(), l.session.ID())
		if err == nil {
			over = session.RequireActive(clock{}.Now())
		}
		return err
	})
	return over
}

// A Bearer scheme is judged by its token, valid or not, and no cookie is looked at. Any other scheme is as no header at all.
func TestAuthorizationHeader(t *testing.T) {
	l := newFixture(t)
	token := strings.TrimPrefix(l.bearer, "Bearer ")
	const (
		plain   = `Bearer realm="keylodge"`
		invalid = `Bearer realm="keylodge", error="invalid_token"`
	)
	type want struct {
		status    int
		challenge string // WWW-Authenticate
	}
	good, bad, ignored := want{200, ""}, want{401, invalid}, want{401, plain}
	for name, c := range map[string]struct {
		authorization string
		want          want // without a cookie; with one a header that is ignored leaves it alone
	}{
		"a good token":                   {l.bearer, good},
		"the scheme in small letters":    {"bearer " + token, good},
		"the scheme in capitals":         {"BEARER " + token, good},
		"two spaces":                     {"Bearer  " + token, good},
		"many spaces":                    {"bEARER" + strings.Repeat(" ", 100) + token, good},
		"a bad token":                    {l.bearer[:len(l.bearer)-4] + "AAAA", bad},
		"no token":                       {"Bearer", bad},
		"a tab":                          {"Bearer\t" + token, bad},
		"a space and a tab":              {"Bearer \t" + token, bad},
		"more behind the token":          {l.bearer + " x", bad},
		"two tokens":                     {l.bearer + ", " + l.bearer, bad},
		"a token and another scheme":     {l.bearer + ", Basic YWRhOng=", bad},
		"a token in quotes":              {`Bearer "` + token + `"`, bad},
		"a parameter":                    {"Bearer token=" + token, bad},
		"padding in the middle":          {"Bearer a=b", bad},
		"padding alone":                  {"Bearer ==", bad},
		"padding behind the token":       {l.bearer + "=", bad},
		"a character that is in none":    {l.bearer + "!", bad},
		"a letter beyond ASCII":          {l.bearer + "\u00e9", bad},
		"a comma behind the scheme":      {"Bearer," + token, bad},
		"a colon behind the scheme":      {"Bearer: " + token, bad},
		"an equals sign":                 {"Bearer=" + token, bad},
		"what is in the cookie":          {"Bearer " + strings.TrimPrefix(l.cookie, "keylodge_session="), bad},
		"a token that is not one at all": {"Bearer x", bad},
		"another installation's token":   {newFixture(t).bearer, bad},

		"Basic":                         {"Basic dXNlcjpwYXNz", ignored},
		"Basic with a token of ours":    {"Basic " + token, ignored},
		"Basic, then Bearer":            {"Basic dXNlcjpwYXNz, " + l.bearer, ignored},
		"Digest":                        {`Digest username="ada", realm="proxy", nonce="bearer", uri="/v1/me"`, ignored},
		"Negotiate":                     {"Negotiate YIIZ", ignored},
		"DPoP":                          {"DPoP " + token, ignored},
		"a longer scheme":               {"BearerX " + token, ignored},
		"a scheme that continues":       {"Bearer-Token " + token, ignored},
		"a shorter scheme":              {"Beare " + token, ignored},
		"no scheme":                     {token, ignored},
		"a scheme alone":                {"x", ignored},
		"a scheme in letters elsewhere": {"B\u0435arer " + token, ignored}, // Cyrillic
	} {
		t.Run(name, func(t *testing.T) {
			for _, cookie := range []string{"", l.cookie} {
				want := c.want
				if want == ignored && cookie != "" {
					want = good
				}
				for method, body := range map[string]string{http.MethodGet: "", http.MethodPatch: "{}"} {
					got := l.call(method, "/v1/me", body, map[string]string{"Authorization": c.authorization, "Cookie": cookie, "X-CSRF-Token": l.csrf})
					if got.status != want.status || got.header.Get("WWW-Authenticate") != want.challenge {
						t.Errorf("%s, cookie %t: %+v", method, cookie != "", got)
					}
				}
			}
			// A header that is ignored does not replace the CSRF token.
			got := l.call(http.MethodPatch, "/v1/me", "{}", map[string]string{"Authorization": c.authorization, "Cookie": l.cookie})
			if c.want == ignored && (got.status != 403 || got.code() != "csrf_rejected") {
				t.Errorf("without a CSRF token: %+v", got)
			}
		})
	}
}

func TestSessionCookie_ChangesRequireCSRFToken(t *testing.T) {
	l := newFixture(t)
	other := newFixture(t)
	for name, c := range map[string]struct {
		headers map[string]string
		reads   int
		writes  int
		code    string // of the refused write
	}{
		"nothing":                           {nil, 401, 401, "unauthenticated"},
		"the cookie":                        {map[string]string{"Cookie": l.cookie}, 200, 403, "csrf_rejected"},
		"the cookie and its CSRF token":     {map[string]string{"Cookie": l.cookie, "X-CSRF-Token": l.csrf}, 200, 200, ""},
		"the cookie and another's token":    {map[string]string{"Cookie": l.cookie, "X-CSRF-Token": other.csrf}, 200, 403, "csrf_rejected"},
		"the cookie and a made up token":    {map[string]string{"Cookie": l.cookie, "X-CSRF-Token": "a.b"}, 200, 403, "csrf_rejected"},
		"a token in the query is not asked": {map[string]string{"Cookie": l.cookie}, 200, 403, "csrf_rejected"},
		"the CSRF token alone":              {map[string]string{"X-CSRF-Token": l.csrf}, 401, 401, "unauthenticated"},
		"a cookie that opens nothing":       {map[string]string{"Cookie": other.cookie, "X-CSRF-Token": l.csrf}, 401, 401, "unauthenticated"},
		"a cookie that is none":             {map[string]string{"Cookie": "keylodge_session=x", "X-CSRF-Token": l.csrf}, 401, 401, "unauthenticated"},
		"the access token in the cookie":    {map[string]string{"Cookie": "keylodge_session=" + strings.TrimPrefix(l.bearer, "Bearer ")}, 401, 401, "unauthenticated"},
		"an access token":                   {map[string]string{"Authorization": l.bearer}, 200, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if got := l.call(method, "/v1/me", "", c.headers); got.status != c.reads || (got.header.Get("WWW-Authenticate") == `Bearer realm="keylodge"`) != (c.reads == 401) {
					t.Errorf("%s: %+v", method, got)
				}
			}
			if got := l.call(http.MethodPatch, "/v1/me?csrf_token="+l.csrf, "{}", c.headers); got.status != c.writes || got.code() != c.code {
				t.Errorf("writing: %+v", got)
			}
		})
	}
}

// A browser adds cookies to requests that other sites' pages have thought up. Even an allowed page there has to bring tokens
// of its own. The table is that of docs/api.md: what GET and PATCH of /v1/me are answered with under the cookie and its CSRF
// token, and PATCH under an access token, for each Origin beside each Sec-Fetch-Site.
func TestOriginAndFetchMetadata(t *testing.T) {
	const (
		all    = "200 200 200"
		tokens = "401 401 200" // the cookie is ignored
		looks  = "200 403 403" // no change, by whatever it is authenticated
		none   = "401 403 403"
	)
	sites := []string{"", "same-origin", "same-site", "none", "cross-site", "Same-Origin", "same-origin, none", "same-origin;x", "?1"}
	for _, row := range []struct {
		origin string
		want   [6]string // the last one is that of every value that Fetch Metadata does not know
	}{
		{"", [6]string{all, all, looks, all, none, none}},
		{publicURL, [6]string{all, all, all, all, tokens, tokens}},
		{sameSiteOrigin, [6]string{all, all, all, all, tokens, tokens}},
		{crossSiteOrigin, [6]string{tokens, all, all, tokens, tokens, tokens}},
		{"null", [6]string{none, none, none, none, none, none}},
		{"https://evil.example", [6]string{none, none, none, none, none, none}},
		{"http://evil.localhost:8080", [6]string{none, none, none, none, none, none}},
		{publicURL + "/", [6]string{none, none, none, none, none, none}},
		{publicURL + ", " + publicURL, [6]string{none, none, none, none, none, none}},
	} {
		for column, site := range sites {
			t.Run(row.origin+" "+site, func(t *testing.T) {
				l, want := newFixture(t), row.want[min(column, 5)]
				by := map[string]string{"Sec-Fetch-Site": site, "Origin": row.origin, "X-CSRF-Token": l.csrf}
				by["Cookie"] = l.cookie
				looked, changed := l.call(http.MethodGet, "/v1/me", "", by), l.call(http.MethodPatch, "/v1/me", "{}", by)
				by["Authorization"] = l.bearer
				program := l.call(http.MethodPatch, "/v1/me", "{}", by)
				if got := fmt.Sprint(looked.status, changed.status, program.status); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				for _, got := range []apiResponse{changed, program} {
					if got.status == 403 && got.code() != "cross_origin_rejected" {
						t.Errorf("%+v", got)
					}
				}
				if got := l.call(http.MethodGet, "/v1/me", "", by); got.status != 200 {
					t.Errorf("looking with an access token: %+v", got)
				}
				// What a page may not change it signs out of neither.
				delete(by, "Authorization")
				got, signedOut := l.call(http.MethodDelete, "/v1/session", "", by), errors.Is(l.sessionError(), domain.ErrSessionRevoked)
				if signedOut != (changed.status == 200) || (got.status == 403) != (changed.status == 403) {
					t.Errorf("signing out: %+v, and it is signed out: %t", got, signedOut)
				}
			})
		}
	}
}

func TestDeleteSession_CookieRequiresCSRFToken(t *testing.T) {
	l := newFixture(t)
	if got := l.call(http.MethodDelete, "/v1/session", "", map[string]string{"Cookie": l.cookie}); got.status != 403 || got.code() != "csrf_rejected" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("without it: %+v", got)
	}
	if err := l.sessionError(); err != nil {
		t.Errorf("without it: %v", err)
	}
	got := l.call(http.MethodDelete, "/v1/session", "", map[string]string{"Cookie": l.cookie, "X-CSRF-Token": l.csrf})
	if cookie := got.header.Get("Set-Cookie"); got.status != 204 || !strings.HasPrefix(cookie, "keylodge_session=;") {
		t.Errorf("with it: %+v", got)
	}
	if err := l.sessionError(); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("with it: %v", err)
	}
	// Whoever is out is told so, and needs nothing for it.
	for name, headers := range map[string]map[string]string{
		"the same cookie":  {"Cookie": l.cookie},
		"no cookie":        nil,
		"a proxy's header": {"Authorization": "Basic dXNlcjpwYXNz"},
	} {
		if got := l.call(http.MethodDelete, "/v1/session", "", headers); got.status != 204 || !strings.HasPrefix(got.header.Get("Set-Cookie"), "keylodge_session=;") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A program that is told that it is signed out must be: its refresh token would go on.
func TestDeleteSession_InvalidBearerTokenIs401(t *testing.T) {
	l := newFixture(t)
	for name, headers := range map[string]map[string]string{
		"a token that is no good":       {"Authorization": "Bearer x"},
		"the same beside a good cookie": {"Authorization": "Bearer x", "Cookie": l.cookie, "X-CSRF-Token": l.csrf},
		"a scheme without a token":      {"Authorization": "Bearer", "Cookie": l.cookie, "X-CSRF-Token": l.csrf},
	} {
		if got := l.call(http.MethodDelete, "/v1/session", "", headers); got.status != 401 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if err := l.sessionError(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestDeleteSession_ReportsOutage(t *testing.T) {
	l := newFixture(t)
	headers := map[string]string{"Cookie": l.cookie, "X-CSRF-Token": l.csrf}
	l.store.failing = true
	if got := l.call(http.MethodDelete, "/v1/session", "", headers); got.status != 503 || got.header.Get("Set-Cookie") != "" || strings.Contains(l.log.String(), "signed out") {
		t.Errorf("%+v, logged %s", got, l.log)
	}
	l.store.failing = false
	if got := l.call(http.MethodDelete, "/v1/session", "", headers); got.status != 204 || !strings.Contains(l.log.String(), `msg="signed out"`) {
		t.Errorf("%+v, logged %s", got, l.log)
	}
}

func TestGetCSRF_RequiresSession(t *testing.T) {
	l := newFixture(t)
	if got := l.call(http.MethodGet, "/v1/csrf", "", nil); got.status != 401 || got.code() != "unauthenticated" {
		t.Errorf("got %+v", got)
	}
	if got := l.call(http.MethodGet, "/v1/csrf", "", map[string]string{"Authorization": l.bearer}); got.status != 401 || got.code() != "unauthenticated" {
		t.Errorf("a program, which needs none: %+v", got)
	}
	if again := l.csrfToken(l.cookie); again == l.csrf {
		t.Error("two answers carry the same token, which a compressed answer could give away")
	}
}
