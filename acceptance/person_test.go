package acceptance

import (
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// person is somebody in a story, with a device in front of them.
type person struct {
	t      testing.TB
	device client
	applicant
}

// person enters the story. Their account, should they make one, carries their name and address.
func (l *lodge) person(name string, kind deviceKind) *person {
	l.t.Helper()
	return &person{t: l.t, device: l.door.client(l.t, kind), applicant: applicant{name: name, email: ""}}
}

func (p *person) signsUp(tricks ...trick) {
	p.t.Helper()
	who, refused := p.device.signUp(p.applicant, tricks...)
	p.mustBe(who, refused)
}

func (p *person) signsIn() {
	p.t.Helper()
	who, refused := p.device.signIn("")
	p.mustBe(who, refused)
}

func (p *person) signsInByEmail() {
	p.t.Helper()
	who, refused := p.device.signIn(p.email)
	p.mustBe(who, refused)
}

func (p *person) signsOut() {
	p.t.Helper()
	if refused := p.device.signOut(); refused != (refusal{}) {
		p.t.Fatalf("%s cannot sign out: %+v", p.name, refused)
	}
}

func (p *person) isSignedIn() {
	p.t.Helper()
	who, refused := p.device.whoAmI()
	p.mustBe(who, refused)
}

// isAskedToSignIn holds when nobody is signed in on the device, for the reason that code gives.
func (p *person) isAskedToSignIn(code string) {
	p.t.Helper()
	if who, refused := p.device.whoAmI(); refused.code != code {
		p.t.Fatalf("%s is %+v (%+v), and should be asked to sign in: %s", p.name, who, refused, code)
	}
}

// isRefusedSignUp tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) isRefusedSignUp(code string, reason domain.Reason, tricks ...trick) {
	p.t.Helper()
	_, refused := p.device.signUp(p.applicant, tricks...)
	p.mustBeRefused(refused, code, reason)
}

// isRefusedSignIn tries and must fail in exactly this way, leaving nobody signed in.
func (p *person) isRefusedSignIn(code string, reason domain.Reason, tricks ...trick) {
	p.t.Helper()
	_, refused := p.device.signIn("", tricks...)
	p.mustBeRefused(refused, code, reason)
}

func (p *person) mustBe(who identity, refused refusal) {
	p.t.Helper()
	if refused != (refusal{}) {
		p.t.Fatalf("%s is refused: %+v", p.name, refused)
	}
	if who.name != p.name || who.email != p.email {
		p.t.Fatalf("%s <%s> is taken for %s <%s>", p.name, p.email, who.name, who.email)
	}
}

func (p *person) mustBeRefused(refused refusal, code string, reason domain.Reason) {
	p.t.Helper()
	if want := (refusal{code, reason}); refused != want {
		p.t.Fatalf("%s got %+v, want %+v", p.name, refused, want)
	}
	if who, refused := p.device.whoAmI(); refused.code != "unauthenticated" {
		p.t.Fatalf("after a refusal %s is %+v (%+v)", p.name, who, refused)
	}
}

// script returns the person's device as one whose every step a story can direct. Only doors without a page have one.
func (p *person) script() *script {
	p.t.Helper()
	s, ok := p.device.(*script)
	if !ok {
		p.t.Fatalf("this door does not let a story direct %s's steps: say so in the table of stories", p.name)
	}
	return s
}
