package acceptance

import (
	"context"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

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
	ctx, closeTab := chromedp.NewContext(chromium(t), chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // for a whole story; pageTimeout bounds each wait
	t.Cleanup(cancel)
	b := &browserPage{t: t, ctx: ctx, server: d.server, kind: kind}
	b.run(chromedp.Navigate("about:blank"))
	call(b, webauthn.Enable, webauthn.EnableParams{})
	b.attachAuthenticator()
	if kind == autofillPhone {
		b.observeConditionalMediation()
	} else {
		b.disableConditionalMediation()
	}
	b.open()
	return b
}

var (
	startChromium   sync.Once
	chromiumContext context.Context
	stopChromium    = func() {}
)

// TestMain closes the browser that all stories share. Each device has its own profile in it.
func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	os.Exit(code)
}

// chromium returns the running browser. If no Chromium is installed, the test ends as package require says.
func chromium(t testing.TB) context.Context {
	t.Helper()
	path := requireChromium(t)
	startChromium.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path),
			chromedp.NoSandbox, // root has no user namespace for the sandbox, and the browser loads only our own page
			chromedp.DisableGPU,
			chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-domain-reliability", true),
			chromedp.Flag("no-pings", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE localhost"),
		)
		allocator, stopProcess := chromedp.NewExecAllocator(context.Background(), options...)
		first, closeFirst := chromedp.NewContext(allocator)
		stopChromium = func() { closeFirst(); stopProcess() }
		if err := chromedp.Do(first, chromedp.Navigate("about:blank")); err != nil {
			t.Errorf("starting %s: %v", path, err)
			return
		}
		chromiumContext = first
	})
	if chromiumContext == nil {
		t.Fatal("chromium did not start")
	}
	return chromiumContext
}

// browserTest is what the names of tests with a browser match, so that `make test-browser` runs them.
var browserTest = regexp.MustCompile(`^Test(Page|OtherBrowsers)_|^TestExamples/|^TestStories/.*/browser_`)

func requireChromium(t testing.TB) string {
	t.Helper()
	if !browserTest.MatchString(t.Name()) {
		t.Fatalf("`make test-browser` does not run %s: its name must match %s", t.Name(), browserTest)
	}
	return require.Program(t, require.Browser)
}
