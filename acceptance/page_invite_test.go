package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/admin"
)

// openInvitePage returns the page of a server that requires invites.
func openInvitePage(t *testing.T) (*browserPage, *env) {
	t.Helper()
	t.Parallel()
	requireChromium(t)
	clock := newClock()
	s := startServer(t, clock, requireInvite)
	e := &env{t: t, clock: clock, driver: browserDriver{s}}
	return e.driver.newDevice(t, phone).(*browserPage), e
}

func TestPage_InviteLink(t *testing.T) {
	b, e := openInvitePage(t)
	b.requireHidden(named("to-sign-up"))
	if text := b.textOf(".ways"); !strings.Contains(text, "A new account needs an invite") {
		t.Errorf("without an invite the page shows %q", text)
	}
	invite := e.createsInvite("")
	token := invite.Token.Reveal()
	copied := strings.Replace(token, "kli_", "kli_\u00ad\u200b", 1) // with characters that a mail program inserted
	b.navigate(b.server.origin + "/signup#invite=" + copied)
	b.waitForState("sign-up")
	b.requireNoTraceOf(token)
	b.press(named("to-sign-in")) // the views keep the invite
	b.waitForState("sign-in")
	b.press(named("to-sign-up"))
	b.waitForState("sign-up")
	b.fill(named("display_name"), "Ada")
	if user := b.runCeremony(named("sign-up"), nil).must(t); user.name != "Ada" {
		t.Errorf("signed up as %+v", user)
	}
	b.requireNoTraceOf(token)
	b.signOut()
	b.requireHidden(named("to-sign-up")) // it was used
}

func TestPage_InviteErrorsSayWhatToDo(t *testing.T) {
	b, e := openInvitePage(t)
	used, revoked, bound := e.createsInvite(""), e.createsInvite(""), e.createsInvite("ada@example.org")
	e.invited("Ben", used).signsUp()
	e.revokesInvite(revoked)
	for code, c := range map[string]struct {
		invite admin.InviteLink
		email  string
		text   string
	}{
		"invite_used":           {used, "", "This invite was already used. Sign in, or ask for a new invite."},
		"invite_revoked":        {revoked, "", "This invite was withdrawn. Ask for a new one."},
		"invite_email_mismatch": {bound, "ben@example.org", "Enter that address, or leave the field empty."},
	} {
		b.navigate("about:blank")
		b.navigate(b.server.origin + "/signup#invite=" + c.invite.Token.Reveal())
		b.waitForState("sign-up")
		b.fill(named("email"), c.email)
		if got := b.pressAndWait(named("sign-up")); got != code || !strings.Contains(b.textOf("[data-code="+code+"]"), c.text) {
			t.Errorf("%s: %q\n%s", code, got, b.debugText())
		}
	}
	e.advance(25 * time.Hour)
	b.navigate("about:blank")
	b.navigate(b.server.origin + "/signup#invite=" + bound.Token.Reveal())
	b.waitForState("sign-up")
	b.fill(named("email"), "")
	if got := b.pressAndWait(named("sign-up")); got != "invite_expired" || !strings.Contains(b.textOf(".notice"), "This invite has expired. Ask for a new one.") {
		t.Errorf("expired: %q\n%s", got, b.debugText())
	}
}
