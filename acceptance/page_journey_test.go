package acceptance

import (
	"strings"
	"testing"
	"time"
)

// A person who has never seen the page goes through the whole life of an account on a phone: sign-up, backup codes, a second passkey and
// its name, a session on another device, the authenticator app, and the way back when all is lost.
func TestPage_LifeOnPhone(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	c := newClock()
	e := &env{t: t, clock: c, driver: browserDriver{startServer(t, c, nil)}}
	ada := e.person("Ada", phone)
	b := ada.device.(*browserPage)
	b.resize(360, 740)
	b.press(named("to-sign-up"))
	b.waitForState("sign-up")
	b.fill(named("display_name"), "Ada")
	b.setAutomaticPresence(true)
	b.press(named("sign-up"))
	b.waitForState("way-back") // the page leads on by itself
	b.press(named("save-codes"))
	b.waitFor("the codes are in the window", insideWindow(".codes", ".codes"))
	codes := eval[[]string](b, `[...find('.codes').children].map((item) => item.innerText)`)
	b.press(named("stored"))
	b.waitFor("the account is shown", `pageState() === 'account' && !busy()`)
	b.setAutomaticPresence(false)
	if summary := b.textOf(".summary"); summary != "1 passkey, 10 backup codes" {
		t.Errorf("the summary is %q", summary)
	}

	laptop := ada.onSecondDevice()
	ada.requireSessions(2)
	ada.revokesSession(ada.otherSession())
	laptop.requireSignedOut("session_revoked")
	blue := ada.addsPasskey("Blue key", securityKey)
	ada.renamesPasskey(blue, "Red key")
	ada.requirePasskeys("", "Red key")
	e.enrolTOTP(ada)
	if summary := b.textOf(".summary"); summary != "2 passkeys, 10 backup codes, authenticator app set up" {
		t.Errorf("the summary is %q", summary)
	}

	c.advance(time.Minute)
	found := e.onNewDevice(ada)
	b = found.device.(*browserPage)
	b.resize(360, 740)
	found.recovers(withBackupCode(codes[0]))
	b.waitFor("the review is in the window", insideWindow("#review-heading", "#review-heading"))
	if review := b.textOf(".review"); !strings.Contains(review, "remove those that you lost") {
		t.Errorf("the review says %q", review)
	}
	b.press(`.review ` + entryButton(found.reviewedPasskeyID("Passkey (1)"), "remove"))
	found.requireOK(b.withAuthenticator(nil, func() string {
		return b.pressAndWait(`.review ` + entryButton(found.reviewedPasskeyID("Passkey (1)"), "confirm-remove"))
	}))
	b.press(`.review ` + entryButton(found.reviewedPasskeyID("Red key"), "keep"))
	b.press(named("end-review"))
	b.requireHidden(".review")
	found.requirePasskeys("", "Red key")
	found.requireSignedIn()
	ada.requireSignedOut("session_revoked")
}
