package acceptance

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
)

// Older browsers, and password managers that replace the browser's passkeys.

// credentialStub makes navigator.credentials return the expression's value, given the browser's credential c and its response r.
func credentialStub(expression string) string {
	return fmt.Sprintf(`for (const method of ['create', 'get']) {
		const real = navigator.credentials[method].bind(navigator.credentials);
		navigator.credentials[method] = async (options) => {
			const c = await real(options), r = c.response;
			const buffers = (change) => Object.fromEntries(['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']
				.filter((name) => r[name]).map((name) => [name, change(r[name])]));
			return %s;
		};
	}`, expression)
}

const deleteJSONMethods = `
	delete PublicKeyCredential.parseCreationOptionsFromJSON;
	delete PublicKeyCredential.parseRequestOptionsFromJSON;
	delete PublicKeyCredential.prototype.toJSON;`

const base64urlOf = `(buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')`

// otherBrowsers are scripts that run before those of the page, like the content script of a password manager.
var otherBrowsers = map[string]string{
	"this browser":                          ``,
	"Safari before 18.4, Chrome before 129": deleteJSONMethods,
	"a browser of WebAuthn Level 1": deleteJSONMethods + `
		delete PublicKeyCredential.prototype.authenticatorAttachment;
		delete AuthenticatorAttestationResponse.prototype.getTransports;
		delete PublicKeyCredential.isConditionalMediationAvailable;
		delete PublicKeyCredential.getClientCapabilities;`,
	"a copy with the browser's prototype, where toJSON throws": credentialStub(`Object.setPrototypeOf(Object.defineProperties({}, Object.fromEntries(Object.entries({
		id: c.id, rawId: c.rawId, type: c.type, authenticatorAttachment: c.authenticatorAttachment, getClientExtensionResults: () => ({}),
		response: { ...buffers((b) => b), getTransports: () => r.getTransports(), getAuthenticatorData: () => r.getAuthenticatorData() },
	}).map(([name, value]) => [name, { value, enumerable: true }]))), PublicKeyCredential.prototype)`),
	"the least of a copy with the browser's prototype, where all that is inherited throws": credentialStub(`Object.create(PublicKeyCredential.prototype, {
		rawId: { value: c.rawId }, response: { value: Object.create(r.constructor.prototype, Object.fromEntries(Object.entries(buffers((b) => b)).map(([name, value]) => [name, { value }]))) },
	})`),
	"a plain object without toJSON": credentialStub(`({
		id: c.id, rawId: c.rawId, type: c.type, authenticatorAttachment: null, response: r, getClientExtensionResults: () => ({}),
	})`),
	"a plain object without any method": credentialStub(`({ id: c.id, rawId: c.rawId, type: c.type, response: buffers((b) => b) })`),
	"a toJSON that throws": credentialStub(`({
		id: c.id, rawId: c.rawId, type: c.type, response: r, getClientExtensionResults: () => { throw new Error('none'); }, toJSON: () => { throw new TypeError('Illegal invocation'); },
	})`),
	"a toJSON that keeps the buffers": credentialStub(`({ id: c.id, rawId: c.rawId, type: c.type, response: r, toJSON: () => ({ id: c.id, rawId: c.rawId, response: {}, type: c.type }) })`),
	"nothing but a toJSON":            credentialStub(`({ toJSON: () => c.toJSON() })`),
	"typed arrays within larger ones": credentialStub(`({ id: c.id, type: c.type, rawId: new Uint8Array(c.rawId), response: buffers((b) => {
		const larger = new Uint8Array(b.byteLength + 7);
		larger.set(new Uint8Array(b), 3);
		return new DataView(larger.buffer, 3, b.byteLength);
	}) })`),
	"buffers of another realm": credentialStub(`(() => {
		const frame = document.head.appendChild(document.createElement('iframe'));
		const copy = (b) => { const other = new frame.contentWindow.ArrayBuffer(b.byteLength); new Uint8Array(other).set(new Uint8Array(b)); return other; };
		return { id: c.id, rawId: copy(c.rawId), type: c.type, response: buffers(copy), getClientExtensionResults: () => ({ prf: { results: { first: crypto.getRandomValues(new frame.contentWindow.Uint8Array(32)).buffer } } }) };
	})()`),
	"text instead of buffers":              credentialStub(`({ id: c.id, rawId: c.id, type: c.type, response: buffers(` + base64urlOf + `) })`),
	"padded text of the standard alphabet": credentialStub(`({ id: c.id, type: c.type, response: buffers((b) => btoa(String.fromCharCode(...new Uint8Array(b)))) })`),
	"an id and no rawId":                   credentialStub(`({ id: c.id, response: buffers((b) => b) })`),
	"hints of other types": credentialStub(`({
		id: c.id, rawId: c.rawId, type: c.type, authenticatorAttachment: {}, response: { ...buffers((b) => b), getTransports: () => ({ usb: true }) },
		getClientExtensionResults: () => { const results = {}; results.itself = results; return results; },
	})`),
	"hints that are not text": credentialStub(`({
		id: c.id, rawId: c.rawId, type: c.type, authenticatorAttachment: 7, response: { ...buffers((b) => b), getTransports: () => [null, 'internal', 7] }, getClientExtensionResults: () => [],
	})`),
	"an account without a handle": credentialStub(`({ id: c.id, rawId: c.rawId, type: c.type, response: { ...buffers((b) => b), userHandle: r.userHandle?.byteLength ? r.userHandle : null } })`),
}

// withScript loads the page in a browser with the script.
func (b *browserPage) withScript(script string) *browserPage {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	b.open()
	return b
}

// It uses the product's own page and the sample of the README.
func TestOtherBrowsers_everyCeremonyWorks(t *testing.T) {
	signUp, signIn := sampleOfTheREADME(t)
	for name, script := range otherBrowsers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			c := newClock()
			s := startServer(t, c, nil)
			b := browserDriver{s}.newDevice(t, phone).(*browserPage).withScript(script)
			ada := &person{t: t, device: b, profile: profile{name: "Ada", email: "ada@example.org"}}
			ada.signsUp()
			ada.signsOut()
			ada.signsIn()
			c.advance(11 * time.Minute)
			ada.requireOK(b.stepUp())
			codes := b.makeBackupCodes().must(ada.t)
			b.useAuthenticator(securityKey)
			ada.requireOK(b.addPasskey("Blue key"))
			ada.signsOut()
			b.useAuthenticator(phone)
			ada.requireIdentity(b.recover(recoveryProof{email: "ada@example.org", backupCode: codes[0]}))
			ada.signsOut()
			ada.signsIn()
			ada.signsOut()
			b.useAuthenticator(phone)
			b.runs(signUp, signIn)
		})
	}
}

func TestOtherBrowsers_suggestionsWork(t *testing.T) {
	for name, script := range otherBrowsers {
		if strings.Contains(script, "delete PublicKeyCredential.isConditionalMediationAvailable") {
			continue // such a browser has no suggestions
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			s := startServer(t, newClock(), nil)
			b := browserDriver{s}.newDevice(t, autofillPhone).(*browserPage).withScript(script)
			ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
			ada.signsUp()
			b.setAutomaticPresence(true) // for the next request of the page, without a button
			b.press(named("sign-out"))
			b.waitFor("the suggestion is taken", signedInAgain)
			ada.requireSignedIn()
		})
	}
}

// The options for a second passkey exclude the first, and those of a sign-in with an address list the allowed passkeys.
func TestOtherBrowsers_listsOfPasskeysArrive(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	b := browserDriver{s}.newDevice(t, phone).(*browserPage).withScript(deleteJSONMethods)
	ada := &person{t: t, device: b, profile: profile{name: "Ada", email: "ada@example.org"}}
	ada.signsUp()
	ada.requireRejected(b.addPasskey("The same device"), "already_registered")
	ada.signsOut()
	ada.requireIdentity(b.signIn("ada@example.org"))
}

func TestOtherBrowsers_unsupportedIsReported(t *testing.T) {
	for name, c := range map[string]struct{ script, code, words string }{
		"nothing is returned":          {credentialStub(`null`), "cancelled", "closed the window"},
		"a passkey without a response": {credentialStub(`({ id: c.id, type: c.type })`), "unreadable", "could not be read"},
		"an empty response":            {credentialStub(`({ id: c.id, response: {}, toJSON: () => ({}) })`), "unreadable", "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			s := startServer(t, newClock(), nil)
			b := browserDriver{s}.newDevice(t, phone).(*browserPage)
			ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
			ada.signsUp()
			ada.signsOut()
			b.withScript(c.script)
			for what, act := range map[string]func() result[shownUser]{
				"sign-up": func() result[shownUser] { return b.signUp(profile{name: "Ben"}) },
				"sign-in": func() result[shownUser] { return b.signIn("") },
			} {
				if got := act(); got.rejection != (rejection{code: c.code}) || !strings.Contains(b.textOf(".notice"), c.words) {
					t.Errorf("%s: %+v and %q", what, got, b.textOf(".notice"))
				}
			}
		})
	}
}

// What makes passkeys impossible is said before anything can be filled in.
func TestOtherBrowsers_obstacleIsShownAtOnce(t *testing.T) {
	for name, script := range map[string]string{
		"no passkeys at all":       `delete window.PublicKeyCredential;`,
		"no credential management": `delete Navigator.prototype.credentials;`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage).withScript(script)
			if text := b.textOf(`[data-code="webauthn_missing"]`); !strings.Contains(text, "cannot use passkeys") {
				t.Errorf("the page shows %q", text)
			}
			b.requireHidden(named("sign-in"), named("to-sign-up"), "form")
		})
	}
}

// An address at which passkeys cannot work leads to the one at which they do.
func TestOtherBrowsers_wrongAddressLeadsOn(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	for code, c := range map[string]struct{ address, script, link string }{
		"wrong_domain":     {strings.Replace(b.server.origin, "localhost", "127.0.0.1", 1), ``, b.server.origin + "/"},
		"insecure_context": {b.server.origin, `Object.defineProperty(window, 'isSecureContext', { value: false });`, strings.Replace(b.server.origin, "http:", "https:", 1) + "/"},
	} {
		if c.script != "" {
			call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: c.script})
		}
		b.navigate(c.address)
		b.waitFor(code+" is shown", visible(fmt.Sprintf(`.notice[data-code=%q]`, code)))
		if link := eval[string](b, `find('.notice a').href`); link != c.link {
			t.Errorf("%s leads to %s, want %s", code, link, c.link)
		}
		b.requireHidden(named("sign-in"), named("to-sign-up"), "form")
	}
}

// The page reports a passkey that was picked from the suggestions and cannot be read.
func TestOtherBrowsers_unreadableSuggestionIsReported(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	b := browserDriver{s}.newDevice(t, autofillPhone).(*browserPage)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	b.withScript(credentialStub(`({ id: c.id, type: c.type })`))
	b.setAutomaticPresence(true)
	b.press(named("sign-out"))
	b.waitFor("the page reports it", visible(`.notice[data-code="unreadable"]`))
}

// sampleOfTheREADME returns the README's code for a sign-in, and that code with the README's changes for a sign-up.
func sampleOfTheREADME(t *testing.T) (signUp, signIn string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Sign in from your own page\n")
	sample := regexp.MustCompile("(?s)```js\n(.*?)```").FindStringSubmatch(section)
	if sample == nil {
		t.Fatal("README.md has no JavaScript in that section")
	}
	signIn = sample[1]
	signUp = strings.Replace(signIn, ".signIn()", ".signUp()", 1)
	if !strings.Contains(section, "Sign-up is `signUp()`.") || signUp == signIn {
		t.Fatal("README.md does not say how a sign-up differs")
	}
	return signUp, signIn
}

// runs signs up a new account and signs in with it, with the code of another page.
func (b *browserPage) runs(signUp, signIn string) {
	b.t.Helper()
	var users []string
	for _, source := range []string{signUp, signIn} {
		b.withAuthenticator(nil, func() string {
			users = append(users, evalPromise(b, `(async () => { `+source+`; return user.id + ' ' + (await (await fetch('/v1/session')).json()).session.id.length + session.id.length; })()`))
			return ""
		})
	}
	if users[0] != users[1] || len(users[0]) < 36 {
		b.t.Errorf("signed up %q, signed in %q", users[0], users[1])
	}
}
