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

// openTabWithMail is a server that sends mail, and Ada in front of its page, signed up without an address.
func openTabWithMail(t *testing.T) (*lodge, *person, *tab) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	c := newClock()
	s, post := startServerWithMail(t, c)
	l := &lodge{t: t, clock: c, door: browserDoor{s}, post: post}
	ada := l.person("Ada", phone)
	ada.signsUp()
	return l, ada, ada.device.(*tab)
}

// claimsOnThePage saves the address in the account's form.
func (b *tab) claimsOnThePage(email string) {
	b.t.Helper()
	b.fill("#account-email", email)
	if code := b.presses("#save-account"); code != "" {
		b.t.Fatalf("the page says %q\n%s", code, b.describe())
	}
}

func (b *tab) text(element string) string {
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, element))
}

func (b *tab) isAt(element string) {
	b.t.Helper()
	if focused := eval[string](b, `document.activeElement.id`); "#"+focused != element {
		b.t.Errorf("the focus is on %q, want %s", focused, element)
	}
}

// hears records what the page tells the password manager from now on, and returns what was told.
func (b *tab) hears() func() string {
	eval[bool](b, `(() => {
		window.told = [];
		PublicKeyCredential.signalCurrentUserDetails = async ({ name, displayName }) => window.told.push(displayName + ' ' + name);
		return true;
	})()`)
	return func() string { return eval[string](b, `window.told.splice(0).join()`) }
}

func TestWhoeverClaimsAnAddressIsTakenToItsCode(t *testing.T) {
	l, ada, b := openTabWithMail(t)
	b.mayNotSee("#email-claim", "#email-verified", "#who-unconfirmed")
	told := b.hears()
	b.claimsOnThePage("Ada@Example.org")
	b.isAt("#email-code")
	if said := b.text("#message"); !strings.Contains(said, "a code to ada@example.org") {
		t.Errorf("the page says %q", said)
	}
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	if email := b.text("#who-claims"); email != "ada@example.org" || !b.sees("#who-unconfirmed") {
		t.Errorf("the greeting has %q", email)
	}
	b.mayNotSee("#email-claim-until", "#email-verified")

	b.fill("#email-code", l.codeIn(l.lastLetter("ada@example.org", 1)))
	b.silence()
	b.do(chromedp.KeyEvent("\r"))
	b.until("the address is confirmed", `document.getElementById('message').textContent === 'ada@example.org is yours now.'`)
	b.isAt("#account-heading")
	b.mayNotSee("#email-claim", "#who-unconfirmed")
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	if !b.sees("#email-verified") {
		t.Error("the page does not say that the address is confirmed")
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#account-email"), "x"))
	b.mayNotSee("#email-verified") // what is in the field now is not

	ben := browserDoor{b.server}.client(t, phone).(*tab)
	ada.may(second(ben.signUp(applicant{email: "ben@example.org"})))
	ben.isAt("#email-code")
	if name := ben.text("#who"); name != "ben@example.org" || ben.sees("#who-claims") || !ben.sees("#who-unconfirmed") {
		t.Errorf("somebody without a name is greeted as %q", name)
	}
}

func TestWhoeverHasMovedOnIsNotCalledBack(t *testing.T) {
	_, _, b := openTabWithMail(t)
	b.fill("#account-email", "ada@example.org")
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/me"}}})
	anyRequest := func(fetch.EventRequestPaused) bool { return true }
	b.silence()
	held, err := chromedp.Run(b.ctx, chromedp.WaitEvent(fetch.RequestPaused, anyRequest, chromedp.Click(chromedp.CSS("#save-account"))))
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Focus(chromedp.CSS("#delete-account")))
	call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: held.RequestID})
	call(b, fetch.Disable, cdp.Empty{})
	b.until("the page asks for the code", `document.getElementById('email-code').checkVisibility() && document.querySelector('main').getAttribute('aria-busy') === 'false'`)
	b.isAt("#delete-account")
}

func TestAClaimIsGivenUp(t *testing.T) {
	l, ada, b := openTabWithMail(t)
	b.claimsOnThePage("ada@example.org")
	ada.may(b.confirmEmail(l.codeIn(l.lastLetter("ada@example.org", 1))))
	b.claimsOnThePage("ada@example.net")
	if held := b.text("#email-held"); held != "ada@example.org" || !b.sees("#email-held") {
		t.Errorf("the page says that the account keeps %q", held)
	}
	b.fill("#email-code", "1234")
	b.claimsOnThePage("ada@example.com")
	if left := eval[string](b, `document.getElementById('email-code').value`); left != "" {
		t.Errorf("%q is left of the code of another address", left)
	}
	told := b.hears()
	if code := b.presses("#withdraw-email"); code != "" {
		t.Fatal(code)
	}
	b.isAt("#account-heading")
	b.mayNotSee("#email-claim")
	if got := told(); got != "Ada ada@example.org" {
		t.Errorf("the password manager was told %q", got)
	}
	ada.seesEmail(shownEmail{held: "ada@example.org", verified: true})
}

func TestWhyACodeWasRefusedIsToldBesideIt(t *testing.T) {
	l, ada, b := openTabWithMail(t)
	b.claimsOnThePage("ada@example.org")
	code := l.codeIn(l.lastLetter("ada@example.org", 1))
	says := func(refused refusal, code, text string) {
		t.Helper()
		ada.mayNot(refused, code)
		if said := b.text("#message"); !strings.Contains(said, text) {
			t.Errorf("of %s the page says %q", code, said)
		}
	}
	says(b.confirmEmail(otherCode(code)), "invalid_code", "latest letter")
	b.complainsAbout("#email-code")
	b.reopen()

	ben := l.confirmed("Ben", phone, "ada@example.org")
	says(b.confirmEmail(code), "email_taken", "quicker")
	b.complainsAbout("#email-code")
	ben.isSignedIn()

	for range 5 {
		b.claimsOnThePage("ada@example.net")
		ada.may(b.withDevice(nil, func() string { return b.presses("#withdraw-email") }))
	}
	b.fill("#account-email", "ada@example.net")
	says(refusal{code: b.presses("#save-account")}, "rate_limited", "in 15 minutes")
	b.complainsAbout("#account-email")

	// In another window it was given up.
	b.claimsOnThePage("ada@example.com")
	evalPromise(b, `import('/assets/session.js').then(({ patch }) => patch('/me', { email: null })).then(() => '')`)
	says(b.sendEmailCode(), "not_found", "gone already")
	b.mayNotSee("#email-claim")
}

func TestACodeIsSentAgain(t *testing.T) {
	l, ada, b := openTabWithMail(t)
	b.claimsOnThePage("ada@example.org")
	b.fill("#email-code", "1234")
	for range 4 {
		l.waits(time.Second) // letters of one moment are in no order
		ada.may(b.sendEmailCode())
		b.isAt("#email-code")
	}
	if left := eval[string](b, `document.getElementById('email-code').value`); left != "" {
		t.Errorf("%q is left of a code that is worth nothing any more", left)
	}
	ada.mayNot(b.sendEmailCode(), "rate_limited")
	if said := b.text("#message"); !strings.Contains(said, "latest letter") || !strings.Contains(said, "in 15 minutes") {
		t.Errorf("the page says %q", said)
	}
	ada.may(b.confirmEmail(l.codeIn(l.lastLetter("ada@example.org", 5))))
}

// After a recovery an address waits for a passkey too, which the page asks for by itself.
func TestAnAddressIsConfirmedByPasskeyAfterARecovery(t *testing.T) {
	l, ada, b := openTabWithMail(t)
	b.claimsOnThePage("ada@example.org")
	codes := ada.writesDownCodes()
	back := l.losesEverything(ada)
	back.recovers(claim{backupCode: codes[0]})
	back.seesEmail(shownEmail{pending: "ada@example.org"})
	back.may(back.device.confirmEmail(l.codeIn(l.lastLetter("ada@example.org", 1))))
	back.seesEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "recovered"})
}

// An operator switches mail on, and off again.
func TestAnAddressOfBeforeThereWasMailIsConfirmed(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	c := newClock()
	first := settings(t, useCaseOrigin, nil)
	post := mailserver.Start(t, mailserver.Options{})
	server := func(mail bool) *server {
		return startServer(t, c, func(c *bootstrap.Config) {
			c.DatabasePath, c.Secret = first.DatabasePath, first.Secret
			if mail {
				c.SMTP = sendingTo(t, post, c.PublicURL)
			}
		})
	}
	off, on := server(false), server(true)
	l := &lodge{t: t, clock: c, door: browserDoor{off}, post: post}
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	b := ada.device.(*tab)
	b.mayNotSee("#email-claim", "#email-verified", "#who-unconfirmed")

	b.server, l.door = on, browserDoor{on} // a cookie goes to every port
	ada.seesEmail(shownEmail{held: ada.email})
	b.mayNotSee("#email-code", "#confirm-email", "#withdraw-email", "#email-code-sent")
	if label := strings.TrimSpace(b.text("#send-email-code")); label != "Send a code" || !b.sees("#email-code-unsent") {
		t.Errorf("the button says %q\n%s", label, b.describe())
	}
	ada.may(b.sendEmailCode())
	b.isAt("#email-code")
	b.mayNotSee("#email-code-unsent", "#email-claim-until", "#withdraw-email")
	ada.may(b.confirmEmail(l.codeIn(l.lastLetter(ada.email, 1))))
	ada.seesEmail(shownEmail{held: ada.email, verified: true})
	b.claimsOnThePage("ada@example.net")

	b.server = off
	b.reopen()
	b.mayNotSee("#email-claim", "#email-verified", "#who-claims", "#who-unconfirmed")
	if held := b.text("#who-email"); held != ada.email {
		t.Errorf("the account's address is %q", held)
	}
	ben := l.person("", phone)
	ben.claims("ben@example.org")
	b = ben.device.(*tab)
	b.server = off
	b.reopen()
	b.mayNotSee("#email-claim", "#who-claims", "#who-unconfirmed")
	if name, why := b.text("#who"), b.text("#account-id-why"); !strings.HasPrefix(name, "account ") || !strings.Contains(why, "given no") {
		t.Errorf("somebody without an address is greeted as %q; of their id it says: %s", name, why)
	}
}

func TestAnAddressLeavesThePageWithItsOwner(t *testing.T) {
	_, ada, b := openTabWithMail(t)
	b.claimsOnThePage("ada@example.org")
	ada.may(b.signOut())
	b.holdsNoneOf("ada@example.org")
}

func TestAClosedRecoveryIsExplained(t *testing.T) {
	_, b, _ := openTab(t)
	why := evalPromise(b, `import('/assets/eventwords.js').then(({ reasonFor }) => reasonFor({ kind: 'recovery_closed', changed: [] }))`)
	if !strings.Contains(why, "passkey") {
		t.Errorf("the log says %q", why)
	}
}
