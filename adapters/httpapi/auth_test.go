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

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
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

// newIssuer returns an issuer with a new signing key.
func newIssuer(t *testing.T) *signingkeys.Issuer {
	t.Helper()
	keys := jwt.New()
	key, err := keys.Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	return &signingkeys.Issuer{
		SigningKeys: &signingkeys.Service{Store: sqlitestore.New(t), TokenKeys: keys, Clock: clock{}, External: signingkeys.ExternalKeys{key}}, Random: rand.Reader,
		Policy: domain.AccessPolicy{Issuer: publicURL, Audience: publicURL, TTL: 5 * time.Minute}, RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
	}
}

// failingStore is a store whose Update can fail.
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

// fixture is an API with an account of Ada, who has a cookie session and a bearer session.
type fixture struct {
	t       *testing.T
	api     *fiber.App
	store   *failingStore
	log     *bytes.Buffer
	ada     *domain.User
	session *domain.Session // the cookie session
	cookie  string
	csrf    string
	bearer  string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &failingStore{Store: sqlitestore.New(t)}, log: &bytes.Buffer{}}
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	issuer, now := newIssuer(t), clock{}.Now()
	f.api = httpapi.New(httpapi.Config{
		PublicURL: publicURL, Origins: []string{publicURL, crossSiteOrigin, sameSiteOrigin}, RPID: "localhost",
		BindingKeys: [][]byte{make([]byte, 32)}, CSRFKeys: [][]byte{make([]byte, 32)},
		AuthenticatorName: func(domain.AAGUID) string { return "" },
	}, application.UseCases{
		Sessions:  &sessions.Service{Store: sessioncache.New(f.store), Clock: clock{}, Issuer: issuer, Audit: log, Lifetime: sessionLifetime},
		Account:   &account.Service{Store: f.store, Clock: clock{}, Audit: log, EmailVerification: &emailverify.Service{}},
		Passkeys:  &passkeys.Service{Store: f.store, Clock: clock{}, Audit: log},
		RateLimit: &ratelimit.Service{},
	}, metrics.New(), slog.New(slog.NewTextHandler(f.log, nil)))

	pendingUser := domain.NewPendingUser("ada@example.org", "Ada", now, rand.Reader)
	f.ada = pendingUser.ToUser(now)
	key, err := domain.NewCredential(f.ada.ID(), "a key", sqlitestore.Registration("id"), now)
	if err != nil {
		t.Fatal(err)
	}
	var token domain.SessionToken
	f.session, token = domain.OpenSession(key, domain.Device{}, sessionLifetime, now, rand.Reader)
	bearerSession, refresh := domain.OpenBearerSession(key, domain.Device{}, sessionLifetime, issuer.RefreshKeys, now, rand.Reader)
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), f.ada), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()), tx.Sessions.Add(t.Context(), f.session), tx.Sessions.Add(t.Context(), bearerSession))
	})
	pair, err := issuer.IssuePair(t.Context(), bearerSession, refresh, now)
	if err != nil {
		t.Fatal(err)
	}
	f.bearer = "Bearer " + pair.Access.Token.Reveal()
	f.cookie = "keylodge_session=" + token.Reveal()
	f.csrf = f.csrfToken(f.cookie)
	return f
}

func (f *fixture) update(fn func(ports.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// apiResponse is a response with the members of its body.
type apiResponse struct {
	status int
	header http.Header
	body   map[string]any
}

func (a apiResponse) code() string { code, _ := a.body["code"].(string); return code }

// fieldErrors returns the field and the code of each error of a problem, sorted.
func (a apiResponse) fieldErrors() (list []string) {
	errs, _ := a.body["errors"].([]any)
	for _, each := range errs {
		field := each.(map[string]any)
		list = append(list, field["field"].(string)+" "+field["code"].(string))
	}
	slices.Sort(list)
	return list
}

// call sends a request. It omits headers with an empty value.
func (f *fixture) call(method, path, body string, headers map[string]string) apiResponse {
	f.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := f.api.Test(request, -1)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	got := apiResponse{status: response.StatusCode, header: response.Header}
	read, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(bytes.TrimSpace(read)) > 0 {
		if err := json.Unmarshal(read, &got.body); err != nil {
			f.t.Fatalf("%v in %s", err, read)
		}
	}
	return got
}

func (f *fixture) csrfToken(cookie string) string {
	f.t.Helper()
	got := f.call(http.MethodGet, "/v1/csrf", "", map[string]string{"Cookie": cookie})
	token, _ := got.body["csrf_token"].(string)
	if got.status != 200 || token == "" {
		f.t.Fatalf("%+v", got)
	}
	return token
}

// sessionError returns why the cookie session is not active, or nil if it is.
func (f *fixture) sessionError() (inactive error) {
	f.t.Helper()
	f.update(func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(f.t.Context(), f.session.ID())
		if err == nil {
			inactive = session.RequireActive(clock{}.Now())
		}
		return err
	})
	return inactive
}

// With the scheme Bearer only the token is checked, and the cookie is ignored. A header of another scheme is ignored.
// Requirement: ASVS-7.2.1
func TestAuthorizationHeader(t *testing.T) {
	f := newFixture(t)
	token := strings.TrimPrefix(f.bearer, "Bearer ")
	const (
		plain   = `Bearer realm="keylodge"`
		invalid = `Bearer realm="keylodge", error="invalid_token"`
	)
	type want struct {
		status    int
		challenge string // WWW-Authenticate
	}
	valid, rejected, ignored := want{200, ""}, want{401, invalid}, want{401, plain}
	for name, c := range map[string]struct {
		authorization string
		want          want // without a cookie; with one, an ignored header leaves the cookie valid
	}{
		"a valid token":              {f.bearer, valid},
		"the scheme in lower case":   {"bearer " + token, valid},
		"the scheme in upper case":   {"BEARER " + token, valid},
		"two spaces":                 {"Bearer  " + token, valid},
		"many spaces":                {"bEARER" + strings.Repeat(" ", 100) + token, valid},
		"an invalid token":           {f.bearer[:len(f.bearer)-4] + "AAAA", rejected},
		"no token":                   {"Bearer", rejected},
		"a tab":                      {"Bearer\t" + token, rejected},
		"a space and a tab":          {"Bearer \t" + token, rejected},
		"text after the token":       {f.bearer + " x", rejected},
		"two tokens":                 {f.bearer + ", " + f.bearer, rejected},
		"a token and another scheme": {f.bearer + ", Basic YWRhOng=", rejected},
		"a token in quotes":          {`Bearer "` + token + `"`, rejected},
		"a parameter":                {"Bearer token=" + token, rejected},
		"padding in the middle":      {"Bearer a=b", rejected},
		"padding alone":              {"Bearer ==", rejected},
		"padding after the token":    {f.bearer + "=", rejected},
		"an invalid character":       {f.bearer + "!", rejected},
		"a non-ASCII character":      {f.bearer + "\u00e9", rejected},
		"a comma after the scheme":   {"Bearer," + token, rejected},
		"a colon after the scheme":   {"Bearer: " + token, rejected},
		"an equals sign":             {"Bearer=" + token, rejected},
		"the session token":          {"Bearer " + strings.TrimPrefix(f.cookie, "keylodge_session="), rejected},
		"a malformed token":          {"Bearer x", rejected},
		"a token of another server":  {newFixture(t).bearer, rejected},

		"Basic":                      {"Basic dXNlcjpwYXNz", ignored},
		"Basic with an access token": {"Basic " + token, ignored},
		"Basic, then Bearer":         {"Basic dXNlcjpwYXNz, " + f.bearer, ignored},
		"Digest":                     {`Digest username="ada", realm="proxy", nonce="bearer", uri="/v1/me"`, ignored},
		"Negotiate":                  {"Negotiate YIIZ", ignored},
		"DPoP":                       {"DPoP " + token, ignored},
		"a longer scheme":            {"BearerX " + token, ignored},
		"a scheme with a suffix":     {"Bearer-Token " + token, ignored},
		"a shorter scheme":           {"Beare " + token, ignored},
		"no scheme":                  {token, ignored},
		"a scheme alone":             {"x", ignored},
		"a scheme with a homoglyph":  {"B\u0435arer " + token, ignored}, // Cyrillic
	} {
		t.Run(name, func(t *testing.T) {
			for _, cookie := range []string{"", f.cookie} {
				want := c.want
				if want == ignored && cookie != "" {
					want = valid
				}
				for method, body := range map[string]string{http.MethodGet: "", http.MethodPatch: "{}"} {
					got := f.call(method, "/v1/me", body, map[string]string{"Authorization": c.authorization, "Cookie": cookie, "X-CSRF-Token": f.csrf})
					if got.status != want.status || got.header.Get("WWW-Authenticate") != want.challenge {
						t.Errorf("%s, cookie %t: %+v", method, cookie != "", got)
					}
				}
			}
			// An ignored header does not replace the CSRF token.
			got := f.call(http.MethodPatch, "/v1/me", "{}", map[string]string{"Authorization": c.authorization, "Cookie": f.cookie})
			if c.want == ignored && (got.status != 403 || got.code() != "csrf_rejected") {
				t.Errorf("without a CSRF token: %+v", got)
			}
		})
	}
}

func TestSessionCookie_ChangesRequireCSRFToken(t *testing.T) {
	f := newFixture(t)
	other := newFixture(t)
	for name, c := range map[string]struct {
		headers map[string]string
		reads   int
		writes  int
		code    string // of the rejected write
	}{
		"nothing":                       {nil, 401, 401, "unauthenticated"},
		"the cookie":                    {map[string]string{"Cookie": f.cookie}, 200, 403, "csrf_rejected"},
		"the cookie and its CSRF token": {map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf}, 200, 200, ""},
		"the cookie and the token of another session": {map[string]string{"Cookie": f.cookie, "X-CSRF-Token": other.csrf}, 200, 403, "csrf_rejected"},
		"the cookie and an invalid token":             {map[string]string{"Cookie": f.cookie, "X-CSRF-Token": "a.b"}, 200, 403, "csrf_rejected"},
		"a token in the query":                        {map[string]string{"Cookie": f.cookie}, 200, 403, "csrf_rejected"},
		"the CSRF token alone":                        {map[string]string{"X-CSRF-Token": f.csrf}, 401, 401, "unauthenticated"},
		"a session token of another server":           {map[string]string{"Cookie": other.cookie, "X-CSRF-Token": f.csrf}, 401, 401, "unauthenticated"},
		"a malformed session token":                   {map[string]string{"Cookie": "keylodge_session=x", "X-CSRF-Token": f.csrf}, 401, 401, "unauthenticated"},
		"the access token in the cookie":              {map[string]string{"Cookie": "keylodge_session=" + strings.TrimPrefix(f.bearer, "Bearer ")}, 401, 401, "unauthenticated"},
		"an access token":                             {map[string]string{"Authorization": f.bearer}, 200, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if got := f.call(method, "/v1/me", "", c.headers); got.status != c.reads || (got.header.Get("WWW-Authenticate") == `Bearer realm="keylodge"`) != (c.reads == 401) {
					t.Errorf("%s: %+v", method, got)
				}
			}
			if got := f.call(http.MethodPatch, "/v1/me?csrf_token="+f.csrf, "{}", c.headers); got.status != c.writes || got.code() != c.code {
				t.Errorf("writing: %+v", got)
			}
		})
	}
}

// A browser adds cookies to requests that pages of other sites make. Even an allowed page there must use tokens. The table is that of
// docs/reference/api-conventions.md: the statuses of GET and PATCH of /v1/me with the cookie and its CSRF token, and of PATCH with an access token, for each
// Origin and each Sec-Fetch-Site.
// Requirement: ASVS-3.5.1, OWASP-CSRF-origin
func TestOriginAndFetchMetadata(t *testing.T) {
	const (
		all    = "200 200 200"
		tokens = "401 401 200" // the cookie is ignored
		reads  = "200 403 403" // no change, with whatever credentials
		none   = "401 403 403"
	)
	sites := []string{"", "same-origin", "same-site", "none", "cross-site", "Same-Origin", "same-origin, none", "same-origin;x", "?1"}
	for _, row := range []struct {
		origin string
		want   [6]string // the last one is for every unknown value
	}{
		{"", [6]string{all, all, reads, all, none, none}},
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
				f, want := newFixture(t), row.want[min(column, 5)]
				headers := map[string]string{"Sec-Fetch-Site": site, "Origin": row.origin, "X-CSRF-Token": f.csrf}
				headers["Cookie"] = f.cookie
				read, changed := f.call(http.MethodGet, "/v1/me", "", headers), f.call(http.MethodPatch, "/v1/me", "{}", headers)
				headers["Authorization"] = f.bearer
				changedByToken := f.call(http.MethodPatch, "/v1/me", "{}", headers)
				if got := fmt.Sprint(read.status, changed.status, changedByToken.status); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				for _, got := range []apiResponse{changed, changedByToken} {
					if got.status == 403 && got.code() != "cross_origin_rejected" {
						t.Errorf("%+v", got)
					}
				}
				if got := f.call(http.MethodGet, "/v1/me", "", headers); got.status != 200 {
					t.Errorf("reading with an access token: %+v", got)
				}
				// A page that may not change the account may not sign out either.
				delete(headers, "Authorization")
				got, signedOut := f.call(http.MethodDelete, "/v1/session", "", headers), errors.Is(f.sessionError(), domain.ErrSessionRevoked)
				if signedOut != (changed.status == 200) || (got.status == 403) != (changed.status == 403) {
					t.Errorf("signing out: %+v, revoked: %t", got, signedOut)
				}
			})
		}
	}
}

func TestDeleteSession_CookieRequiresCSRFToken(t *testing.T) {
	f := newFixture(t)
	if got := f.call(http.MethodDelete, "/v1/session", "", map[string]string{"Cookie": f.cookie}); got.status != 403 || got.code() != "csrf_rejected" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("without it: %+v", got)
	}
	if err := f.sessionError(); err != nil {
		t.Errorf("without it: %v", err)
	}
	got := f.call(http.MethodDelete, "/v1/session", "", map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf})
	if cookie := got.header.Get("Set-Cookie"); got.status != 204 || !strings.HasPrefix(cookie, "keylodge_session=;") {
		t.Errorf("with it: %+v", got)
	}
	if err := f.sessionError(); !errors.Is(err, domain.ErrSessionRevoked) {
		t.Errorf("with it: %v", err)
	}
	// Without an active session it succeeds, and needs no CSRF token.
	for name, headers := range map[string]map[string]string{
		"the same cookie":  {"Cookie": f.cookie},
		"no cookie":        nil,
		"a proxy's header": {"Authorization": "Basic dXNlcjpwYXNz"},
	} {
		if got := f.call(http.MethodDelete, "/v1/session", "", headers); got.status != 204 || !strings.HasPrefix(got.header.Get("Set-Cookie"), "keylodge_session=;") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Signing out with an invalid access token must not succeed: the refresh token of that session would stay valid.
func TestDeleteSession_InvalidBearerTokenIs401(t *testing.T) {
	f := newFixture(t)
	for name, headers := range map[string]map[string]string{
		"a malformed token":            {"Authorization": "Bearer x"},
		"the same with a valid cookie": {"Authorization": "Bearer x", "Cookie": f.cookie, "X-CSRF-Token": f.csrf},
		"a scheme without a token":     {"Authorization": "Bearer", "Cookie": f.cookie, "X-CSRF-Token": f.csrf},
	} {
		if got := f.call(http.MethodDelete, "/v1/session", "", headers); got.status != 401 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if err := f.sessionError(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestDeleteSession_ReportsOutage(t *testing.T) {
	f := newFixture(t)
	headers := map[string]string{"Cookie": f.cookie, "X-CSRF-Token": f.csrf}
	f.store.failing = true
	if got := f.call(http.MethodDelete, "/v1/session", "", headers); got.status != 503 || got.header.Get("Set-Cookie") != "" || strings.Contains(f.log.String(), "signed out") {
		t.Errorf("%+v, logged %s", got, f.log)
	}
	f.store.failing = false
	if got := f.call(http.MethodDelete, "/v1/session", "", headers); got.status != 204 || !strings.Contains(f.log.String(), `msg="signed out"`) {
		t.Errorf("%+v, logged %s", got, f.log)
	}
}

func TestGetCSRF_RequiresSession(t *testing.T) {
	f := newFixture(t)
	if got := f.call(http.MethodGet, "/v1/csrf", "", nil); got.status != 401 || got.code() != "unauthenticated" {
		t.Errorf("got %+v", got)
	}
	if got := f.call(http.MethodGet, "/v1/csrf", "", map[string]string{"Authorization": f.bearer}); got.status != 401 || got.code() != "unauthenticated" {
		t.Errorf("with a bearer session, which needs none: %+v", got)
	}
	if again := f.csrfToken(f.cookie); again == f.csrf {
		t.Error("two responses have the same token, so that their compressed size can reveal it")
	}
}
