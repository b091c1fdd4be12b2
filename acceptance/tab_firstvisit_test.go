package acceptance

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// A browser keeps the cookies of several answers that come at the same time. The HTTP tests of a first visit use Go's cookie jar.

func TestFirstVisit_aRealBrowserAnswersEveryParallelCeremony(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	b := browserDoor{s}.client(t, phone).(*tab)
	ada := &person{t: t, device: b, applicant: applicant{name: "Ada"}}
	ada.signsUp()
	ada.signsOut()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	s.heard.answersTogether(t, 4) // a browser keeps at most six connections to a server
	b.withDevice(nil, func() string {
		if outcomes := evalPromise(b, `import('/assets/passkeys.js').then(async ({ signInOptions, askForPasskey, finishSignIn }) => {
			const outcomes = [];
			for (const ceremony of await Promise.all([1, 2, 3, 4].map(() => signInOptions()))) {
				outcomes.push(await askForPasskey(ceremony).then((credential) => finishSignIn(ceremony, credential)).then(() => 'in', (error) => error.code ?? String(error)));
			}
			return outcomes.join(' ');
		})`); outcomes != "in in in in" {
			t.Errorf("the ceremonies that began at the same time end in: %s", outcomes)
		}
		return ""
	})
}

// Two tabs are restored: each begins a sign-in for the suggestions before the first answer comes.
func TestFirstVisit_bothRestoredTabsSignIn(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), nil)
	one := browserDoor{s}.client(t, suggestingPhone).(*tab)
	ada := &person{t: t, device: one, applicant: applicant{name: "Ada"}}
	ada.signsUp()
	two := one.beside()
	for _, b := range []*tab{one, two} {
		b.do(chromedp.Navigate("about:blank"))
		b.touchReady(true)
	}
	call(one, network.ClearBrowserCookies, cdp.Empty{})
	s.heard.answersTogether(t, 2)
	for _, b := range []*tab{one, two} {
		b.open()
	}
	for _, b := range []*tab{one, two} {
		b.until("the suggestion is taken", settledAnew)
	}
	// The page begins again in the background if an answer is rejected; the log has the first attempt.
	if rejections := s.log.rejections(); len(rejections) > 0 {
		t.Errorf("of the ceremonies of two tabs some are rejected: %+v", rejections)
	}
}

// beside is another tab of the same browser, with the same passkeys.
func (b *tab) beside() *tab {
	b.t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithExistingBrowserContext(chromedp.FromContext(b.ctx).BrowserContextID))
	b.t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	b.t.Cleanup(cancel)
	other := &tab{t: b.t, ctx: ctx, server: b.server, kind: b.kind}
	other.do(chromedp.Navigate("about:blank"))
	call(other, webauthn.Enable, webauthn.EnableParams{})
	other.plugIn()
	for _, held := range b.credentials() {
		other.gives(held)
	}
	return other
}
