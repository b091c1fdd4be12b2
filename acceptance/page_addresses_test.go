package acceptance

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// The addresses of the page, and what the operator makes their own of it.

// returnPage is the page of a server whose users return to applications: one on the same site, and one on another.
type returnPage struct {
	*browserPage
	ada         *person
	clock       *clock
	same, other string // origins
}

// newApplication starts an application on the site of the server, and returns its origin.
func newApplication(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if _, err := w.Write([]byte("<title>The application</title>")); err != nil {
			t.Log(err)
		}
	}))
	t.Cleanup(app.Close)
	return strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
}

func openReturnPage(t *testing.T) *returnPage {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	same := newApplication(t)
	p := &returnPage{clock: newClock(), other: strings.Replace(same, "localhost", "127.0.0.1", 1), same: same}
	s := startServer(t, p.clock, func(c *config.Config) {
		c.Applications = domain.Applications{{Origin: p.same, Name: "Same Site"}, {Origin: p.other, Name: "Other Site", MaxAge: 10 * time.Minute}}
	})
	p.browserPage = browserDriver{s}.newDevice(t, phone).(*browserPage)
	p.ada = &person{t: t, device: p.browserPage, profile: profile{name: "Ada"}}
	p.ada.signsUp()
	p.setAutomaticPresence(true)
	return p
}

// openAt opens a path of the page with a query.
func (p *returnPage) openAt(path string, query ...string) {
	p.t.Helper()
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	p.navigate(p.server.origin + path + "?" + values.Encode())
}

// arrivesAt waits until the browser is at an address that begins with the given one, and returns its query.
func (p *returnPage) arrivesAt(address string) url.Values {
	p.t.Helper()
	p.waitFor("the browser is at "+address, fmt.Sprintf(`location.href.startsWith(%q) && document.title === 'The application'`, address))
	location, err := url.Parse(eval[string](p.browserPage, `location.href`))
	if err != nil {
		p.t.Fatal(err)
	}
	return location.Query()
}

func TestPage_ReturnsToApplicationWithCode(t *testing.T) {
	p := openReturnPage(t)
	verifier, challenge := domain.NewCodeVerifier(rand.Reader)
	back := p.other + "/callback?step=1"
	p.signOut()
	p.openAt("/login", "return_to", back, "code_challenge", challenge.String(), "state", "a b")
	p.press(named("to-sign-up")) // the views keep the request
	p.press(named("to-sign-in"))
	p.press(named("sign-in"))
	query := p.arrivesAt(back)
	if query.Get("state") != "a b" {
		t.Errorf("the application gets %v", query)
	}
	app := httpDriver{p.server}.newDevice(t, phone).(*apiDevice).api
	app.setTokenPair(app.redeemCode(query.Get("code"), verifier.Reveal(), back).must(t))
	if user := app.whoAmI().must(t); user.name != "Ada" {
		t.Errorf("the application is signed in as %+v", user)
	}

	// A sign-in that is too old for the application needs a step-up.
	p.clock.advance(11 * time.Minute)
	p.openAt("/login", "return_to", back, "code_challenge", challenge.String())
	p.press(named("step-up"))
	if query := p.arrivesAt(back); query.Get("code") == "" || query.Has("state") {
		t.Errorf("the application gets %v", query)
	}
}

func TestPage_ReturnsToSameSite(t *testing.T) {
	p := openReturnPage(t)
	p.openAt("/login", "return_to", p.same+"/a?b=c")
	if query := p.arrivesAt(p.same + "/a?b=c"); query.Has("code") {
		t.Errorf("the application gets %v", query)
	}
	p.openAt("/signup", "return_to", p.same)
	p.arrivesAt(p.same)

	p.openAt("/logout", "return_to", p.other+"/bye")
	p.arrivesAt(p.other + "/bye")
	p.ada.requireSignedOut("unauthenticated")
	p.openAt("/logout", "return_to", "https://evil.example/")
	p.waitFor("the page tells it", fmt.Sprintf(`location.pathname === '/login' && %s`, visible(`.notice[data-code="signed_out"]`)))
}

// src/tests has all addresses.
func TestPage_StaysWithoutAllowedReturn(t *testing.T) {
	p := openReturnPage(t)
	p.signOut()
	for _, back := range p.openRedirects() {
		p.openAt("/login", "return_to", back)
		p.waitFor(back+" is not allowed", visible(`.notice[data-code="return_not_allowed"]`))
	}
	p.press(named("sign-in"))
	p.waitForState("account")
}

// openRedirects are addresses that look like those of the applications.
func (p *returnPage) openRedirects() []string {
	return []string{
		"https://evil.example/", p.same + "@evil.example/", p.same + ".evil.example/", "//evil.example/", `\\evil.example`, "javascript:alert(1)",
		"data:text/html,x", " " + p.same, p.same + "\t/", strings.ToUpper(p.same), p.same + "#x", p.other + "/without-a-challenge",
	}
}

// A user who came for the account returns from there, also after a reload, and with a code.
func TestPage_ContinuesFromAccount(t *testing.T) {
	p := openReturnPage(t)
	_, challenge := domain.NewCodeVerifier(rand.Reader)
	p.openAt("/account/devices", "return_to", p.same+"/a?b=c")
	p.waitForState("account")
	p.reload()
	p.waitFor("the page leads on", visible("#continue")+` && find('#continue').textContent === 'Continue to Same Site'`)
	p.press("#continue")
	p.arrivesAt(p.same + "/a?b=c")

	p.openAt("/account", "return_to", p.other+"/back", "code_challenge", challenge.String(), "state", "a b")
	p.waitFor("the page leads on", visible("#continue")+` && find('#continue').textContent === 'Continue to Other Site'`)
	p.press("#continue")
	if query := p.arrivesAt(p.other + "/back"); query.Get("state") != "a b" || query.Get("code") == "" {
		t.Errorf("the application gets %v", query)
	}

	// A sign-out ends it.
	p.openAt("/account")
	p.waitFor("the page leads on", visible("#continue"))
	p.signOut()
	p.requireHidden("#continue")
	p.press(named("sign-in"))
	p.waitForState("account")
	p.requireHidden("#continue")
}

// Neither the address of the page nor what the tab remembers leads anywhere else.
func TestPage_ContinuesFromAccount_notElsewhere(t *testing.T) {
	p := openReturnPage(t)
	p.openAt("/account", "return_to", p.same)
	p.waitFor("the page leads on", visible("#continue"))
	for _, back := range p.openRedirects() {
		p.openAt("/account", "return_to", back)
		p.requireNoContinuation(back)

		eval[bool](p.browserPage, fmt.Sprintf(`(sessionStorage.setItem('keylodge-return', '?' + new URLSearchParams({ return_to: %q })), true)`, back))
		p.openAt("/account")
		p.requireNoContinuation("remembered: " + back)
	}
}

// requireNoContinuation fails the test if the account leads on. The page knows it before it has the account, which needs a further request.
func (p *returnPage) requireNoContinuation(back string) {
	p.t.Helper()
	p.waitFor("the account is shown", `pageState() === 'account' && !busy()`)
	if p.isVisible("#continue") || eval[bool](p.browserPage, `find('#continue').hasAttribute('href')`) {
		p.t.Errorf("%s: the page leads on", back)
	}
}

func TestPage_MissingAddress(t *testing.T) {
	_, b, _ := openPage(t)
	for _, path := range []string{"/nowhere", "/account/nowhere"} {
		b.navigate(b.server.origin + path)
		b.waitFor("the page says so", `find('h1')?.textContent === 'This page does not exist'`)
		if status := eval[int](b, `performance.getEntriesByType('navigation')[0].responseStatus`); status != 404 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	b.press(`a[href="/"]`)
	b.waitForState("account")
}

// Each view has an address, and the browser's Back and Forward move between them.
func TestPage_ViewsHaveAddresses(t *testing.T) {
	_, b, _ := openPage(t)
	at := func(path, state string) {
		t.Helper()
		b.waitFor(path+" is shown", fmt.Sprintf(`location.pathname === %q && pageState() === %q`, path, state))
	}
	at("/account", "account")
	b.waitFor("the title names the user", `document.title.startsWith('Signed in as Ada')`)
	b.requireFocus("h1") // the account has replaced the sign-up
	b.press(`nav a[href="#devices"]`)
	at("/account/devices", "account")
	b.requireFocus("#devices-heading")
	b.navigate(b.server.origin + "/account/delete")
	b.waitFor("the section is in the window", `(box => box && box.top < innerHeight && box.bottom > 0)(find('#delete-heading')?.getBoundingClientRect())`)
	b.signOut()
	at("/login", "sign-in")
	b.press(named("to-sign-up"))
	at("/signup", "sign-up")
	b.requireFocus("h1")
	b.press(named("to-sign-in"))
	b.press(named("to-recover"))
	at("/recover", "recover")
	for _, c := range [][3]string{{"back", "/login", "sign-in"}, {"back", "/signup", "sign-up"}, {"forward", "/login", "sign-in"}, {"forward", "/recover", "recover"}} {
		eval[bool](b, fmt.Sprintf(`history.%s() ?? true`, c[0]))
		at(c[1], c[2])
	}
	b.navigate(b.server.origin + "/signup")
	at("/signup", "sign-up")
}

func TestPage_ShowsBrand(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	light, err := webui.ParseColor("#0a5fb4")
	if err != nil {
		t.Fatal(err)
	}
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><path d="M0 0h40v10H0z"/></svg>`)
	s := startServer(t, newClock(), func(c *config.Config) {
		c.RPName = "Example & Sons"
		c.Brand = webui.NewBrand(webui.NewAccent(light), map[string][]byte{"logo.svg": svg, "background.svg": svg, "favicon.svg": svg})
		c.Links = httpapi.Links{Terms: "https://example.org/terms", Support: "mailto:support@example.org"}
		c.SecuredBy = false
	})
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	b.waitFor("the logo and the background are loaded", `['.logo', '.scene img'].every((image) => document.querySelector(image)?.naturalWidth > 0)`)
	b.waitFor("the links are shown", `[...document.querySelectorAll('#links a')].map((a) => a.textContent + ' ' + a.href).join() === 'Terms https://example.org/terms,Support mailto:support@example.org'`)
	if color := eval[string](b, `getComputedStyle(find('[name="sign-in"]')).backgroundColor`); color != "rgb(10, 95, 180)" {
		t.Errorf("the button is %s", color)
	}
	if title := eval[string](b, `document.title`); title != "Sign in · Example & Sons" {
		t.Errorf("the title is %s", title)
	}
	if alt := eval[string](b, `document.querySelector('.logo').alt`); alt != "Example & Sons" {
		t.Errorf("the logo is called %s", alt)
	}
	b.requireHidden("#secured-by")
	if text := eval[string](b, `document.body.innerText`); strings.Contains(text, "Keylodge") {
		t.Errorf("the page names Keylodge: %s", text)
	}
}

func TestPage_LanguageSwitch(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), func(c *config.Config) { c.SecuredBy = true })}.newDevice(t, phone).(*browserPage)
	eval[bool](b, `(choice => { choice.value = 'de'; return choice.dispatchEvent(new Event('change')); })(document.getElementById('language'))`)
	b.waitFor("the page is in German", `document.documentElement.lang === 'de' && find('h1')?.textContent === 'Anmelden'`)
	b.waitFor("the footer is in German", `document.getElementById('secured-by').textContent === 'Gesichert mit Keylodge'`)
	b.open() // a further visit
	b.waitFor("the page is in German", `find('h1')?.textContent === 'Anmelden'`)
}

// The language of the browser is used until the user chooses another one.
func TestPage_LanguageOfBrowser(t *testing.T) {
	_, b, _ := openPage(t)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `Object.defineProperty(navigator, 'languages', { get: () => ['fr', 'de-AT', 'en'] })`,
	})
	b.navigate(b.server.origin + "/account")
	b.waitFor("the page is in German", `document.documentElement.lang === 'de-AT' && find('h1')?.textContent.startsWith('Angemeldet als')`)
}

// A browser without a supported language gets that of the server, as do the elements on other pages.
func TestPage_LanguageOfServer(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), func(c *config.Config) { c.Language = "de" })
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `Object.defineProperty(navigator, 'languages', { get: () => ['constructor', 'fr'] })`,
	})
	b.open()
	b.waitFor("the page is in German", `document.documentElement.lang === 'de' && find('h1')?.textContent === 'Anmelden'`)
	b.navigate(s.origin + "/kit/elements.js")
	evalPromise(b, `import('/kit/elements.js').then(() => document.body.replaceChildren(document.createElement('keylodge-sign-in')) ?? '')`)
	b.waitFor("the element is in German", `find('h1')?.textContent === 'Anmelden'`)
}

// Forms open inside the window, and nothing covers what the user presses next: on a phone, also with its keyboard or with text of 200 %,
// and on a desktop.
func TestPage_FormsOpenInsideWindow(t *testing.T) {
	_, b, _ := openPage(t)
	for _, size := range []struct{ width, height, font int64 }{{360, 740, 16}, {360, 400, 16}, {1280, 800, 16}, {360, 740, 32}} {
		call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: size.width, Height: size.height, DeviceScaleFactor: 1})
		call(b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: size.font}})
		b.reload()
		if font := eval[string](b, `getComputedStyle(document.documentElement).fontSize`); font != fmt.Sprintf("%dpx", size.font) {
			t.Fatalf("the text has %s", font)
		}
		for _, form := range []struct{ opener, field, submit string }{{"rename", "name", "save"}, {"add-passkey", "passkey_name", "make-passkey"}, {"delete-account", "word", "delete-for-good"}} {
			// The opener is at the lower edge of the window when it is pressed.
			eval[bool](b, fmt.Sprintf(`(find(%q).scrollIntoView({ block: 'end' }), true)`, named(form.opener)))
			eval[bool](b, fmt.Sprintf(`(find(%q).click(), true)`, named(form.opener)))
			b.waitFor(fmt.Sprintf("%s is inside %v", form.opener, size), insideWindow(`.panel `+named(form.field), `.panel `+named(form.submit)))
			b.press(`.panel ` + named("cancel"))
			b.waitFor("the opener has the focus", fmt.Sprintf(`find(%q)?.matches(':focus') ?? false`, named(form.opener)))
		}
	}
}

// openErrorOfForwardAuth opens the page that a proxy shows in a browser in German to a user whose code is not valid.
func openErrorOfForwardAuth(t *testing.T) *browserPage {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	accent, err := webui.ParseColor("#0a5fb4")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, newClock(), combine(withForwardAuth, trustLoopback, func(c *config.Config) {
		c.Brand = webui.NewBrand(webui.NewAccent(accent), nil)
	}))
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	call(b, network.Enable, network.EnableParams{})
	sent := network.Headers{"Accept-Language": "de"}
	headers := proxied(wiki, "/.keylodge/callback?path=%2Fpage&code=klc_x")
	for i := 0; i < len(headers); i += 2 {
		sent[headers[i]] = headers[i+1]
	}
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: sent})
	b.navigate(s.origin + "/v1/forward-auth")
	return b
}

// A browser shows an error of forward auth as a page in the operator's colour, which the policy of the response allows.
func TestPage_ErrorOfForwardAuth(t *testing.T) {
	b := openErrorOfForwardAuth(t)
	if link := eval[string](b, `(a => [document.documentElement.lang, a.textContent, a.href, getComputedStyle(a).backgroundColor].join(' '))(document.querySelector('main a'))`); link != "de Erneut anmelden https://wiki.example.org/page rgb(10, 95, 180)" {
		t.Errorf("the page has the link %s", link)
	}
}

// With text of 200 %, the button of a form is in the window while a field has the focus.
func TestPage_FormsFitIntoWindow(t *testing.T) {
	_, b, _ := openPage(t)
	b.signOut()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 740, DeviceScaleFactor: 1})
	call(b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: 32}})
	for _, form := range []struct{ path, field, submit string }{
		{"/login", "email", "sign-in-by-email"}, {"/signup", "display_name", "sign-up"}, {"/signup", "email", "sign-up"}, {"/recover", "backup_code", "recover"},
	} {
		b.navigate(b.server.origin + form.path)
		b.waitFor("the form is shown", visible(named(form.field)))
		eval[bool](b, fmt.Sprintf(`(find(%q).focus(), true)`, named(form.field)))
		b.waitFor(fmt.Sprintf("%v fits", form), insideWindow(named(form.field), named(form.submit)))
	}
}

// insideWindow returns an expression that is true if each of two elements is inside the window, and nothing covers its middle.
func insideWindow(one, other string) string {
	return fmt.Sprintf(`[%q, %q].every((selector) => {
		const element = find(selector);
		if (!element) return false;
		const box = element.getBoundingClientRect();
		const at = [box.x + box.width / 2, box.y + box.height / 2];
		let top = document.elementFromPoint(...at);
		while (top?.shadowRoot) top = top.shadowRoot.elementFromPoint(...at);
		return box.top >= 0 && box.bottom <= innerHeight && element.contains(top);
	})`, one, other)
}
