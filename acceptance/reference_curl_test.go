package acceptance

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// curlExample is the heading, the method, the path and the command of an operation in docs/reference/api.md.
var curlExample = regexp.MustCompile("(?s)\n### ([^\n]+)\n\n`([A-Z]+) ([^`]+)`\n.*?```sh\n(.*?)\n```")

// The examples of docs/reference/api.md run in a shell, each with an account of its own.
func TestReference_CurlExamples(t *testing.T) {
	t.Parallel()
	if help, err := exec.CommandContext(t.Context(), "curl", "--help", "all").Output(); err != nil || !strings.Contains(string(help), "--json") {
		t.Log("the examples need curl 7.82 or newer")
		require.Missing(t, require.Tools)
	}
	page, err := os.ReadFile("../docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{} // by method and path
	for _, example := range curlExample.FindAllStringSubmatch(string(page), -1) {
		examples[example[2]+" "+example[3]] = example[4]
	}
	// The server of this test sends no e-mail and has no documents for apps, and its users have one passkey.
	failing := map[string]string{
		"sendEmailCode": "404", "confirmEmail": "404", "getRelatedOrigins": "404", "getAssetLinks": "404", "getAppSiteAssociation": "404",
		"changePassword": "404", "removePasskey": "409", "forwardAuth": "403", // it has no trusted proxy
	}
	s := &serverWithDB{t: t, clock: newClock()}
	s.server = startServer(t, s.clock, func(c *config.Config) { c.RateLimits = nil })
	for _, o := range readOpenAPI(t).allOperations(t) {
		t.Run(o.id, func(t *testing.T) {
			a := s.withT(t).newFullAccount("User-" + o.id)
			status, body := a.runExample(o, examples[o.method+" "+o.path])
			if want := failing[o.id]; want != "" && status != want || want == "" && !strings.HasPrefix(status, "2") {
				t.Errorf("the status is %s: %s", status, body)
			}
		})
	}
}

// runExample runs the command in a shell with the variables of the account and of a valid request. It returns the status and the
// body of the response.
func (a *fullAccount) runExample(o operation, command string) (status, body string) {
	a.t.Helper()
	program := client.New(a.origin, a.transport)
	begun, err := program.BeginSignIn(client.SignInOptionsRequest{})
	if err != nil {
		a.t.Fatal(err)
	}
	signedIn, err := program.FinishSignIn(client.SignInVerifyRequest{ChallengeID: begun.ChallengeID, Credential: a.getAssertion(begun), Transport: "bearer"})
	if err != nil {
		a.t.Fatal(err)
	}
	tokens := signedIn.Tokens
	a.refreshToken, a.anonymousHeaders, a.headers = tokens.RefreshToken, nil, []string{"Authorization", "Bearer " + tokens.AccessToken}
	environment := append(os.Environ(), "URL="+a.origin, "ACCESS_TOKEN="+tokens.AccessToken, "COOKIE="+a.sessionCookie, "CSRF_TOKEN="+a.csrf,
		"PASSKEY_ID="+a.passkeyID, "SESSION_ID="+a.appSessionID, "USER_ID="+a.userID, "API_KEY="+a.newAPIKey(domain.Scopes...), "INVITE_ID="+a.createInvite())
	if o.id == "redeemAuthorizationCode" {
		a.headers = a.headersInBrowserOf(a) // where the code is issued
	}
	_, request := a.validRequest(o)
	for _, member := range []string{"challenge_id", "credential", "refresh_token", "grant_token", "code", "backup_code"} {
		value, found := request[member]
		if !found {
			continue
		}
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			if err != nil {
				a.t.Fatal(err)
			}
			text = string(encoded)
		}
		environment = append(environment, strings.ToUpper(member)+"="+text)
	}
	script := "set -eu\ncurl() { command curl -w '\\n%{http_code}' \"$@\"; }\n" + command
	shell := exec.CommandContext(a.t.Context(), "sh", "-c", script)
	shell.Env = environment
	output, err := shell.CombinedOutput()
	if command == "" || err != nil {
		a.t.Fatalf("%s: %v\n%s", command, err, output)
	}
	at := strings.LastIndex(string(output), "\n")
	return string(output[at+1:]), string(output[:max(at, 0)])
}
