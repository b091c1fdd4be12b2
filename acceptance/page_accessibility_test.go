package acceptance

import (
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// axe-core finds nothing in any state of the page, in the light, the dark and the forced colours.

// axe judges the states of a page.
type axe struct {
	*browserPage
	script string
}

func (b *browserPage) axe() axe {
	b.t.Helper()
	script, err := os.ReadFile("../tools/javascript/node_modules/axe-core/axe.min.js")
	if err != nil {
		require.Missing(b.t, require.Axe)
	}
	return axe{b, string(script)}
}

var colourSchemes = map[string][]*emulation.MediaFeature{
	"light":  {{Name: "prefers-color-scheme", Value: "light"}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	"dark":   {{Name: "prefers-color-scheme", Value: "dark"}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	"forced": {{Name: "forced-colors", Value: "active"}, {Name: "prefers-reduced-motion", Value: "reduce"}},
}

// look fails the test for each violation in the current state.
func (a axe) look(state string) {
	a.t.Helper()
	eval[bool](a.browserPage, a.script+`; true`)
	for scheme, features := range colourSchemes {
		call(a.browserPage, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		found := evalPromise(a.browserPage, `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
			.flatMap(({ id, help, nodes }) => nodes.map((node) => id + ': ' + help + ': ' + node.target.flat().join(' ') + ' ' + node.failureSummary)).join('\n'))`)
		if found != "" {
			a.t.Errorf("%s, %s: %s", state, scheme, found)
		}
	}
	call(a.browserPage, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
}

func TestPage_AxeFindsNothing_signedOut(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	a := b.axe()
	a.look("the sign-in")
	b.press(named("other-ways"))
	b.waitFor("the ways are shown", visible(named("sign-in-security_key")))
	a.look("other ways to sign in")
	b.press(named("sign-in-by-email"))
	b.waitFor("the field is marked", visible(".field-error"))
	a.look("an error at a field")
	b.dismissPrompt()
	b.withAuthenticator(nil, func() string { return b.pressAndWait(named("sign-in")) })
	a.look("a cancelled sign-in")
	b.view("sign-up")
	a.look("the sign-up")
	b.view("sign-in")
	b.view("recover")
	a.look("recovery by a backup code")
	b.press(`input[value="app"]`)
	a.look("recovery by the app")
	b.navigate(b.server.origin + "/#recover=klg_x")
	b.waitForState("enrol")
	a.look("a recovery link")
	b.navigate(b.server.origin + "/nowhere")
	b.waitFor("the page says so", visible("h1"))
	a.look("a missing address")
	call(b, network.Enable, network.EnableParams{})
	call(b, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: b.server.origin + "/v1/*", Block: true}}})
	b.navigate(b.server.origin + "/")
	b.waitFor("the page offers to try again", visible(named("retry")))
	a.look("a server that cannot be reached")
}

func TestPage_AxeFindsNothing_firstSteps(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	c := newClock()
	s, _ := startServerWithMail(t, c)
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	a := b.axe()
	b.view("sign-up")
	b.fill(named("email"), "ada@example.org")
	b.setAutomaticPresence(true)
	b.press(named("sign-up"))
	b.waitForState("confirm-email")
	a.look("the code of the e-mail")
	b.fill(named("code"), "12345678")
	if code := b.pressAndWait(named("confirm-email")); code != "invalid_code" {
		t.Fatalf("the code is answered with %q", code)
	}
	a.look("a wrong code of the e-mail")
	b.press(named("later"))
	b.waitForState("way-back")
	a.look("the way back")
	b.press(named("save-codes"))
	b.waitFor("the codes are shown", visible(".codes"))
	a.look("the backup codes")
}

func TestPage_AxeFindsNothing_account(t *testing.T) {
	ada, b, c := openPage(t)
	a := b.axe()
	ada.addsPasskey("Blue key", securityKey)
	ada.onSecondDevice()
	b.reload()
	a.look("the account")
	for _, opener := range []string{"rename", "remove", "add-passkey", "set-up-app", "delete-account"} {
		b.press(named(opener))
		b.waitFor("the page is settled", settled)
		a.look(opener)
		b.reload()
	}
	c.advance(11 * time.Minute)
	b.press(named("add-passkey"))
	b.press(named("make-passkey"))
	b.waitFor("the dialog is open", visible(named("step-up")))
	a.look("the step-up")
}

func TestPage_AxeFindsNothing_review(t *testing.T) {
	ada, b, c := openPage(t)
	codes := ada.makesBackupCodes()
	ada.addsPasskey("Blue key", securityKey)
	c.advance(time.Minute)
	recovered := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	a := recovered.axe()
	ada.requireIdentity(recovered.recover(withBackupCode(codes[0])))
	a.look("the review after a recovery")
	recovered.press(`.review ` + named("remove"))
	a.look("the removal in the review")
}

func TestPage_AxeFindsNothing_return(t *testing.T) {
	p := openReturnPage(t)
	a := p.axe()
	_, challenge := domain.NewCodeVerifier(rand.Reader)
	p.openAt("/account", "return_to", p.same)
	p.waitForState("account")
	p.waitFor("the page leads on", visible("#continue")+` && !busy()`)
	a.look("the account of a user who came from an application")
	p.clock.advance(11 * time.Minute)
	p.openAt("/login", "return_to", p.other, "code_challenge", challenge.String())
	p.press(`dialog ` + named("cancel"))
	p.waitFor("the return has failed", visible(`.notice[data-code="cancelled"]`))
	a.look("a return that has failed")
}

func TestPage_AxeFindsNothing_localPasskey(t *testing.T) {
	_, d := openWithoutLocalPasskey(t, webauthn.AuthenticatorTransportHybrid, nil)
	a := d.axe()
	d.signsInByOther("local-passkey")
	a.look("the offer of a passkey on this device")
}

func TestPage_AxeFindsNothing_errorOfForwardAuth(t *testing.T) {
	openErrorOfForwardAuth(t).axe().look("the error of forward auth")
}

// The examples are copied, with what they lack.
func TestKit_AxeFindsNothing_examples(t *testing.T) {
	for _, c := range []struct {
		name, host, setting string
		signUp              func(exampleApp)
	}{
		{"page", "localhost", "KEYLODGE_ORIGINS=%s", func(a exampleApp) { a.press("#sign-up button") }},
		{"spa", "localhost", "KEYLODGE_ORIGINS=%s", func(a exampleApp) { a.press("#sign-up button") }},
		{"tokens", "127.0.0.1", "KEYLODGE_APPLICATIONS=%s=My app", func(a exampleApp) {
			a.press("#sign-up")
			a.press(named("sign-up"))
			a.press(named("not-now"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := startExample(t, c.name, c.host, c.setting)
			axe := a.axe()
			a.waitFor("the example has begun", visible("#signed-out"))
			axe.look("signed out")
			c.signUp(a)
			a.waitForMessage("Signed in")
			axe.look("signed in")
		})
	}
}

func TestPage_AxeFindsNothing_closed(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), func(c *config.Config) {
		c.Registration, c.Recovery = domain.RegistrationClosed, domain.RecoveryOff
		c.Links.Support = "mailto:support@example.org"
	})
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	a := b.axe()
	a.look("the sign-in without registration and recovery")
	for _, path := range []string{"/signup", "/recover"} {
		b.navigate(s.origin + path)
		b.waitFor("the view is shown", visible("h1"))
		a.look(path)
	}
}
