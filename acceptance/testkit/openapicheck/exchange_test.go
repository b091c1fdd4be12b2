package openapicheck_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/openapicheck"
)

// exchange is a request and a response. Its methods return a changed copy.
type exchange struct {
	method, path string
	sentHeader   http.Header
	sent         string
	status       int
	header       http.Header
	answer       string
}

func (e exchange) to(method, path string) exchange { e.method, e.path = method, path; return e }

func (e exchange) sending(from, to string) exchange { e.sent = replace(e.sent, from, to); return e }

func (e exchange) sendingHeader(name, value string) exchange {
	e.sentHeader = withHeader(e.sentHeader, name, value)
	return e
}

func (e exchange) answering(from, to string) exchange {
	e.answer = replace(e.answer, from, to)
	return e
}

func (e exchange) answeringHeader(name, value string) exchange {
	e.header = withHeader(e.header, name, value)
	return e
}

func (e exchange) answeringStatus(status int) exchange { e.status = status; return e }

// replace replaces the first occurrence. It panics if there is none.
func replace(text, from, to string) string {
	if !strings.Contains(text, from) {
		panic(from + " is not in " + text)
	}
	return strings.Replace(text, from, to, 1)
}

// withHeader returns a copy with the header set; an empty value removes it.
func withHeader(h http.Header, name, value string) http.Header {
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	h.Del(name)
	if value != "" {
		h.Set(name, value)
	}
	return h
}

// violation returns the reported violations; nil if there are none.
func (e exchange) violation(t *testing.T, c *openapicheck.Checker) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), e.method, "http://localhost:8080"+e.path, strings.NewReader(e.sent))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = e.sentHeader
	var found error
	response, err := c.Watch(e.transport(), func(violation error) { found = errors.Join(found, violation) }).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != e.answer || response.StatusCode != e.status {
		t.Fatalf("the response was changed: %d %s, %v", response.StatusCode, body, err)
	}
	return found
}

func (e exchange) transport() http.RoundTripper {
	return transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: e.status, Header: e.header, Body: io.NopCloser(strings.NewReader(e.answer))}, nil
	})
}

// transport is a RoundTripper function that stands in for a server.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// Valid exchanges.

func getConfig() exchange {
	return exchange{method: "GET", path: "/v1/config", status: 200, header: answerHeader("application/json"), answer: config}
}

func signIn() exchange {
	return exchange{
		method: "POST", path: "/v1/login/verify", sentHeader: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, sent: verify,
		status: 200, header: answerHeader("application/json"), answer: signedIn,
	}
}

func getSession() exchange {
	return exchange{
		method: "GET", path: "/v1/session", sentHeader: http.Header{"Cookie": {"keylodge_session=kls_x"}},
		status: 200, header: answerHeader("application/json"), answer: `{"user":` + user + `,"session":` + session + `}`,
	}
}

func listEvents() exchange {
	return exchange{
		method: "GET", path: "/v1/me/events?limit=1", sentHeader: http.Header{"Authorization": {"Bearer e30.e30.AA"}},
		status: 200, header: answerHeader("application/json"), answer: `{"items":[` + event + `],"next_cursor":"abc"}`,
	}
}

func renamePasskey() exchange {
	return exchange{
		method: "PATCH", path: "/v1/me/passkeys/AQID", sent: `{"name":null}`,
		sentHeader: http.Header{"Content-Type": {"application/json"}, "Cookie": {"__Host-keylodge_session=kls_x"}, "X-Csrf-Token": {"x"}},
		status:     200, header: answerHeader("application/json"), answer: `{"passkey":` + passkey + `}`,
	}
}

func signOut() exchange {
	return exchange{method: "DELETE", path: "/v1/session", status: 204, header: answerHeader("")}
}

func preflight() exchange {
	return exchange{method: "OPTIONS", path: "/v1/session", sentHeader: http.Header{"Access-Control-Request-Method": {"DELETE"}}, status: 204}
}

func openPage() exchange {
	return exchange{method: "GET", path: "/", status: 200, header: http.Header{"Content-Type": {"text/html"}}, answer: "<!doctype html>"}
}

// unauthenticated is a problem response; the following ones are derived from it.
func unauthenticated() exchange {
	return exchange{
		method: "GET", path: "/v1/session",
		status: 401, header: withHeader(answerHeader("application/problem+json"), "WWW-Authenticate", `Bearer realm="keylodge"`),
		answer: `{"type":"urn:keylodge:problem:any","title":"what to do","status":401,"code":"unauthenticated","request_id":"` + requestID + `"}`,
	}
}

func invalidRequest() exchange {
	return unauthenticated().to("POST", "/v1/login/options").answeringStatus(400).answering("401", "400").
		answering(`"unauthenticated"`, `"invalid_request","detail":"no","errors":[{"field":"email","code":"invalid_email","detail":"no"}]`)
}

func notFound() exchange {
	return unauthenticated().to("GET", "/v1/nothing").answeringStatus(404).answering("401", "404").answering("unauthenticated", "not_found")
}

func methodNotAllowed() exchange {
	return unauthenticated().to("PUT", "/v1/config").answeringStatus(405).answering("401", "405").
		answering("unauthenticated", "method_not_allowed").answeringHeader("Allow", "GET, HEAD")
}

func headersTooLarge() exchange {
	return unauthenticated().answeringStatus(431).answering("401", "431").answering("unauthenticated", "invalid_request")
}

const requestID = "LCNJTYJAFO4CMTBNRPZDYK2JVF"

func answerHeader(contentType string) http.Header {
	h := http.Header{"X-Request-Id": {requestID}, "Cache-Control": {"no-store"}}
	return withHeader(h, "Content-Type", contentType)
}

const (
	at     = `"2026-11-23T06:02:18.875992Z"`
	uuid   = `"01a206fa-f19b-71aa-8eee-8e90a9bc70db"`
	handle = `"Z7khSgvtqZ2eGCVfUhUWw4IEwgzbCKiRfSVBbIYzq8Y"`

	config = `{"rp_id":"localhost","rp_name":"Keylodge","registration":"open","email":"optional","recovery":{"policy":"off"},"mail":"off",` +
		`"language":"en","languages":["en","de"],"applications":[],"brand":` + brand + `}`
	brand = `{"logo":null,"logo_dark":null,"favicon":null,"background":null,"stylesheet":null,"secured_by":true,` +
		`"links":{"terms":null,"privacy":null,"imprint":null,"support":null,"home":null}}`

	user    = `{"id":` + uuid + `,"email":null,"email_verified":false,"pending_email":null,"display_name":"Ada","locale":null,"groups":[],"created_at":` + at + `}`
	session = `{"id":` + uuid + `,"created_at":` + at + `,"last_seen_at":` + at + `,"expires_at":` + at + `,"auth_time":` + at +
		`,"amr":["swk","user","mfa"],"assurance":"passkey","transport":"cookie","passkey_id":"AQID",` +
		`"device":{"name":"Firefox on Linux","user_agent":"","ip":"::1"},"current":true}`
	passkey = `{"id":"AQID","name":null,"authenticator":{"aaguid":` + uuid + `,"name":null},"transports":["internal"],"backup_eligible":true,` +
		`"backed_up":true,"sign_count":0,"created_at":` + at + `,"last_used_at":null,"status":"active"}`
	signals  = `{"rp_id":"localhost","user_id":` + handle + `,"accepted_credential_ids":["AQID"],"name":"Ada","display_name":"Ada"}`
	csrf     = `"csrf_token":"x"`
	signedIn = `{"user":` + user + `,"session":` + session + `,"passkey":` + passkey + `,"signals":` + signals + `,` + csrf + `}`
	tokens   = `"tokens":{"access_token":"e30.e30.AA","token_type":"Bearer","expires_in":300,"refresh_token":"klr_` +
		`AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","refresh_expires_in":604800}`

	ceremony = `{"challenge_id":` + uuid + `,"options":{"challenge":` + handle +
		`,"timeout":300000,"rpId":"localhost","userVerification":"required"},"expires_at":` + at + `}`
	verify = `{"challenge_id":` + uuid + `,"credential":{"id":"AQID","type":"public-key","response":{"clientDataJSON":"AA==",` +
		`"authenticatorData":"A/+A","signature":"AA","userHandle":null}},"unheard_of":"ignored"}`

	event = `{"id":` + uuid + `,"kind":"signed_in","at":` + at + `,"count":1,"last_at":` + at + `,"actor":"user","session_id":` + uuid +
		`,"passkey":{"id":"AQID","name":null},"device":{"name":"","ip":""},"addresses":[],"reason":null,"changed":[],"request_id":null}`
)
