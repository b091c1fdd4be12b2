package acceptance

import (
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// person is somebody in a story, with a device in front of them.
type person struct {
	t      testing.TB
	device device
	profile
}

// person enters the story. Their account, should they make one, carries their name and address.
func (l *env) person(name string, kind deviceKind) *person {
	l.t.Helper()
	return &person{t: l.t, device: l.driver.newDevice(l.t, kind), profile: profile{name: name, email: ""}}
}

func (p *person) signsUp(tricks ...forgery) {
	p.t.Helper()
	who, refused := p.device.signUp(p.profile, tricks...)
	p.requireIdentity(who, refused)
}

func (p *person) signsIn() {
	p.t.Helper()
	who, refused := p.device.signIn("")
	p.requireIdentity(who, refused)
}

func (p *person) signsInByEmail() {
	p.t.Helper()
	who, refused := p.device.signIn(p.email)
	p.requireIdentity(who, refused)
}

func (p *person) signsOut() {
	p.t.Helper()
	if refused := p.device.signOut(); refused != (rejection{}) {
		p.t.Fatalf("%s cannot sign out: %+v", p.name, refused)
	}
}

func (p *person) requireSignedIn() {
	p.t.Helper()
	who, refused := p.device.whoAmI()
	p.requireIdentity(who, refused)
}

// requireSignedOut holds when nobody is signed in on the device, for the reason that code gives.
func (p *person) requireSignedOut(code string) {
	p.t.Helper()
	if who, refused := p.device.whoAmI(); refused.code != code {
		p.t.Fatalf("%s is %+v (%+v), and should be asked to sign in: %s", p.name, who, refused, code)
	}
}

// requireSignUpRejected tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) requireSignUpRejected(code string, reason domain.Reason, tricks ...forgery) {
	p.t.Helper()
	_, refused := p.device.signUp(p.profile, tricks...)
	p.requireRejectedAndSignedOut(refused, code, reason)
}

// requireSignInRejected tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) requireSignInRejected(code string, reason domain.Reason, tricks ...forgery) {
	p.t.Helper()
	_, refused := p.device.signIn("", tricks...)
	p.requireRejectedAndSignedOut(refused, code, reason)
}

func (p *person) requireIdentity(who shownUser, refused rejection) {
	p.t.Helper()
	if refused != (rejection{}) {
		p.t.Fatalf("%s is refused: %+v", p.name, refused)
	}
	if who.name != p.name || who.email != p.email {
		p.t.Fatalf("%s <%s> is taken for %s <%s>", p.name, p.email, who.name, who.email)
	}
}

func (p *person) requireRejectedAndSignedOut(refused rejection, code string, reason domain.Reason) {
	p.t.Helper()
	if want := (rejection{code, reason}); refused != want {
		p.t.Fatalf("%s got %+v, want %+v", p.name, refused, want)
	}
	if who, refused := p.device.whoAmI(); refused.code != "unauthenticated" {
		p.t.Fatalf("after a refusal %s is %+v (%+v)", p.name, who, refused)
	}
}

// onSecondDevice is the same person on another device, to which their passkeys were synced, signed in.
func (p *person) onSecondDevice() *person {
	p.t.Helper()
	there := &person{t: p.t, device: p.device.syncedDevice(), profile: p.profile}
	there.signsIn()
	return there
}

// addsPasskey makes one on another kind of authenticator, which is the one at hand from then on.
func (p *person) addsPasskey(name string, kind deviceKind) shownPasskey {
	p.t.Helper()
	p.device.useAuthenticator(kind)
	p.requireOK(p.device.addPasskey(name))
	return p.passkeyNamed(name)
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
	keys, refused := p.device.passkeys()
	p.requireOK(refused)
	return keys
}

func (p *person) requirePasskeys(names ...string) {
	p.t.Helper()
	var found []string
	for _, key := range p.listPasskeys() {
		found = append(found, key.name)
	}
	slices.Sort(found) // those of one moment are in no order
	slices.Sort(names)
	if !slices.Equal(found, names) {
		p.t.Fatalf("%s has passkeys called %q, want %q", p.name, found, names)
	}
}

func (p *person) listSessions() []shownSession {
	p.t.Helper()
	sessions, refused := p.device.sessions()
	p.requireOK(refused)
	current := 0
	for _, session := range sessions {
		if session.current {
			current++
		}
	}
	if current != 1 {
		p.t.Fatalf("%d of %s's sessions are the current one: %+v", current, p.name, sessions)
	}
	return sessions
}

// otherSession is the one elsewhere, of two.
func (p *person) otherSession() shownSession {
	p.t.Helper()
	sessions := p.listSessions()
	if len(sessions) != 2 {
		p.t.Fatalf("%s has %d sessions", p.name, len(sessions))
	}
	if sessions[0].current {
		return sessions[1]
	}
	return sessions[0]
}

// stepsUp where a page would by itself.
func (p *person) stepsUp() {
	p.t.Helper()
	if device, isScript := p.device.(*apiDevice); isScript {
		p.requireOK(device.stepUp())
	}
}

// requireEvents holds when the newest entries of the person's log are these, newest first.
func (p *person) requireEvents(newest ...shownEvent) {
	p.t.Helper()
	events, refused := p.device.events()
	p.requireOK(refused)
	if len(events) < len(newest) || !slices.Equal(events[:len(newest)], newest) {
		p.t.Fatalf("%s's log begins with %v, want %v", p.name, events[:min(len(events), len(newest)+2)], newest)
	}
}

// requireOK holds when nothing was refused.
func (p *person) requireOK(refused rejection) {
	p.t.Helper()
	if refused != (rejection{}) {
		p.t.Fatalf("%s is refused: %+v", p.name, refused)
	}
}

// requireRejected holds when it was refused with this code, whoever is signed in.
func (p *person) requireRejected(refused rejection, code string) {
	p.t.Helper()
	if refused.code != code {
		p.t.Fatalf("%s got %+v, want %s", p.name, refused, code)
	}
}

// apiDevice returns the person's device as one whose every step a story can direct. Only doors without a page have one.
func (p *person) apiDevice() *apiDevice {
	p.t.Helper()
	s, ok := p.device.(*apiDevice)
	if !ok {
		p.t.Fatalf("this door does not let a story direct %s's steps: say so in the table of stories", p.name)
	}
	return s
}
