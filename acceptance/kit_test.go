package acceptance

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// The kit in a page of its own. TestExamples runs it on another origin, and every test of the page uses it, too.

// openKit starts a server and returns a page with keylodge, the kit, signed up as Ada. Keylodge's own page is not open.
func openKit(t *testing.T) (*browserPage, *clock) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	b := browserDriver{startServer(t, c, nil)}.newDevice(t, autofillPhone).(*browserPage)
	b.openKit()
	b.withAuthenticator(nil, func() string { return b.kit(`await keylodge.signUp({ display_name: 'Ada' })`) })
	return b, c
}

func (b *browserPage) openKit() {
	b.t.Helper()
	b.navigate(b.server.origin + "/kit/keylodge.js")
	b.kit(``)
}

// kit runs statements with keylodge, whose steps up and session events are listed in window.seen. It returns what they return.
func (b *browserPage) kit(statements string) string {
	b.t.Helper()
	return evalPromise(b, `(async () => {
		const { createKeylodge, getPasskey } = await import('/kit/keylodge.js');
		window.seen ??= [];
		if (!window.keylodge) {
			window.keylodge = createKeylodge({ beforeStepUp: (error) => { seen.push(error.code); } });
			keylodge.onSession(({ type, user, error }) => { seen.push([type, user?.display_name, error?.code].filter(Boolean).join(' ')); });
		}
		const act = async () => { `+statements+` };
		return (await act()) ?? '';
	})()`)
}

func (b *browserPage) requireSeen(want string) {
	b.t.Helper()
	b.waitFor(want, fmt.Sprintf(`window.seen.join(', ') === %q`, want))
	eval[int](b, `window.seen.length = 0`)
}

// promptStub replaces the browser's prompts: prompts lists them, and reject ends the last one.
const promptStub = `
	window.prompts = [];
	const real = navigator.credentials.get.bind(navigator.credentials);
	navigator.credentials.get = (options) => {
		prompts.push(options.uiMode ?? options.mediation ?? 'ordinary');
		if (window.answering?.(options)) return real({ ...options, uiMode: undefined });
		return new Promise((_, reject) => {
			window.reject = (name) => reject(new DOMException('why', name));
			options.signal?.addEventListener('abort', () => reject(new DOMException('why', 'AbortError')));
		});
	};`

// reportStub lists in reported what the kit reports about a sign-in.
const reportStub = `
	window.reported = [];
	const realFetch = window.fetch;
	window.fetch = (url, init) => {
		if (String(url).endsWith('/login/steps')) {
			if (!init.keepalive || init.credentials !== 'omit') throw new Error('the report is not sent like a beacon');
			for (const { way, outcome } of JSON.parse(init.body).steps) reported.push(way + ' ' + outcome);
		}
		return realFetch(url, init);
	};`

func TestKit_AsksForPasskeyOfThisDeviceFirst(t *testing.T) {
	b, _ := openKit(t)
	b.kit(`await keylodge.signOut();` + promptStub + `PublicKeyCredential.getClientCapabilities = async () => ({ immediateGet: true });`)
	b.setAutomaticPresence(true)
	b.kit(reportStub)
	for _, c := range []struct {
		about, answering, meanwhile, outcome, prompts, reported string
	}{
		{"a passkey of this device", `(options) => options.uiMode === 'immediate'`, ``, "Ada", "immediate", "immediate prompted, immediate done"},
		{"none on this device", `(options) => options.uiMode !== 'immediate'`, `reject('NotAllowedError')`, "Ada", "immediate ordinary", "immediate prompted, immediate no_passkey, prompt prompted, prompt done"},
		{"a browser without that mode", `(options) => options.uiMode !== 'immediate'`, `reject('TypeError')`, "Ada", "immediate ordinary", "immediate prompted, immediate no_passkey, prompt prompted, prompt done"},
		{"cancelled by the user", `() => false`, `Date.now = () => performance.timeOrigin + performance.now() + 5000; reject('NotAllowedError')`, "cancelled", "immediate", "immediate prompted, immediate cancelled"},
	} {
		got := b.kit(fmt.Sprintf(`
			prompts.length = 0;
			window.reject = null;
			window.answering = %s;
			const result = keylodge.signIn().then(({ user }) => user.display_name, ({ code }) => code);
			while (prompts.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
			%s;
			return await result + ': ' + prompts.join(' ') + ': ' + reported.splice(0).join(', ');`, c.answering, c.meanwhile))
		if want := c.outcome + ": " + c.prompts + ": " + c.reported; got != want {
			t.Errorf("%s: %q, want %q", c.about, got, want)
		}
	}
}

// The prompt of a button ends that of the suggestions, which begins again if the button's does not sign in.
func TestKit_ButtonSuspendsSuggestions(t *testing.T) {
	b, _ := openKit(t)
	b.kit(`await keylodge.signOut();` + promptStub + `
		PublicKeyCredential.getClientCapabilities = async () => ({});
		window.suggested = keylodge.signIn({ autofill: true }).then(({ user }) => user.display_name, ({ code }) => code);`)
	b.waitFor("the suggestions wait", `prompts.join(' ') === 'conditional'`)
	// The suggestions have waited for so long that they would begin again, had anything else ended them.
	b.kit(`
		Date.now = () => performance.timeOrigin + performance.now() + 5000;
		window.pressed = keylodge.signIn().catch(({ code }) => code);`)
	b.waitFor("the button's prompt", `prompts.join(' ') === 'conditional ordinary'`)
	b.kit(`
		for (let i = 0; i < 3; i++) await keylodge.signIn.begin(); // what suggestions that begin again do before their prompt
		reject('NotAllowedError');`)
	if code := b.kit(`return pressed`); code != "cancelled" {
		t.Errorf("the button's prompt ended with %s", code)
	}
	b.waitFor("the suggestions wait again", `prompts.join(' ') === 'conditional ordinary conditional'`)
	b.setAutomaticPresence(true)
	if got := b.kit(`
		window.answering = () => true;
		const { user } = await keylodge.signIn();
		return user.display_name + ' ' + await suggested + ' ' + prompts.length;`); got != "Ada aborted 4" {
		t.Errorf("after a sign-in by the button: %s", got)
	}
}

func TestKit_SessionEventsOfOtherTabs(t *testing.T) {
	one, c := openKit(t)
	two := one.openSecondTab()
	two.openKit()
	two.kit(`await keylodge.session()`)
	two.requireSeen("created Ada")
	one.kit(`await keylodge.signOut()`)
	two.requireSeen("ended")
	one.withAuthenticator(nil, func() string { return one.kit(`await keylodge.signIn()`) })
	two.requireSeen("created Ada")

	// A tab that is shown again asks the server.
	one.kit(`seen.length = 0; for (const { id } of (await keylodge.sessions.list()).items) await keylodge.sessions.end(id)`)
	two.kit(`document.dispatchEvent(new Event('visibilitychange'))`)
	two.requireSeen("ended")
	if current := two.kit(`return String(await keylodge.session())`); current != "null" {
		t.Errorf("the session is %s", current)
	}
	two.requireSeen("")

	// A call finds that the session has expired.
	one.withAuthenticator(nil, func() string { return one.kit(`await keylodge.signIn()`) })
	c.advance(10000 * time.Hour)
	one.kit(`seen.length = 0; await keylodge.account.get().catch(() => {})`)
	one.requireSeen("ended session_expired")
}

func TestKit_FetchStepsUp(t *testing.T) {
	b, c := openKit(t)
	b.kit(`seen.length = 0`)
	c.advance(11 * time.Minute)
	b.withAuthenticator(nil, func() string {
		if got := b.kit(`
			const response = await keylodge.fetch('/v1/me/recovery/backup-codes', { method: 'POST' });
			return response.status + ' ' + (await response.json()).codes.length;`); got != "200 10" {
			t.Errorf("the API answers %s", got)
		}
		return ""
	})
	b.requireSeen("step_up_required")
	if got := b.kit(`return String((await keylodge.fetch('/v1/me/passkeys/none', { method: 'DELETE' })).status)`); got != "404" {
		t.Errorf("another error of the API has status %s", got)
	}
	b.requireSeen("")
}

// The app's own server asks in the way of RFC 9470, and gets a header that is made for each request. Keylodge's credentials stay away.
func TestKit_FetchStepsUpForAnotherServer(t *testing.T) {
	b, _ := openKit(t)
	var mutex sync.Mutex
	var requests []string
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", b.server.origin)
		w.Header().Set("Access-Control-Allow-Headers", "*, Authorization")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		if r.Method == http.MethodOptions {
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		requests = append(requests, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-CSRF-Token"))
		if len(requests) == 1 {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", max_age="60"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(app.Close)
	address := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	call(b, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}) // the policy of an app allows calls to its server
	b.openKit()
	b.withAuthenticator(nil, func() string {
		if got := b.kit(fmt.Sprintf(`
			await keylodge.session();
			let made = 0;
			const response = await keylodge.fetch(%q, () => ({ headers: { Authorization: 'Bearer ' + ++made } }));
			return String(response.status);`, address)); got != "200" {
			t.Errorf("the app answers %s", got)
		}
		return ""
	})
	mutex.Lock()
	defer mutex.Unlock()
	if !slices.Equal(requests, []string{"Bearer 1", "Bearer 2"}) {
		t.Errorf("the app got %q", requests)
	}
}

// The password manager gets new names, and deletes removed passkeys.
func TestKit_SignalsReachThePasswordManager(t *testing.T) {
	b, _ := openKit(t)
	var mutex sync.Mutex
	var events []string
	err := chromedp.Listen(b.ctx, func(event any) {
		mutex.Lock()
		defer mutex.Unlock()
		switch e := event.(type) {
		case *webauthn.EventCredentialUpdated:
			events = append(events, "updated "+e.Credential.UserDisplayName)
		case *webauthn.EventCredentialDeleted:
			events = append(events, "deleted")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.kit(`await keylodge.account.change({ display_name: 'Ada Lovelace' })`)
	b.waitForCredentials("the passkey has the new name", func(credentials []*webauthn.Credential) bool {
		return len(credentials) == 1 && credentials[0].UserDisplayName == "Ada Lovelace"
	})
	b.kit(`await keylodge.account.delete()`)
	b.waitForCredentials("the passkey is deleted", isEmpty)
	mutex.Lock()
	defer mutex.Unlock()
	if !slices.Contains(events, "updated Ada Lovelace") || events[len(events)-1] != "deleted" {
		t.Errorf("the authenticator reports %q", events)
	}
}

// A sign-in has two calls, and what became of it is reported beside them, also if the user leaves the page.
func TestKit_ReportsToMetrics(t *testing.T) {
	b, _ := openKit(t)
	b.kit(`await keylodge.signOut(); PublicKeyCredential.getClientCapabilities = async () => ({ conditionalGet: true });`)
	counts := func(way, outcome string) string {
		return fmt.Sprintf("keylodge_sign_in_steps_total{browser=\"chrome\",outcome=%q,way=%q} 1\n", outcome, way)
	}
	waitForMetrics := func(lines ...string) {
		t.Helper()
		for deadline := time.Now().Add(pageTimeout); ; time.Sleep(20 * time.Millisecond) {
			metrics := string(b.server.readMetrics(t))
			missing := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(metrics, line) })
			if len(missing) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the metrics lack %q, and have %q", missing, regexp.MustCompile(`keylodge_sign_in_steps.* [1-9]`).FindAllString(metrics, -1))
			}
		}
	}
	calls := func() map[string]int {
		paths := map[string]int{}
		for _, x := range b.server.recording.exchanges() {
			if path := x.request.URL.Path; strings.HasPrefix(path, "/v1/") {
				paths[path]++
			}
		}
		return paths
	}
	before := calls()
	b.withAuthenticator(nil, func() string { return b.kit(`await keylodge.signIn()`) })
	waitForMetrics(counts("prompt", "begun"), counts("prompt", "prompted"), counts("prompt", "done"))
	got := calls() // by path, since those of a connection are together
	maps.DeleteFunc(got, func(path string, n int) bool { return n == before[path] })
	if !maps.Equal(got, map[string]int{"/v1/login/plan": 1, "/v1/login/steps": 1, "/v1/login/verify": 1}) {
		t.Errorf("a sign-in makes the calls %v, after %v", got, before)
	}

	b.kit(`await keylodge.signOut(); ` + promptStub + `PublicKeyCredential.getClientCapabilities = async () => ({ immediateGet: true }); keylodge.signIn().catch(() => {});`)
	b.waitFor("the prompt", `prompts.length === 1`)
	b.navigate("about:blank")
	waitForMetrics(counts("immediate", "begun"), counts("immediate", "prompted"))
}
