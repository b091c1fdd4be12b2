package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// browserPage is a person's browser, open at the page.
type browserPage struct {
	t               testing.TB
	ctx             context.Context
	server          *server
	kind            deviceKind
	authenticatorID webauthn.AuthenticatorID
}

// attachAuthenticator gives the browser an authenticator. Nobody touches it until they mean to: the page asks for a passkey in the
// background, to offer it among the suggestions, and would get one.
func (b *browserPage) attachAuthenticator() {
	synced := b.kind != securityKey
	b.authenticatorID = call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
		Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		DefaultBackupEligibility: synced, DefaultBackupState: synced,
		HasCmtgKey: true, // or it takes no copies of credentials: cdproto names that extension in each
	}}).AuthenticatorID
	b.setAutomaticPresence(false)
}

// disableConditionalMediation makes the browser one that knows no conditional mediation. A virtual authenticator that is ready to
// be touched would otherwise take the first suggestion at once, before the story has seen how the last attempt ended.
func (b *browserPage) disableConditionalMediation() {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `PublicKeyCredential.isConditionalMediationAvailable = async () => false`,
	})
}

// observeConditionalMediation lets a story see whether the page is waiting for a suggestion to be picked.
func (b *browserPage) observeConditionalMediation() {
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const get = navigator.credentials.get.bind(navigator.credentials);
		navigator.credentials.get = (options) => {
			const asked = get(options);
			if (options.mediation !== 'conditional') return asked;
			window.suggesting = true;
			return asked.finally(() => { window.suggesting = false; });
		}`,
	})
}

// setAutomaticPresence says whether the person touches the authenticator as soon as it asks.
func (b *browserPage) setAutomaticPresence(yes bool) {
	call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: b.authenticatorID, Enabled: yes})
}

func (b *browserPage) open() {
	b.run(chromedp.Navigate(b.server.origin + "/"))
	b.waitFor("the page knows who is here", `document.querySelector('main').dataset.state !== 'loading'`)
}

func (b *browserPage) signUp(who profile, tricks ...forgery) (shownUser, rejection) {
	b.t.Helper()
	b.fill("#display-name", who.name)
	b.fill("#sign-up-email", who.email)
	return b.runCeremony("#sign-up", tricks)
}

func (b *browserPage) signIn(email string, tricks ...forgery) (shownUser, rejection) {
	b.t.Helper()
	b.fill("#email", email)
	return b.runCeremony("#sign-in", tricks)
}

// runCeremony presses a button that starts a ceremony, plays the person's part in it, and sees how it ends.
func (b *browserPage) runCeremony(button string, tricks []forgery) (shownUser, rejection) {
	b.t.Helper()
	if b.kind == autofillPhone {
		// A suggestion asked for after the authenticator is ready would be taken before the button is pressed.
		b.waitFor("suggestions wait", `window.suggesting === true`)
	}
	var who shownUser
	refused := b.withAuthenticator(tricks, func() string {
		b.press(button)
		b.waitFor("the ceremony ends", signedInOrFailed)
		if b.state() != "signed-in" {
			return b.messageCode()
		}
		who = b.shownIdentity()
		return ""
	})
	return who, refused
}

// withAuthenticator plays the person's part with the authenticator while act goes on, which returns the code of a refusal.
func (b *browserPage) withAuthenticator(tricks []forgery, act func() string) rejection {
	b.t.Helper()
	for _, trick := range tricks {
		if trick.inBrowser == nil {
			b.t.Fatal("a browser does not play this trick: say so in the table of stories")
		}
		trick.inBrowser(b)
	}
	before := len(b.server.log.rejections())
	b.setAutomaticPresence(true)
	defer b.setAutomaticPresence(false)
	code := act()
	b.overrideResponseBits(webauthn.SetResponseOverrideBitsParams{})
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.authenticatorID, IsUserVerified: true})
	return b.rejectionSince(before, code)
}

// rejectionSince adds why, if the server's log has it: it is the newest of more rejections than before.
func (b *browserPage) rejectionSince(before int, code string) rejection {
	refused := rejection{code: code}
	if after := b.server.log.rejections(); code != "" && len(after) > before {
		refused.reason = after[len(after)-1].Reason
	}
	return refused
}

// messageCode is the code of what the page says to the person.
func (b *browserPage) messageCode() string {
	return eval[string](b, `document.getElementById('message').dataset.code ?? ''`)
}

// signedInOrFailed holds once a person is signed in, or a message says why not.
const signedInOrFailed = `(() => {
	const main = document.querySelector('main');
	if (main.getAttribute('aria-busy') === 'true') return false;
	return main.dataset.state === 'signed-in' || Boolean(document.getElementById('message').dataset.code);
})()`

// whoAmI opens the page anew and looks.
func (b *browserPage) whoAmI() (shownUser, rejection) {
	b.t.Helper()
	b.open()
	if b.state() == "signed-in" {
		return b.shownIdentity(), rejection{}
	}
	if code := b.messageCode(); code != "" {
		return shownUser{}, rejection{code: code}
	}
	return shownUser{}, rejection{code: "unauthenticated"}
}

func (b *browserPage) signOut() rejection {
	b.t.Helper()
	b.press("#sign-out")
	b.waitFor("the person is signed out", `document.querySelector('main').dataset.state === 'signed-out'`)
	return rejection{}
}

func (b *browserPage) state() string {
	return eval[string](b, `document.querySelector('main').dataset.state`)
}

func (b *browserPage) shownIdentity() shownUser {
	return shownUser{
		name:  eval[string](b, `document.getElementById('who').textContent`),
		email: eval[string](b, `document.getElementById('who-email').textContent`),
	}
}

// visible holds once the element can be seen. The account's lists are laid out and hidden until all of them have come.
func visible(element string) string {
	return fmt.Sprintf(`document.querySelector(%q)?.checkVisibility({ visibilityProperty: true }) ?? false`, element)
}

func (b *browserPage) fill(field, text string) {
	b.t.Helper()
	b.waitFor(field+" can be filled", visible(field))
	eval[string](b, fmt.Sprintf(`document.querySelector(%q).value = ''`, field))
	if text != "" {
		b.run(chromedp.Focus(chromedp.CSS(field)))
		call(b, input.InsertText, input.InsertTextParams{Text: text}) // as it would be pasted: there are characters without a key
	}
}

func (b *browserPage) press(button string) {
	b.t.Helper()
	b.waitFor(button+" can be pressed", visible(button))
	b.run(chromedp.Click(chromedp.CSS(button), chromedp.NodeVisible))
}

// Ways in which the virtual authenticator can be told to misbehave.

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

// dismissPrompt makes the device refuse to unlock, which a page cannot tell from a dismissed prompt.
func (b *browserPage) dismissPrompt() {
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.authenticatorID})
}

// setCredential changes what the authenticator keeps of its first passkey. The passkey is taken out and put back, since Chromium
// before 156 ignores a sign count that is set by WebAuthn.setCredentialProperties.
func (b *browserPage) setCredential(change func(*webauthn.Credential)) {
	b.t.Helper()
	held := b.credentials()[0]
	change(held)
	call(b, webauthn.RemoveCredential, webauthn.RemoveCredentialParams{AuthenticatorID: b.authenticatorID, CredentialID: held.CredentialID})
	b.addCredential(held)
	for _, now := range b.credentials() {
		if bytes.Equal(now.CredentialID, held.CredentialID) {
			if now.SignCount != held.SignCount || now.BackupEligibility != held.BackupEligibility || now.BackupState != held.BackupState {
				b.t.Fatalf("this browser's virtual authenticator does not keep a credential as it is given: sent %+v, kept %+v; install Chromium 150 or later", held, now)
			}
			return
		}
	}
	b.t.Fatal("this browser's virtual authenticator loses a credential that is put back; install Chromium 150 or later")
}

// addCredential copies a credential to the authenticator at hand.
func (b *browserPage) addCredential(held *webauthn.Credential) {
	b.t.Helper()
	held.ActiveCmtgKeyIndex = nil // it has none, and says so with a number that is out of bounds
	call(b, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: b.authenticatorID, Credential: held})
}

func (b *browserPage) credentials() []*webauthn.Credential {
	b.t.Helper()
	held := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.authenticatorID}).Credentials
	if len(held) == 0 {
		b.t.Fatal("the authenticator holds no passkey")
	}
	return held
}

// setSignCount makes the next signature carry the count n.
func setSignCount(n uint32) func(*browserPage) {
	return func(b *browserPage) {
		b.setCredential(func(c *webauthn.Credential) { c.SignCount = float64(n) - 1 })
	}
}

func (b *browserPage) clearBackupEligibility() {
	b.setCredential(func(c *webauthn.Credential) { c.BackupEligibility, c.BackupState = false, false })
}

// signInDelayed presses the button and holds the answer back on its way to the server until meanwhile is over.
func (b *browserPage) signInDelayed(meanwhile func()) (shownUser, rejection) {
	b.t.Helper()
	before := len(b.server.log.rejections())
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/login/verify"}}})
	b.setAutomaticPresence(true)
	defer b.setAutomaticPresence(false)
	anyRequest := func(fetch.EventRequestPaused) bool { return true }
	held, err := chromedp.Run(b.ctx, chromedp.WaitEvent(fetch.RequestPaused, anyRequest, chromedp.Click(chromedp.CSS("#sign-in"))))
	if err != nil {
		b.t.Fatal(err)
	}
	meanwhile()
	call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: held.RequestID})
	call(b, fetch.Disable, cdp.Empty{})
	b.waitFor("the ceremony ends", signedInOrFailed)
	if b.state() == "signed-in" {
		return b.shownIdentity(), rejection{}
	}
	return shownUser{}, b.rejectionSince(before, b.messageCode())
}

// (What follows is how a story's line becomes something that happens in the browser.)

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

// waitFor waits for something to hold in the page. The wait ends as soon as it does; patience only bounds a failure.
func (b *browserPage) waitFor(what, expression string) {
	b.t.Helper()
	deadline := time.Now().Add(pageTimeout)
	for !eval[bool](b, expression) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain until %s\n%s", what, b.debugText())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// debugText is what somebody who debugs a failed story wants to see.
func (b *browserPage) debugText() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector('main')?.innerText + '\n' + document.getElementById('message')?.dataset.code`))
	if err != nil {
		text = err.Error()
	}
	return fmt.Sprintf("the page says: %s\nthe server's log:\n%s", strconv.Quote(text), b.server.log.text())
}
