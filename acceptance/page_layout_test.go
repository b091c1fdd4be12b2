package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// How the page looks: in small windows, with large text, by touch, and with names of other scripts.

func (b *browserPage) resize(width, height int64) {
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// setFontSize sets the size of text that the user has chosen in the browser, in pixels. 16 is the usual one.
func (b *browserPage) setFontSize(pixels int64) {
	call(b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: pixels}})
}

// visitStates calls look in each state of a visitor, and of a user with backup codes on show and a form open.
func (b *browserPage) visitStates(look func(state string)) {
	b.t.Helper()
	b.open()
	look("sign-in")
	b.press(named("other-ways"))
	b.waitFor("the ways are listed", visible(named("sign-in-security_key")))
	look("other ways")
	b.press(named("sign-in-by-email"))
	look("an error")
	b.view("recover")
	look("recover")
	b.press(`input[value="app"]`)
	look("recover by the app")
	b.view("sign-in")
	b.view("sign-up")
	look("sign-up")
	b.setAutomaticPresence(true)
	b.press(named("sign-up"))
	b.waitForState("way-back")
	look("way-back")
	b.press(named("save-codes"))
	b.waitFor("the codes are shown", visible(".codes"))
	look("codes")
	b.press(named("stored"))
	b.waitFor("the account is shown", `pageState() === 'account' && !busy()`)
	look("account")
	for _, opener := range []string{"rename", "add-passkey", "set-up-app", "delete-account"} {
		b.press(named(opener))
		b.waitFor("the page is settled", settled)
		look(opener)
		b.press(`.panel ` + named("cancel"))
	}
}

// With text of 200 %, and in the smallest window that WCAG 2.2 names (1.4.10), nothing has to be scrolled sideways.
func TestPage_NeverScrollsSideways(t *testing.T) {
	for _, c := range []struct {
		name                string
		width, height, font int64
	}{{"text of 200 %", 360, 740, 32}, {"small window", 320, 256, 16}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
			b.resize(c.width, c.height)
			b.setFontSize(c.font)
			b.visitStates(func(state string) {
				if width := eval[int64](b, `document.documentElement.scrollWidth`); width > c.width {
					t.Errorf("%s: the page is %d pixels wide in a window of %d", state, width, c.width)
				}
			})
		})
	}
}

// A user sees on a phone, without scrolling, how to sign in and how to sign up. In landscape there is no picture.
func TestPage_FirstViewFitsPhone(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.resize(360, 740)
	b.waitFor("the ways are in the window", insideWindow(named("sign-in"), named("to-sign-up")))
	b.setFontSize(32)
	if height := eval[float64](b, `find('.scene').getBoundingClientRect().height`); height < 90 || height > 96 {
		t.Errorf("with text of 200 %%, the picture is %v pixels high", height)
	}
	b.setFontSize(16)
	b.resize(740, 360)
	b.requireHidden(".scene")
	b.waitFor("the button is in the window", insideWindow(named("sign-in"), named("sign-in")))
}

// What can be pressed is large enough for a finger. Links within a sentence are exempt (WCAG 2.2, 2.5.8).
func TestPage_TouchTargets(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), func(c *config.Config) {
		c.Links.Terms, c.Links.Support = "https://example.org/terms", "mailto:support@example.org"
	})}.newDevice(t, phone).(*browserPage)
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 740, DeviceScaleFactor: 2, Mobile: true})
	call(b, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
	if !eval[bool](b, `matchMedia('(pointer: coarse)').matches`) {
		t.Fatal("the pointer is not a finger")
	}
	b.visitStates(func(state string) {
		small := eval[[]string](b, `findAll('button, input:not([type="radio"]), label:has(input[type="radio"]), select, a:not(p a)').filter((e) => e.checkVisibility())
			.filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)`)
		if len(small) > 0 {
			t.Errorf("%s: %q are too small", state, small)
		}
		if state == "set-up-app" && eval[bool](b, `find('[data-name="app-link"]').getBoundingClientRect().top > find('[data-name="app-qr"]').getBoundingClientRect().top`) {
			t.Error("the link to an app on this device is below the QR code, which this device cannot scan")
		}
	})
}

// In forced colours the page stays in the middle, and the first button of a view differs from the others.
func TestPage_ForcedColours(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.resize(1280, 800)
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	if middle := eval[float64](b, `(({ left, right }) => (left + right) / 2)(find('main').getBoundingClientRect())`); middle < 630 || middle > 650 {
		t.Errorf("the middle of the form is at %v of 1280 pixels", middle)
	}
	border := func(name string) string {
		return eval[string](b, fmt.Sprintf(`getComputedStyle(find(%q)).borderTopWidth`, named(name)))
	}
	if first, other := border("sign-in"), border("sign-in-by-email"); first == other {
		t.Errorf("both buttons have a border of %s", first)
	}
}

// A name of a script from right to left is laid out so, wherever it is shown or typed, and changes nothing around it.
func TestPage_NamesFromRightToLeft(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	const name = "عائشة"
	ada := &person{t: t, device: b, profile: profile{name: name}}
	ada.signsUp()
	ada.requireOK(b.renamePasskey(ada.listPasskeys()[0].id, name))
	b.press(named("rename"))
	for _, shown := range []string{named("display_name"), named("name"), dataNamed("who"), `#passkeys ` + dataNamed("name")} {
		// The direction that dir="auto" and <bdi> yield is no computed style of a <bdi>, but :dir() has it.
		if !eval[bool](b, fmt.Sprintf(`find(%q).matches(':dir(rtl)')`, shown)) {
			t.Errorf("%s is laid out from left to right", shown)
		}
	}
	if !eval[bool](b, `find('h1').matches(':dir(ltr)') && find('#passkeys h3').matches(':dir(ltr)')`) {
		t.Error("the name changes the direction of the text around it")
	}
}

// A notice stands where its action is: nothing lies on top of what the user presses next, and no entry moves under the pointer. So a
// second press at the same place ends no second session.
func TestPage_NoticesCoverNothing(t *testing.T) {
	ada, b, _ := openPage(t)
	for range 3 {
		ada.onSecondDevice()
	}
	b.resize(1280, 800)
	b.reload()
	button := `#devices li:not([data-current="true"]) ` + named("end-session")
	at := eval[[]float64](b, fmt.Sprintf(`(button => {
		button.scrollIntoView({ block: 'center' });
		const box = button.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})(find(%q))`, button))
	for range 2 {
		b.run(chromedp.MouseClickXY(at[0], at[1]))
		b.waitFor("the session is marked", `findAll('#devices .ended').length > 0 && !busy()`)
	}
	if ended := eval[int](b, `findAll('#devices .ended').length`); ended != 1 {
		t.Errorf("two presses at one place end %d sessions", ended)
	}
	eval[bool](b, fmt.Sprintf(`(find(%q).scrollIntoView({ block: 'end' }), true)`, named("sign-out-others")))
	b.waitFor("nothing covers the next button", insideWindow(named("sign-out-others"), named("sign-out-others")))
	if over := eval[[]string](b, `findAll('*').filter((e) => ['fixed', 'sticky'].includes(getComputedStyle(e).position) && e.checkVisibility()).map((e) => e.outerHTML)`); len(over) > 0 {
		t.Errorf("%q lie over the page", over)
	}
	b.run(click(named("sign-out-others")))
	b.waitFor("the others are signed out", `find('#devices > .notice')?.textContent.includes('2 other devices') ?? false`)
	ada.requireSessions(1)
}

// An error differs from other text by its colour and a sign, and is gone as soon as the user corrects it.
func TestPage_ErrorsLookLikeErrors(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.press(named("sign-in-by-email"))
	b.waitFor("the field is marked", visible(".field-error"))
	style := func(element, pseudo, property string) string {
		return eval[string](b, fmt.Sprintf(`getComputedStyle(find(%q), %q)[%q]`, element, pseudo, property))
	}
	red := style(".field-error", "", "color")
	if text, border, focus := style("h1", "", "color"), style(named("email"), "", "borderTopColor"), style(named("email"), "", "outlineColor"); red == text || red != border || red == focus {
		t.Errorf("the error is %s, other text %s, the border of the field %s and its focus %s", red, text, border, focus)
	}
	if sign := style(".field-error", "::before", "content"); !strings.Contains(sign, "⚠") {
		t.Errorf("the error begins with %s", sign)
	}
	b.fill(named("email"), "a")
	b.requireHidden(".field-error", "[aria-invalid]")
}

// Each field of a view has a name of its own, for users who speak it, and the live regions are there before they are needed.
func TestPage_FieldsHaveDistinctNames(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	b.visitStates(func(state string) {
		labels := eval[[]string](b, `findAll('input').filter((e) => e.checkVisibility()).map((e) => e.labels[0].textContent.trim())`)
		seen := map[string]bool{}
		for _, label := range labels {
			if label == "" || seen[label] {
				t.Errorf("%s: the fields are called %q", state, labels)
			}
			seen[label] = true
		}
		if regions := eval[string](b, `findAll('.live').map((e) => e.getAttribute('role')).join()`); regions != "status,alert" {
			t.Errorf("%s: the live regions are %s", state, regions)
		}
	})
}
