package acceptance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/browser"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// The programs of docs/guides/examples, as a developer runs them: beside `keylodge dev`, in a browser.

// exampleApp is an example in a browser with an authenticator whose user always agrees.
type exampleApp struct {
	*browserPage
	origin string
	page   string // the address of the page of the development mode
}

// startExample runs an example and a server with the setting, NAME=value, in which %s stands for the origin of the example. Both have
// free ports instead of those in the sources.
func startExample(t *testing.T, name, host, setting string) exampleApp {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	port := func() string {
		_, port, _ := strings.Cut(freeAddress(t), ":")
		return port
	}
	own := port()
	a := exampleApp{origin: fmt.Sprintf("http://%s:%s", host, own), page: "127.0.0.1:" + port()}
	s := keylodgeserver.New(t, keylodgeserver.Binary(t), fmt.Sprintf(setting, a.origin))
	s.Arguments = []string{"dev", "--page", a.page}
	s.Start()
	runExample(t, name, strings.NewReplacer("http://localhost:8080", s.URL(), host+":5173", host+":"+own), host+":"+own)

	a.browserPage = &browserPage{t: t, ctx: browser.NewProfile(t), server: &server{origin: s.URL(), log: new(logRecorder)}}
	call(a.browserPage, webauthn.Enable, webauthn.EnableParams{})
	a.attachAuthenticator()
	a.setAutomaticPresence(true)
	a.disableConditionalMediation()
	a.observePage()
	a.navigate(a.origin + "/")
	return a
}

// runExample builds an example with the replaced addresses, and runs it until the end of the test.
func runExample(t *testing.T, name string, addresses *strings.Replacer, address string) {
	t.Helper()
	folder := t.TempDir()
	for _, pattern := range []string{"docs/guides/examples/" + name + "/*", "go.mod", "go.sum"} {
		sources, err := filepath.Glob("../" + pattern)
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, source := range sources {
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, filepath.Base(source)), []byte(addresses.Replace(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	program := filepath.Join(folder, "example")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir, build.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, output)
	}
	log := new(process.Log)
	run := exec.CommandContext(t.Context(), program)
	run.Stdout, run.Stderr = log, log
	running, err := process.Start(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	for deadline := time.Now().Add(pageTimeout); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := keylodgeserver.Get(address, "/"); status == http.StatusOK {
			return
		}
		select {
		case <-running.Exited():
			t.Fatalf("%s has ended:\n%s", name, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer:\n%s", name, log)
		}
	}
}

// advance moves the clock of the server, so that the next sensitive call needs a step-up.
func (a exampleApp) advance(by time.Duration) {
	a.t.Helper()
	response, err := http.PostForm("http://"+a.page+"/clock", url.Values{"advance": {by.String()}})
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		a.t.Fatalf("moving the clock: %d", response.StatusCode)
	}
}

func (a exampleApp) waitForMessage(text string) {
	a.t.Helper()
	a.waitFor("the message "+text, fmt.Sprintf(`(document.getElementById('message')?.textContent ?? '').includes(%q)`, text))
}

// countPrompts counts the requests for a passkey in window.prompts.
func (a exampleApp) countPrompts() {
	a.t.Helper()
	eval[int](a.browserPage, `(() => {
		const get = navigator.credentials.get.bind(navigator.credentials);
		navigator.credentials.get = (options) => { window.prompts++; return get(options); };
		return window.prompts = 0;
	})()`)
}

func (a exampleApp) requirePrompts(want int) {
	a.t.Helper()
	if got := eval[int](a.browserPage, `window.prompts`); got != want {
		a.t.Errorf("%d prompts, want %d", got, want)
	}
}

func TestKit_ExamplePage(t *testing.T) {
	a := startExample(t, "page", "localhost", "KEYLODGE_ORIGINS=%s")
	a.fill(`#sign-up [name="display_name"]`, "Ada")
	a.fill(`#sign-up [name="email"]`, "nonsense@192.0.2.1")
	a.press("#sign-up button")
	a.waitForMessage("address")
	a.fill(`#sign-up [name="email"]`, "ada@example.org")
	a.press("#sign-up button")
	a.waitForMessage("Signed in as Ada")
	a.navigate(a.origin + "/")
	a.waitForMessage("Signed in as Ada")

	a.countPrompts()
	a.press("#step-up")
	a.waitForMessage("Confirmed")
	a.requirePrompts(1)
	a.press("#sign-out")
	a.waitForMessage("Signed out")
	a.press("#sign-in button")
	a.waitForMessage("Signed in as Ada")
	a.requirePrompts(2)
}

func TestKit_ExampleSinglePageApp(t *testing.T) {
	a := startExample(t, "spa", "localhost", "KEYLODGE_ORIGINS=%s")
	a.fill(`#sign-up [name="display_name"]`, "Ada")
	a.press("#sign-up button")
	a.waitForMessage("Signed in as Ada")
	a.navigate(a.origin + "/")
	a.waitForMessage("Signed in as Ada")

	a.fill(`#profile [name="display_name"]`, "Ada Lovelace")
	a.press("#profile button")
	a.waitForMessage("Saved: Ada Lovelace")
	a.countPrompts()
	a.press("#make-codes")
	a.waitForMessage("These codes are shown once.")
	a.requirePrompts(0)
	a.advance(11 * time.Minute)
	first := a.textOf("#codes")
	a.press("#make-codes")
	a.waitFor("new codes", fmt.Sprintf(`find('#codes').textContent.split('\n').length === 10 && find('#codes').textContent !== %q`, first))
	a.requirePrompts(1)

	// Signed out in another tab.
	other := exampleApp{a.openSecondTab(), a.origin, a.page}
	other.navigate(a.origin + "/")
	other.waitForMessage("Signed in as Ada Lovelace")
	other.press("#sign-out")
	other.waitForMessage("Signed out")
	a.waitForMessage("Signed out")
	a.waitFor("the sign-in is shown", visible("#sign-in"))
	if codes := eval[string](a.browserPage, `find('#codes').textContent`); codes != "" {
		t.Errorf("the codes of the former user are left: %s", codes)
	}
	a.press("#sign-in")
	a.waitForMessage("Signed in as Ada Lovelace")
	a.requirePrompts(2)
}

// The page is on another site, so that no cookie of the server is sent with its calls, and passkeys are used on the server's page.
func TestKit_ExampleTokens(t *testing.T) {
	a := startExample(t, "tokens", "127.0.0.1", "KEYLODGE_APPLICATIONS=%s=My app")
	a.press("#sign-up")
	a.fill(`[name="display_name"]`, "Ada")
	a.press(named("sign-up"))
	a.press(named("not-now"))
	a.waitForMessage("Signed in as Ada")
	if left := eval[string](a.browserPage, `location.href`); left != a.origin+"/" {
		t.Errorf("the address has the code: %s", left)
	}

	eval[string](a.browserPage, `(window.answers = [], window.realFetch = window.fetch, window.fetch = async (url, init) => {
		const response = await realFetch(url, init);
		answers.push([new URL(url, location).pathname, response.status, init?.headers?.Authorization].filter(Boolean).join(' '));
		return response;
	}, '')`)
	a.press("#orders")
	a.waitForMessage("has 0 orders")
	user := strings.Fields(a.textOf("#message"))[1]
	a.press("#account")
	a.waitForMessage(user)
	token := eval[string](a.browserPage, `answers.find((answer) => answer.startsWith('/orders 200 Bearer ')).split(' ').at(-1)`)
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(claims), user) {
		t.Fatalf("the claims %s: %v", claims, err)
	}
	otherUser := strings.Replace(string(claims), user, strings.Repeat("0", len(user)), 1)
	for name, sent := range map[string]string{
		"the token of another user": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(otherUser)) + "." + parts[2],
		"another signature":         parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"no signature":              parts[0] + "." + parts[1] + ".",
		"no token":                  "",
	} {
		got := evalPromise(a.browserPage, fmt.Sprintf(`(async () => {
			const answer = await fetch('/orders', { headers: { Authorization: 'Bearer %s' } });
			return answer.status + ' ' + answer.headers.get('WWW-Authenticate');
		})()`, sent))
		if got != `401 Bearer error="invalid_token"` {
			t.Errorf("%s: %s", name, got)
		}
	}

	// The access token has expired: the kit refreshes it.
	a.advance(6 * time.Minute)
	eval[bool](a.browserPage, `(answers.length = 0, find('#message').textContent = '', true)`)
	a.press("#account")
	a.waitForMessage(user)
	if got := eval[string](a.browserPage, `answers.map((answer) => answer.replace(/ Bearer.*/, '')).join()`); got != "/v1/me 401,/v1/session/refresh 200,/v1/me 200" {
		t.Errorf("after the expiry: %s", got)
	}

	// A reload loses the tokens, and the server's page returns at once.
	a.navigate(a.origin + "/")
	a.waitForMessage("Signed in as Ada")
	a.press("#sign-out")
	a.waitForMessage("Signed out")
	a.navigate(a.origin + "/")
	a.waitForMessage("Signed out")
	a.press("#sign-in")
	a.press(named("sign-in"))
	a.waitForMessage("Signed in as Ada")

	// A code that another page has requested.
	a.navigate(a.origin + "/?code=klc_kpnPbsmVFbP8oh_Q6zqDo6sSNoVvEGpXOJhIXgJ3cqA&state=forged")
	a.waitForMessage("this code was not requested here")
}
