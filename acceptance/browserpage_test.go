package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// browserPage is a user's browser with the page.
type browserPage struct {
	t               testing.TB
	ctx             context.Context
	server          *server
	kind            deviceKind
	authenticatorID webauthn.AuthenticatorID
}

// attachAuthenticator adds a virtual authenticator without automatic presence: the page requests a passkey in the background,
// for the suggestions, and would get one at once.
func (b *browserPage) attachAuthenticator() {
	b.attachAuthenticatorWith(webauthn.AuthenticatorTransportInternal)
}

func (b *browserPage) attachAuthenticatorWith(transport webauthn.AuthenticatorTransport) {
	synced := b.kind != securityKey
	b.authenticatorID = call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
		Transport: transport, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		DefaultBackupEligibility: synced, DefaultBackupState: synced,
		HasCmtgKey: true, // needed to add copies of credentials, since cdproto sends that extension with each
	}}).AuthenticatorID
	b.setAutomaticPresence(false)
}

// disableConditionalMediation removes conditional mediation from the browser. Otherwise a virtual authenticator with automatic
// presence would take the first suggestion at once, before the story has seen the result of the last attempt.
func (b *browserPage) disableConditionalMediation() {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `PublicKeyCredential.isConditionalMediationAvailable = async () => false`,
	})
}

// observeConditionalMediation sets window.suggesting while conditional mediation is pending.
func (b *browserPage) observeConditionalMediation() {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const get = navigator.credentials.get.bind(navigator.credentials);
		navigator.credentials.get = (options) => {
			const credential = get(options);
			if (options.mediation !== 'conditional') return credential;
			window.suggesting = true;
			return credential.finally(() => { window.suggesting = false; });
		}`,
	})
}

// setAutomaticPresence sets whether the user touches the authenticator as soon as it asks.
func (b *browserPage) setAutomaticPresence(yes bool) {
	call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: b.authenticatorID, Enabled: yes})
}

// observePage adds to each document: find(selector), which looks into open shadow roots, and failures, the codes of the errors that
// the page's elements have reported.
func (b *browserPage) observePage() {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.find = (selector, root = document) => {
			const found = root.querySelector(selector);
			if (found) return found;
			for (const { shadowRoot } of root.querySelectorAll('*')) {
				const inside = shadowRoot && find(selector, shadowRoot);
				if (inside) return inside;
			}
			return null;
		};
		window.findAll = (selector) => [document.querySelector('main > *')?.shadowRoot, document].flatMap((root) => (root ? [...root.querySelectorAll(selector)] : []));
		window.pageState = () => {
			const element = document.querySelector('main > *');
			if (element?.localName === 'keylodge-sign-in') return element.dataset.view ?? 'loading';
			return element && find('[data-name="who"]') ? 'account' : 'loading';
		};
		window.busy = () => findAll('[aria-busy="true"]').length > 0;
		window.signIns = 0; // since the page was loaded
		addEventListener('keylodge-signed-in', () => { signIns++; });
		window.failures = [];
		addEventListener('keylodge-error', ({ detail: { error } }) => failures.push(error.code));
	`})
}

func (b *browserPage) open() {
	b.navigate(b.server.origin + "/")
	b.waitFor("the page is loaded", settled)
}

// settled is true when the page has no request left. Otherwise one of them could reach the server after the test has moved the clock,
// and end the session before the test looks at it.
const settled = `pageState() !== 'loading' && !busy()`

// navigate loads the URL. chromedp.Navigate would need the events that browser.NewTab disables.
func (b *browserPage) navigate(url string) {
	b.t.Helper()
	if failed := call(b, page.Navigate, page.NavigateParams{URL: url}).ErrorText; failed != "" {
		b.t.Fatalf("loading %s: %s", url, failed)
	}
	b.waitFor(url+" is loaded", `document.readyState === 'complete'`)
}

func (b *browserPage) signUp(user profile, forgeries ...forgery) result[shownUser] {
	b.t.Helper()
	if user.invite != "" {
		b.navigate(b.server.origin + "/signup#invite=" + user.invite)
		b.waitForState("sign-up")
	}
	b.view("sign-up")
	if !b.isVisible(named("sign-up")) { // there is no form
		b.navigate(b.server.origin + "/signup")
		b.waitForState("sign-up")
		return result[shownUser]{shownUser{}, rejection{code: eval[string](b, `find('.lead[data-code]').dataset.code`)}}
	}
	b.fill(named("display_name"), user.name)
	b.fill(named("email"), user.email)
	return b.runCeremony(named("sign-up"), forgeries)
}

// view opens a view of the sign-in, unless the page shows it.
func (b *browserPage) view(name string) {
	b.t.Helper()
	if b.state() != name && b.isVisible(named("to-"+name)) {
		b.press(named("to-" + name))
		b.waitFor("the page shows the view "+name, fmt.Sprintf(`pageState() === %q`, name))
	}
}

// named returns the selector of a button or an input by its name.
func named(name string) string { return fmt.Sprintf(`[name=%q]`, name) }

func (b *browserPage) signIn(email string, forgeries ...forgery) result[shownUser] {
	b.t.Helper()
	b.view("sign-in")
	if email == "" {
		return b.runCeremony(named("sign-in"), forgeries)
	}
	b.fill(named("email"), email)
	return b.runCeremony(named("sign-in-by-email"), forgeries)
}

// runCeremony presses a button that starts a ceremony, acts as the user, and returns the result.
func (b *browserPage) runCeremony(button string, forgeries []forgery) result[shownUser] {
	b.t.Helper()
	if b.kind == autofillPhone && b.state() == "sign-in" {
		// A suggestion that is requested after automatic presence is set would be taken before the button is pressed.
		b.waitFor("conditional mediation is pending", `window.suggesting === true`)
	}
	var user shownUser
	rejected := b.withAuthenticator(forgeries, func() string {
		if code := b.pressAndWait(button); code != "" {
			return code
		}
		b.skipOffers()
		user = b.shownIdentity()
		return ""
	})
	return result[shownUser]{user, rejected}
}

// withAuthenticator sets automatic presence while act runs. act returns the code of an error, or "".
func (b *browserPage) withAuthenticator(forgeries []forgery, act func() string) rejection {
	b.t.Helper()
	for _, f := range forgeries {
		if f.inBrowser == nil {
			b.t.Fatal("the browser driver cannot forge this: the story is an attack, not a journey")
		}
		f.inBrowser(b)
	}
	before := len(b.server.log.rejections())
	b.setAutomaticPresence(true)
	defer b.setAutomaticPresence(false)
	code := act()
	b.overrideResponseBits(webauthn.SetResponseOverrideBitsParams{})
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.authenticatorID, IsUserVerified: true})
	return b.rejectionSince(before, code)
}

// rejectionSince returns the rejection with the reason from the server's log, if the log has more rejections than before.
func (b *browserPage) rejectionSince(before int, code string) rejection {
	rejected := rejection{code: code}
	if after := b.server.log.rejections(); code != "" && len(after) > before {
		rejected.reason = after[len(after)-1].Reason
	}
	return rejected
}

// skipOffers leaves the steps between a ceremony and the account: the code of an e-mail address, backup codes, another passkey.
func (b *browserPage) skipOffers() {
	b.t.Helper()
	for {
		b.waitFor("the page is settled", settled)
		state := b.state()
		button := map[string]string{"confirm-email": "later", "way-back": "not-now", "local-passkey": "not-now"}[state]
		if button == "" {
			b.waitFor("the account is shown", `pageState() === 'account' && !busy()`)
			return
		}
		b.press(named(button))
		b.waitFor("the offer is gone", fmt.Sprintf(`pageState() !== %q`, state))
	}
}

// whoAmI loads the page again and returns the shown identity.
func (b *browserPage) whoAmI() result[shownUser] {
	b.t.Helper()
	b.open()
	if b.state() == "account" {
		return result[shownUser]{value: b.shownIdentity()}
	}
	code := eval[string](b, `document.querySelector('main > *').getAttribute('notice') ?? 'unauthenticated'`)
	return result[shownUser]{rejection: rejection{code: code}}
}

func (b *browserPage) signOut() rejection {
	b.t.Helper()
	b.press(named("sign-out"))
	b.waitFor("the user is signed out", `pageState() === 'sign-in'`)
	return rejection{}
}

func (b *browserPage) state() string {
	return eval[string](b, `pageState()`)
}

// shownIdentity returns the shown user. The page names an account without a name by a part of its id.
func (b *browserPage) shownIdentity() shownUser {
	name := b.valueOf(named("display_name"))
	if who := b.textOf(dataNamed("who")); name != "" && who != name {
		b.t.Errorf("the heading shows %q, the field %q", who, name)
	} else if name == "" && !namelessAccount.MatchString(who) && !strings.Contains(who, "@") {
		b.t.Errorf("the heading of an account without a name shows %q", who)
	}
	email := b.valueOf(named("email"))
	if b.isVisible(dataNamed("waiting")) {
		email = "" // it has only been requested
	}
	return shownUser{name: name, email: email}
}

// dataNamed returns the selector of a text by its name.
func dataNamed(name string) string { return fmt.Sprintf(`[data-name=%q]`, name) }

func (b *browserPage) textOf(element string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`find(%q)?.textContent ?? ''`, element))
}

func (b *browserPage) valueOf(field string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`find(%q).value`, field))
}

var namelessAccount = regexp.MustCompile(`^account [0-9A-F]{6}$`)

// visible returns an expression that is true when the element is visible.
func visible(element string) string {
	return fmt.Sprintf(`(find(%q)?.checkVisibility({ visibilityProperty: true }) ?? false)`, element)
}

// focused returns an expression that focuses the element and is true when it has the focus.
func focused(element string) string {
	return fmt.Sprintf(`(field => { field?.focus(); return field !== null && field.matches(':focus') })(find(%q))`, element)
}

func (b *browserPage) fill(field, text string) {
	b.t.Helper()
	b.waitFor(field+" can be filled", visible(field))
	b.waitFor(field+" has the focus", focused(field))
	eval[bool](b, fmt.Sprintf(`(field => { field.value = ''; return field.dispatchEvent(new Event('input', { bubbles: true })) })(find(%q))`, field))
	if text != "" {
		call(b, input.InsertText, input.InsertTextParams{Text: text}) // as if pasted: some characters have no key
	}
}

func (b *browserPage) press(button string) {
	b.t.Helper()
	b.waitFor(button+" can be pressed", visible(button))
	b.run(click(button))
}

// click presses the mouse button in the middle of the element. chromedp.Click would need the events that browser.NewTab disables.
func click(element string) chromedp.Action[chromedp.Void] {
	return clickOn(fmt.Sprintf(`find(%q)`, element))
}

// clickOn does the same with the element that an expression returns.
func clickOn(expression string) chromedp.Action[chromedp.Void] {
	middle := chromedp.Evaluate[[]float64](fmt.Sprintf(`(element => {
		element.scrollIntoView({ block: 'center', behavior: 'instant' });
		const box = element.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})(%s)`, expression))
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		at, err := middle(ctx, tab)
		if err != nil {
			return err
		}
		_, err = chromedp.MouseClickXY(at[0], at[1])(ctx, tab)
		return err
	})
}

// Forgeries of the virtual authenticator.

func (b *browserPage) overrideResponseBits(bits webauthn.SetResponseOverrideBitsParams) {
	bits.AuthenticatorID = b.authenticatorID
	call(b, webauthn.SetResponseOverrideBits, bits)
}

func (b *browserPage) failUserVerification() {
	yes := true
	b.overrideResponseBits(webauthn.SetResponseOverrideBitsParams{IsBadUV: &yes})
}

func (b *browserPage) failUserPresence() {
	yes := true
	b.overrideResponseBits(webauthn.SetResponseOverrideBitsParams{IsBadUP: &yes})
}

func (b *browserPage) corruptSignatures() {
	yes := true
	b.overrideResponseBits(webauthn.SetResponseOverrideBitsParams{IsBogusSignature: &yes})
}

// dismissPrompt makes user verification fail, which looks to a page like a dismissed prompt.
func (b *browserPage) dismissPrompt() {
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.authenticatorID})
}

// setCredential changes the authenticator's first passkey. It removes the passkey and adds the changed one, since Chromium
// before 156 ignores a sign count that is set by WebAuthn.setCredentialProperties.
func (b *browserPage) setCredential(change func(*webauthn.Credential)) {
	b.t.Helper()
	credential := b.credentials()[0]
	change(credential)
	call(b, webauthn.RemoveCredential, webauthn.RemoveCredentialParams{AuthenticatorID: b.authenticatorID, CredentialID: credential.CredentialID})
	b.addCredential(credential)
	for _, stored := range b.credentials() {
		if bytes.Equal(stored.CredentialID, credential.CredentialID) {
			if stored.SignCount != credential.SignCount || stored.BackupEligibility != credential.BackupEligibility || stored.BackupState != credential.BackupState {
				b.t.Fatalf("this browser's virtual authenticator changes an added credential: sent %+v, got %+v; install Chromium 150 or later", credential, stored)
			}
			return
		}
	}
	b.t.Fatal("this browser's virtual authenticator loses a credential that is added again; install Chromium 150 or later")
}

// addCredential copies a credential to the current authenticator.
func (b *browserPage) addCredential(credential *webauthn.Credential) {
	b.t.Helper()
	credential.ActiveCmtgKeyIndex = nil // Chromium reports a missing index as a number that it does not accept
	call(b, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: b.authenticatorID, Credential: credential})
}

func (b *browserPage) credentials() []*webauthn.Credential {
	b.t.Helper()
	credentials := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.authenticatorID}).Credentials
	if len(credentials) == 0 {
		b.t.Fatal("the authenticator has no passkey")
	}
	return credentials
}

// setSignCount makes n the sign count of the next signature.
func setSignCount(n uint32) func(*browserPage) {
	return func(b *browserPage) {
		b.setCredential(func(c *webauthn.Credential) { c.SignCount = float64(n) - 1 })
	}
}

func (b *browserPage) clearBackupEligibility() {
	b.setCredential(func(c *webauthn.Credential) { c.BackupEligibility, c.BackupState = false, false })
}

func (b *browserPage) signInDelayed(meanwhile func()) result[shownUser] {
	b.t.Helper()
	before := len(b.server.log.rejections())
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/login/verify"}}})
	b.setAutomaticPresence(true)
	defer b.setAutomaticPresence(false)
	anyRequest := func(fetch.EventRequestPaused) bool { return true }
	paused, err := chromedp.Run(b.ctx, chromedp.WaitEvent(fetch.RequestPaused, anyRequest, click(named("sign-in"))))
	if err != nil {
		b.t.Fatal(err)
	}
	meanwhile()
	call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: paused.RequestID})
	call(b, fetch.Disable, cdp.Empty{})
	b.waitFor("the ceremony ends", settled)
	if code := b.lastFailure(); code != "" {
		return result[shownUser]{rejection: b.rejectionSince(before, code)}
	}
	b.skipOffers()
	return result[shownUser]{value: b.shownIdentity()}
}

// Helpers that operate the browser.

func (b *browserPage) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.debugText())
	}
}

func call[P, R any](b *browserPage, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func eval[T any](b *browserPage, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

const pageTimeout = 5 * time.Minute

// waitFor waits until the expression is true on the page. It fails the test after pageTimeout.
func (b *browserPage) waitFor(label, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTimeout)
	defer cancel()
	untilTrue := chromedp.Evaluate[bool](fmt.Sprintf(`new Promise((resolve) => {
		const check = () => { (%s) ? resolve(true) : setTimeout(check, 20); };
		check();
	})`, expression), chromedp.EvalAwaitPromise)
	for {
		_, err := chromedp.Run(ctx, untilTrue)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("timeout: waited until %s: %v\n%s", label, err, b.debugText())
		case <-time.After(20 * time.Millisecond): // the page was left, and the next one may not exist yet
		}
	}
}

// debugText returns the page's text and the server's log, for the message of a failed test.
func (b *browserPage) debugText() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector('main > *')?.shadowRoot?.textContent + '\n' + failures`))
	if err != nil {
		text = err.Error()
	}
	return fmt.Sprintf("the page: %s\nthe server's log:\n%s", strconv.Quote(text), b.server.log.text())
}
