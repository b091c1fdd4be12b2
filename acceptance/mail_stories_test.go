package acceptance

import (
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/adapters/smtp"
)

// sendingTo is how a server sends its letters to this mail server.
func sendingTo(t testing.TB, to *mailserver.Server, publicURL string) *smtp.Config {
	t.Helper()
	host, port, err := net.SplitHostPort(to.Addr)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return &smtp.Config{
		Host: host, Port: number, TLS: smtp.STARTTLS, RootCAs: to.CA,
		From: mail.Address{Name: "Keylodge", Address: "no-reply@example.org"}, Service: "Keylodge", PublicURL: publicURL,
	}
}

// letters are all that have come to an address, after what waits was sent.
func (l *lodge) letters(to string) []mailserver.Letter {
	l.t.Helper()
	l.door.settle(l.t)
	return l.post.Letters(to)
}

// lastLetter is the one that came last, of so many. A server sends by itself, too, so they may still be on their way.
func (l *lodge) lastLetter(to string, count int) mailserver.Letter {
	l.t.Helper()
	letters := l.letters(to)
	for deadline := time.Now().Add(patience); len(letters) < count && time.Now().Before(deadline); letters = l.letters(to) {
		time.Sleep(20 * time.Millisecond)
	}
	if len(letters) != count {
		var subjects []string
		for _, letter := range letters {
			subjects = append(subjects, letter.Subject)
		}
		l.t.Fatalf("%s has %d letters, want %d: %q", to, len(letters), count, subjects)
	}
	return letters[count-1]
}

var eightDigits = regexp.MustCompile(`(?m)^ *([0-9]{4} [0-9]{4})$`)

// codeIn is the code as it stands in the letter.
func (l *lodge) codeIn(letter mailserver.Letter) string {
	l.t.Helper()
	found := eightDigits.FindStringSubmatch(letter.Text)
	if found == nil {
		l.t.Fatalf("there is no code in %q:\n%s", letter.Subject, letter.Text)
	}
	return found[1]
}

// otherCode is a wrong one, in the same form.
func otherCode(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func (p *person) seesEmail(want shownEmail) {
	p.t.Helper()
	shown, refused := p.device.emailStatus()
	p.may(refused)
	if shown != want {
		p.t.Fatalf("%s sees %+v, want %+v", p.name, shown, want)
	}
}

// claims signs up with the address, which is nobody's until it is confirmed.
func (p *person) claims(email string) {
	p.t.Helper()
	_, refused := p.device.signUp(applicant{name: p.name, email: email})
	p.may(refused)
	p.seesEmail(shownEmail{pending: email})
}

// confirmed is somebody whose address is known to be theirs.
func (l *lodge) confirmed(name string, kind deviceKind, email string) *person {
	l.t.Helper()
	before := len(l.letters(email))
	p := l.person(name, kind)
	p.claims(email)
	p.may(p.device.confirmEmail(l.codeIn(l.lastLetter(email, before+1))))
	p.email = email
	p.seesEmail(shownEmail{held: email, verified: true})
	return p
}

func confirmsTheirAddress(l *lodge) {
	ada := l.person("Ada", phone)
	ada.claims("ada@example.org")
	first := l.codeIn(l.lastLetter("ada@example.org", 1))
	ada.mayNot(ada.device.confirmEmail(otherCode(first)), "invalid_code")
	ada.may(ada.device.sendEmailCode())
	second := l.codeIn(l.lastLetter("ada@example.org", 2))
	ada.mayNot(ada.device.confirmEmail(first), "invalid_code")
	ada.seesEmail(shownEmail{pending: "ada@example.org"})
	ada.may(ada.device.confirmEmail(" " + strings.ReplaceAll(second, " ", "-")))
	ada.email = "ada@example.org"
	ada.seesEmail(shownEmail{held: "ada@example.org", verified: true})
	ada.seesEvents(shownEvent{kind: "account_changed"})
	ada.signsOut()
	ada.signsInByEmail()
	if _, isPage := ada.device.(*tab); !isPage { // which offers it no more
		ada.mayNot(ada.device.confirmEmail(second), "invalid_code")
		ada.mayNot(ada.device.sendEmailCode(), "not_found")
	}
	l.lastLetter("ada@example.org", 2)
}

func claimsATakenAddress(l *lodge) {
	ada := l.confirmed("Ada", phone, "ada@example.org")
	ben := l.person("Ben", securityKey)
	ben.claims("ada@example.org")
	told := l.lastLetter("ada@example.org", 2)
	if eightDigits.MatchString(told.Text) {
		l.t.Errorf("Ada was sent a code for Ben's account:\n%s", told.Text)
	}
	ben.mayNot(ben.device.confirmEmail("1234 5678"), "invalid_code")
	ben.may(ben.device.sendEmailCode())
	if again := l.lastLetter("ada@example.org", 3); again.Subject != told.Subject {
		l.t.Errorf("the second letter is about %q", again.Subject)
	}
	ben.seesEmail(shownEmail{pending: "ada@example.org"})
	ada.seesEmail(shownEmail{held: "ada@example.org", verified: true})
	ada.signsOut()
	ada.signsInByEmail()
	// Ben keeps the account, without an address.
	_, refused := ben.device.changeAccount("Ben", "")
	ben.may(refused)
	ben.seesEmail(shownEmail{})
	ben.signsOut()
	ben.signsIn()
}

func movesToAnotherAddress(l *lodge) {
	ada := l.confirmed("Ada", phone, "ada@example.org")
	_, refused := ada.device.changeAccount("Ada", "ada@example.net")
	ada.may(refused)
	ada.seesEmail(shownEmail{held: "ada@example.org", pending: "ada@example.net", verified: true})
	ada.signsOut()
	ada.signsInByEmail() // by the address that still is hers
	code := l.codeIn(l.lastLetter("ada@example.net", 1))
	l.lastLetter("ada@example.org", 1)
	ada.may(ada.device.confirmEmail(code))
	ada.email = "ada@example.net"
	ada.seesEmail(shownEmail{held: "ada@example.net", verified: true})
	if told := l.lastLetter("ada@example.org", 2); eightDigits.MatchString(told.Text) {
		l.t.Errorf("whoever reads at the former address gets a code:\n%s", told.Text)
	}
	l.lastLetter("ada@example.net", 1)
	// The former address is free.
	ben := l.confirmed("Ben", phone, "ada@example.org")
	ben.isSignedIn()
}

func guessesAnEmailCode(l *lodge) {
	mallory := l.person("Mallory", phone)
	mallory.claims("ada@example.org")
	code := l.codeIn(l.lastLetter("ada@example.org", 1))
	for range 5 {
		mallory.mayNot(mallory.device.confirmEmail(otherCode(code)), "invalid_code")
	}
	mallory.mayNot(mallory.device.confirmEmail(code), "invalid_code")
	mallory.seesEmail(shownEmail{pending: "ada@example.org"})

	// A code is good for half an hour.
	mallory.may(mallory.device.sendEmailCode())
	code = l.codeIn(l.lastLetter("ada@example.org", 2))
	l.waits(30 * time.Minute)
	mallory.mayNot(mallory.device.confirmEmail(code), "invalid_code")

	// An address that somebody else only claims is free.
	l.confirmed("Ada", phone, "ada@example.org")
}

func floodsAMailbox(l *lodge) {
	for _, name := range []string{"Mallory", "Malory", "Mallorie", "Malorie", "Malloree"} {
		l.person(name, phone).claims("ada@example.org")
	}
	l.lastLetter("ada@example.org", 5)
	mallory := l.person("Mallory", phone)
	mallory.claims("ada@example.org") // it is not told
	mallory.mayNot(mallory.device.sendEmailCode(), "rate_limited")
	_, refused := mallory.device.changeAccount("Mallory", "ada@example.com")
	mallory.may(refused)
	_, refused = mallory.device.changeAccount("Mallory", "ada@example.org")
	mallory.mayNot(refused, "rate_limited")
	l.lastLetter("ada@example.org", 5)
	l.waits(15 * time.Minute)
	mallory.device.signOut()

	ada := l.person("Ada", phone)
	ada.claims("ada@example.org")
	ada.may(ada.device.confirmEmail(l.codeIn(l.lastLetter("ada@example.org", 6))))
	ada.email = "ada@example.org"
	ada.isSignedIn()
}

func isToldByMail(l *lodge) {
	ada := l.confirmed("Ada", phone, "ada@example.org")
	ben := l.person("Ben", phone)
	ben.claims("ben@example.org") // and does not confirm it
	hasLetters := func(count int) {
		l.t.Helper()
		l.lastLetter("ada@example.org", count)
	}
	key := ada.addsPasskey("Blue key", securityKey)
	hasLetters(2)
	ada.may(ada.device.removePasskey(ada.otherPasskey(key).id))
	hasLetters(3)
	phoneApp := l.setsUpApp(ada)
	hasLetters(4)
	ada.writesDownCodes()
	hasLetters(5)
	l.waits(time.Minute)
	back := l.losesEverything(ada)
	back.recovers(claim{email: "ada@example.org", totpCode: phoneApp.shows()})
	hasLetters(7) // a code was used, and a passkey made with it
	back.stepsUp()
	back.may(back.device.removeTOTP())
	hasLetters(8)
	back.signsOut() // and in, which nobody needs to be told of
	back.signsIn()
	hasLetters(8)
	var subjects []string
	for _, letter := range l.letters("ada@example.org") {
		if !strings.Contains(letter.Text, "UTC") {
			l.t.Errorf("%q does not say when", letter.Subject)
		}
		subjects = append(subjects, letter.Subject)
	}
	if slices.Sort(subjects); len(slices.Compact(subjects)) != 8 {
		l.t.Errorf("eight letters are about %q", subjects)
	}
	back.stepsUp()
	back.may(back.device.deleteAccount())
	hasLetters(9)

	// Nobody is told anything at an address that was never confirmed.
	ben.addsPasskey("Blue key", securityKey)
	ben.writesDownCodes()
	l.lastLetter("ben@example.org", 1)
}

// otherPasskey is the one beside it, of two.
func (p *person) otherPasskey(than shownPasskey) shownPasskey {
	p.t.Helper()
	keys := p.seesPasskeys()
	if len(keys) != 2 {
		p.t.Fatalf("%s has %d passkeys", p.name, len(keys))
	}
	if keys[0].id == than.id {
		return keys[1]
	}
	return keys[0]
}

func lettersWait(l *lodge) {
	l.post.Stop()
	ada := l.person("Ada", phone)
	ada.claims("ada@example.org")
	ben := l.person("Ben", phone)
	ben.claims("ben@example.org")
	for range 3 {
		l.door.settle(l.t)
		l.waits(2 * time.Minute)
	}
	l.post.Resume()
	l.waits(5 * time.Minute)
	ada.may(ada.device.confirmEmail(l.codeIn(l.lastLetter("ada@example.org", 1))))

	// One that nobody takes does not hold up the others.
	l.post.Answer("RCPT", "ben@example.org", "450 4.2.1 come back later")
	ben.may(ben.device.sendEmailCode())
	ada.stepsUp()
	ada.writesDownCodes()
	l.lastLetter("ada@example.org", 2)
	l.lastLetter("ben@example.org", 1)
	l.post.Answer("RCPT", "ben@example.org", "")
	l.waits(time.Minute)
	ben.may(ben.device.confirmEmail(l.codeIn(l.lastLetter("ben@example.org", 2))))
}
