package acceptance

// What somebody does on the page about their e-mail address, where the server sends mail.

// emailStatus is what the page says. An address waits for a code if the page asks for one.
func (b *tab) emailStatus() (shownEmail, refusal) {
	b.t.Helper()
	who, refused := b.whoAmI()
	if refused != (refusal{}) {
		return shownEmail{}, refused
	}
	shown := shownEmail{held: who.email, verified: b.sees("#email-verified")}
	if b.sees("#email-code") {
		shown.pending = eval[string](b, `document.querySelector('#email-code-sent [data-part="address"]').textContent`)
	}
	if claimed := eval[string](b, `document.getElementById('who-claims').textContent`); who.email == "" && claimed != shown.pending {
		b.t.Errorf("the page greets somebody who claims %q, and asks for the code of %q", claimed, shown.pending)
	}
	return shown, refusal{}
}

func (b *tab) sendEmailCode() refusal {
	b.t.Helper()
	return b.withDevice(nil, func() string { return b.presses("#send-email-code") })
}

func (b *tab) confirmEmail(code string) refusal {
	b.t.Helper()
	b.fill("#email-code", code)
	return b.withDevice(nil, func() string { return b.presses("#confirm-email") })
}
