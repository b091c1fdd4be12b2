package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// What the page does around a recovery, beyond the stories.

// linkFor is what the operator sends to the person.
func linkFor(t *testing.T, s *server, email string) (link, token string) {
	t.Helper()
	user, err := domain.ParseEmail(email)
	if err != nil {
		t.Fatal(err)
	}
	given, err := s.app.UseCases().Admin.RecoverUser.Execute(t.Context(), admin.Who{Email: user})
	if err != nil {
		t.Fatal(err)
	}
	return s.origin + "/#recover=" + given.Token.Reveal(), given.Token.Reveal()
}

func (b *tab) isIn(state string) {
	b.t.Helper()
	b.until("the page is in state "+state, fmt.Sprintf(`document.querySelector('main').dataset.state === %q`, state))
}

// follow opens a link in the tab as it is.
func (b *tab) follow(link string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`location.href = %q; true`, link))
}

func TestTheOperatorsLinkLeadsToANewPasskey(t *testing.T) {
	for policy, afterwards := range map[domain.RecoveryPolicy]string{domain.RecoveryAny: "recovering", domain.RecoveryOff: "signed-out"} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			requireChromium(t)
			s := startServer(t, newClock(), func(c *bootstrap.Config) { c.Recovery = policy })
			ada := &person{t: t, device: browserDoor{s}.client(t, phone), applicant: applicant{name: "Ada", email: "ada@example.org"}}
			ada.signsUp()
			b := browserDoor{s}.client(t, phone).(*tab)
			if policy == domain.RecoveryOff {
				b.mayNotSee("#lost-passkey")
			}

			link, token := linkFor(t, s, ada.email)
			copied := strings.Replace(link, "klg_", "klg_\u00ad\u200b", 1) // with what a mail program put in
			b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(copied))
			b.isIn("enrolling")
			b.keepsNoTraceOf(token)
			who, refused := b.perform("#enrol", nil)
			ada.mustBe(who, refused)
			b.keepsNoTraceOf(token)
			if asked := b.sees("#review-factors"); asked != (policy == domain.RecoveryAny) {
				t.Errorf("asked about what else may be lost: %t", asked)
			}

			b.follow(link)
			b.isIn("enrolling")
			b.keepsNoTraceOf(token)
			b.silence()
			if code := b.presses("#enrol"); code != "invalid_code" || b.state() != afterwards {
				t.Errorf("a link that was used: %q, in state %s\n%s", code, b.state(), b.describe())
			}
			if who, refused := b.whoAmI(); refused != (refusal{}) || who.name != "Ada" {
				t.Errorf("whoever followed a link that was used is %+v (%+v)", who, refused)
			}
		})
	}
}

// keepsNoTraceOf holds when neither the address bar nor the server's log has it.
func (b *tab) keepsNoTraceOf(token string) {
	b.t.Helper()
	if address := eval[string](b, `location.href`); strings.Contains(address, "recover") || strings.Contains(address, token) {
		b.t.Errorf("the address bar says %s", address)
	}
	if strings.Contains(b.server.log.text(), token) {
		b.t.Error("the server's log has the token")
	}
}

func TestADismissedPromptCostsNoSecondCode(t *testing.T) {
	ada, b, c := openTab(t)
	codes := ada.writesDownCodes()
	back := browserDoor{b.server}.client(t, phone).(*tab)
	back.dismisses()
	ada.mayNot(second(back.recover(claim{backupCode: codes[0]})), "NotAllowedError")
	back.isIn("enrolling")
	back.silence()
	who, refused := back.perform("#enrol", nil)
	ada.mustBe(who, refused)
	if have, _ := back.recoveryFactors(); have.codesLeft != 9 {
		t.Errorf("%d codes are left", have.codesLeft)
	}

	late := browserDoor{b.server}.client(t, phone).(*tab)
	late.dismisses()
	ada.mayNot(second(late.recover(claim{backupCode: codes[1]})), "NotAllowedError")
	c.advance(11 * time.Minute)
	if code := late.presses("#enrol"); code != "invalid_code" || late.state() != "recovering" {
		t.Errorf("when the time is over: %q, in state %s", code, late.state())
	}
	who, refused = late.recover(claim{backupCode: codes[1]})
	ada.mustBe(who, refused)
}

func TestPasskeysOfBeforeAreReviewed(t *testing.T) {
	ada, b, c := openTab(t)
	codes := ada.writesDownCodes()
	for _, name := range []string{"Blue key", "Red key"} {
		c.advance(time.Second) // those of one moment are in no order
		ada.addsPasskey(name, securityKey)
	}
	b.mayNotSee("#review")
	c.advance(time.Minute)

	back := browserDoor{b.server}.client(t, phone).(*tab)
	who, refused := back.recover(claim{backupCode: codes[0]})
	ada.mustBe(who, refused)
	ada.device = back
	names := func(want ...string) {
		t.Helper()
		back.until("the passkeys are there", `document.getElementById('rooms').getAttribute('aria-busy') === 'false'`)
		var found []string
		for _, entry := range back.entries("review-list") {
			found = append(found, entry.Parts["name"])
		}
		if !slices.Equal(found, want) {
			t.Fatalf("to be reviewed are %q, want %q\n%s", found, want, back.describe())
		}
	}
	button := func(name, part string) string {
		return fmt.Sprintf(`#review-list [data-id='%s'] [data-part='%s']`, ada.idOnShow(name), part)
	}
	names("Passkey", "Blue key", "Red key")
	ada.isSignedIn() // and after a reload it is still to be done
	names("Passkey", "Blue key", "Red key")

	ada.may(back.withDevice(nil, func() string { return back.presses(button("Blue key", "remove")) }))
	names("Passkey", "Red key") // though the session is now as good as any
	back.press(button("Red key", "keep"))
	names("Passkey")
	back.press(button("Passkey", "keep"))
	back.until("the review is over", `!document.getElementById('review').checkVisibility() && document.activeElement.id === 'passkeys-heading'`)
	ada.hasPasskeys("", "", "Red key")
	back.mayNotSee("#review")
}

// idOnShow is that of the passkey in review that goes by the name.
func (p *person) idOnShow(name string) string {
	p.t.Helper()
	for _, entry := range p.device.(*tab).entries("review-list") {
		if entry.Parts["name"] == name {
			return entry.ID
		}
	}
	p.t.Fatalf("%s is not in review", name)
	return ""
}

func TestSecretsLeaveThePageWithTheirForm(t *testing.T) {
	ada, b, _ := openTab(t)
	secret, refused := b.setUpTOTP()
	ada.may(refused)
	b.press("#app-form [type='button']")
	b.holdsNoneOf(secret)
	codes := ada.writesDownCodes()
	b.press("#code-sheet [type='submit']")
	b.holdsNoneOf(codes...)
	codes = ada.writesDownCodes()
	if refused := b.signOut(); refused != (refusal{}) {
		t.Fatal(refused)
	}
	b.holdsNoneOf(codes...)
}

func (b *tab) holdsNoneOf(secrets ...string) {
	b.t.Helper()
	markup := strings.ReplaceAll(eval[string](b, `document.documentElement.outerHTML`), " ", "")
	for _, secret := range append(secrets, "data:image", "otpauth:") {
		if strings.Contains(markup, secret) {
			b.t.Errorf("the page still holds %s", secret)
		}
	}
}

func TestBackupCodesArePrintedAlone(t *testing.T) {
	ada, b, _ := openTab(t)
	ada.writesDownCodes()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if !b.sees("#code-list") || !b.sees("#code-sheet-heading") {
		t.Error("the codes are not on the paper")
	}
	b.mayNotSee("#who", "#passkey-list", "#place", "#copy-codes", "#message", "#app-heading")
}

func TestAShortSupplyOfCodesIsTold(t *testing.T) {
	_, b, _ := openTab(t)
	b.reopen()
	for left, want := range map[int]bool{0: true, 1: true, 3: true, 4: false, 10: false} {
		evalPromise(b, fmt.Sprintf(`import('/assets/backupcodes.js').then(({ BackupCodes }) => {
			new BackupCodes({}).show({ remaining: %d, generated_at: '2026-01-01T00:00:00Z' });
			return '';
		})`, left))
		if told := b.sees("#codes-nudge"); told != want {
			t.Errorf("%d are left, and that is told: %v", left, told)
		}
	}
}

func TestWhoeverLooksUpACodeComesBackToTheForm(t *testing.T) {
	_, b, _ := openTab(t)
	b.signOut()
	b.press("#lost-passkey")
	b.isIn("recovering")
	b.fill("#recover-backup-code", "abcd")
	eval[bool](b, `document.dispatchEvent(new Event('visibilitychange'))`)
	evalPromise(b, `fetch('/v1/session').then(() => '')`) // by when the page would have its answer, had it asked
	if text := eval[string](b, `document.getElementById('recover-backup-code').value`); b.state() != "recovering" || text != "abcd" {
		t.Errorf("the page is in state %s, and %q is left of the code", b.state(), text)
	}
	b.press(".recovering [data-part='to-sign-in']")
	b.isIn("signed-out")
	if focused := eval[string](b, `document.activeElement.id`); focused != "signed-out-heading" {
		t.Errorf("the focus is on %q", focused)
	}
}

// After a recovery another address waits for a passkey, which the page asks for by itself.
func TestAnAddressChangedAfterARecoveryIsConfirmedByPasskey(t *testing.T) {
	requireChromium(t)
	t.Parallel()
	c := newClock()
	l := &lodge{t: t, clock: c, door: browserDoor{startServer(t, c, nil)}}
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.writesDownCodes()
	back := l.losesEverything(ada)
	back.recovers(claim{backupCode: codes[0]})
	who, refused := back.device.changeAccount("Ada", "ada@example.org")
	back.email = "ada@example.org"
	back.mustBe(who, refused)
	back.seesEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "recovered"})
}
