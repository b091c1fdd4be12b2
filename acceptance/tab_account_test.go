package acceptance

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// What somebody who is signed in does on the page.

func (b *tab) takes(kind deviceKind) {
	b.t.Helper()
	call(b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: b.keys})
	b.kind = kind
	b.plugIn()
}

// stepUp is for stories about the proof itself. A person has no button for it: the page asks when something needs it.
func (b *tab) stepUp(tricks ...trick) refusal {
	b.t.Helper()
	return b.withDevice(tricks, func() string {
		return evalPromise(b, `import('/assets/stepup.js').then(({ stepUp }) => stepUp()).then(() => '', (error) => error.code || error.name)`)
	})
}

func (b *tab) passkeys() ([]shownPasskey, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return nil, refused
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
	return shown, refusal{}
}

func (b *tab) addPasskey(name string, tricks ...trick) refusal {
	b.t.Helper()
	if !b.sees("#make-passkey") {
		b.press("#add-passkey")
	}
	b.fill("#new-passkey-name", name)
	return b.withDevice(tricks, func() string { return b.presses("#make-passkey") })
}

func (b *tab) renamePasskey(id, name string) refusal {
	b.t.Helper()
	if !b.sees(within(id, "save")) {
		b.press(within(id, "rename"))
	}
	b.fill(within(id, "new-name"), name)
	return refusal{code: b.presses(within(id, "save"))}
}

func (b *tab) removePasskey(id string) refusal {
	b.t.Helper()
	if !b.sees(within(id, "confirm")) {
		b.silence()
		b.press(within(id, "remove"))
	}
	if !b.sees(within(id, "confirm")) {
		return refusal{code: b.told()}
	}
	return b.withDevice(nil, func() string { return b.presses(within(id, "confirm")) })
}

func (b *tab) sessions() ([]shownSession, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return nil, refused
	}
	b.showAll("device-list", "#more-devices")
	var shown []shownSession
	for _, entry := range b.entries("device-list") {
		shown = append(shown, shownSession{id: entry.ID, device: entry.Parts["name"], current: entry.Parts["current"] != ""})
	}
	return shown, refusal{}
}

func (b *tab) revokeSession(id string) refusal {
	b.t.Helper()
	button := within(id, "sign-out")
	if !b.sees(button) {
		b.t.Fatal("the page has no button to end this session: it ends its own by signing out, and shows nobody else's")
	}
	return refusal{code: b.presses(button)}
}

func (b *tab) revokeOtherSessions() (int, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return 0, refused
	}
	if !b.sees("#sign-out-others") {
		return 0, refusal{}
	}
	if code := b.presses("#sign-out-others"); code != "" {
		return 0, refusal{code: code}
	}
	said := eval[string](b, `document.getElementById('message').textContent`)
	count, err := strconv.Atoi(regexp.MustCompile(`\d+|$`).FindString(said))
	if err != nil {
		b.t.Fatalf("the page does not say how many: %q", said)
	}
	return count, refusal{}
}

func (b *tab) changeAccount(name, email string) (identity, refusal) {
	b.t.Helper()
	b.fill("#account-name", name)
	b.fill("#account-email", email)
	if refused := b.withDevice(nil, func() string { return b.presses("#save-account") }); refused.code != "" {
		return identity{}, refused
	}
	if email == eval[string](b, `document.getElementById('account-email').value`) && b.sees("#withdraw-email") {
		// The field has the address as it should be. That another one waits to take its place is said beneath it.
		if refused := b.withDevice(nil, func() string { return b.presses("#withdraw-email") }); refused.code != "" {
			return identity{}, refused
		}
	}
	if refused := b.reopen(); refused != (refusal{}) {
		return identity{}, refused
	}
	return identity{
		name:  eval[string](b, `document.getElementById('account-name').value`),
		email: eval[string](b, `document.getElementById('account-email').value`),
	}, refusal{}
}

func (b *tab) deleteAccount() refusal {
	b.t.Helper()
	if !b.sees("#delete-for-good") {
		b.press("#delete-account")
	}
	b.fill("#delete-word", "delete")
	return b.withDevice(nil, func() string { return b.presses("#delete-for-good") })
}

func (b *tab) events() ([]shownEvent, refusal) {
	b.t.Helper()
	if refused := b.reopen(); refused != (refusal{}) {
		return nil, refused
	}
	b.showAll("event-list", "#more-events")
	var shown []shownEvent
	for _, entry := range b.entries("event-list") {
		if title := entry.Parts["title"]; title == "" || strings.Contains(title, "_") {
			b.t.Fatalf("the page has no words for %q: %q", entry.Kind, title)
		}
		if reason := entry.Parts["reason"]; strings.Contains(reason, "_") || (entry.Reason != "") != (reason != "") && entry.Kind != "refresh_token_reused" {
			b.t.Fatalf("the page has no words for the reason %q: %q", entry.Reason, reason)
		}
		shown = append(shown, shownEvent{kind: entry.Kind, reason: entry.Reason})
	}
	return shown, refusal{}
}

// (What follows is how a person's part becomes something that happens in the browser.)

// reopen opens the page anew, to see how things are on the server.
func (b *tab) reopen() refusal {
	b.t.Helper()
	if _, refused := b.whoAmI(); refused != (refusal{}) {
		return refused
	}
	b.until("the account is on show", `document.getElementById('rooms').getAttribute('aria-busy') === 'false'`)
	return refusal{}
}

// presses a button and returns the code of what the page says when it is done, "" if nothing was refused.
func (b *tab) presses(button string) string {
	b.t.Helper()
	b.silence()
	b.press(button)
	b.until("the page says how it went", `document.querySelector('main').getAttribute('aria-busy') === 'false' && 'code' in document.getElementById('message').dataset`)
	return b.told()
}

// silence forgets what the page said last.
func (b *tab) silence() { eval[bool](b, `delete document.getElementById('message').dataset.code`) }

func (b *tab) sees(element string) bool {
	return eval[bool](b, visible(element))
}

// within is a part of the entry of a passkey or session.
func within(id, part string) string {
	return fmt.Sprintf(`[data-id='%s'] [data-part='%s']`, id, part)
}

// shownEntry is an entry of one of the page's lists. Parts has the text of those that can be seen.
type shownEntry struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind"`
	Reason   string            `json:"reason"`
	Nameless bool              `json:"nameless"`
	Parts    map[string]string `json:"parts"`
}

func (b *tab) entries(list string) []shownEntry {
	b.t.Helper()
	return eval[[]shownEntry](b, fmt.Sprintf(`[...document.getElementById(%q).children].map((entry) => ({
		...entry.dataset,
		nameless: entry.querySelector('[data-nameless]') !== null,
		parts: Object.fromEntries([...entry.querySelectorAll('[data-part]')].map((part) => [part.dataset.part, part.checkVisibility() ? part.textContent : ''])),
	}))`, list))
}

// showAll presses the button for more until there is no more.
func (b *tab) showAll(list, more string) {
	b.t.Helper()
	for b.sees(more) {
		before := eval[int](b, fmt.Sprintf(`document.getElementById(%q).childElementCount`, list))
		b.press(more)
		b.until("there is more", fmt.Sprintf(`document.querySelector('main').getAttribute('aria-busy') === 'false' && document.getElementById(%q).childElementCount > %d`, list, before))
	}
}

func evalPromise(b *tab, expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}
