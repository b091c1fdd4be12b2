package acceptance

// What somebody does on the page about their e-mail address, where the server sends mail.

// emailStatus is what the page says. An address waits for a code if the page asks for one.
func (b *browserPage) emailStatus() (shownEmail, rejection) {
	b.t.Helper()
	who, refused := b.whoAmI()
	if refused != (rejection{}) {
		return shownEmail{}, refused
	}
	shown := shownEmail{current: who.email, verified: b.isVisible("#email-verified")}
	if b.isVisible("#email-code") {
		shown.pending = eval[string](b, `document.querySelector('#email-code-sent [data-part="address"]').textContent`)
	}
	if claimed := eval[string](b, `document.getElementById('who-pending-email').textContent`); who.email == "" && claimed != shown.pending {
		b.t.Errorf("the page greets somebody who claims %q, and asks for the code of %q", claimed, shown.pending)
	}
	return shown, rejection{}
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
