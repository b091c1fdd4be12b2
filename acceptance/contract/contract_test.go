package contract_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/contract"
)

const document = "../../adapters/httpapi/openapi.json"

func load(t *testing.T) *contract.Contract {
	t.Helper()
	kept, err := contract.Load(document)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestWatch_AcceptsValidExchanges(t *testing.T) {
	kept := load(t)
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
		"no body where none is needed":   signIn().to("POST", "/v1/login/options").sending(verify, "").answering(signedIn, begun),
		"the other transport":            signIn().answering(csrf, tokens).answering(`"transport":"cookie"`, `"transport":"bearer"`),
		"a refusal":                      unauthenticated(),
		"rubbish that is refused":        invalidRequest().sendingHeader("Content-Type", "application/json").sending("", "["),
		"an address that is not there":   notFound(),
		"a method that is not there":     methodNotAllowed(),
		"a refusal before any operation": headersTooLarge(),
		"a refusal before any address":   headersTooLarge().to("GET", "/v1/nothing"),
		"a preflight":                    preflight(),
		"the page":                       openPage(),
		"an asset of the page":           openPage().to("HEAD", "/assets/app.js").answeringStatus(304),
	} {
		if err := e.violation(t, kept); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// violation is an exchange in which something is wrong, and what a reader of the failure would look for.
type violation struct {
	exchange
	want string
}

func TestWatch_ReportsInvalidResponses(t *testing.T) {
	requireReported(t, map[string]violation{
		"a status that is not declared":          {getConfig().answeringStatus(202), "not declared"},
		"an address that should not be there":    {getConfig().to("GET", "/v1/secrets"), "not declared"},
		"an address that ends like another":      {getConfig().to("GET", "/other/v1/config"), "not declared"},
		"an address that begins like another":    {getConfig().to("GET", "/v1/config/secrets"), "not declared"},
		"a method that should not be there":      {getConfig().to("PUT", "/v1/config"), "not declared"},
		"an operation that is not there":         {notFound().to("GET", "/v1/session"), "not declared"},
		"an operation whose method is not there": {methodNotAllowed().to("GET", "/v1/session"), "not declared"},
		"an OPTIONS that is no preflight":        {preflight().sendingHeader("Access-Control-Request-Method", ""), "not declared"},
		"a preflight of another status":          {preflight().answeringStatus(200), "not declared"},
		"a preflight with a body":                {preflight().answering("", "x"), "not declared"},
		"the page by another method":             {openPage().to("POST", "/"), "not declared"},

		"another content type":              {getConfig().answeringHeader("Content-Type", "text/html"), "Content-Type"},
		"no content type":                   {getConfig().answeringHeader("Content-Type", ""), "Content-Type"},
		"a refusal that is no problem":      {unauthenticated().answeringHeader("Content-Type", "application/json"), "Content-Type"},
		"no request id":                     {getConfig().answeringHeader("X-Request-Id", ""), "X-Request-Id"},
		"a header that says something else": {getConfig().answeringHeader("Cache-Control", "public"), "Cache-Control"},
		"no word on how to authenticate":    {unauthenticated().answeringHeader("WWW-Authenticate", ""), "WWW-Authenticate"},
		"a header missing from HEAD": {
			getConfig().to("HEAD", "/v1/config").answering(config, "").answeringHeader("X-Request-Id", ""), "X-Request-Id",
		},

		"no JSON":                    {getConfig().answering(config, "{"), "no JSON"},
		"no body":                    {getConfig().answering(config, ""), "no JSON"},
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
		"a time that is none":                {getSession().answering(`-11-`, `-13-`), "/user/created_at"},
		"an id that is none":                 {getSession().answering(uuid, `"7"`), "/user/id"},
		"another operation's code":           {unauthenticated().answering(`"unauthenticated"`, `"refresh_token_reused"`), "/code"},
		"a code that nobody has heard of":    {unauthenticated().answering(`"unauthenticated"`, `"unheard_of"`), "/code"},
		"a problem of another status":        {unauthenticated().answering(`401`, `403`), "/status"},
		"an invalid request that names nothing": {
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
		"no JSON":                       {signIn().sending(`{`, `[`), "no JSON"},
		"another content type":          {signIn().sendingHeader("Content-Type", "text/plain"), "Content-Type"},
		"a body where there is none":    {getConfig().sendingHeader("Content-Type", "application/json").sending(``, `{}`), "Content-Type"},
		"a parameter out of bounds":     {listEvents().to("GET", "/v1/me/events?limit=101"), "limit"},
		"a list with one out of bounds": {listEvents().to("GET", "/v1/me/events?kind=signed_in,signed_inn"), "kind"},
		"a parameter of a wrong type":   {listEvents().to("GET", "/v1/me/events?limit=all"), "limit"},
		"a parameter twice, once empty": {listEvents().to("GET", "/v1/me/events?limit=1&limit="), "limit"},
		"an id that cannot be one":      {renamePasskey().to("PATCH", "/v1/me/passkeys/a*b"), "id"},
		"nobody signed in":              {listEvents().sendingHeader("Authorization", ""), "[[sessionCookie] [bearer]]"},
		"another way to authenticate":   {listEvents().sendingHeader("Authorization", "Basic e30"), "[[sessionCookie] [bearer]]"},
		"half of what authenticates":    {renamePasskey().sendingHeader("X-CSRF-Token", ""), "[[csrfToken sessionCookie] [bearer]]"},
	})
}

func requireReported(t *testing.T, breaches map[string]violation) {
	t.Helper()
	kept := load(t)
	for name, b := range breaches {
		t.Run(name, func(t *testing.T) {
			err := b.violation(t, kept)
			if err == nil {
				t.Fatal("nobody minded")
			}
			path, _, _ := strings.Cut(b.path, "?")
			if !strings.HasPrefix(err.Error(), b.method+" "+path+", ") || !strings.Contains(err.Error(), b.want) {
				t.Errorf("a reader would look for %q in %v", b.want, err)
			}
		})
	}
}

func TestLoad_RejectsInvalidDocument(t *testing.T) {
	whole, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no JSON":                   {"{", "["},
		"a schema that is none":     {`"type": "object"`, `"type": "person"`},
		"a schema that is nowhere":  {`"#/components/schemas/User"`, `"#/components/schemas/Nobody"`},
		"an answer that is nowhere": {`"#/components/responses/EmailTaken"`, `"#/components/responses/Taken"`},
		"an answer that is missing": {`"RequestTimeout"`, `"Timeout"`},
		"a status that is none":     {`"200"`, `"OK"`},
	} {
		file := filepath.Join(t.TempDir(), "openapi.json")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(whole), change[0], change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contract.Load(file); err == nil {
			t.Errorf("%s: nobody minded", name)
		}
	}
	if _, err := contract.Load("nothing.json"); err == nil {
		t.Error("no document is a contract")
	}
}

func TestWatch_PreservesRequestBody(t *testing.T) {
	kept := load(t)
	var arrived string
	wire := transport(func(r *http.Request) (*http.Response, error) {
		read, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		arrived = string(read)
		return signIn().wire().RoundTrip(r)
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:8080/v1/login/verify", strings.NewReader(verify))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if _, err := kept.Watch(wire, func(breach error) { t.Error(breach) }).RoundTrip(request); err != nil || arrived != verify {
		t.Errorf("%q arrived, %v", arrived, err)
	}
	request.GetBody = nil
	if _, err := kept.Watch(wire, func(error) {}).RoundTrip(request); err == nil {
		t.Error("a body was sent that nobody could read before")
	}
}
