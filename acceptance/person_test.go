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
func (e *env) person(name string, kind deviceKind) *person {
	e.t.Helper()
	return &person{t: e.t, device: e.driver.newDevice(e.t, kind), profile: profile{name: name, email: ""}}
}

func (p *person) signsUp(forgeries ...forgery) {
	p.t.Helper()
	user, rejected := p.device.signUp(p.profile, forgeries...)
	p.requireIdentity(user, rejected)
}

func (p *person) signsIn() {
	p.t.Helper()
	user, rejected := p.device.signIn("")
	p.requireIdentity(user, rejected)
}

func (p *person) signsInByEmail() {
	p.t.Helper()
	user, rejected := p.device.signIn(p.email)
	p.requireIdentity(user, rejected)
}

func (p *person) signsOut() {
	p.t.Helper()
	if rejected := p.device.signOut(); rejected != (rejection{}) {
		p.t.Fatalf("%s cannot sign out: %+v", p.name, rejected)
	}
}

func (p *person) requireSignedIn() {
	p.t.Helper()
	user, rejected := p.device.whoAmI()
	p.requireIdentity(user, rejected)
}

// requireSignedOut holds when nobody is signed in on the device, for the reason that code gives.
func (p *person) requireSignedOut(code string) {
	p.t.Helper()
	if user, rejected := p.device.whoAmI(); rejected.code != code {
		p.t.Fatalf("%s is %+v (%+v), and should be asked to sign in: %s", p.name, user, rejected, code)
	}
}

// requireSignUpRejected tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) requireSignUpRejected(code string, reason domain.Reason, forgeries ...forgery) {
	p.t.Helper()
	_, rejected := p.device.signUp(p.profile, forgeries...)
	p.requireRejectedAndSignedOut(rejected, code, reason)
}

// requireSignInRejected tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) requireSignInRejected(code string, reason domain.Reason, forgeries ...forgery) {
	p.t.Helper()
	_, rejected := p.device.signIn("", forgeries...)
	p.requireRejectedAndSignedOut(rejected, code, reason)
}

func (p *person) requireIdentity(user shownUser, rejected rejection) {
	p.t.Helper()
	if rejected != (rejection{}) {
		p.t.Fatalf("%s is refused: %+v", p.name, rejected)
	}
	if user.name != p.name || user.email != p.email {
		p.t.Fatalf("%s <%s> is taken for %s <%s>", p.name, p.email, user.name, user.email)
	}
}

func (p *person) requireRejectedAndSignedOut(rejected rejection, code string, reason domain.Reason) {
	p.t.Helper()
	if want := (rejection{code, reason}); rejected != want {
		p.t.Fatalf("%s got %+v, want %+v", p.name, rejected, want)
	}
	if user, rejected := p.device.whoAmI(); rejected.code != "unauthenticated" {
		p.t.Fatalf("after a refusal %s is %+v (%+v)", p.name, user, rejected)
	}
}

// onSecondDevice is the same person on another device, to which their passkeys were synced, signed in.
func (p *person) onSecondDevice() *person {
	p.t.Helper()
	second := &person{t: p.t, device: p.device.syncedDevice(), profile: p.profile}
	second.signsIn()
	return second
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
	keys, rejected := p.device.passkeys()
	p.requireOK(rejected)
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
	sessions, rejected := p.device.sessions()
	p.requireOK(rejected)
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
	if device, isAPI := p.device.(*apiDevice); isAPI {
		p.requireOK(device.stepUp())
	}
}

// requireEvents holds when the newest entries of the person's log are these, newest first.
func (p *person) requireEvents(newest ...shownEvent) {
	p.t.Helper()
	events, rejected := p.device.events()
	p.requireOK(rejected)
	if len(events) < len(newest) || !slices.Equal(events[:len(newest)], newest) {
		p.t.Fatalf("%s's log begins with %v, want %v", p.name, events[:min(len(events), len(newest)+2)], newest)
	}
}

// requireOK holds when nothing was refused.
func (p *person) requireOK(rejected rejection) {
	p.t.Helper()
	if rejected != (rejection{}) {
		p.t.Fatalf("%s is refused: %+v", p.name, rejected)
	}
}

// requireRejected holds when it was refused with this code, whoever is signed in.
func (p *person) requireRejected(rejected rejection, code string) {
	p.t.Helper()
	if rejected.code != code {
		p.t.Fatalf("%s got %+v, want %s", p.name, rejected, code)
	}
}

// apiDevice returns the person's device as one whose every step a story can direct. Only doors without a page have one.
func (p *person) apiDevice() *apiDevice {
	p.t.Helper()
	d, ok := p.device.(*apiDevice)
	if !ok {
		p.t.Fatalf("this door does not let a story direct %s's steps: say so in the table of stories", p.name)
	}
	return d
}
