package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
)

// The custom elements on a page that has nothing else. Buttons and fields are found by their names, inside the shadow roots.

// elementsPage is a page with <keylodge-sign-in>, which <keylodge-account> replaces while the user is signed in, and
// <keylodge-step-up>.
type elementsPage struct{ *browserPage }

func openElements(t *testing.T, language string) (elementsPage, *clock) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	b := elementsPage{browserDriver{startServer(t, c, nil)}.newDevice(t, phone).(*browserPage)}
	call(b.browserPage, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.shown = (selector) => find(selector)?.checkVisibility({ visibilityProperty: true }) ?? false;
		const show = (tag, attributes = {}) => {
			const element = document.createElement(tag);
			for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
			document.querySelector('keylodge-sign-in, keylodge-account')?.remove();
			document.body.append(element);
		};
		addEventListener('keylodge-signed-in', () => show('keylodge-account'));
		addEventListener('keylodge-signed-out', ({ detail: { error } }) => show('keylodge-sign-in', { notice: error?.code ?? 'signed_out' }));
		window.start = async (language) => {
			document.body.replaceChildren();
			document.documentElement.lang = language;
			await import('/kit/elements.js');
			document.body.append(document.createElement('keylodge-step-up'));
			show('keylodge-sign-in');
			return '';
		};`})
	b.navigate(b.server.origin + "/kit/keylodge.js")
	evalPromise(b.browserPage, fmt.Sprintf(`start(%q)`, language))
	b.setAutomaticPresence(true)
	return b, c
}

func (b elementsPage) pressNamed(name string) {
	b.t.Helper()
	selector := fmt.Sprintf(`button[name=%q]:not([aria-disabled])`, name)
	b.waitFor(name+" can be pressed", fmt.Sprintf(`shown(%q)`, selector))
	b.run(clickOn(fmt.Sprintf(`find(%q)`, selector)))
}

func (b elementsPage) fillNamed(name, text string) {
	b.t.Helper()
	field := fmt.Sprintf(`find('[name=%q]')`, name)
	b.waitFor(name+" has the focus", fmt.Sprintf(`(field => { field?.focus(); return field?.matches(':focus') ?? false })(%s)`, field))
	call(b.browserPage, input.InsertText, input.InsertTextParams{Text: text})
}

func (b elementsPage) waitForText(selector, text string) {
	b.t.Helper()
	b.waitFor(fmt.Sprintf("%s has the text %q", selector, text), fmt.Sprintf(`shown(%[1]q) && find(%[1]q).textContent.includes(%[2]q)`, selector, text))
}

func (b elementsPage) waitForFailure(code string) {
	b.t.Helper()
	b.waitFor("the error "+code, fmt.Sprintf(`failures.join() === %q && shown('[data-code=%q]')`, code, code))
	eval[int](b.browserPage, `failures.length = 0`)
}

// An account from sign-up to deletion, with nothing but the elements.
func TestElements_LifeOfAnAccount(t *testing.T) {
	b, c := openElements(t, "en")

	b.pressNamed("to-sign-up")
	b.fillNamed("display_name", "Ada")
	b.pressNamed("sign-up")
	b.pressNamed("save-codes")
	b.waitFor("the codes are shown", `shown('.codes')`)
	codes := eval[[]string](b.browserPage, `[...find('.codes').children].map((item) => item.innerText)`)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	b.pressNamed("stored")
	b.waitForText("h1", "Ada")
	b.waitForText(".summary", "1 passkey, 10 backup codes")

	b.pressNamed("rename")
	b.fillNamed("name", "one\u202eeno")
	b.pressNamed("save")
	b.waitForFailure("invalid_request")
	b.waitFor("the field is marked", `find('[name="name"]').matches('[aria-invalid="true"]:focus')`)
	eval[bool](b.browserPage, `find('[name="name"]').select() ?? true`)
	b.fillNamed("name", "Blue phone")
	b.pressNamed("save")
	b.waitForText("#passkeys .notice", "Blue phone")

	// A second passkey needs a step-up, which the dialog announces.
	c.advance(11 * time.Minute)
	b.pressNamed("add-passkey")
	b.pressNamed("make-passkey")
	b.waitFor("the dialog is open", `shown('dialog[open]')`)
	b.run(clickOn(`find('dialog button[name="cancel"]')`))
	b.waitForFailure("cancelled")
	b.pressNamed("make-passkey")
	b.pressNamed("step-up")
	b.waitForFailure("already_registered") // by the same authenticator

	b.pressNamed("sign-out")
	b.waitForText(".notice", "You are signed out.")
	b.useAuthenticator(phone) // the first one is lost
	b.setAutomaticPresence(true)
	b.pressNamed("to-recover")
	b.fillNamed("backup_code", "wrong-code")
	b.pressNamed("recover")
	b.waitForFailure("invalid_code")
	eval[bool](b.browserPage, `find('[name="backup_code"]').select() ?? true`)
	b.fillNamed("backup_code", codes[0])
	b.pressNamed("recover")
	b.waitForText(".review", "Account recovered")
	b.waitForText(".summary", "2 passkeys, 9 backup codes")
	b.waitForText("#activity", "Recovery allowed")

	b.pressNamed("delete-account")
	b.fillNamed("word", "delete")
	b.pressNamed("delete-for-good")
	b.pressNamed("step-up")
	b.waitFor("the account is gone", `document.querySelector('keylodge-sign-in') !== null`)
	b.waitForCredentials("no passkey is left", isEmpty)
}

// The plan of the server names the ways with a passkey of another device, and the browser's prompt gets the hint of the one pressed.
func TestElements_OtherWaysToSignIn(t *testing.T) {
	for language, texts := range map[string][]string{
		"en": {"Use a phone or tablet", "Use a security key"},
		"de": {"Smartphone oder Tablet verwenden", "Sicherheitsschlüssel verwenden"},
	} {
		t.Run(language, func(t *testing.T) {
			b, _ := openElements(t, language)
			b.pressNamed("to-sign-up")
			b.pressNamed("sign-up")
			b.pressNamed("not-now")
			evalPromise(b.browserPage, `(async () => {`+reportStub+`
				window.hints = [];
				const get = navigator.credentials.get.bind(navigator.credentials);
				navigator.credentials.get = (options) => { hints.push(...options.publicKey.hints ?? []); return get(options); };
				PublicKeyCredential.getClientCapabilities = async () => ({ hybridTransport: window.hybrid });
				return '';
			})()`)
			for name, c := range map[string]struct{ hint, reported string }{
				"sign-in-phone":        {"hybrid", "phone prompted, phone done"},
				"sign-in-security_key": {"security-key", "security_key prompted, security_key done"},
			} {
				b.pressNamed("sign-out")
				eval[bool](b.browserPage, `window.hybrid = true`)
				b.pressNamed("other-ways")
				b.waitFor("the ways are listed", `shown('.other-ways ul') && find('[name="other-ways"]').ariaExpanded === 'true'`)
				if got := eval[[]string](b.browserPage, `[...find('.other-ways ul').children].map((item) => item.innerText)`); !slices.Equal(got, texts) {
					t.Errorf("the ways are %q", got)
				}
				b.pressNamed(name)
				b.waitFor("the account", `shown('#passkeys')`)
				if got := eval[string](b.browserPage, `hints.splice(0).join() + ': ' + reported.splice(0).join(', ')`); got != c.hint+": "+c.reported {
					t.Errorf("%s: %s", name, got)
				}
			}
			b.pressNamed("sign-out")
			eval[bool](b.browserPage, `window.hybrid = false`)
			b.pressNamed("other-ways")
			b.waitFor("the way without a phone", `shown('[name="sign-in-security_key"]') && !shown('[name="sign-in-phone"]')`)
			b.pressNamed("other-ways")
			b.waitFor("the list is closed", `!shown('.other-ways ul')`)
		})
	}
}

func TestElements_InGerman(t *testing.T) {
	b, _ := openElements(t, "de-AT")
	b.waitForText("h1", "Anmelden")
	b.pressNamed("to-sign-up")
	b.waitForText("h1", "Konto erstellen")
	b.pressNamed("sign-up")
	b.waitForText("h1", "Ihr Konto ist bereit")
	b.pressNamed("not-now")
	b.waitForText(".summary", "1 Passkey, keine Backup-Codes")
	if text := eval[string](b.browserPage, `find('keylodge-account').shadowRoot.textContent`); strings.Contains(text, "Sign out") {
		t.Errorf("the account has English texts: %s", text)
	}
}
