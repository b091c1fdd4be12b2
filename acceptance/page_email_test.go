package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// The page's e-mail verification, beyond the stories.

// openPageWithMail starts a server that sends e-mail. It returns Ada, signed up without an address, and her page.
func openPageWithMail(t *testing.T) (*env, *person, *browserPage) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	s, mailServer := startServerWithMail(t, c)
	e := &env{t: t, clock: c, driver: browserDriver{s}, mailServer: mailServer}
	ada := e.person("Ada", phone)
	ada.signsUp()
	return e, ada, ada.device.(*browserPage)
}

// saveEmail saves the address in the account's form.
func (b *browserPage) saveEmail(email string) {
	b.t.Helper()
	b.fill(named("email"), email)
	if code := b.pressAndWait(named("save-account")); code != "" {
		b.t.Fatalf("message code %q\n%s", code, b.debugText())
	}
}

func (b *browserPage) requireFocus(element string) {
	b.t.Helper()
	b.waitFor("the focus is on "+element, fmt.Sprintf(`find(%q)?.matches(':focus') ?? false`, element))
}

// recordUserDetails records the user details that the page signals to the password manager from now on. The returned function
// returns and clears them.
func (b *browserPage) recordUserDetails() func() string {
	eval[bool](b, `(() => {
		window.signalled = [];
		PublicKeyCredential.signalCurrentUserDetails = async ({ name, displayName }) => window.signalled.push(displayName + ' ' + name);
		return true;
	})()`)
	return func() string { return eval[string](b, `window.signalled.splice(0).join()`) }
}

func TestPage_EmailVerificationPrompt(t *testing.T) {
	e, ada, b := openPageWithMail(t)
	b.requireHidden(named("confirm-email"), dataNamed("confirmed"), dataNamed("waiting"))
	signalled := b.recordUserDetails()
	b.saveEmail("Ada@Example.org")
	b.requireFocus(named("code"))
	if message := b.textOf("#profile .notice"); !strings.Contains(message, "a code to ada@example.org") {
		t.Errorf("the page shows %q", message)
	}
	if got := signalled(); got != "Ada ada@example.org" {
		t.Errorf("signalled user details %q", got)
	}
	if heading := b.textOf(".greeting"); !strings.Contains(heading, "ada@example.org") || !strings.Contains(heading, "Not confirmed") {
		t.Errorf("the heading has %q", heading)
	}
	b.requireHidden(dataNamed("confirmed"))

	b.fill(named("code"), e.codeIn(e.lastEmail("ada@example.org", 1)))
	b.run(chromedp.KeyEvent("\r"))
	b.waitFor("the address is confirmed", `find('#profile > .notice')?.textContent === 'ada@example.org is confirmed.'`)
	b.requireFocus("#profile-heading")
	b.requireHidden(named("confirm-email"))
	if !b.isVisible(dataNamed("confirmed")) {
		t.Error("the address is not marked as confirmed")
	}
	if got := signalled(); got != "Ada ada@example.org" {
		t.Errorf("signalled user details %q", got)
	}
	b.waitFor("the address has the focus", focused(named("email")))
	call(b, input.InsertText, input.InsertTextParams{Text: "x"})
	b.requireHidden(dataNamed("confirmed")) // the edited address is not confirmed

	ben := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	ben.view("sign-up")
	ben.fill(named("email"), "ben@example.org")
	ada.requireOK(ben.withAuthenticator(nil, func() string { return ben.pressAndWait(named("sign-up")) }))
	ben.waitForState("confirm-email")
	ben.skipOffers()
	if heading := ben.textOf(".greeting"); !strings.Contains(heading, "ben@example.org") || !strings.Contains(heading, "Not confirmed") {
		t.Errorf("the heading of a user without a name is %q", heading)
	}
}

func TestPage_EmailPromptDoesNotStealFocus(t *testing.T) {
	_, _, b := openPageWithMail(t)
	b.fill(named("email"), "ada@example.org")
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/me"}}})
	anyRequest := func(fetch.EventRequestPaused) bool { return true }
	paused, err := chromedp.Run(b.ctx, chromedp.WaitEvent(fetch.RequestPaused, anyRequest, click(named("save-account"))))
	if err != nil {
		t.Fatal(err)
	}
	b.waitFor("the button has the focus", focused(named("delete-account")))
	call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: paused.RequestID})
	call(b, fetch.Disable, cdp.Empty{})
	b.waitFor("the page asks for the code", visible(named("code"))+` && !busy()`)
	b.requireFocus(named("delete-account"))
}

func TestPage_CancelPendingEmail(t *testing.T) {
	e, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	ada.requireOK(b.confirmEmail(e.codeIn(e.lastEmail("ada@example.org", 1))))
	b.saveEmail("ada@example.net")
	if panel := b.textOf("#profile .panel"); !strings.Contains(panel, "your account uses ada@example.org") {
		t.Errorf("the page shows %q", panel)
	}
	b.fill(named("code"), "1234")
	b.saveEmail("ada@example.com")
	if left := b.valueOf(named("code")); left != "" {
		t.Errorf("the field still has the code of another address: %q", left)
	}
	signalled := b.recordUserDetails()
	if code := b.pressAndWait(named("withdraw-email")); code != "" {
		t.Fatal(code)
	}
	b.requireFocus("#profile-heading")
	b.requireHidden(named("confirm-email"))
	if got := signalled(); got != "Ada ada@example.org" {
		t.Errorf("signalled user details %q", got)
	}
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
}

func TestPage_EmailCodeErrors(t *testing.T) {
	e, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	code := e.codeIn(e.lastEmail("ada@example.org", 1))
	requireMessage := func(rejected rejection, code, text string) {
		t.Helper()
		ada.requireRejected(rejected, code)
		if message := b.textOf("#profile"); !strings.Contains(message, text) {
			t.Errorf("for %s the page shows %q", code, message)
		}
	}
	requireMessage(b.confirmEmail(wrongEmailCode(code)), "invalid_code", "latest e-mail")
	b.requireFieldError(named("code"))
	b.reload()

	ben := e.personWithVerifiedEmail("Ben", phone, "ada@example.org")
	requireMessage(b.confirmEmail(code), "email_taken", "used by another account")
	b.requireFieldError(named("code"))
	ben.requireSignedIn()

	for range 5 {
		b.saveEmail("ada@example.net")
		ada.requireOK(b.withAuthenticator(nil, func() string { return b.pressAndWait(named("withdraw-email")) }))
	}
	b.fill(named("email"), "ada@example.net")
	requireMessage(rejection{code: b.pressAndWait(named("save-account"))}, "rate_limited", "in 15 minutes")
	b.requireFieldError(named("email"))

	// The pending address was cancelled in another window.
	b.saveEmail("ada@example.com")
	b.script(`await keylodge.account.change({ email: null })`)
	requireMessage(b.sendEmailCode(), "not_found", "had already been removed")
	b.requireHidden(named("confirm-email"))
}

func TestPage_ResendEmailCode(t *testing.T) {
	e, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	b.fill(named("code"), "1234")
	for range 4 {
		e.advance(time.Second) // e-mails of the same second have no order
		ada.requireOK(b.sendEmailCode())
		b.requireFocus(named("code"))
	}
	if left := b.valueOf(named("code")); left != "" {
		t.Errorf("the field still has an old code: %q", left)
	}
	ada.requireRejected(b.sendEmailCode(), "rate_limited")
	if message := b.textOf("#profile"); !strings.Contains(message, "latest e-mail") || !strings.Contains(message, "in 15 minutes") {
		t.Errorf("the page shows %q", message)
	}
	ada.requireOK(b.confirmEmail(e.codeIn(e.lastEmail("ada@example.org", 5))))
}

// After a recovery, confirming an address needs a step-up, which the page requests by itself.
func TestPage_ConfirmEmailAfterRecoveryNeedsStepUp(t *testing.T) {
	e, ada, b := openPageWithMail(t)
	b.saveEmail("ada@example.org")
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode(codes[0]))
	recovered.requireEmail(shownEmail{pending: "ada@example.org"})
	recovered.requireOK(recovered.device.confirmEmail(e.codeIn(e.lastEmail("ada@example.org", 1))))
	recovered.requireEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "recovered"})
}

// The operator turns e-mail on, and off again.
func TestPage_ConfirmEmailSetBeforeMail(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	c := newClock()
	first := settings(t, useCaseOrigin, nil)
	mailServer := mailserver.Start(t, mailserver.Options{})
	server := func(mail bool) *server {
		return startServer(t, c, func(c *config.Config) {
			c.Database, c.Secret = first.Database, first.Secret
			if mail {
				c.SMTP = smtpConfig(t, mailServer, c.PublicURL)
			}
		})
	}
	off, on := server(false), server(true)
	e := &env{t: t, clock: c, driver: browserDriver{off}, mailServer: mailServer}
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	b := ada.device.(*browserPage)
	b.requireHidden(named("confirm-email"), dataNamed("confirmed"), dataNamed("waiting"))

	b.server, e.driver = on, browserDriver{on} // cookies are shared by all ports
	ada.requireEmail(shownEmail{current: ada.email})
	b.requireHidden(named("code"), named("confirm-email"), named("withdraw-email"))
	if label := strings.TrimSpace(b.textOf(named("send-email-code"))); label != "Send a code" {
		t.Errorf("the button is %q\n%s", label, b.debugText())
	}
	ada.requireOK(b.sendEmailCode())
	b.requireFocus(named("code"))
	b.requireHidden(named("withdraw-email"))
	ada.requireOK(b.confirmEmail(e.codeIn(e.lastEmail(ada.email, 1))))
	ada.requireEmail(shownEmail{current: ada.email, verified: true})
	b.saveEmail("ada@example.net")

	b.server = off
	b.reload()
	b.requireHidden(named("confirm-email"), dataNamed("confirmed"), dataNamed("waiting"))
	if email := b.shownIdentity().email; email != ada.email {
		t.Errorf("the account's address is %q", email)
	}
	ben := e.person("", phone)
	ben.signsUpWithEmail("ben@example.org")
	b = ben.device.(*browserPage)
	b.server = off
	b.reload()
	b.requireHidden(named("confirm-email"), dataNamed("waiting"))
	b.press(named("set-up-app"))
	b.waitFor("the app can be set up", visible(named("confirm-app")))
	if name, why := b.textOf(dataNamed("who")), b.textOf("#ways-back"); !strings.HasPrefix(name, "account ") || !strings.Contains(why, "Your account has no e-mail address") {
		t.Errorf("the heading of a user without an address is %q; the note on the id is %q", name, why)
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
	b.withScript(changedAnswer("/v1/me/events", `answer.items[0].kind = 'recovery_locked'`))
	if why := b.textOf("#activity .why"); !strings.Contains(why, "passkey") {
		t.Errorf("the reason is %q", why)
	}
}
