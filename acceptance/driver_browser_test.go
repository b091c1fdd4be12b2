package acceptance

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/browser"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/application"
)

// browserDriver uses the product's own page in Chromium. The authenticator is the browser's virtual one, and the test decides
// when the user touches it.
type browserDriver struct{ server *server }

func (d browserDriver) purgeExpired(t testing.TB) { httpDriver(d).purgeExpired(t) }
func (d browserDriver) runJobs(t testing.TB)      { httpDriver(d).runJobs(t) }

func (d browserDriver) operator() application.UseCases { return d.server.app.UseCases() }

func (d browserDriver) newDevice(t testing.TB, kind deviceKind) device {
	t.Helper()
	requireChromium(t)
	return d.newDeviceIn(browser.NewProfile(t), t, kind)
}

// newDeviceIn returns a device in a tab of a new profile.
func (d browserDriver) newDeviceIn(tab context.Context, t testing.TB, kind deviceKind) *browserPage {
	t.Helper()
	b := &browserPage{t: t, ctx: tab, server: d.server, kind: kind}
	call(b, webauthn.Enable, webauthn.EnableParams{})
	b.attachAuthenticator()
	if kind == autofillPhone {
		b.observeConditionalMediation()
	} else {
		b.disableConditionalMediation()
	}
	b.observePage()
	b.open()
	return b
}

// TestMain closes the browser that all stories share. Each device has its own profile in it.
func TestMain(m *testing.M) {
	code := m.Run()
	browser.Stop()
	os.Exit(code)
}

// requireChromium ends the test if no Chromium is installed, as package require says. `make test-browser` must run the test.
func requireChromium(t testing.TB) {
	t.Helper()
	requireSelected(t, "BROWSER_TESTS", t.Name())
	require.Program(t, require.Browser)
}
