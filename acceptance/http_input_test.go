package acceptance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// Requirement: ASVS-15.3.3
func TestInput_InvalidValuesReported(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	deep := strings.Repeat("[", 33) + strings.Repeat("]", 33)
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
		field      string
		fieldCode  string
	}{
		"an array of objects":               {"/v1/login/options", `[{"email":"ada@example.org"}]`, 400, "invalid_request", "", "invalid_json"},
		"a string":                          {"/v1/login/options", `"email"`, 400, "invalid_request", "", "invalid_json"},
		"only spaces":                       {"/v1/login/options", "  ", 400, "invalid_request", "", "invalid_json"},
		"not a number":                      {"/v1/login/options", `{"x":NaN}`, 400, "invalid_request", "", "invalid_json"},
		"infinity":                          {"/v1/login/options", `{"x":Infinity}`, 400, "invalid_request", "", "invalid_json"},
		"a leading zero":                    {"/v1/login/options", `{"x":01}`, 400, "invalid_request", "", "invalid_json"},
		"a huge number for a string":        {"/v1/login/options", `{"email":1e400}`, 400, "invalid_request", "email", "wrong_type"},
		"true for a string":                 {"/v1/signup/options", `{"display_name":true}`, 400, "invalid_request", "display_name", "wrong_type"},
		"an array for a string":             {"/v1/signup/options", `{"email":["ada@example.org"]}`, 400, "invalid_request", "email", "wrong_type"},
		"an object for a string":            {"/v1/signup/options", `{"email":{"$ne":null}}`, 400, "invalid_request", "email", "wrong_type"},
		"a number for a code":               {"/v1/recovery/redeem", `{"email":"ada@example.org","totp_code":123456}`, 400, "invalid_request", "totp_code", "wrong_type"},
		"null for a required member":        {"/v1/login/verify", `{"challenge_id":null}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"null for a token":                  {"/v1/session/refresh", `{"refresh_token":null}`, 400, "invalid_request", "refresh_token", "required"},
		"unquoted names":                    {"/v1/login/options", `{email:"ada@example.org"}`, 400, "invalid_request", "", "invalid_json"},
		"a trailing comma":                  {"/v1/login/options", `{"email":"ada@example.org",}`, 400, "invalid_request", "", "invalid_json"},
		"a comment":                         {"/v1/login/options", `{/* Ada */}`, 400, "invalid_request", "", "invalid_json"},
		"a raw line break":                  {"/v1/signup/options", "{\"display_name\":\"a\nb\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"UTF-16":                            {"/v1/login/options", "\xff\xfe{\x00}\x00", 400, "invalid_request", "", "invalid_json"},
		"an overlong UTF-8 encoding":        {"/v1/signup/options", "{\"display_name\":\"\xc1\x81\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"a surrogate in UTF-8":              {"/v1/signup/options", "{\"display_name\":\"\xed\xa0\x80\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"surrogates in reverse order":       {"/v1/signup/options", `{"display_name":"\udc00\ud800"}`, 400, "invalid_request", "display_name", "invalid_json"},
		"a lone surrogate in a name":        {"/v1/signup/options", `{"\ud800":1}`, 400, "invalid_request", "", "invalid_json"},
		"a duplicate unknown member":        {"/v1/login/options", `{"x":1,"x":2}`, 400, "invalid_request", "x", "duplicate_member"},
		"a duplicate with an escape":        {"/v1/login/options", `{"email":"ada@example.org","\u0065mail":"ben@example.org"}`, 400, "invalid_request", "email", "duplicate_member"},
		"a duplicate, in an unknown member": {"/v1/login/options", `{"x":[{"y":{"z":1,"z":1}}]}`, 400, "invalid_request", "x.0.y.z", "duplicate_member"},
		"33 nested objects":                 {"/v1/login/options", strings.Repeat(`{"x":`, 33) + "1" + strings.Repeat("}", 33), 400, "invalid_request", "", "too_deep"},
		"60000 open arrays":                 {"/v1/login/options", `{"x":` + strings.Repeat("[", 60000), 400, "invalid_request", "", "too_deep"},
		"not JSON":                          {"/v1/login/options", `hello`, 400, "invalid_request", "", "invalid_json"},
		"a truncated object":                {"/v1/login/options", `{"email":"ada@example.org"`, 400, "invalid_request", "", "invalid_json"},
		"an array":                          {"/v1/login/options", `[]`, 400, "invalid_request", "", "invalid_json"},
		"null":                              {"/v1/login/options", `null`, 400, "invalid_request", "", "invalid_json"},
		"two objects":                       {"/v1/login/options", `{}{}`, 400, "invalid_request", "", "invalid_json"},
		"a byte after the object":           {"/v1/login/options", "{}\x00", 400, "invalid_request", "", "invalid_json"},
		"a byte order mark":                 {"/v1/login/options", "\xef\xbb\xbf{}", 400, "invalid_request", "", "invalid_json"},
		"invalid UTF-8":                     {"/v1/signup/options", "{\"display_name\":\"\xff\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"a lone surrogate":                  {"/v1/signup/options", `{"display_name":"\ud800"}`, 400, "invalid_request", "display_name", "invalid_json"},
		"a duplicate member":                {"/v1/login/options", `{"email":"ada@example.org","email":"ben@example.org"}`, 400, "invalid_request", "email", "duplicate_member"},
		"a nested duplicate member":         {"/v1/login/verify", `{"credential":{"response":{"signature":"AA","signature":"AQ"}}}`, 400, "invalid_request", "credential.response.signature", "duplicate_member"},
		"a number for a string":             {"/v1/login/options", `{"email":7}`, 400, "invalid_request", "email", "wrong_type"},
		"a string for an object":            {"/v1/login/verify", `{"credential":"x"}`, 400, "invalid_request", "credential", "wrong_type"},
		"an object for an array":            {"/v1/signup/verify", `{"credential":{"response":{"transports":{}}}}`, 400, "invalid_request", "credential.response.transports", "wrong_type"},
		"a number in an array of strings":   {"/v1/signup/verify", `{"credential":{"response":{"transports":[1]}}}`, 400, "invalid_request", "credential.response.transports.0", "wrong_type"},
		"a string for the extensions":       {"/v1/signup/verify", `{"credential":{"clientExtensionResults":"x"}}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"not base64":                        {"/v1/login/verify", `{"credential":{"id":"***"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"a line break in base64":            {"/v1/login/verify", `{"credential":{"id":"AA\nAA"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"a carriage return in base64":       {"/v1/login/verify", `{"credential":{"id":"AA\rAA"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"33 nested arrays":                  {"/v1/login/options", `{"x":` + deep + `}`, 400, "invalid_request", "", "too_deep"},
		"an empty object":                   {"/v1/login/verify", `{}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"no body":                           {"/v1/signup/verify", ``, 400, "invalid_request", "challenge_id", "invalid_id"},
		"an invalid challenge id":           {"/v1/login/verify", `{"challenge_id":"7"}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"an invalid address":                {"/v1/signup/options", `{"email":"ada"}`, 400, "invalid_request", "email", "invalid_email"},
		"an invalid address at sign-in":     {"/v1/login/options", `{"email":"ada"}`, 400, "invalid_request", "email", "invalid_email"},
		"a name with a line break":          {"/v1/signup/options", `{"display_name":"a\nb"}`, 400, "invalid_request", "display_name", "invalid_name"},
		"a name that is too long":           {"/v1/signup/options", `{"display_name":"` + strings.Repeat("x", 65) + `"}`, 400, "invalid_request", "display_name", "too_long"},
		"an unknown transport":              {"/v1/login/verify", `{"challenge_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","credential":{"id":"AA","type":"public-key","response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA"}},"transport":"unknown"}`, 400, "invalid_request", "transport", "unsupported_transport"},
		"too large":                         {"/v1/login/options", `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "body_too_large", "", ""},
		// Requirement: OWASP-sessions-strict
		"an unknown challenge": {"/v1/login/verify", verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), 404, "challenge_not_found", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, http.MethodPost, c.path, c.body)
			got.requireProblem(t, c.status, c.code)
			p := got.problem(t)
			if c.fieldCode == "" {
				return
			}
			if len(p.Errors) == 0 || p.Errors[0].Code != c.fieldCode || c.field != "" && p.Errors[0].Field != c.field || p.Errors[0].Detail == "" {
				t.Errorf("got %+v, want %q to be %s", p.Errors, c.field, c.fieldCode)
			}
		})
	}
}

func verifyBody(challengeID string) string {
	return fmt.Sprintf(`{"challenge_id":%q,"credential":{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA"}}}`, challengeID)
}

func TestInput_AllMissingMembersReported(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	p := s.send(t, http.MethodPost, "/v1/signup/verify", `{"credential":{"rawId":"AA","clientExtensionResults":[]},"passkey_name":"a\u0000b","transport":"unknown"}`).problem(t)
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if !strings.Contains(p.Detail, e.Field+": "+e.Detail) {
			t.Errorf("the problem's detail does not have %s: %s", e.Field, p.Detail)
		}
	}
	want := "challenge_id credential.id credential.rawId credential.type credential.clientExtensionResults " +
		"credential.response.clientDataJSON credential.response.attestationObject passkey_name transport"
	if got := strings.Join(named, " "); got != want {
		t.Errorf("reported %s\nwant     %s", got, want)
	}
}

func TestInput_AllMissingSignInMembersReported(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	p := s.send(t, http.MethodPost, "/v1/login/verify", `{"challenge_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","credential":{},"transport":"cookie"}`).problem(t)
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if !strings.Contains(p.Detail, e.Field+": "+e.Detail) {
			t.Errorf("the problem's detail does not have %s: %s", e.Field, p.Detail)
		}
	}
	want := "credential.id credential.type credential.response.clientDataJSON credential.response.authenticatorData credential.response.signature"
	if got := strings.Join(named, " "); got != want {
		t.Errorf("reported %s\nwant     %s", got, want)
	}
}

func TestInput_ValidValuesAccepted(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct{ path, body string }{
		"an empty object":                    {"/v1/login/options", `{}`},
		"a huge number in an unknown member": {"/v1/login/options", `{"x":1e400,"y":123456789012345678901234567890}`},
		"unknown names that differ in case":  {"/v1/login/options", `{"Email":1,"eMail":2,"EMAIL":3}`},
		"a surrogate pair":                   {"/v1/signup/options", `{"display_name":"\ud83d\udd11"}`},
		"32 nested levels":                   {"/v1/login/options", `{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`},
		"white space around the object":      {"/v1/login/options", " \t\r\n{} \t\r\n"},
		"a name in upper case":               {"/v1/login/options", `{"EMAIL":"no address"}`},
		"no extensions, with transport":      {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), "{", `{"transport":"cookie",`, 1)},
		"null for extensions":                {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), `"id"`, `"clientExtensionResults":null,"id"`, 1)},
		"a credential without rawId":         {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), `"rawId":"AA",`, "", 1)},
		"null for the address and the name":  {"/v1/signup/options", `{"email":null,"display_name":null}`},
	} {
		if got := s.send(t, http.MethodPost, c.path, c.body, "Content-Encoding", "identity"); got.StatusCode != 200 && got.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Body)
		}
	}
}

func TestInput_LongMemberNameTruncated(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	name := strings.Repeat("é", 1000)
	p := s.send(t, http.MethodPost, "/v1/login/options", `{"`+name+`":1,"`+name+`":2}`).problem(t)
	if len(p.Errors) != 1 || p.Errors[0].Code != "duplicate_member" || len(p.Errors[0].Field) > 128 || !strings.HasPrefix(name, p.Errors[0].Field) {
		t.Errorf("got %+v", p.Errors)
	}
}

// Requirement: OWASP-CSRF-simple-requests
func TestInput_BodyMustBeJSON(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "",
		"application/json; charset=utf-16", "application/json; charset=iso-8859-1", "application/json; charset=\"utf-7\"", "application/json; charset=",
		"application/json, text/plain", "text/plain; x=application/json", "application/json; charset=utf-8; charset=utf-16", "json", "*/*", "application/*",
		"application/problem+json", "application/json text/plain", "text/json"} {
		s.send(t, http.MethodPost, "/v1/login/options", `{}`, "Content-Type", contentType).requireProblem(t, 415, "unsupported_media_type")
	}
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"} {
		s.send(t, http.MethodPost, "/v1/login/options", `{}`, "Content-Encoding", encoding).requireProblem(t, 415, "unsupported_media_type")
	}
	// Ten megabytes, compressed to ten kilobytes, are not decompressed.
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	if _, err := packed.Write(bytes.Repeat([]byte(" "), 10<<20)); err != nil || packed.Close() != nil || bomb.Len() > 60<<10 {
		t.Fatal(bomb.Len(), err)
	}
	s.send(t, http.MethodPost, "/v1/login/options", bomb.String(), "Content-Encoding", "gzip").requireProblem(t, 415, "unsupported_media_type")
	for _, contentType := range []string{"application/json", "Application/JSON; charset=utf-8", "application/json ;charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json; v=1"} {
		if got := s.send(t, http.MethodPost, "/v1/login/options", `{"unknown":{"members":["are","ignored"]}}`, "Content-Type", contentType); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", contentType, got.StatusCode, got.Body)
		}
	}
}

// A request that cannot be parsed, or that does not name its challenge, does not consume the challenge. Neither does an
// invalid member outside the credential.
func TestInput_UnreadableRequestKeepsChallenge(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	ada := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", phone)
	signUp := ada.apiDevice().mustBeginSignUp(ada.profile)
	response, err := ada.apiDevice().authenticator.Create(signUp.options)
	if err != nil {
		t.Fatal(err)
	}
	credential := encode(t, response)
	for _, body := range []string{
		fmt.Sprintf(`{"challenge_id":%q,"credential":{}`, signUp.challengeID),
		fmt.Sprintf(`{"challenge_id":[%q],"credential":{}}`, signUp.challengeID),
		fmt.Sprintf(`{"challenge_id":%q,"credential":%s,"passkey_name":"a\nb"}`, signUp.challengeID, credential),
		fmt.Sprintf(`{"challenge_id":%q,"credential":%s,"passkey_name":7}`, signUp.challengeID, credential),
		fmt.Sprintf(`{"challenge_id":%q,"credential":%s,"transport":"unknown"}`, signUp.challengeID, credential),
	} {
		s.send(t, http.MethodPost, "/v1/signup/verify", body).requireProblem(t, 400, "invalid_request")
	}
	ada.requireIdentity(ada.apiDevice().api.finishSignUp(signUp.challengeID, response))
}

func TestRouting_UnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	s.send(t, http.MethodGet, "/v1/nothing", "").requireProblem(t, 404, "not_found")
	s.send(t, http.MethodGet, "/V1/config", "").requireProblem(t, 404, "not_found")
	s.send(t, http.MethodGet, "/v1/config/", "").requireProblem(t, 404, "not_found")
	s.send(t, http.MethodGet, "/v1/../v1/config/%00", "").requireProblem(t, 404, "not_found")
	got := s.send(t, http.MethodGet, "/v1/login/options", "")
	got.requireProblem(t, 405, "method_not_allowed")
	if allow := got.Header.Get("Allow"); !strings.Contains(allow, "POST") {
		t.Errorf("Allow: %q", allow)
	}
	s.send(t, http.MethodPut, "/v1/session", "").requireProblem(t, 405, "method_not_allowed")
}

// A request that is rejected before routing gets a problem document with the security headers, and is logged.
// Requirement: ASVS-4.2.1
func TestRouting_EarlyErrorsAreProblems(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, got := range map[string]apiResponse{
		"431 invalid_request":    s.send(t, http.MethodGet, "/v1/config", "", "X-Large", strings.Repeat("x", 17<<10)),
		"413 body_too_large":     s.send(t, http.MethodPost, "/v1/login/options", strings.Repeat("x", 65<<10)),
		"405 method_not_allowed": s.send(t, "FOO", "/v1/config", ""),
	} {
		p := got.problem(t)
		if fmt.Sprint(p.Status, " ", p.Code) != name {
			t.Errorf("got %d %s, want %s", p.Status, p.Code, name)
		}
		if got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the security headers are missing: %v", name, got.Header)
		}
		if !strings.Contains(s.log.text(), p.RequestID) {
			t.Errorf("%s: the log has no line for the request", name)
		}
	}
}

// A malformed response that names its challenge consumes it, in every ceremony.
// Requirement: FIDO-Attestation-Resp-1
func TestInput_MalformedResponseConsumesChallenge(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	ada := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	device := ada.apiDevice()
	for _, path := range []string{"/v1/me/passkeys", "/v1/session/step-up", "/v1/login", "/v1/signup", "/v1/recovery"} {
		t.Run(path, func(t *testing.T) {
			api := s.newAPI(t)
			var options any = map[string]any{}
			body := map[string]any{}
			switch path {
			case "/v1/me/passkeys", "/v1/session/step-up":
				api, options = device.api.(*httpAPI), nil
			case "/v1/recovery":
				grant := api.redeem(withBackupCode(codes[0])).must(ada.t)
				body["grant_token"], options = grant, map[string]any{"grant_token": grant}
			}
			begin := func() pendingCeremony {
				var begun client.Ceremony
				ada.requireOK(api.call(http.MethodPost, path+"/options", options, &begun))
				return pendingCeremony{begun.ChallengeID, begun.Options}
			}
			verify := func(begun pendingCeremony, credential any) rejection {
				body["challenge_id"], body["credential"] = begun.challengeID, credential
				return api.call(http.MethodPost, path+"/verify", body, nil)
			}
			for _, credential := range []any{nil, "AA", map[string]any{}, map[string]any{"id": 7}, map[string]any{"response": []any{}}} {
				begun := begin()
				if got, want := verify(begun, credential), (rejection{"invalid_request", "malformed"}); got != want {
					t.Errorf("%v: %+v", credential, got)
				}
				if got := verify(begun, credential); got.code != "invalid_request" {
					t.Errorf("%v, second request: %+v", credential, got)
				}
				if got := verify(begun, device.respondTo(t, path, begun)); got.code != "challenge_not_found" {
					t.Errorf("the valid response after %v: %+v", credential, got)
				}
			}
			begun := begin()
			if got := verify(begun, device.respondTo(t, path, begun)); got != (rejection{}) {
				t.Errorf("a valid response: %+v", got)
			}
		})
	}
}

// respondTo returns an assertion of the current passkey, or a new passkey on another authenticator.
func (d *apiDevice) respondTo(t *testing.T, path string, begun pendingCeremony) any {
	t.Helper()
	if path == "/v1/login" || path == "/v1/session/step-up" {
		return d.getAssertion(begun)
	}
	credential, err := authenticator.New(d.authenticator.Origin()).Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}
