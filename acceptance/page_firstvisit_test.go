package acceptance

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/browser"
)

// The browser stores the cookies of concurrent responses. The HTTP tests of a first visit use Go's cookie jar.

// Requirement: WebAuthn-7.1-8
func TestPage_AnswersParallelCeremonies(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	ada.signsOut()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	s.recording.holdResponses(t, 4) // a browser opens at most six connections to a server
	b.withAuthenticator(nil, func() string {
		if outcomes := b.script(`
			const outcomes = [];
			for (const begun of await Promise.all([1, 2, 3, 4].map(() => keylodge.signIn.begin()))) {
				const finish = (credential) => keylodge.signIn.finish(begun, credential);
				outcomes.push(await getPasskey(begun.options).then(finish).then(() => 'in', (error) => error.code ?? String(error)));
			}
			return outcomes.join(' ');`); outcomes != "in in in in" {
			t.Errorf("the results of concurrent ceremonies: %s", outcomes)
		}
		return ""
	})
}

// Two tabs are restored: each begins a sign-in for the suggestions before the first response arrives.
// Requirement: WebAuthn-7.1-8
func TestPage_RestoredTabsSignIn(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	one := browserDriver{s}.newDevice(t, autofillPhone).(*browserPage)
	ada := &person{t: t, device: one, profile: profile{name: "Ada"}}
	ada.signsUp()
	two := one.openSecondTab()
	for _, b := range []*browserPage{one, two} {
		b.navigate("about:blank")
		b.setAutomaticPresence(true)
	}
	call(one, network.ClearBrowserCookies, cdp.Empty{})
	s.recording.holdResponses(t, 2)
	for _, b := range []*browserPage{one, two} {
		b.open()
	}
	for _, b := range []*browserPage{one, two} {
		b.waitFor("the suggestion is taken", signedInAgain)
	}
	// The page retries in the background if a response is rejected; the log has the first attempt.
	if rejections := s.log.rejections(); len(rejections) > 0 {
		t.Errorf("ceremonies of two tabs were rejected: %+v", rejections)
	}
}

// openSecondTab opens another tab of the same browser, with the same passkeys.
func (b *browserPage) openSecondTab() *browserPage {
	b.t.Helper()
	tab := call(b, target.GetTargetInfo, target.GetTargetInfoParams{}).TargetInfo
	other := &browserPage{t: b.t, ctx: browser.NewTab(b.t, tab.BrowserContextID), server: b.server, kind: b.kind}
	call(other, webauthn.Enable, webauthn.EnableParams{})
	other.attachAuthenticator()
	other.observePage()
	for _, credential := range b.credentials() {
		other.addCredential(credential)
	}
	return other
}
