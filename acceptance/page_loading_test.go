package acceptance

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// How the page loads: on a slow network, and if a part of it does not arrive.

// newVisitor starts a server and returns a browser that has not loaded the page.
func newVisitor(t *testing.T) *browserPage {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.navigate("about:blank")
	call(b, network.Enable, network.EnableParams{})
	call(b, network.ClearBrowserCache, cdp.Empty{})
	return b
}

// slow3G has the round-trip time and the bandwidth of a slow mobile network, as browser tools define it.
var slow3G = &network.Conditions{Latency: 400, DownloadThroughput: 400_000 / 8, UploadThroughput: 400_000 / 8}

// loadedFile is an entry of the browser's resource timing.
type loadedFile struct {
	Path         string
	TransferSize int
	Start, End   float64 // in milliseconds
}

func (b *browserPage) loadedFiles() map[string]loadedFile {
	files := map[string]loadedFile{}
	for _, file := range eval[[]loadedFile](b, `[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
		.map((e) => ({ Path: new URL(e.name).pathname, TransferSize: e.transferSize, Start: e.startTime, End: e.responseEnd }))`) {
		files[file.Path] = file
	}
	return files
}

// The first form on a slow network needs two round trips: the document, and then all that it needs, which is requested at once, in one
// language. A further visit loads the document and the answers of the API only.
func TestPage_LoadsFastOnSlowNetwork(t *testing.T) {
	b := newVisitor(t)
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{slow3G}})
	for _, language := range []string{"en", "de"} {
		call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: eval[string](b, `navigator.userAgent`), AcceptLanguage: language})
		call(b, network.ClearBrowserCache, cdp.Empty{})
		files, bytes := b.visit()
		if names := strings.Join(kindsOf(files), " "); names != "/ /assets/*.css /assets/*.js /assets/*.js /assets/*.js /v1/config /v1/session/state" {
			t.Errorf("the page loads %s", names)
		}
		if bytes > 37_000 {
			t.Errorf("the page loads %d bytes", bytes)
		}
		delete(files, "/")
		first, last := math.Inf(1), 0.0
		for _, file := range files {
			first, last = min(first, file.End), max(last, file.Start)
		}
		if last >= first {
			t.Errorf("a file is requested at %v ms, after another one has arrived at %v ms: %+v", last, first, files)
		}
	}
	files, _ := b.visit()
	for path, file := range files {
		if strings.HasPrefix(path, "/assets/") && file.TransferSize != 0 {
			t.Errorf("%s is loaded again", path)
		}
	}
}

// visit opens the page. It returns what the first form needs, and its size in bytes.
func (b *browserPage) visit() (files map[string]loadedFile, bytes int) {
	b.open()
	files = b.loadedFiles()
	for path, file := range files {
		if strings.HasPrefix(path, "/v1/login/") {
			delete(files, path) // for the suggestions, when the form is already shown
			continue
		}
		bytes += file.TransferSize
	}
	return files, bytes
}

// kindsOf returns the sorted paths of files, without the names of assets.
func kindsOf(files map[string]loadedFile) []string {
	var kinds []string
	for path := range files {
		if extension, isAsset := strings.CutPrefix(path, "/assets/"); isAsset {
			path = "/assets/*" + extension[strings.LastIndex(extension, "."):]
		}
		if strings.HasSuffix(path, ".svg") {
			continue // the icon, which some browsers do not load
		}
		kinds = append(kinds, path)
	}
	slices.Sort(kinds)
	return kinds
}

// A user sees how to go on if the script does not arrive, also with reduced motion.
func TestPage_MissingScriptIsReported(t *testing.T) {
	for _, motion := range []string{"no-preference", "reduce"} {
		t.Run(motion, func(t *testing.T) {
			b := newVisitor(t)
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: motion}}})
			call(b, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: b.server.origin + "/assets/*.js", Block: true}}})
			b.navigate(b.server.origin + "/")
			b.requireHidden(".late")
			// The animation is moved to its end instead of waiting for it.
			end := eval[float64](b, `(() => {
				const [animation] = document.querySelector('.late').getAnimations();
				animation.finish();
				return animation.effect.getComputedTiming().endTime;
			})()`)
			if end < 5_000 || end > 10_000 {
				t.Errorf("the page reports it after %v ms", end)
			}
			if !b.isVisible(".late a") {
				t.Fatal("the page does not offer to try again")
			}
			call(b, network.SetBlockedURLs, network.SetBlockedURLsParams{})
			b.press(".late a")
			b.waitForState("sign-in")
			b.requireHidden(".late")
		})
	}
}

// The server accepts the request for the configuration and does not answer.
func TestPage_MissingConfigurationIsReported(t *testing.T) {
	b := newVisitor(t)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.limits = [], window.timeOuts = [];
		AbortSignal.timeout = (milliseconds) => {
			const controller = new AbortController();
			window.limits.push(milliseconds);
			window.timeOuts.push(() => controller.abort(new DOMException('timed out', 'TimeoutError')));
			return controller.signal;
		};`})
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/v1/config"}}})
	b.navigate(b.server.origin + "/")
	b.waitFor("both requests are made, and the session is known", `window.limits.length === 2 && find('keylodge-sign-in') !== null`)
	if limits := eval[[]float64](b, `window.limits`); limits[0] > 10_000 || limits[1] > 10_000 {
		t.Errorf("the page waits for %v ms", limits)
	}
	eval[bool](b, `window.timeOuts.forEach((timeOut) => timeOut()) ?? true`)
	b.waitFor("the page reports it", visible(`.notice[data-code="unreachable"]`))
	call(b, fetch.Disable, cdp.Empty{})
	b.press(named("retry"))
	b.waitForState("sign-in")
}

// Warnings and errors in the console of a visitor would hide those of the operator's own pages.
func TestPage_VisitLogsNothing(t *testing.T) {
	b := newVisitor(t)
	var mutex sync.Mutex
	var messages []string
	err := chromedp.Listen(b.ctx, func(event any) {
		mutex.Lock()
		defer mutex.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			messages = append(messages, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		case *runtime.EventConsoleAPICalled:
			messages = append(messages, fmt.Sprintf("console.%s", e.Type))
		case *runtime.EventExceptionThrown:
			messages = append(messages, e.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	b.open()
	b.signUp(profile{name: "Ada"}).must(t)
	b.reload()
	b.signOut()
	b.open()
	mutex.Lock()
	defer mutex.Unlock()
	if len(messages) > 0 {
		t.Errorf("the browser logs:\n%s", strings.Join(messages, "\n"))
	}
}
