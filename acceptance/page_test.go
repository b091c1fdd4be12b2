package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// The page's behaviour beyond the stories: signals to the password manager, errors and unusual states.

// openPage starts a server. It returns Ada, signed up with a phone, her page, and the clock.
func openPage(t *testing.T) (*person, *browserPage, *clock) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	b := browserDriver{startServer(t, c, nil)}.newDevice(t, phone).(*browserPage)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	return ada, b, c
}

func TestPage_SignalsChangesToPasswordManager(t *testing.T) {
	ada, b, _ := openPage(t)
	first := b.credentials()[0]

	ada.requireOK(b.changeAccount("Ada Lovelace", "ada@example.org"))
	b.waitForCredentials("the passkey has the new names", func(credentials []*webauthn.Credential) bool {
		return len(credentials) == 1 && credentials[0].UserDisplayName == "Ada Lovelace" && credentials[0].UserName == "ada@example.org"
	})

	blue := ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(b.removePasskey(blue.id))
	b.waitForCredentials("the removed passkey was deleted", isEmpty)

	b.useAuthenticator(phone)
	b.addCredential(first)
	ada.requireOK(b.deleteAccount())
	b.waitForCredentials("no passkey is left", isEmpty)
}

func TestPage_SignalsRejectedPasskey(t *testing.T) {
	ada, b, _ := openPage(t)
	b.useAuthenticator(securityKey)
	ada.requireRejected(b.addPasskey("", noUserVerification), "user_verification_required")
	b.waitForCredentials("the device has deleted it", isEmpty)
}

// After a change of the passkeys, the page offers to end all other sessions (OWASP ASVS 5.0, 7.4.3).
// Requirement: ASVS-7.4.3
func TestPage_OffersToRevokeOtherSessions(t *testing.T) {
	ada, b, _ := openPage(t)
	if b.isVisible(named("sign-out-others")) {
		t.Error("the button to sign out everywhere else is shown without other sessions")
	}
	second := ada.onSecondDevice()
	b.useAuthenticator(securityKey)
	ada.requireOK(b.addPasskey("Blue key"))
	if !b.isVisible(named("sign-out-others")) {
		t.Fatal("no button to sign out everywhere else after a passkey was added")
	}
	ada.requireOK(rejection{code: b.pressAndWait(named("sign-out-others"))})
	second.requireSignedOut("session_revoked")
	ada.requireSignedIn()
}

func TestPage_DevicesNameTheirPasskeys(t *testing.T) {
	ada, b, _ := openPage(t)
	first := ada.listPasskeys()[0]
	ada.requireOK(b.renamePasskey(first.id, "Ada's phone"))
	if shown := b.textOf("#devices .entries [data-name=passkey]"); shown != "With Ada's phone" {
		t.Errorf("the passkey of this device is %q", shown)
	}
	ada.addsPasskey("Blue key", securityKey)
	if marked := eval[[]string](b, `findAll('#passkeys li:has([data-name="current"])').map((entry) => entry.dataset.givenName)`); !slices.Equal(marked, []string{"Ada's phone"}) {
		t.Errorf("the passkeys %q are marked as used now", marked)
	}
}

func TestPage_CancelledStepUpChangesNothing(t *testing.T) {
	ada, b, c := openPage(t)
	blue := ada.addsPasskey("Blue key", securityKey)
	c.advance(11 * time.Minute)
	b.dismissPrompt()
	ada.requireRejected(b.removePasskey(blue.id), "cancelled")
	if tone := eval[string](b, `find('#passkeys .notice[data-code="cancelled"]').dataset.tone`); tone != "info" {
		t.Errorf("the notice has the tone %s", tone)
	}
	ada.passkeyNamed("Blue key")
	ada.requireOK(b.removePasskey(blue.id))
}

func TestPage_RefreshesStaleCSRFToken(t *testing.T) {
	ada, b, _ := openPage(t)
	eval[bool](b, `(() => {
		const real = window.fetch;
		window.fetch = (address, how) => {
			if (!how.headers.has('X-CSRF-Token')) return real(address, how);
			window.fetch = real;
			how.headers.set('X-CSRF-Token', 'outdated');
			return real(address, how);
		};
		return true;
	})()`)
	ada.requireOK(b.changeAccount("Ada Lovelace", ""))
}

// Two windows of one browser are both visible, so there is no visibilitychange event.
func TestPage_DetectsUserChangedInOtherWindow(t *testing.T) {
	ada, b, _ := openPage(t)
	b.withAuthenticator(nil, func() string {
		return b.script(`await keylodge.signUp({ display_name: 'Ben' })`)
	})
	ada.requireRejected(b.changeAccount("Ada Lovelace", ""), "session_changed")
	b.waitFor("the page shows Ben", `find('[data-name="who"]')?.textContent === 'Ben'`)
	if user := b.shownIdentity(); user.name != "Ben" {
		t.Errorf("the page shows %+v", user)
	}
	if user := b.whoAmI().must(t); user.name != "Ben" {
		t.Errorf("the session's user is %+v, want Ben", user)
	}
}

func TestPage_FieldErrors(t *testing.T) {
	ada, b, _ := openPage(t)
	ben := browserDriver{b.server}.newDevice(t, phone)
	ben.signUp(profile{name: "Ben", email: "ben@example.org"}).must(t)
	key := ada.listPasskeys()[0]
	ada.requireRejected(b.changeAccount("Ada", "ben@example.org"), "email_taken")
	b.requireFieldError(named("email"))
	ada.requireRejected(b.renamePasskey(key.id, "one\u202eeno"), "invalid_request")
	b.requireFieldError(entryButton(key.id, "name"))
}

// A cancelled prompt is explained in words of the action, and the ways on are below.
func TestPage_CancelledPromptIsExplained(t *testing.T) {
	ada, b, _ := openPage(t)
	b.dismissPrompt()
	ada.requireRejected(b.addPasskey(""), "cancelled")
	texts := []string{b.textOf(`#passkeys .notice`)}
	ada.signsOut()
	for _, act := range []func() result[shownUser]{func() result[shownUser] { return b.signIn("") }, func() result[shownUser] { return b.signUp(profile{name: "Ben"}) }} {
		b.dismissPrompt()
		if got := act(); got.code != "cancelled" {
			t.Errorf("the page reports %+v", got)
		}
		texts = append(texts, b.textOf(".notice"))
	}
	for i, beginning := range []string{"No passkey was added.", "We couldn’t sign you in.", "No account was created."} {
		if !strings.HasPrefix(texts[i], beginning) {
			t.Errorf("got %q, want %q", texts[i], beginning)
		}
	}
	b.view("sign-in")
	for _, way := range []string{"other-ways", "to-recover", "to-sign-up"} {
		if !b.isVisible(named(way)) {
			t.Errorf("the way %s is missing", way)
		}
	}
}

// An e-mail address that is removed takes notices and a way of recovery with it, so the page asks.
func TestPage_AsksBeforeEmailIsRemoved(t *testing.T) {
	ada, b, _ := openPage(t)
	ada.requireOK(b.changeAccount("Ada", "ada@example.org"))
	b.fill(named("email"), "")
	if code := b.pressAndWait(named("save-account")); code != "" || !b.isVisible(named("confirm-remove-email")) {
		t.Fatalf("the page does not ask: %s\n%s", code, b.debugText())
	}
	b.press(`#profile .panel ` + named("cancel"))
	b.requireHidden(named("confirm-remove-email"))
	if email := b.valueOf(named("email")); email != "ada@example.org" {
		t.Errorf("the field has %q", email)
	}
}

// What a user has typed is there after a reload, such as one of a browser that has no memory left for a page behind a prompt.
func TestPage_KeepsWhatIsTyped(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.fill(named("email"), "ada@example.org")
	b.view("sign-up")
	b.fill(named("display_name"), "Ada")
	b.navigate(b.server.origin + "/signup")
	b.waitForState("sign-up")
	if name, email := b.valueOf(named("display_name")), b.valueOf(named("email")); name != "Ada" || email != "ada@example.org" {
		t.Errorf("the fields have %q and %q", name, email)
	}
	b.navigate(b.server.origin + "/recover")
	b.waitForState("recover")
	b.press(`input[value="app"]`)
	b.waitFor("the address is there", fmt.Sprintf(`find(%q)?.value === 'ada@example.org'`, named("account")))
	b.view("sign-in")
	ada := &person{t: t, device: b, profile: profile{name: "Ada", email: "ada@example.org"}}
	ada.signsUp()
	ada.signsOut()
	b.view("sign-up")
	if name, email := b.valueOf(named("display_name")), b.valueOf(named("email")); name != "" || email != "" {
		t.Errorf("after the sign-up, the fields have %q and %q", name, email)
	}
}

// The error of a form is about what was typed in it, so that it is gone with the form.
func TestPage_ErrorsGoWithTheirForm(t *testing.T) {
	ada, b, _ := openPage(t)
	for _, form := range []struct{ section, opener, field, typed, submit string }{
		{"passkeys", "rename", "name", "one\u202eeno", "save"}, {"ways-back", "set-up-app", "code", "123456", "confirm-app"}, {"delete", "delete-account", "word", "x", "delete-for-good"},
	} {
		b.press(named(form.opener))
		b.fill(`#`+form.section+` .panel `+named(form.field), form.typed)
		if code := b.pressAndWait(named(form.submit)); code == "" {
			t.Errorf("%s is accepted", form.opener)
		}
		b.press(`#` + form.section + ` .panel ` + named("cancel"))
		b.requireHidden(".panel", ".notice", ".field-error")
	}
	ada.requireRejected(b.addPasskey("The same device"), "already_registered")
	b.press(`.panel ` + named("cancel"))
	b.requireHidden(".panel", ".notice", ".field-error")
}

func TestPage_FieldErrorAtSignUp(t *testing.T) {
	ada, b, _ := openPage(t)
	ada.signsOut()
	ada.requireRejected(b.signUp(profile{name: "Ada", email: "ada@example.123"}), "invalid_request")
	b.requireFieldError(named("email"))
	ada.email = "ada.lovelace@example.org"
	ada.signsUp()
	if b.isVisible(".field-error") {
		t.Error("the field error is left")
	}
}

// A user picks a passkey from the browser's suggestions: the next request of the page signs in without a button.
func TestPage_SignsInFromSuggestions(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, autofillPhone).(*browserPage)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	b.setAutomaticPresence(true)
	b.press(named("sign-out"))
	b.waitFor("the suggestion is taken", signedInAgain)
	ada.requireSignedIn()
}

// signedInAgain is true when the user has signed out, and a suggestion has signed in the user without a button.
const signedInAgain = `window.signIns > 0 && pageState() === 'account' && !busy()`

func TestPage_PagesThroughAuditLog(t *testing.T) {
	ada, b, _ := openPage(t)
	key := ada.listPasskeys()[0]
	b.script(fmt.Sprintf(`for (let i = 0; i < 24; i++) await keylodge.passkeys.rename('%s', String(i))`, key.id))
	events := b.events().must(ada.t)
	if len(events) != 25 || events[0].kind != "passkey_renamed" || events[24].kind != "signed_up" {
		t.Fatalf("%d events, want 25: %v", len(events), events)
	}
}

func TestPage_AuditLogCountsAndFilters(t *testing.T) {
	ada, b, _ := openPage(t)
	ada.signsOut()
	for range 3 {
		ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	}
	ada.signsIn()
	b.reload()
	kinds := func() string {
		var all []string
		for _, entry := range b.entries("activity") {
			all = append(all, entry.Kind)
		}
		return strings.Join(all, " ")
	}
	if got := kinds(); got != "signed_in sign_in_refused signed_out signed_up" {
		t.Errorf("without a filter: %q", got)
	}
	if facts := b.textOf(`[data-kind="sign_in_refused"] .facts`); !strings.Contains(facts, "3 times, until ") {
		t.Errorf("the facts are %q", facts)
	}
	for _, show := range [][2]string{{"refused", "sign_in_refused"}, {"changes", "signed_up"}, {"", "signed_in sign_in_refused signed_out signed_up"}} {
		b.waitFor("the page is settled", settled)
		eval[string](b, fmt.Sprintf(`(() => {
			const group = find('#event-group');
			group.value = %q;
			group.dispatchEvent(new Event('change', { bubbles: true }));
			return group.value;
		})()`, show[0]))
		b.waitFor(show[1]+" are shown", fmt.Sprintf(`[...find('#activity .entries').children].map((entry) => entry.dataset.kind).join(' ') === %q`, show[1]))
	}
}

func TestPage_RetriesFailedLists(t *testing.T) {
	ada, b, _ := openPage(t)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const real = window.fetch;
		window.offline = true;
		window.fetch = (address, how) => window.offline && new URL(address, location).pathname.startsWith('/v1/me/') ? Promise.reject(new TypeError('offline')) : real(address, how);`,
	})
	b.navigate(b.server.origin + "/")
	b.waitFor("the page offers to try again", visible(named("retry")))
	if code := eval[string](b, `find('.notice').dataset.code`); code != "unreachable" {
		t.Errorf("message code %q", code)
	}
	b.requireHidden("#passkeys", "#devices", "#activity")
	eval[bool](b, `window.offline = false; true`)
	b.press(named("retry"))
	b.waitFor("the account is shown", `pageState() === 'account' && !busy()`)
	b.requireHidden(named("retry"))
	if len(b.entries("passkeys")) != 1 {
		t.Errorf("%s has no passkey", ada.name)
	}
}

func (b *browserPage) requireHidden(elements ...string) {
	b.t.Helper()
	for _, element := range elements {
		if b.isVisible(element) {
			b.t.Errorf("%s is visible\n%s", element, b.debugText())
		}
	}
}

// changedAnswer is a script that runs before those of the page: change can change the answer of GET requests for the path.
func changedAnswer(path, change string) string {
	return fmt.Sprintf(`{
		const real = window.fetch;
		window.fetch = async (address, how) => {
			const response = await real(address, how);
			if (new URL(address, location).pathname !== %q) return response;
			const answer = await response.json();
			%s;
			return new Response(JSON.stringify(answer), response);
		};
	}`, path, change)
}

// requireFieldError fails the test unless the field is the only one marked as invalid, has the focus, and shows its error.
func (b *browserPage) requireFieldError(field string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`(() => {
		const marked = findAll('[aria-invalid]');
		const field = find(%q);
		const error = find('#' + CSS.escape(field.getAttribute('aria-describedby').split(' ').at(-1)));
		return marked.length === 1 && marked[0] === field && field.matches(':focus') && error.checkVisibility() && error.textContent !== '';
	})()`, field)) {
		b.t.Errorf("the page shows no error at %s\n%s", field, b.debugText())
	}
}

// waitForCredentials waits until the authenticator's passkeys match: the page does not wait for its signals.
func (b *browserPage) waitForCredentials(what string, match func([]*webauthn.Credential) bool) {
	b.t.Helper()
	deadline := time.Now().Add(pageTimeout)
	for {
		credentials := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.authenticatorID}).Credentials
		if match(credentials) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("timeout: waited until %s: %d passkeys\n%s", what, len(credentials), b.debugText())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func isEmpty(credentials []*webauthn.Credential) bool { return len(credentials) == 0 }

func TestPage_ReportsRejectedAuthenticator(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), func(c *config.Config) {
		c.Authenticators = domain.AuthenticatorPolicy{Allowed: []domain.AAGUID{modelAAGUID(1)}}
	})
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	if got := b.signUp(profile{name: "Ada"}); got.rejection != (rejection{"passkey_rejected", domain.ReasonAttestationRejected}) {
		t.Fatalf("got %+v", got)
	}
	if text := b.textOf(".notice"); !strings.Contains(text, "use another") {
		t.Errorf("the page shows %q", text)
	}
	b.waitForCredentials("the device has deleted it", isEmpty)
}
