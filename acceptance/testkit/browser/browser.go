// Package browser runs a headless Chromium for tests. The tests of a package share one process; each profile in it has its own
// cookies and passkeys. It resolves no host but localhost.
package browser

import (
	"context"
	"net/http"
	"net/http/httptest"
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
	"github.com/chromedp/chromedp"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// NewProfile returns a tab of a new profile, which shares no cookies with others.
func NewProfile(t testing.TB) context.Context {
	t.Helper()
	return newProfile(t, target.CreateBrowserContextParams{})
}

// NewProfileBehindProxy is NewProfile with an HTTP proxy for all hosts but localhost.
func NewProfileBehindProxy(t testing.TB, proxyAddress string) context.Context {
	t.Helper()
	return newProfile(t, target.CreateBrowserContextParams{ProxyServer: "http://" + proxyAddress})
}

func newProfile(t testing.TB, params target.CreateBrowserContextParams) context.Context {
	t.Helper()
	ctx := chromium(t)
	browser := chromedp.FromContext(ctx).Browser
	profile, err := cdp.Call(ctx, browser, target.CreateBrowserContext, params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := cdp.Call(ctx, browser, target.DisposeBrowserContext, target.DisposeBrowserContextParams(profile)); err != nil {
			t.Error(err)
		}
	})
	return NewTab(t, profile.BrowserContextID)
}

// NewTab returns another tab of the profile. It draws nothing, if the browser can do without: no test looks at pixels, and drawing
// takes a third of the browser's CPU time.
func NewTab(t testing.TB, profile cdp.BrowserContextID) context.Context {
	t.Helper()
	ctx, yes := chromium(t), true
	params := target.CreateTargetParams{URL: emptyPage(), BrowserContextID: profile, NewWindow: &yes, EnableBeginFrameControl: &headlessShell}
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
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // for a whole story; callers bound each wait
	t.Cleanup(cancel)
	return ctx
}

// emptyPage is the first page of a tab. It is of the same site as the servers of the tests, so the browser shows their pages in the same
// process. It would replace the process of about:blank, and starting one costs more than a page.
var emptyPage = sync.OnceValue(func() string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
})

var (
	startChromium   sync.Once
	headlessShell   bool // the browser is the one without windows
	chromiumContext context.Context
	stopChromium    = func() {}
)

// Stop closes the browser that the tests of a package share. TestMain calls it.
func Stop() { stopChromium() }

// chromium returns the running browser. If no Chromium is installed, the test ends as package require says.
func chromium(t testing.TB) context.Context {
	t.Helper()
	path := require.Program(t, require.Browser)
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
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"),
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
