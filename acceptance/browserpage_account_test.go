package acceptance

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// The actions of a signed-in user on the page.

func (b *browserPage) useAuthenticator(kind deviceKind) {
	b.t.Helper()
	call(b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: b.authenticatorID})
	b.kind = kind
	b.attachAuthenticator()
}

// stepUp performs a step-up for stories about it. The page has no button for it: it asks when an action needs a step-up.
func (b *browserPage) stepUp(forgeries ...forgery) rejection {
	b.t.Helper()
	return b.withAuthenticator(forgeries, func() string {
		return b.script(`return keylodge.stepUp().then(() => '', (error) => error.code)`)
	})
}

func (b *browserPage) prepareSensitiveAction() rejection { return rejection{} }

func (b *browserPage) passkeys() result[[]shownPasskey] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]shownPasskey]{rejection: rejected}
	}
	var shown []shownPasskey
	for _, entry := range b.entries("passkeys") {
		shown = append(shown, shownPasskey{id: entry.ID, name: entry.GivenName, status: entry.Status})
	}
	return result[[]shownPasskey]{value: shown}
}

func (b *browserPage) addPasskey(name string, forgeries ...forgery) rejection {
	b.t.Helper()
	if !b.isVisible(named("make-passkey")) {
		b.press(named("add-passkey"))
	}
	b.fill(named("passkey_name"), name)
	return b.withAuthenticator(forgeries, func() string { return b.pressAndWait(named("make-passkey")) })
}

func (b *browserPage) renamePasskey(id, name string) rejection {
	b.t.Helper()
	if !b.isVisible(entryButton(id, "save")) {
		b.press(entryButton(id, "rename"))
	}
	b.fill(entryButton(id, "name"), name)
	return rejection{code: b.pressAndWait(entryButton(id, "save"))}
}

func (b *browserPage) removePasskey(id string) rejection {
	b.t.Helper()
	if !b.isVisible(entryButton(id, "confirm-remove")) {
		if !b.isVisible(entryButton(id, "remove")) {
			return rejection{code: "last_passkey"} // the page says so instead of a button
		}
		b.press(entryButton(id, "remove"))
	}
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(entryButton(id, "confirm-remove")) })
}

func (b *browserPage) sessions() result[[]shownSession] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]shownSession]{rejection: rejected}
	}
	b.showAll("devices", named("more-devices"))
	var shown []shownSession
	for _, entry := range b.entries("devices") {
		shown = append(shown, shownSession{id: entry.ID, device: entry.Name, current: entry.Current == "true"})
	}
	return result[[]shownSession]{value: shown}
}

func (b *browserPage) revokeSession(id string) rejection {
	b.t.Helper()
	button := entryButton(id, "end-session")
	if !b.isVisible(button) {
		b.t.Fatal("the page has no button to end this session: its own ends by signing out, and those of other users are not listed")
	}
	return rejection{code: b.pressAndWait(button)}
}

func (b *browserPage) revokeOtherSessions() result[int] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[int]{rejection: rejected}
	}
	if !b.isVisible(named("sign-out-others")) {
		return result[int]{}
	}
	if code := b.pressAndWait(named("sign-out-others")); code != "" {
		return result[int]{rejection: rejection{code: code}}
	}
	message := b.textOf(`#devices > .notice`)
	count, err := strconv.Atoi(regexp.MustCompile(`\d+|$`).FindString(message))
	if err != nil {
		b.t.Fatalf("the message has no count: %q", message)
	}
	return result[int]{value: count}
}

func (b *browserPage) changeAccount(name, email string) result[shownUser] {
	b.t.Helper()
	b.fill(named("display_name"), name)
	b.fill(named("email"), email)
	save := func(button string) func() string { return func() string { return b.pressAndWait(named(button)) } }
	if rejected := b.withAuthenticator(nil, save("save-account")); rejected.code != "" {
		return result[shownUser]{rejection: rejected}
	}
	if b.isVisible(named("confirm-remove-email")) {
		if rejected := b.withAuthenticator(nil, save("confirm-remove-email")); rejected.code != "" {
			return result[shownUser]{rejection: rejected}
		}
	}
	if b.isVisible(named("withdraw-email")) && email != b.textOf(dataNamed("pending")) {
		// The field shows the wanted address, but another address is pending.
		if rejected := b.withAuthenticator(nil, save("withdraw-email")); rejected.code != "" {
			return result[shownUser]{rejection: rejected}
		}
	}
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[shownUser]{rejection: rejected}
	}
	return result[shownUser]{value: b.shownIdentity()}
}

func (b *browserPage) deleteAccount() rejection {
	b.t.Helper()
	if !b.isVisible(named("delete-for-good")) {
		b.press(named("delete-account"))
	}
	b.fill(named("word"), "delete")
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(named("delete-for-good")) })
}

func (b *browserPage) events() result[[]shownEvent] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]shownEvent]{rejection: rejected}
	}
	b.showAll("activity", named("more-events"))
	var shown []shownEvent
	for _, entry := range b.entries("activity") {
		if entry.Title == "" || strings.Contains(entry.Title, "_") {
			b.t.Fatalf("the page has no text for the event %q: %q", entry.Kind, entry.Title)
		}
		if reason := entry.Why; strings.Contains(reason, "_") || (entry.Reason != "") != (reason != "") && entry.Kind != "refresh_token_reused" {
			b.t.Fatalf("the page has no text for the reason %q: %q", entry.Reason, reason)
		}
		shown = append(shown, shownEvent{kind: entry.Kind, reason: entry.Reason})
	}
	return result[[]shownEvent]{value: shown}
}

// Helpers that operate the browser.

// reload loads the page again, to show the current state of the server.
func (b *browserPage) reload() rejection {
	b.t.Helper()
	return b.whoAmI().rejection
}

// pressAndWait presses a button and waits until its action has ended. It confirms a step-up, if the page asks for one. It returns the
// code of the page's error; "" if there was none.
func (b *browserPage) pressAndWait(button string) string {
	b.t.Helper()
	eval[int](b, `failures.length = 0`)
	b.press(button)
	stepUp := named("step-up")
	for {
		b.waitFor("the action ends or the page asks for a step-up", settled+` || failures.length > 0 || `+visible(stepUp))
		if !b.isVisible(stepUp) {
			b.waitFor("the action has ended", settled)
			return b.lastFailure()
		}
		b.press(stepUp)
		b.waitFor("the step-up ends", `!busy() || failures.length > 0 || !(`+visible(stepUp)+`)`)
		if b.lastFailure() != "" && b.isVisible(stepUp) {
			code := b.lastFailure()
			b.press(`dialog ` + named("cancel"))
			b.waitFor("the action has ended", settled)
			return code
		}
	}
}

// lastFailure returns the code of the last error that the page reported since a button was pressed.
func (b *browserPage) lastFailure() string {
	return eval[string](b, `failures[0] ?? ''`)
}

func (b *browserPage) isVisible(element string) bool {
	return eval[bool](b, visible(element))
}

// entryButton returns the selector of a button or an input in the entry of a passkey or session.
func entryButton(id, name string) string {
	return fmt.Sprintf(`[data-id='%s'] [name='%s']`, id, name)
}

// listEntry is an entry of a list on the page.
type listEntry struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	GivenName string `json:"givenName"`
	Status    string `json:"status"`
	Current   string `json:"current"`
	Kind      string `json:"kind"`
	Reason    string `json:"reason"`
	Title     string `json:"title"`
	Why       string `json:"why"`
}

// entries returns the entries of the list in a section of the account.
func (b *browserPage) entries(section string) []listEntry {
	b.t.Helper()
	return eval[[]listEntry](b, fmt.Sprintf(`[...find(%q).querySelectorAll('.entries > li')].map((entry) => ({
		...entry.dataset,
		name: entry.querySelector('[data-name="name"]')?.textContent ?? '',
		title: entry.querySelector('.title')?.textContent ?? '',
		why: entry.querySelector('.why')?.textContent ?? '',
	}))`, "#"+section))
}

// showAll presses the button for more entries of a section until all are shown.
func (b *browserPage) showAll(section, more string) {
	b.t.Helper()
	for b.isVisible(more) {
		count := fmt.Sprintf(`find('#%s .entries').childElementCount`, section)
		before := eval[int](b, count)
		b.press(more)
		b.waitFor("more entries are shown", fmt.Sprintf(`!busy() && %s > %d`, count, before))
	}
}

// script runs statements on the page, as those of another tab, and returns what they return, or "". They can use keylodge, the kit.
func (b *browserPage) script(statements string) string {
	b.t.Helper()
	return evalPromise(b, `(async () => {
		const { createKeylodge, getPasskey } = await import('/kit/keylodge.js');
		const keylodge = createKeylodge();
		await keylodge.session();
		const act = async () => { `+statements+` };
		return (await act()) ?? '';
	})()`)
}

func evalPromise(b *browserPage, expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}
