package acceptance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func TestInput_InvalidValuesReported(t *testing.T) {
	s := startServer(t, newClock(), nil)
	deep := strings.Repeat("[", 33) + strings.Repeat("]", 33)
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
		field      string
		fieldCode  string
	}{
		"a list of objects":          {"/v1/login/options", `[{"email":"ada@example.org"}]`, 400, "invalid_request", "", "invalid_json"},
		"a text":                     {"/v1/login/options", `"email"`, 400, "invalid_request", "", "invalid_json"},
		"spaces and nothing else":    {"/v1/login/options", "  ", 400, "invalid_request", "", "invalid_json"},
		"not a number":               {"/v1/login/options", `{"x":NaN}`, 400, "invalid_request", "", "invalid_json"},
		"no end of a number":         {"/v1/login/options", `{"x":Infinity}`, 400, "invalid_request", "", "invalid_json"},
		"a number with a zero":       {"/v1/login/options", `{"x":01}`, 400, "invalid_request", "", "invalid_json"},
		"a huge number for a text":   {"/v1/login/options", `{"email":1e400}`, 400, "invalid_request", "email", "wrong_type"},
		"true for a text":            {"/v1/signup/options", `{"display_name":true}`, 400, "invalid_request", "display_name", "wrong_type"},
		"a list for a text":          {"/v1/signup/options", `{"email":["ada@example.org"]}`, 400, "invalid_request", "email", "wrong_type"},
		"an object for a text":       {"/v1/signup/options", `{"email":{"$ne":null}}`, 400, "invalid_request", "email", "wrong_type"},
		"a number for a code":        {"/v1/recovery/redeem", `{"email":"ada@example.org","totp_code":123456}`, 400, "invalid_request", "totp_code", "wrong_type"},
		"null for what is required":  {"/v1/login/verify", `{"challenge_id":null}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"null for a token":           {"/v1/session/refresh", `{"refresh_token":null}`, 400, "invalid_request", "refresh_token", "required"},
		"names that are not quoted":  {"/v1/login/options", `{email:"ada@example.org"}`, 400, "invalid_request", "", "invalid_json"},
		"a comma too many":           {"/v1/login/options", `{"email":"ada@example.org",}`, 400, "invalid_request", "", "invalid_json"},
		"a comment":                  {"/v1/login/options", `{/* Ada */}`, 400, "invalid_request", "", "invalid_json"},
		"a raw line break":           {"/v1/signup/options", "{\"display_name\":\"a\nb\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"UTF-16":                     {"/v1/login/options", "\xff\xfe{\x00}\x00", 400, "invalid_request", "", "invalid_json"},
		"an overlong letter":         {"/v1/signup/options", "{\"display_name\":\"\xc1\x81\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"a surrogate in UTF-8":       {"/v1/signup/options", "{\"display_name\":\"\xed\xa0\x80\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"surrogates the wrong way":   {"/v1/signup/options", `{"display_name":"\udc00\ud800"}`, 400, "invalid_request", "display_name", "invalid_json"},
		"half a surrogate as a name": {"/v1/signup/options", `{"\ud800":1}`, 400, "invalid_request", "", "invalid_json"},
		"an unknown member twice":    {"/v1/login/options", `{"x":1,"x":2}`, 400, "invalid_request", "x", "duplicate_member"},
		"twice, once in escapes":     {"/v1/login/options", `{"email":"ada@example.org","\u0065mail":"ben@example.org"}`, 400, "invalid_request", "email", "duplicate_member"},
		"twice, in an unknown one":   {"/v1/login/options", `{"x":[{"y":{"z":1,"z":1}}]}`, 400, "invalid_request", "x.0.y.z", "duplicate_member"},
		"33 objects in each other":   {"/v1/login/options", strings.Repeat(`{"x":`, 33) + "1" + strings.Repeat("}", 33), 400, "invalid_request", "", "too_deep"},
		"very deep":                  {"/v1/login/options", `{"x":` + strings.Repeat("[", 60000), 400, "invalid_request", "", "too_deep"},
		"not JSON":                   {"/v1/login/options", `hello`, 400, "invalid_request", "", "invalid_json"},
		"half of it":                 {"/v1/login/options", `{"email":"ada@example.org"`, 400, "invalid_request", "", "invalid_json"},
		"no object":                  {"/v1/login/options", `[]`, 400, "invalid_request", "", "invalid_json"},
		"null":                       {"/v1/login/options", `null`, 400, "invalid_request", "", "invalid_json"},
		"two objects":                {"/v1/login/options", `{}{}`, 400, "invalid_request", "", "invalid_json"},
		"bytes behind it":            {"/v1/login/options", "{}\x00", 400, "invalid_request", "", "invalid_json"},
		"a byte order mark":          {"/v1/login/options", "\xef\xbb\xbf{}", 400, "invalid_request", "", "invalid_json"},
		"invalid UTF-8":              {"/v1/signup/options", "{\"display_name\":\"\xff\"}", 400, "invalid_request", "display_name", "invalid_json"},
		"half a surrogate pair":      {"/v1/signup/options", `{"display_name":"\ud800"}`, 400, "invalid_request", "display_name", "invalid_json"},
		"a member twice":             {"/v1/login/options", `{"email":"ada@example.org","email":"ben@example.org"}`, 400, "invalid_request", "email", "duplicate_member"},
		"a member twice, deep":       {"/v1/login/verify", `{"credential":{"response":{"signature":"AA","signature":"AQ"}}}`, 400, "invalid_request", "credential.response.signature", "duplicate_member"},
		"a number for a text":        {"/v1/login/options", `{"email":7}`, 400, "invalid_request", "email", "wrong_type"},
		"a text for an object":       {"/v1/login/verify", `{"credential":"x"}`, 400, "invalid_request", "credential", "wrong_type"},
		"an object for a list":       {"/v1/signup/verify", `{"credential":{"response":{"transports":{}}}}`, 400, "invalid_request", "credential.response.transports", "wrong_type"},
		"a number in a list":         {"/v1/signup/verify", `{"credential":{"response":{"transports":[1]}}}`, 400, "invalid_request", "credential.response.transports.0", "wrong_type"},
		"a text for an extension":    {"/v1/signup/verify", `{"credential":{"clientExtensionResults":"x"}}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"no base64":                  {"/v1/login/verify", `{"credential":{"id":"***"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"a line break in base64":     {"/v1/login/verify", `{"credential":{"id":"AA\nAA"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"a return in base64":         {"/v1/login/verify", `{"credential":{"id":"AA\rAA"}}`, 400, "invalid_request", "credential.id", "invalid_base64"},
		"too deep":                   {"/v1/login/options", `{"x":` + deep + `}`, 400, "invalid_request", "", "too_deep"},
		"nothing to verify":          {"/v1/login/verify", `{}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"no body to verify":          {"/v1/signup/verify", ``, 400, "invalid_request", "challenge_id", "invalid_id"},
		"a challenge id that is not": {"/v1/login/verify", `{"challenge_id":"7"}`, 400, "invalid_request", "challenge_id", "invalid_id"},
		"an address that is not":     {"/v1/signup/options", `{"email":"ada"}`, 400, "invalid_request", "email", "invalid_email"},
		"an address at sign-in":      {"/v1/login/options", `{"email":"ada"}`, 400, "invalid_request", "email", "invalid_email"},
		"a name with a line break":   {"/v1/signup/options", `{"display_name":"a\nb"}`, 400, "invalid_request", "display_name", "invalid_name"},
		"a name that is too long":    {"/v1/signup/options", `{"display_name":"` + strings.Repeat("x", 65) + `"}`, 400, "invalid_request", "display_name", "too_long"},
		"a transport that is not":    {"/v1/login/verify", `{"challenge_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","credential":{"id":"AA","type":"public-key","response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA"}},"transport":"pigeon"}`, 400, "invalid_request", "transport", "unsupported_transport"},
		"too large":                  {"/v1/login/options", `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "body_too_large", "", ""},
		"a challenge nobody has":     {"/v1/login/verify", verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), 404, "challenge_not_found", "", ""},
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
	s := startServer(t, newClock(), nil)
	p := s.send(t, http.MethodPost, "/v1/signup/verify", `{"credential":{"rawId":"AA","clientExtensionResults":[]},"passkey_name":"a\u0000b","transport":"pigeon"}`).problem(t)
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if !strings.Contains(p.Detail, e.Field+": "+e.Detail) {
			t.Errorf("the detail leaves out %s: %s", e.Field, p.Detail)
		}
	}
	want := "challenge_id credential.id credential.rawId credential.type credential.clientExtensionResults " +
		"credential.response.clientDataJSON credential.response.attestationObject passkey_name transport"
	if got := strings.Join(named, " "); got != want {
		t.Errorf("named %s\nwant  %s", got, want)
	}
}

func TestInput_AllMissingSignInMembersReported(t *testing.T) {
	s := startServer(t, newClock(), nil)
	p := s.send(t, http.MethodPost, "/v1/login/verify", `{"challenge_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","credential":{},"transport":"cookie"}`).problem(t)
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if !strings.Contains(p.Detail, e.Field+": "+e.Detail) {
			t.Errorf("the detail leaves out %s: %s", e.Field, p.Detail)
		}
	}
	want := "credential.id credential.type credential.response.clientDataJSON credential.response.authenticatorData credential.response.signature"
	if got := strings.Join(named, " "); got != want {
		t.Errorf("named %s\nwant  %s", got, want)
	}
}

func TestInput_ValidValuesAccepted(t *testing.T) {
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct{ path, body string }{
		"an empty object":             {"/v1/login/options", `{}`},
		"a huge number, unknown":      {"/v1/login/options", `{"x":1e400,"y":123456789012345678901234567890}`},
		"names of one spelling, all":  {"/v1/login/options", `{"Email":1,"eMail":2,"EMAIL":3}`},
		"a pair of surrogates":        {"/v1/signup/options", `{"display_name":"\ud83d\udd11"}`},
		"32 levels":                   {"/v1/login/options", `{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`},
		"white space around it":       {"/v1/login/options", " \t\r\n{} \t\r\n"},
		"a member in capitals":        {"/v1/login/options", `{"EMAIL":"no address"}`},
		"no extensions, transport":    {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), "{", `{"transport":"cookie",`, 1)},
		"null for extensions":         {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), `"id"`, `"clientExtensionResults":null,"id"`, 1)},
		"a credential without rawId":  {"/v1/login/verify", strings.Replace(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), `"rawId":"AA",`, "", 1)},
		"null for an address, a name": {"/v1/signup/options", `{"email":null,"display_name":null}`},
	} {
		if got := s.send(t, http.MethodPost, c.path, c.body, "Content-Encoding", "identity"); got.StatusCode != 200 && got.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
}

func TestInput_LongMemberNameTruncated(t *testing.T) {
	s := startServer(t, newClock(), nil)
	name := strings.Repeat("é", 1000)
	p := s.send(t, http.MethodPost, "/v1/login/options", `{"`+name+`":1,"`+name+`":2}`).problem(t)
	if len(p.Errors) != 1 || p.Errors[0].Code != "duplicate_member" || len(p.Errors[0].Field) > 128 || !strings.HasPrefix(name, p.Errors[0].Field) {
		t.Errorf("got %+v", p.Errors)
	}
}

func TestInput_BodyMustBeJSON(t *testing.T) {
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
	// Ten megabytes in ten kilobytes: nobody unpacks them to find out.
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	if _, err := packed.Write(bytes.Repeat([]byte(" "), 10<<20)); err != nil || packed.Close() != nil || bomb.Len() > 60<<10 {
		t.Fatal(bomb.Len(), err)
	}
	s.send(t, http.MethodPost, "/v1/login/options", bomb.String(), "Content-Encoding", "gzip").requireProblem(t, 415, "unsupported_media_type")
	for _, contentType := range []string{"application/json", "Application/JSON; charset=utf-8", "application/json ;charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json; v=1"} {
		if got := s.send(t, http.MethodPost, "/v1/login/options", `{"unknown":{"members":["are","ignored"]}}`, "Content-Type", contentType); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", contentType, got.StatusCode, got.body)
		}
	}
}

// An attempt begins with a request that can be read and names its challenge: until then nothing is spent. Nor is it by a member
// that is not of the answer.
func TestInput_UnreadableRequestKeepsChallenge(t *testing.T) {
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
		fmt.Sprintf(`{"challenge_id":%q,"credential":%s,"transport":"pigeon"}`, signUp.challengeID, credential),
	} {
		s.send(t, http.MethodPost, "/v1/signup/verify", body).requireProblem(t, 400, "invalid_request")
	}
	user, rejected := ada.apiDevice().api.finishSignUp(signUp.challengeID, response)
	ada.requireIdentity(user, rejected)
}

func TestRouting_UnknownPathsAndMethods(t *testing.T) {
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

// What is refused before any route looks like every other answer, and leaves its trace in the log.
func TestRouting_EarlyErrorsAreProblems(t *testing.T) {
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
			t.Errorf("%s: unguarded: %v", name, got.Header)
		}
		if !strings.Contains(s.log.text(), p.RequestID) {
			t.Errorf("%s: the log knows nothing of it", name)
		}
	}
}

// Whichever ceremony it is of, an answer that names its challenge was the attempt, also if it is out of shape.
func TestInput_MalformedResponseConsumesChallenge(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, nil)
	ada := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", phone)
	ada.signsUp()
	codes, rejected := ada.device.makeBackupCodes()
	ada.requireOK(rejected)
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
				grant, rejected := api.redeem(recoveryProof{backupCode: codes[0]})
				ada.requireOK(rejected)
				body["grant_token"], options = grant, map[string]any{"grant_token": grant}
			}
			begin := func() pendingCeremony {
				var begun ceremonyResponse
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
					t.Errorf("%v again: %+v", credential, got)
				}
				if got := verify(begun, device.respondTo(t, path, begun)); got.code != "challenge_not_found" {
					t.Errorf("the right answer after %v: %+v", credential, got)
				}
			}
			begun := begin()
			if got := verify(begun, device.respondTo(t, path, begun)); got != (rejection{}) {
				t.Errorf("a right answer: %+v", got)
			}
		})
	}
}

// respondTo answers with the passkey at hand, or makes another one on a device that has none.
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
