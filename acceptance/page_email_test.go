package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/bootstrap"
)

// What the page does about an e-mail address, beyond the stories.

// openPageWithMail is a server that sends mail, and Ada in front of its page, signed up without an address.
func openPageWithMail(t *testing.T) (*env, *person, *browserPage) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	s, post := startServerWithMail(t, c)
	l := &env{t: t, clock: c, driver: browserDriver{s}, mailServer: post}
	ada := l.person("Ada", phone)
	ada.signsUp()
	return l, ada, ada.device.(*browserPage)
}

// saveEmail saves the address in the account's form.
func (b *browserPage) saveEmail(email string) {
	b.t.Helper()
	b.fill("#account-email", email)
	if code := b.pressAndWait("#save-account"); code != "" {
		b.t.Fatalf("the page says %q\n%s", code, b.debugText())
	}
}

func (b *browserPage) text(element string) string {
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, element))
}

func (b *browserPage) requireFocus(element string) {
	b.t.Helper()
	if focused := eval[string](b, `document.activeElement.id`); "#"+focused != element {
		b.t.Errorf("the focus is on %q, want %s", focused, element)
	}
}

// recordUserDetails records what the page tells the password manager from now on, and returns what was told.
func (b *browserPage) recordUserDetails() func() string {
	eval[bool](b, `(() => {
		window.told = [];
		PublicKeyCredential.signalCurrentUserDetails = async ({ name, displayName }) => window.told.push(displayName + ' ' + name);
		return true;
	})()`)
	return func() string { return eval[string](b, `window.told.splice(0).join()`) }
}

func TestPage_EmailVerificationPrompt(t *testing.T) {
	l, ada, b := openPageWithMail(t)
	b.requireHidden("#pending-email", "#email-verified", "#who-unconfirmed")
	told := b.recordUserDetails()
	b.saveEmail("Ada@Example.org")
	b.requireFocus("#email-code")
	if said := b.text("#message"); !strings.Contains(said, "a code to ada@example.org") {
		t.Errorf("the page says %q", said)
	}
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	if email := b.text("#who-pending-email"); email != "ada@example.org" || !b.isVisible("#who-unconfirmed") {
		t.Errorf("the greeting has %q", email)
	}
	b.requireHidden("#pending-email-until", "#email-verified")

	b.fill("#email-code", l.codeIn(l.lastEmail("ada@example.org", 1)))
	b.clearMessage()
	b.run(chromedp.KeyEvent("\r"))
	b.waitFor("the address is confirmed", `document.getElementById('message').textContent === 'ada@example.org is confirmed.'`)
	b.requireFocus("#account-heading")
	b.requireHidden("#pending-email", "#who-unconfirmed")
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	if !b.isVisible("#email-verified") {
		t.Error("the page does not say that the address is confirmed")
	}
	b.run(chromedp.SendKeys(chromedp.CSS("#account-email"), "x"))
	b.requireHidden("#email-verified") // what is in the field now is not

	ben := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	ada.requireOK(onlyRejection(ben.signUp(profile{email: "ben@example.org"})))
	ben.requireFocus("#email-code")
	if name := ben.text("#who"); name != "ben@example.org" || ben.isVisible("#who-pending-email") || !ben.isVisible("#who-unconfirmed") {
		t.Errorf("somebody without a name is greeted as %q", name)
	}
}

func TestPage_EmailPromptDoesNotStealFocus(t *testing.T) {
	_, _, b := openPageWithMail(t)
	b.fill("#account-email", "ada@example.org")
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/me"}}})
	anyRequest := func(fetch.EventRequestPaused) bool { return true }
	b.clearMessage()
	held, err := chromedp.Run(b.ctx, chromedp.WaitEvent(fetch.RequestPaused, anyRequest, chromedp.Click(chromedp.CSS("#save-account"))))
	if err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Focus(chromedp.CSS("#delete-account")))
	call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: held.RequestID})
	call(b, fetch.Disable, cdp.Empty{})
	b.waitFor("the page asks for the code", `document.getElementById('email-code').checkVisibility() && document.querySelector('main').getAttribute('aria-busy') === 'false'`)
	b.requireFocus("#delete-account")
}

func TestPage_CancelPendingEmail(t *testing.T) {
	l, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	ada.requireOK(b.confirmEmail(l.codeIn(l.lastEmail("ada@example.org", 1))))
	b.saveEmail("ada@example.net")
	if held := b.text("#email-held"); held != "ada@example.org" || !b.isVisible("#email-held") {
		t.Errorf("the page says that the account keeps %q", held)
	}
	b.fill("#email-code", "1234")
	b.saveEmail("ada@example.com")
	if left := eval[string](b, `document.getElementById('email-code').value`); left != "" {
		t.Errorf("%q is left of the code of another address", left)
	}
	told := b.recordUserDetails()
	if code := b.pressAndWait("#withdraw-email"); code != "" {
		t.Fatal(code)
	}
	b.requireFocus("#account-heading")
	b.requireHidden("#pending-email")
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
}

func TestPage_EmailCodeErrors(t *testing.T) {
	l, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	code := l.codeIn(l.lastEmail("ada@example.org", 1))
	says := func(refused rejection, code, text string) {
		t.Helper()
		ada.requireRejected(refused, code)
		if said := b.text("#message"); !strings.Contains(said, text) {
			t.Errorf("of %s the page says %q", code, said)
		}
	}
	says(b.confirmEmail(wrongEmailCode(code)), "invalid_code", "latest e-mail")
	b.requireFieldError("#email-code")
	b.reload()

	ben := l.personWithVerifiedEmail("Ben", phone, "ada@example.org")
	says(b.confirmEmail(code), "email_taken", "used by another account")
	b.requireFieldError("#email-code")
	ben.requireSignedIn()

	for range 5 {
		b.saveEmail("ada@example.net")
		ada.requireOK(b.withAuthenticator(nil, func() string { return b.pressAndWait("#withdraw-email") }))
	}
	b.fill("#account-email", "ada@example.net")
	says(rejection{code: b.pressAndWait("#save-account")}, "rate_limited", "in 15 minutes")
	b.requireFieldError("#account-email")

	// In another window it was given up.
	b.saveEmail("ada@example.com")
	evalPromise(b, `import('/assets/session.js').then(({ patch }) => patch('/me', { email: null })).then(() => '')`)
	says(b.sendEmailCode(), "not_found", "no longer exists")
	b.requireHidden("#pending-email")
}

func TestPage_ResendEmailCode(t *testing.T) {
	l, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	b.fill("#email-code", "1234")
	for range 4 {
		l.advance(time.Second) // letters of one moment are in no order
		ada.requireOK(b.sendEmailCode())
		b.requireFocus("#email-code")
	}
	if left := eval[string](b, `document.getElementById('email-code').value`); left != "" {
		t.Errorf("%q is left of a code that is worth nothing any more", left)
	}
	ada.requireRejected(b.sendEmailCode(), "rate_limited")
	if said := b.text("#message"); !strings.Contains(said, "latest e-mail") || !strings.Contains(said, "in 15 minutes") {
		t.Errorf("the page says %q", said)
	}
	ada.requireOK(b.confirmEmail(l.codeIn(l.lastEmail("ada@example.org", 5))))
}

// After a recovery an address waits for a passkey too, which the page asks for by itself.
func TestPage_ConfirmEmailAfterRecoveryNeedsStepUp(t *testing.T) {
	l, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	codes := ada.makesBackupCodes()
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{backupCode: codes[0]})
	back.requireEmail(shownEmail{pending: "ada@example.org"})
	back.requireOK(back.device.confirmEmail(l.codeIn(l.lastEmail("ada@example.org", 1))))
	back.requireEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "recovered"})
}

// An operator switches mail on, and off again.
func TestPage_ConfirmEmailSetBeforeMail(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	c := newClock()
	first := settings(t, useCaseOrigin, nil)
	post := mailserver.Start(t, mailserver.Options{})
	server := func(mail bool) *server {
		return startServer(t, c, func(c *bootstrap.Config) {
			c.Database, c.Secret = first.Database, first.Secret
			if mail {
				c.SMTP = smtpConfig(t, post, c.PublicURL)
			}
		})
	}
	off, on := server(false), server(true)
	l := &env{t: t, clock: c, driver: browserDriver{off}, mailServer: post}
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	b := ada.device.(*browserPage)
	b.requireHidden("#pending-email", "#email-verified", "#who-unconfirmed")

	b.server, l.driver = on, browserDriver{on} // a cookie goes to every port
	ada.requireEmail(shownEmail{current: ada.email})
	b.requireHidden("#email-code", "#confirm-email", "#withdraw-email", "#email-code-sent")
	if label := strings.TrimSpace(b.text("#send-email-code")); label != "Send a code" || !b.isVisible("#email-code-unsent") {
		t.Errorf("the button says %q\n%s", label, b.debugText())
	}
	ada.requireOK(b.sendEmailCode())
	b.requireFocus("#email-code")
	b.requireHidden("#email-code-unsent", "#pending-email-until", "#withdraw-email")
	ada.requireOK(b.confirmEmail(l.codeIn(l.lastEmail(ada.email, 1))))
	ada.requireEmail(shownEmail{current: ada.email, verified: true})
	b.saveEmail("ada@example.net")

	b.server = off
	b.reload()
	b.requireHidden("#pending-email", "#email-verified", "#who-pending-email", "#who-unconfirmed")
	if held := b.text("#who-email"); held != ada.email {
		t.Errorf("the account's address is %q", held)
	}
	ben := l.person("", phone)
	ben.signsUpWithEmail("ben@example.org")
	b = ben.device.(*browserPage)
	b.server = off
	b.reload()
	b.requireHidden("#pending-email", "#who-pending-email", "#who-unconfirmed")
	if name, why := b.text("#who"), b.text("#account-id-why"); !strings.HasPrefix(name, "account ") || !strings.Contains(why, "has no e-mail address") {
		t.Errorf("somebody without an address is greeted as %q; of their id it says: %s", name, why)
	}
}

func TestPage_EmailClearedOnSignOut(t *testing.T) {
	_, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	ada.requireOK(b.signOut())
	b.requireAbsent("ada@example.org")
}

func TestPage_RecoveryLockedIsExplained(t *testing.T) {
	_, b, _ := openPage(t)
	why := evalPromise(b, `import('/assets/eventtexts.js').then(({ reasonFor }) => reasonFor({ kind: 'recovery_locked', changed: [] }))`)
	if !strings.Contains(why, "passkey") {
		t.Errorf("the log says %q", why)
	}
}
