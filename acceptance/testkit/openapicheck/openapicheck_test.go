package openapicheck_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/openapicheck"
)

const document = "../../../adapters/httpapi/openapi.json"

func load(t *testing.T) *openapicheck.Checker {
	t.Helper()
	c, err := openapicheck.Load(document)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWatch_AcceptsValidExchanges(t *testing.T) {
	c := load(t)
	for name, e := range map[string]exchange{
		"an answer":                      getConfig(),
		"a request with a body":          signIn(),
		"a call by cookie":               getSession(),
		"a call by token":                listEvents(),
		"a scheme in another case":       listEvents().sendingHeader("Authorization", "bearer e30.e30.AA"),
		"a parameter that may be empty":  listEvents().to("GET", "/v1/me/events?limit=&cursor=&kind="),
		"a list as a parameter":          listEvents().to("GET", "/v1/me/events?kind=signed_in,passkey_added"),
		"an id in the path":              renamePasskey(),
		"an answer without a body":       signOut(),
		"HEAD":                           getConfig().to("HEAD", "/v1/config").answering(config, ""),
		"no body where none is needed":   signIn().to("POST", "/v1/login/options").sending(verify, "").answering(signedIn, ceremony),
		"the other transport":            signIn().answering(csrf, tokens).answering(`"transport":"cookie"`, `"transport":"bearer"`),
		"a problem":                      unauthenticated(),
		"an invalid rejected request":    invalidRequest().sendingHeader("Content-Type", "application/json").sending("", "["),
		"an unknown path":                notFound(),
		"an unknown method":              methodNotAllowed(),
		"a problem before any operation": headersTooLarge(),
		"a problem before any path":      headersTooLarge().to("GET", "/v1/nothing"),
		"a preflight":                    preflight(),
		"the page":                       openPage(),
		"an asset of the page":           openPage().to("HEAD", "/assets/app.js").answeringStatus(304),
	} {
		if err := e.violation(t, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// violation is an invalid exchange, and a text that its report must contain.
type violation struct {
	exchange
	want string
}

func TestWatch_ReportsInvalidResponses(t *testing.T) {
	requireReported(t, map[string]violation{
		"a status that is not declared":       {getConfig().answeringStatus(202), "not declared"},
		"an undeclared path":                  {getConfig().to("GET", "/v1/secrets"), "not declared"},
		"a path that ends like another":       {getConfig().to("GET", "/other/v1/config"), "not declared"},
		"a path that begins like another":     {getConfig().to("GET", "/v1/config/secrets"), "not declared"},
		"an undeclared method":                {getConfig().to("PUT", "/v1/config"), "not declared"},
		"not_found for an operation":          {notFound().to("GET", "/v1/session"), "not declared"},
		"method_not_allowed for an operation": {methodNotAllowed().to("GET", "/v1/session"), "not declared"},
		"an OPTIONS that is no preflight":     {preflight().sendingHeader("Access-Control-Request-Method", ""), "not declared"},
		"a preflight of another status":       {preflight().answeringStatus(200), "not declared"},
		"a preflight with a body":             {preflight().answering("", "x"), "not declared"},
		"the page by another method":          {openPage().to("POST", "/"), "not declared"},

		"another content type":        {getConfig().answeringHeader("Content-Type", "text/html"), "Content-Type"},
		"no content type":             {getConfig().answeringHeader("Content-Type", ""), "Content-Type"},
		"a problem of another type":   {unauthenticated().answeringHeader("Content-Type", "application/json"), "Content-Type"},
		"no request id":               {getConfig().answeringHeader("X-Request-Id", ""), "X-Request-Id"},
		"a header with another value": {getConfig().answeringHeader("Cache-Control", "public"), "Cache-Control"},
		"no WWW-Authenticate":         {unauthenticated().answeringHeader("WWW-Authenticate", ""), "WWW-Authenticate"},
		"a header missing from HEAD": {
			getConfig().to("HEAD", "/v1/config").answering(config, "").answeringHeader("X-Request-Id", ""), "X-Request-Id",
		},

		"no JSON":                    {getConfig().answering(config, "{"), "invalid JSON"},
		"no body":                    {getConfig().answering(config, ""), "invalid JSON"},
		"a body where there is none": {signOut().answering("", "{}"), "no body"},

		"a surplus member":                   {getConfig().answering(`"rp_id"`, `"surplus":1,"rp_id"`), "surplus"},
		"a surplus member, deep":             {getSession().answering(`"ip":`, `"surplus":1,"ip":`), "surplus"},
		"a surplus member in a list":         {listEvents().answering(`"kind":`, `"surplus":1,"kind":`), "surplus"},
		"a surplus member where one is null": {listEvents().answering(`"ip":`, `"surplus":1,"ip":`), "surplus"},
		"a surplus member of an alternative": {signIn().answering(csrf, `"surplus":1,`+csrf), "surplus"},
		"a surplus member of a problem":      {unauthenticated().answering(`"code":`, `"surplus":1,"code":`), "surplus"},
		"a missing member":                   {getConfig().answering(`"rp_name":"Keylodge",`, ``), "rp_name"},
		"a missing member, deep":             {getSession().answering(`"transport":"cookie",`, ``), "transport"},
		"a missing member of an alternative": {signIn().answering(`"transport":"cookie",`, ``), "transport"},
		"a missing member of a problem":      {unauthenticated().answering(`"title":"what to do",`, ``), "title"},
		"a missing member where one is null": {listEvents().answering(`"passkey":{"id":"AQID",`, `"passkey":{`), "/items/0/passkey"},
		"a renamed member":                   {getConfig().answering(`"rp_name"`, `"rpName"`), "rpName"},
		"both of two alternatives":           {signIn().answering(csrf, csrf+","+tokens), "tokens"},
		"the other of two alternatives":      {signIn().answering(`"transport":"cookie"`, `"transport":"bearer"`), "transport"},
		"a wrong type":                       {getConfig().answering(`"localhost"`, `7`), "/rp_id"},
		"a wrong type in a list":             {getSession().answering(`"swk"`, `7`), "/session/amr/0"},
		"null for a value":                   {getSession().answering(`"created_at":`+at, `"created_at":null`), "/user/created_at"},
		"a wrong type where null may be":     {getSession().answering(`"email":null`, `"email":false`), "/user/email"},
		"a fraction":                         {renamePasskey().answering(`"sign_count":0`, `"sign_count":0.5`), "/passkey/sign_count"},
		"a negative number":                  {renamePasskey().answering(`"sign_count":0`, `"sign_count":-1`), "/passkey/sign_count"},
		"a value outside its set":            {getConfig().answering(`"open"`, `"ajar"`), "/registration"},
		"a constant that is another":         {getConfig().to("GET", "/livez").answering(config, `{"status":"dead"}`), "/status"},
		"a time that is not in UTC":          {getSession().answering(`Z"`, `+01:00"`), "/user/created_at"},
		"an invalid time":                    {getSession().answering(`-11-`, `-13-`), "/user/created_at"},
		"an invalid id":                      {getSession().answering(uuid, `"7"`), "/user/id"},
		"another operation's code":           {unauthenticated().answering(`"unauthenticated"`, `"refresh_token_reused"`), "/code"},
		"an unknown code":                    {unauthenticated().answering(`"unauthenticated"`, `"unheard_of"`), "/code"},
		"a problem of another status":        {unauthenticated().answering(`401`, `403`), "/status"},
		"an invalid request without fields": {
			invalidRequest().answering(`,"errors":[{"field":"email","code":"invalid_email","detail":"no"}]`, ``), "errors",
		},
	})
}

func TestWatch_ReportsInvalidRequestsThatSucceed(t *testing.T) {
	requireReported(t, map[string]violation{
		"a missing member":              {signIn().sending(`"challenge_id":`+uuid+`,`, ``), "challenge_id"},
		"a wrong type":                  {signIn().sending(`"public-key"`, `7`), "/credential/type"},
		"text that is no base64":        {signIn().sending(`"AA=="`, `"A A"`), "/credential/response/clientDataJSON"},
		"no body":                       {signIn().sending(verify, ``), "a body is required"},
		"no JSON":                       {signIn().sending(`{`, `[`), "invalid JSON"},
		"another content type":          {signIn().sendingHeader("Content-Type", "text/plain"), "Content-Type"},
		"a body where there is none":    {getConfig().sendingHeader("Content-Type", "application/json").sending(``, `{}`), "Content-Type"},
		"a parameter out of bounds":     {listEvents().to("GET", "/v1/me/events?limit=101"), "limit"},
		"a list with one out of bounds": {listEvents().to("GET", "/v1/me/events?kind=signed_in,signed_inn"), "kind"},
		"a parameter of a wrong type":   {listEvents().to("GET", "/v1/me/events?limit=all"), "limit"},
		"a parameter twice, once empty": {listEvents().to("GET", "/v1/me/events?limit=1&limit="), "limit"},
		"an id that cannot be one":      {renamePasskey().to("PATCH", "/v1/me/passkeys/a*b"), "id"},
		"no credentials":                {listEvents().sendingHeader("Authorization", ""), "[[sessionCookie] [bearer]]"},
		"another way to authenticate":   {listEvents().sendingHeader("Authorization", "Basic e30"), "[[sessionCookie] [bearer]]"},
		"a cookie without a CSRF token": {renamePasskey().sendingHeader("X-CSRF-Token", ""), "[[csrfToken sessionCookie] [bearer]]"},
	})
}

func requireReported(t *testing.T, violations map[string]violation) {
	t.Helper()
	c := load(t)
	for name, v := range violations {
		t.Run(name, func(t *testing.T) {
			err := v.violation(t, c)
			if err == nil {
				t.Fatal("no violation was reported")
			}
			path, _, _ := strings.Cut(v.path, "?")
			if !strings.HasPrefix(err.Error(), v.method+" "+path+", ") || !strings.Contains(err.Error(), v.want) {
				t.Errorf("want %q in %v", v.want, err)
			}
		})
	}
}

func TestLoad_RejectsInvalidDocument(t *testing.T) {
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no JSON":             {"{", "["},
		"an invalid schema":   {`"type": "object"`, `"type": "person"`},
		"an unknown schema":   {`"#/components/schemas/User"`, `"#/components/schemas/Unknown"`},
		"an unknown response": {`"#/components/responses/EmailTaken"`, `"#/components/responses/Taken"`},
		"a missing response":  {`"RequestTimeout"`, `"Timeout"`},
		"an invalid status":   {`"200"`, `"OK"`},
	} {
		file := filepath.Join(t.TempDir(), "openapi.json")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(content), change[0], change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openapicheck.Load(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := openapicheck.Load("nothing.json"); err == nil {
		t.Error("a missing file: no error")
	}
}

func TestWatch_PreservesRequestBody(t *testing.T) {
	c := load(t)
	var arrived string
	next := transport(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		arrived = string(body)
		return signIn().transport().RoundTrip(r)
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:8080/v1/login/verify", strings.NewReader(verify))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if _, err := c.Watch(next, func(violation error) { t.Error(violation) }).RoundTrip(request); err != nil || arrived != verify {
		t.Errorf("%q arrived, %v", arrived, err)
	}
	request.GetBody = nil
	if _, err := c.Watch(next, func(error) {}).RoundTrip(request); err == nil {
		t.Error("a body without GetBody was sent unchecked")
	}
}
