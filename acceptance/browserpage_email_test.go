package acceptance

import "strings"

// The actions for the user's e-mail address on the page of a server that sends e-mail.

// emailStatus returns what the page shows. An address is pending if the page asks for its code.
func (b *browserPage) emailStatus() result[shownEmail] {
	b.t.Helper()
	user := b.whoAmI()
	if !user.ok() {
		return result[shownEmail]{rejection: user.rejection}
	}
	shown := shownEmail{
		current: user.value.email, pending: b.textOf(dataNamed("pending")), verified: b.isVisible(dataNamed("confirmed")),
	}
	if heading := b.textOf(".greeting"); user.value.email == "" && !strings.Contains(heading, shown.pending) {
		b.t.Errorf("the heading %q lacks the pending address %q", heading, shown.pending)
	}
	return result[shownEmail]{value: shown}
}

func (b *browserPage) sendEmailCode() rejection {
	b.t.Helper()
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(named("send-email-code")) })
}

func (b *browserPage) confirmEmail(code string) rejection {
	b.t.Helper()
	b.fill(named("code"), code)
	return b.withAuthenticator(nil, func() string { return b.pressAndWait(named("confirm-email")) })
}
