package acceptance

import (
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// person is a user in a story, with a device.
type person struct {
	t      testing.TB
	device device
	profile
}

// person returns a user without an account, on a new device.
func (e *env) person(name string, kind deviceKind) *person {
	e.t.Helper()
	return &person{t: e.t, device: e.driver.newDevice(e.t, kind), profile: profile{name: name, email: ""}}
}

// newUser returns a user who has signed up without an e-mail address.
func (e *env) newUser(name string, kind deviceKind) *person {
	e.t.Helper()
	return e.newUserWithEmail(name, kind, "")
}

func (e *env) newUserWithEmail(name string, kind deviceKind, email string) *person {
	e.t.Helper()
	p := e.person(name, kind)
	p.email = email
	p.signsUp()
	return p
}

// The actions of a person fail the test if they are rejected. The requirements below them fail it if they are not met.

func (p *person) signsUp(forgeries ...forgery) {
	p.t.Helper()
	p.requireIdentity(p.device.signUp(p.profile, forgeries...))
}

func (p *person) signsIn(forgeries ...forgery) {
	p.t.Helper()
	p.requireIdentity(p.device.signIn("", forgeries...))
}

func (p *person) signsInByEmail() {
	p.t.Helper()
	p.requireIdentity(p.device.signIn(p.email))
}

func (p *person) signsOut() {
	p.t.Helper()
	p.requireOK(p.device.signOut())
}

func (p *person) requireSignedIn() {
	p.t.Helper()
	p.requireIdentity(p.device.whoAmI())
}

// requireSignedOut fails the test unless the device's session is rejected with the code.
func (p *person) requireSignedOut(code string) {
	p.t.Helper()
	if got := p.device.whoAmI(); got.code != code {
		p.t.Fatalf("%s is signed in as %+v, rejection %+v, want %s", p.name, got.value, got.rejection, code)
	}
}

// requireSignUpRejected fails the test unless a sign-up is rejected with code and reason, and no session exists afterwards.
func (p *person) requireSignUpRejected(code string, reason domain.Reason, forgeries ...forgery) {
	p.t.Helper()
	p.requireRejectedAndSignedOut(p.device.signUp(p.profile, forgeries...), code, reason)
}

// requireSignInRejected fails the test unless a sign-in is rejected with code and reason, and no session exists afterwards.
func (p *person) requireSignInRejected(code string, reason domain.Reason, forgeries ...forgery) {
	p.t.Helper()
	p.requireRejectedAndSignedOut(p.device.signIn("", forgeries...), code, reason)
}

func (p *person) requireIdentity(got result[shownUser]) {
	p.t.Helper()
	p.requireOK(got)
	if user := got.value; user.name != p.name || user.email != p.email {
		p.t.Fatalf("signed in as %s <%s>, want %s <%s>", user.name, user.email, p.name, p.email)
	}
}

func (p *person) requireRejectedAndSignedOut(got attempt, code string, reason domain.Reason) {
	p.t.Helper()
	if want := (rejection{code, reason}); got.outcome() != want {
		p.t.Fatalf("%s got %+v, want %+v", p.name, got.outcome(), want)
	}
	if now := p.device.whoAmI(); now.code != "unauthenticated" && now.code != "session_revoked" {
		p.t.Fatalf("after a rejection %s is signed in as %+v, rejection %+v", p.name, now.value, now.rejection)
	}
}

// onSecondDevice returns the same user on another device with the same passkeys, signed in.
func (p *person) onSecondDevice() *person {
	p.t.Helper()
	second := &person{t: p.t, device: p.device.syncedDevice(), profile: p.profile}
	second.signsIn()
	return second
}

// addsPasskey registers a passkey on a new authenticator, which replaces the current one.
func (p *person) addsPasskey(name string, kind deviceKind) shownPasskey {
	p.t.Helper()
	p.device.useAuthenticator(kind)
	p.requireOK(p.device.addPasskey(name))
	return p.passkeyNamed(name)
}

func (p *person) renamesPasskey(key shownPasskey, name string) {
	p.t.Helper()
	p.requireOK(p.device.renamePasskey(key.id, name))
}

func (p *person) removesPasskey(key shownPasskey) {
	p.t.Helper()
	p.requireOK(p.device.removePasskey(key.id))
}

func (p *person) revokesSession(session shownSession) {
	p.t.Helper()
	p.requireOK(p.device.revokeSession(session.id))
}

// revokesOtherSessions returns the number of revoked sessions.
func (p *person) revokesOtherSessions() int {
	p.t.Helper()
	return p.device.revokeOtherSessions().must(p.t)
}

// changesAccount changes the profile at once. With mail, an address is only requested: see requestsEmail.
func (p *person) changesAccount(name, email string) {
	p.t.Helper()
	p.name, p.email = name, email
	p.requireIdentity(p.device.changeAccount(name, email))
}

func (p *person) requireChangeRejected(name, email, code string) {
	p.t.Helper()
	p.requireRejected(p.device.changeAccount(name, email), code)
}

func (p *person) deletesAccount() {
	p.t.Helper()
	p.requireOK(p.device.deleteAccount())
}

// stepsUp performs the step-up that the next action requires. A page performs it with the action.
func (p *person) stepsUp() {
	p.t.Helper()
	p.requireOK(p.device.prepareSensitiveAction())
}

func (p *person) passkeyNamed(name string) shownPasskey {
	p.t.Helper()
	for _, key := range p.listPasskeys() {
		if key.name == name {
			return key
		}
	}
	p.t.Fatalf("%s has no passkey called %q", p.name, name)
	return shownPasskey{}
}

func (p *person) listPasskeys() []shownPasskey {
	p.t.Helper()
	return p.device.passkeys().must(p.t)
}

func (p *person) requirePasskeys(names ...string) {
	p.t.Helper()
	var found []string
	for _, key := range p.listPasskeys() {
		found = append(found, key.name)
	}
	slices.Sort(found) // passkeys of the same time have no order
	slices.Sort(names)
	if !slices.Equal(found, names) {
		p.t.Fatalf("%s has passkeys called %q, want %q", p.name, found, names)
	}
}

func (p *person) listSessions() []shownSession {
	p.t.Helper()
	sessions := p.device.sessions().must(p.t)
	current := 0
	for _, session := range sessions {
		if session.current {
			current++
		}
	}
	if current != 1 {
		p.t.Fatalf("%s has %d current sessions, want 1: %+v", p.name, current, sessions)
	}
	return sessions
}

// otherSession returns the session that is not the current one, of two.
func (p *person) otherSession() shownSession {
	p.t.Helper()
	sessions := p.listSessions()
	if len(sessions) != 2 {
		p.t.Fatalf("%s has %d sessions, want 2", p.name, len(sessions))
	}
	if sessions[0].current {
		return sessions[1]
	}
	return sessions[0]
}

func (p *person) requireSessions(count int) {
	p.t.Helper()
	if sessions := p.listSessions(); len(sessions) != count {
		p.t.Fatalf("%s has the sessions %+v, want %d", p.name, sessions, count)
	}
}

func (p *person) listEvents() []shownEvent {
	p.t.Helper()
	return p.device.events().must(p.t)
}

// requireEvents fails the test unless these are the newest events of the audit log, newest first.
func (p *person) requireEvents(newest ...shownEvent) {
	p.t.Helper()
	events := p.listEvents()
	if len(events) < len(newest) || !slices.Equal(events[:len(newest)], newest) {
		p.t.Fatalf("the newest events of %s are %v, want %v", p.name, events[:min(len(events), len(newest)+2)], newest)
	}
}

// requireOK fails the test if the attempt was rejected.
func (p *person) requireOK(got attempt) {
	p.t.Helper()
	if rejected := got.outcome(); !rejected.ok() {
		p.t.Fatalf("%s is rejected: %+v", p.name, rejected)
	}
}

// requireRejected fails the test unless the attempt was rejected with the code.
func (p *person) requireRejected(got attempt, code string) {
	p.t.Helper()
	if rejected := got.outcome(); rejected.code != code {
		p.t.Fatalf("%s got %+v, want %s", p.name, rejected, code)
	}
}

// apiDevice returns the user's device if it has no page. It fails the test for the browser driver.
func (p *person) apiDevice() *apiDevice {
	p.t.Helper()
	d, ok := p.device.(*apiDevice)
	if !ok {
		p.t.Fatalf("%s has a page and no apiDevice: the story is no journey", p.name)
	}
	return d
}
