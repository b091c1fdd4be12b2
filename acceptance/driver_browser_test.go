package acceptance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
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
	b := &browserPage{t: t, ctx: newProfile(t), server: d.server, kind: kind}
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

// newProfile returns a tab of a new profile, which shares no cookies with others.
func newProfile(t testing.TB) context.Context {
	t.Helper()
	ctx := chromium(t)
	browser := chromedp.FromContext(ctx).Browser
	profile, err := cdp.Call(ctx, browser, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := cdp.Call(ctx, browser, target.DisposeBrowserContext, target.DisposeBrowserContextParams(profile)); err != nil {
			t.Error(err)
		}
	})
	return newTab(t, profile.BrowserContextID)
}

// newTab returns another tab of the profile. It draws nothing, if the browser can do without: no test looks at pixels, and drawing
// takes a third of the browser's CPU time.
func newTab(t testing.TB, profile cdp.BrowserContextID) context.Context {
	t.Helper()
	ctx, yes := chromium(t), true
	params := target.CreateTargetParams{URL: "about:blank", BrowserContextID: profile, NewWindow: &yes, EnableBeginFrameControl: &headlessShell}
	tab, err := cdp.Call(ctx, chromedp.FromContext(ctx).Browser, target.CreateTarget, params)
	if err != nil {
		t.Fatal(err)
	}
	ctx, closeTab := chromedp.NewContext(ctx, chromedp.WithTargetID(tab.TargetID))
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// chromedp enables these events, which the browser would send for each change of the page and each request.
	for _, disable := range []cdp.Command[cdp.Empty, cdp.Empty]{css.Disable, dom.Disable, log.Disable, network.Disable} {
		if _, err := chromedp.Call(ctx, disable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // for a whole story; pageTimeout bounds each wait
	t.Cleanup(cancel)
	return ctx
}

var (
	startChromium   sync.Once
	headlessShell   bool // the browser is the one without windows
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
		headlessShell = strings.Contains(filepath.Base(path), "headless")
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
			chromedp.Flag("enable-features", "NetworkServiceInProcess2"), // without messages between processes for each request
			chromedp.Flag("enable-begin-frame-control", headlessShell),
			chromedp.Flag("run-all-compositor-stages-before-draw", headlessShell),
		)
		allocator, stopProcess := chromedp.NewExecAllocator(context.Background(), options...)
		first, closeFirst := chromedp.NewContext(allocator)
		stopChromium = func() { closeFirst(); stopProcess() }
		if err := chromedp.Do(first); err != nil {
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

// requireChromium returns the path of the browser. `make test-browser` must run the test.
func requireChromium(t testing.TB) string {
	t.Helper()
	requireSelected(t, "BROWSER_TESTS", t.Name())
	return require.Program(t, require.Browser)
}
