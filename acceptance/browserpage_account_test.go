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
	for _, entry := range b.entries("passkey-list") {
		key := shownPasskey{id: entry.ID, name: entry.Parts["name"], status: "active"}
		if entry.Nameless {
			key.name = ""
		}
		if entry.Parts["suspended"] != "" {
			key.status = "suspended"
		}
		shown = append(shown, key)
	}
	return result[[]shownPasskey]{value: shown}
}

func (b *browserPage) addPasskey(name string, forgeries ...forgery) rejection {
	b.t.Helper()
	if !b.isVisible("#make-passkey") {
		b.press("#add-passkey")
	}
	b.fill("#new-passkey-name", name)
	return b.withAuthenticator(forgeries, func() string { return b.pressAndWait("#make-passkey") })
}

func (b *browserPage) renamePasskey(id, name string) rejection {
	b.t.Helper()
	if !b.isVisible(partSelector(id, "save")) {
		b.press(partSelector(id, "rename"))
	}
	b.fill(partSelector(id, "new-name"), name)
	return rejection{code: b.pressAndWait(partSelector(id, "save"))}
}

func (b *browserPage) removePasskey(id string) rejection {
	b.t.Helper()
	if !b.isVisible(partSelector(id, "confirm")) {
		b.clearMessage()
		b.press(partSelector(id, "remove"))
	}
	if !b.isVisible(partSelector(id, "confirm")) {
		return rejection{code: b.messageCode()}
	}
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(partSelector(id, "confirm")) })
}

func (b *browserPage) sessions() result[[]shownSession] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]shownSession]{rejection: rejected}
	}
	b.showAll("device-list", "#more-devices")
	var shown []shownSession
	for _, entry := range b.entries("device-list") {
		shown = append(shown, shownSession{id: entry.ID, device: entry.Parts["name"], current: entry.Parts["current"] != ""})
	}
	return result[[]shownSession]{value: shown}
}

func (b *browserPage) revokeSession(id string) rejection {
	b.t.Helper()
	button := partSelector(id, "sign-out")
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
	if !b.isVisible("#sign-out-others") {
		return result[int]{}
	}
	if code := b.pressAndWait("#sign-out-others"); code != "" {
		return result[int]{rejection: rejection{code: code}}
	}
	message := eval[string](b, `document.getElementById('message').textContent`)
	count, err := strconv.Atoi(regexp.MustCompile(`\d+|$`).FindString(message))
	if err != nil {
		b.t.Fatalf("the message has no count: %q", message)
	}
	return result[int]{value: count}
}

func (b *browserPage) changeAccount(name, email string) result[shownUser] {
	b.t.Helper()
	b.fill("#account-name", name)
	b.fill("#account-email", email)
	if rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait("#save-account") }); rejected.code != "" {
		return result[shownUser]{rejection: rejected}
	}
	if email == eval[string](b, `document.getElementById('account-email').value`) && b.isVisible("#withdraw-email") {
		// The field shows the wanted address, but another address is pending.
		if rejected := b.withAuthenticator(nil, func() string { return b.pressAndWait("#withdraw-email") }); rejected.code != "" {
			return result[shownUser]{rejection: rejected}
		}
	}
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[shownUser]{rejection: rejected}
	}
	return result[shownUser]{value: shownUser{
		name:  eval[string](b, `document.getElementById('account-name').value`),
		email: eval[string](b, `document.getElementById('account-email').value`),
	}}
}

func (b *browserPage) deleteAccount() rejection {
	b.t.Helper()
	if !b.isVisible("#delete-for-good") {
		b.press("#delete-account")
	}
	b.fill("#delete-word", "delete")
	return b.withAuthenticator(nil, func() string { return b.pressAndWait("#delete-for-good") })
}

func (b *browserPage) events() result[[]shownEvent] {
	b.t.Helper()
	if rejected := b.reload(); rejected != (rejection{}) {
		return result[[]shownEvent]{rejection: rejected}
	}
	b.showAll("event-list", "#more-events")
	var shown []shownEvent
	for _, entry := range b.entries("event-list") {
		if title := entry.Parts["title"]; title == "" || strings.Contains(title, "_") {
			b.t.Fatalf("the page has no text for the event %q: %q", entry.Kind, title)
		}
		if reason := entry.Parts["reason"]; strings.Contains(reason, "_") || (entry.Reason != "") != (reason != "") && entry.Kind != "refresh_token_reused" {
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
	if got := b.whoAmI(); !got.ok() {
		return got.rejection
	}
	b.waitFor("the account's lists are shown", `document.getElementById('account-lists').getAttribute('aria-busy') === 'false'`)
	return rejection{}
}

// pressAndWait presses a button and returns the code of the page's message afterwards; "" if there was no error.
func (b *browserPage) pressAndWait(button string) string {
	b.t.Helper()
	b.clearMessage()
	b.press(button)
	b.waitFor("the page shows a message", `document.querySelector('main').getAttribute('aria-busy') === 'false' && 'code' in document.getElementById('message').dataset`)
	return b.messageCode()
}

// clearMessage removes the code of the last message.
func (b *browserPage) clearMessage() {
	eval[bool](b, `delete document.getElementById('message').dataset.code`)
}

func (b *browserPage) isVisible(element string) bool {
	return eval[bool](b, visible(element))
}

// partSelector returns the selector of a part of the entry of a passkey or session.
func partSelector(id, part string) string {
	return fmt.Sprintf(`[data-id='%s'] [data-part='%s']`, id, part)
}

// listEntry is an entry of a list on the page. Parts has the texts of the visible parts.
type listEntry struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind"`
	Reason   string            `json:"reason"`
	Nameless bool              `json:"nameless"`
	Parts    map[string]string `json:"parts"`
}

func (b *browserPage) entries(list string) []listEntry {
	b.t.Helper()
	return eval[[]listEntry](b, fmt.Sprintf(`[...document.getElementById(%q).children].map((entry) => ({
		...entry.dataset,
		nameless: entry.querySelector('[data-nameless]') !== null,
		parts: Object.fromEntries([...entry.querySelectorAll('[data-part]')].map((part) => [part.dataset.part, part.checkVisibility() ? part.textContent : ''])),
	}))`, list))
}

// showAll presses the button for more entries until all are shown.
func (b *browserPage) showAll(list, more string) {
	b.t.Helper()
	for b.isVisible(more) {
		before := eval[int](b, fmt.Sprintf(`document.getElementById(%q).childElementCount`, list))
		b.press(more)
		b.waitFor("more entries are shown", fmt.Sprintf(`document.querySelector('main').getAttribute('aria-busy') === 'false' && document.getElementById(%q).childElementCount > %d`, list, before))
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
