package acceptance

// The actions for the user's e-mail address on the page of a server that sends e-mail.

// emailStatus returns what the page shows. An address is pending if the page asks for its code.
func (b *browserPage) emailStatus() result[shownEmail] {
	b.t.Helper()
	user := b.whoAmI()
	if !user.ok() {
		return result[shownEmail]{rejection: user.rejection}
	}
	shown := shownEmail{current: user.value.email, verified: b.isVisible("#email-verified")}
	if b.isVisible("#email-code") {
		shown.pending = eval[string](b, `document.querySelector('#email-code-sent [data-part="address"]').textContent`)
	}
	if pending := eval[string](b, `document.getElementById('who-pending-email').textContent`); user.value.email == "" && pending != shown.pending {
		b.t.Errorf("the heading shows the pending address %q, but the form asks for the code of %q", pending, shown.pending)
	}
	return result[shownEmail]{value: shown}
}

func (b *browserPage) sendEmailCode() rejection {
	b.t.Helper()
	return b.withAuthenticator(nil, func() string { return b.pressAndWait("#send-email-code") })
}

func (b *browserPage) confirmEmail(code string) rejection {
	b.t.Helper()
	b.fill("#email-code", code)
	return b.withAuthenticator(nil, func() string { return b.pressAndWait("#confirm-email") })
}
