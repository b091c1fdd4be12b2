package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// The page's recovery, beyond the stories.

// recoveryLink returns the operator's recovery link and its token.
func recoveryLink(t *testing.T, s *server, email string) (link, token string) {
	t.Helper()
	user, err := domain.ParseEmail("email", email)
	if err != nil {
		t.Fatal(err)
	}
	given, err := s.app.UseCases().Admin.RecoverUser(t.Context(), domain.UserRef{Email: user})
	if err != nil {
		t.Fatal(err)
	}
	return s.origin + "/#recover=" + given.Token.Reveal(), given.Token.Reveal()
}

func (b *browserPage) waitForState(state string) {
	b.t.Helper()
	b.waitFor("the page is in state "+state, fmt.Sprintf(`pageState() === %q`, state))
}

// openLink opens a link in the current tab.
func (b *browserPage) openLink(link string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`location.href = %q; true`, link))
}

func TestPage_OperatorRecoveryLink(t *testing.T) {
	for _, policy := range []domain.RecoveryPolicy{domain.RecoveryAny, domain.RecoveryOff} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			s := startServer(t, newClock(), func(c *config.Config) {
				c.Recovery, c.Links.Support = policy, "mailto:support@example.org"
			})
			ada := &person{t: t, device: browserDriver{s}.newDevice(t, phone), profile: profile{name: "Ada", email: "ada@example.org"}}
			ada.signsUp()
			b := browserDriver{s}.newDevice(t, phone).(*browserPage)

			b.view("recover")
			if form := b.isVisible("form"); form != policy.Enabled() || !strings.HasSuffix(b.textOf("p:has(> a)"), "Ask its operator for a recovery link. support@example.org") && !policy.Enabled() ||
				!strings.HasSuffix(b.textOf("p:has(> a)"), "recovery link. support@example.org") {
				t.Errorf("the page does not say whom to ask: %s", b.debugText())
			}

			link, token := recoveryLink(t, s, ada.email)
			copied := strings.Replace(link, "klg_", "klg_\u00ad\u200b", 1) // with characters that a mail program inserted
			b.navigate("about:blank")
			b.navigate(copied)
			b.waitForState("enrol")
			b.requireNoTraceOf(token)
			ada.requireIdentity(b.runCeremony(named("enrol"), nil))
			b.requireNoTraceOf(token)
			if shown := b.isVisible(dataNamed("review-factors")); shown != (policy == domain.RecoveryAny) {
				t.Errorf("the review of the recovery factors is shown: %t", shown)
			}

			b.openLink(link)
			b.waitForState("enrol")
			b.requireNoTraceOf(token)
			if code := b.pressAndWait(named("enrol")); code != "invalid_code" || !strings.Contains(b.textOf(".notice"), "This link was used or is too old") {
				t.Errorf("a used link: %q\n%s", code, b.debugText())
			}
			if user := b.whoAmI().must(t); user.name != "Ada" {
				t.Errorf("the session after a used link: %+v", user)
			}
		})
	}
}

// requireNoTraceOf fails the test if the address bar or the server's log has the token.
func (b *browserPage) requireNoTraceOf(token string) {
	b.t.Helper()
	if address := eval[string](b, `location.href`); strings.Contains(address, "recover") || strings.Contains(address, token) {
		b.t.Errorf("the address bar has %s", address)
	}
	if strings.Contains(b.server.log.text(), token) {
		b.t.Error("the server's log has the token")
	}
}

func TestPage_DismissedPromptKeepsGrant(t *testing.T) {
	ada, b, c := openPage(t)
	codes := ada.makesBackupCodes()
	recovered := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	recovered.dismissPrompt()
	ada.requireRejected(recovered.recover(withBackupCode(codes[0])), "cancelled")
	recovered.waitForState("enrol")
	ada.requireIdentity(recovered.runCeremony(named("enrol"), nil))
	if have := recovered.recoveryFactors().must(t); have.codesLeft != 9 {
		t.Errorf("%d codes are left", have.codesLeft)
	}

	expired := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	expired.dismissPrompt()
	ada.requireRejected(expired.recover(withBackupCode(codes[1])), "cancelled")
	c.advance(11 * time.Minute)
	if code := expired.pressAndWait(named("enrol")); code != "invalid_code" || !expired.isVisible(named("to-recover")) {
		t.Errorf("an expired grant: %q\n%s", code, expired.debugText())
	}
	ada.requireIdentity(expired.recover(withBackupCode(codes[1])))
}

func TestPage_ReviewsPasskeysAfterRecovery(t *testing.T) {
	ada, b, c := openPage(t)
	codes := ada.makesBackupCodes()
	for _, name := range []string{"Blue key", "Red key"} {
		c.advance(time.Second) // passkeys of the same second have no order
		ada.addsPasskey(name, securityKey)
	}
	b.requireHidden(".review")
	c.advance(time.Minute)

	recovered := browserDriver{b.server}.newDevice(t, phone).(*browserPage)
	ada.requireIdentity(recovered.recover(withBackupCode(codes[0])))
	ada.device = recovered
	names := func(want ...string) {
		t.Helper()
		recovered.waitFor("the page is settled", settled)
		var found []string
		for _, entry := range recovered.reviewed() {
			found = append(found, entry.Name)
		}
		if !slices.Equal(found, want) {
			t.Fatalf("passkeys to review: %q, want %q\n%s", found, want, recovered.debugText())
		}
	}
	button := func(name, button string) string { return `.review ` + entryButton(ada.reviewedPasskeyID(name), button) }
	names("Passkey (1)", "Blue key", "Red key")
	ada.requireSignedIn() // a reload does not end the review
	names("Passkey (1)", "Blue key", "Red key")

	recovered.press(button("Blue key", "remove"))
	ada.requireOK(recovered.withAuthenticator(nil, func() string { return recovered.pressAndWait(button("Blue key", "confirm-remove")) }))
	names("Passkey (1)", "Red key") // the step-up does not end the review
	recovered.press(button("Red key", "keep"))
	names("Passkey (1)")
	recovered.press(button("Passkey (1)", "keep"))
	names()
	recovered.press(named("end-review"))
	recovered.requireHidden(".review")
	ada.requirePasskeys("", "", "Red key")
	recovered.requireHidden(".review")
}

// reviewed returns the passkeys of the review.
func (b *browserPage) reviewed() []listEntry {
	return eval[[]listEntry](b, `[...findAll('.review .entries > li')].map((entry) => ({ ...entry.dataset, name: entry.querySelector('[data-name="name"]').textContent }))`)
}

// reviewedPasskeyID returns the id of the passkey with the name in the review.
func (p *person) reviewedPasskeyID(name string) string {
	p.t.Helper()
	for _, entry := range p.device.(*browserPage).reviewed() {
		if entry.Name == name {
			return entry.ID
		}
	}
	p.t.Fatalf("%s is not in the review", name)
	return ""
}

func TestPage_SecretsClearedWithForm(t *testing.T) {
	ada, b, _ := openPage(t)
	secret := b.setUpTOTP().must(ada.t)
	b.press(`#ways-back .panel ` + named("cancel"))
	b.requireAbsent(secret)
	codes := ada.makesBackupCodes()
	b.requireAbsent(codes...)
	secret = b.setUpTOTP().must(ada.t)
	if rejected := b.signOut(); rejected != (rejection{}) {
		t.Fatal(rejected)
	}
	b.requireAbsent(secret)
}

func (b *browserPage) requireAbsent(secrets ...string) {
	b.t.Helper()
	markup := strings.ReplaceAll(eval[string](b, `document.documentElement.getHTML({ serializableShadowRoots: true, shadowRoots: [...document.querySelectorAll('*')].map((e) => e.shadowRoot).filter(Boolean) })`), " ", "")
	for _, secret := range append(secrets, "data:image", "otpauth:") {
		if strings.Contains(markup, secret) {
			b.t.Errorf("the page still has %s", secret)
		}
	}
}

func TestPage_PrintsBackupCodesOnly(t *testing.T) {
	ada, b, _ := openPage(t)
	ada.requireOK(rejection{code: b.pressAndWait(named("make-codes"))})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if !b.isVisible(".codes li") || !b.isVisible("#sheet-heading") || !strings.Contains(b.textOf(".print-only"), "/recover") {
		t.Error("the codes are not printed, or the page lacks the address to use them at")
	}
	b.requireHidden(dataNamed("who"), "#passkeys", "#place", named("copy-codes"), "#profile")
}

// Backup codes are shown once: leaving the page asks first, and what is saved or copied says what the codes are for.
func TestPage_KeepsBackupCodes(t *testing.T) {
	ada, b, _ := openPage(t)
	leaves := func() bool {
		return eval[bool](b, `dispatchEvent(new Event('beforeunload', { cancelable: true }))`)
	}
	if !leaves() {
		t.Error("the page asks before it is left without codes on show")
	}
	ada.requireOK(rejection{code: b.pressAndWait(named("make-codes"))})
	if leaves() {
		t.Error("the page can be left while the codes are shown")
	}
	codes := eval[[]string](b, `[...find('.codes').children].map((item) => item.innerText)`)
	eval[bool](b, `(() => {
		window.copied = [];
		navigator.clipboard.writeText = async (text) => { copied.push(text); };
		const real = URL.createObjectURL;
		URL.createObjectURL = (blob) => { blob.text().then((text) => copied.push(text)); return real(blob); };
		return true;
	})()`)
	for _, button := range []string{"download-codes", "copy-codes"} {
		b.press(named(button))
		b.waitFor(button+" has a text", `window.copied.length === 1`)
		text := eval[string](b, `window.copied.pop()`)
		for _, part := range append(codes, "Your backup codes for Keylodge", "Account: ", "Made on ", b.server.origin+"/recover") {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is missing in %q", button, part, text)
			}
		}
	}
	if order := eval[[]string](b, `findAll('.sheet button').map((button) => button.name)`); order[len(order)-1] != "stored" {
		t.Errorf("the buttons are %q: the codes must be saved first", order)
	}
	b.press(named("stored"))
	if !leaves() {
		t.Error("the page asks before it is left after the codes are saved")
	}
}

// A wrong code is marked at its field, of which there is one for each way.
func TestPage_WrongRecoveryCodeIsMarked(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	b := browserDriver{startServer(t, newClock(), nil)}.newDevice(t, phone).(*browserPage)
	for field, proof := range map[string]recoveryProof{"backup_code": {backupCode: "aaaa-bbbb-cccc-dddd"}, "totp_code": {email: "ada@example.org", totpCode: "123456"}} {
		if got := b.recover(proof); got.code != "invalid_code" {
			t.Errorf("%s: %+v", field, got)
		}
		b.requireFieldError(named(field))
	}
}

// A user whose only passkey is suspended reads first what is left to do.
func TestPage_SuspendedPasskeyLeadsOn(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	s := startServer(t, newClock(), func(c *config.Config) {
		suspendLowerCounters(c)
		c.Links.Support = "mailto:support@example.org"
	})
	b := browserDriver{s}.newDevice(t, phone).(*browserPage)
	ada := &person{t: t, device: b, profile: profile{name: "Ada"}}
	ada.signsUp()
	b.withScript(changedAnswer("/v1/me/passkeys", `answer.items[0].status = 'suspended'`))
	if advice := b.textOf(`.summary [data-advice="advice_suspended"]`); !strings.Contains(advice, "recovery link") || !strings.HasSuffix(advice, "support@example.org") {
		t.Errorf("the page advises %q", advice)
	}
	b.resize(360, 740)
	b.reload()
	b.waitFor("the advice is in the window", insideWindow("[data-advice]", "[data-advice]"))
}

// Requirement: NIST-4.2.1.1
func TestPage_WarnsOfFewBackupCodes(t *testing.T) {
	_, b, _ := openPage(t)
	b.withScript(changedAnswer("/v1/me/recovery", `answer.backup_codes = { remaining: Number(localStorage.left), generated_at: '2026-01-01T00:00:00Z' }`))
	for left, want := range map[int]bool{0: true, 1: true, 3: true, 4: false, 10: false} {
		eval[int](b, fmt.Sprintf(`localStorage.left = %d`, left))
		b.reload()
		if shown := b.isVisible("#ways-back .reminder"); shown != want {
			t.Errorf("%d codes are left, reminder shown: %v", left, shown)
		}
	}
}

func TestPage_RecoveryFormKeptWhenHidden(t *testing.T) {
	_, b, _ := openPage(t)
	b.signOut()
	b.view("recover")
	b.fill(named("backup_code"), "abcd")
	eval[bool](b, `document.dispatchEvent(new Event('visibilitychange'))`)
	evalPromise(b, `fetch('/v1/session').then(() => '')`) // by then the page would have a response, if it had sent a request
	if text := b.valueOf(named("backup_code")); b.state() != "recover" || text != "abcd" {
		t.Errorf("the page is in state %s, the code field has %q", b.state(), text)
	}
	b.view("sign-in")
	b.waitFor("the heading has the focus", `find('h1').matches(':focus')`)
}

// After a recovery, changing the address needs a step-up, which the page requests by itself.
func TestPage_ChangeEmailAfterRecoveryNeedsStepUp(t *testing.T) {
	requireChromium(t)
	t.Parallel()
	c := newClock()
	e := &env{t: t, clock: c, driver: browserDriver{startServer(t, c, nil)}}
	ada := e.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode(codes[0]))
	recovered.changesAccount("Ada", "ada@example.org")
	recovered.requireEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "recovered"})
}
