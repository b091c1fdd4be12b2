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

// smtpConfig is how a server sends its letters to this mail server.
func smtpConfig(t testing.TB, to *mailserver.Server, publicURL string) *smtp.Config {
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

// emails are all that have come to an address, after what waits was sent.
func (l *env) emails(to string) []mailserver.Email {
	l.t.Helper()
	l.driver.runJobs(l.t)
	return l.mailServer.Emails(to)
}

// lastEmail is the one that came last, of so many. A server sends by itself, too, so they may still be on their way.
func (l *env) lastEmail(to string, count int) mailserver.Email {
	l.t.Helper()
	letters := l.emails(to)
	for deadline := time.Now().Add(pageTimeout); len(letters) < count && time.Now().Before(deadline); letters = l.emails(to) {
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
func (l *env) codeIn(letter mailserver.Email) string {
	l.t.Helper()
	found := eightDigits.FindStringSubmatch(letter.Text)
	if found == nil {
		l.t.Fatalf("there is no code in %q:\n%s", letter.Subject, letter.Text)
	}
	return found[1]
}

// wrongEmailCode is a wrong one, in the same form.
func wrongEmailCode(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func (p *person) requireEmail(want shownEmail) {
	p.t.Helper()
	shown, refused := p.device.emailStatus()
	p.requireOK(refused)
	if shown != want {
		p.t.Fatalf("%s sees %+v, want %+v", p.name, shown, want)
	}
}

// signsUpWithEmail signs up with the address, which is nobody's until it is confirmed.
func (p *person) signsUpWithEmail(email string) {
	p.t.Helper()
	_, refused := p.device.signUp(profile{name: p.name, email: email})
	p.requireOK(refused)
	p.requireEmail(shownEmail{pending: email})
}

// personWithVerifiedEmail is somebody whose address is known to be theirs.
func (l *env) personWithVerifiedEmail(name string, kind deviceKind, email string) *person {
	l.t.Helper()
	before := len(l.emails(email))
	p := l.person(name, kind)
	p.signsUpWithEmail(email)
	p.requireOK(p.device.confirmEmail(l.codeIn(l.lastEmail(email, before+1))))
	p.email = email
	p.requireEmail(shownEmail{current: email, verified: true})
	return p
}

func confirmsTheirEmail(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	first := l.codeIn(l.lastEmail("ada@example.org", 1))
	ada.requireRejected(ada.device.confirmEmail(wrongEmailCode(first)), "invalid_code")
	ada.requireOK(ada.device.sendEmailCode())
	second := l.codeIn(l.lastEmail("ada@example.org", 2))
	ada.requireRejected(ada.device.confirmEmail(first), "invalid_code")
	ada.requireEmail(shownEmail{pending: "ada@example.org"})
	ada.requireOK(ada.device.confirmEmail(" " + strings.ReplaceAll(second, " ", "-")))
	ada.email = "ada@example.org"
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
	ada.requireEvents(shownEvent{kind: "account_changed"})
	ada.signsOut()
	ada.signsInByEmail()
	if _, isPage := ada.device.(*browserPage); !isPage { // which offers it no more
		ada.requireRejected(ada.device.confirmEmail(second), "invalid_code")
		ada.requireRejected(ada.device.sendEmailCode(), "not_found")
	}
	l.lastEmail("ada@example.org", 2)
}

func signsUpWithATakenEmail(l *env) {
	ada := l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := l.person("Ben", securityKey)
	ben.signsUpWithEmail("ada@example.org")
	told := l.lastEmail("ada@example.org", 2)
	if eightDigits.MatchString(told.Text) {
		l.t.Errorf("Ada was sent a code for Ben's account:\n%s", told.Text)
	}
	ben.requireRejected(ben.device.confirmEmail("1234 5678"), "invalid_code")
	ben.requireOK(ben.device.sendEmailCode())
	if again := l.lastEmail("ada@example.org", 3); again.Subject != told.Subject {
		l.t.Errorf("the second letter is about %q", again.Subject)
	}
	ben.requireEmail(shownEmail{pending: "ada@example.org"})
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
	ada.signsOut()
	ada.signsInByEmail()
	// Ben keeps the account, without an address.
	_, refused := ben.device.changeAccount("Ben", "")
	ben.requireOK(refused)
	ben.requireEmail(shownEmail{})
	ben.signsOut()
	ben.signsIn()
}

func changesEmailAndNotifiesTheFormer(l *env) {
	ada := l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	_, refused := ada.device.changeAccount("Ada", "ada@example.net")
	ada.requireOK(refused)
	ada.requireEmail(shownEmail{current: "ada@example.org", pending: "ada@example.net", verified: true})
	ada.signsOut()
	ada.signsInByEmail() // by the address that still is hers
	code := l.codeIn(l.lastEmail("ada@example.net", 1))
	l.lastEmail("ada@example.org", 1)
	ada.requireOK(ada.device.confirmEmail(code))
	ada.email = "ada@example.net"
	ada.requireEmail(shownEmail{current: "ada@example.net", verified: true})
	if told := l.lastEmail("ada@example.org", 2); eightDigits.MatchString(told.Text) {
		l.t.Errorf("whoever reads at the former address gets a code:\n%s", told.Text)
	}
	l.lastEmail("ada@example.net", 1)
	// The former address is free.
	ben := l.personWithVerifiedEmail("Ben", phone, "ada@example.org")
	ben.requireSignedIn()
}

func guessesAnEmailCode(l *env) {
	mallory := l.person("Mallory", phone)
	mallory.signsUpWithEmail("ada@example.org")
	code := l.codeIn(l.lastEmail("ada@example.org", 1))
	for range 5 {
		mallory.requireRejected(mallory.device.confirmEmail(wrongEmailCode(code)), "invalid_code")
	}
	mallory.requireRejected(mallory.device.confirmEmail(code), "invalid_code")
	mallory.requireEmail(shownEmail{pending: "ada@example.org"})

	// A code is good for half an hour.
	mallory.requireOK(mallory.device.sendEmailCode())
	code = l.codeIn(l.lastEmail("ada@example.org", 2))
	l.advance(30 * time.Minute)
	mallory.requireRejected(mallory.device.confirmEmail(code), "invalid_code")

	// An address that somebody else only claims is free.
	l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
}

func verificationEmailsAreLimited(l *env) {
	for _, name := range []string{"Mallory", "Malory", "Mallorie", "Malorie", "Malloree"} {
		l.person(name, phone).signsUpWithEmail("ada@example.org")
	}
	l.lastEmail("ada@example.org", 5)
	mallory := l.person("Mallory", phone)
	mallory.signsUpWithEmail("ada@example.org") // it is not told
	mallory.requireRejected(mallory.device.sendEmailCode(), "rate_limited")
	_, refused := mallory.device.changeAccount("Mallory", "ada@example.com")
	mallory.requireOK(refused)
	_, refused = mallory.device.changeAccount("Mallory", "ada@example.org")
	mallory.requireRejected(refused, "rate_limited")
	l.lastEmail("ada@example.org", 5)
	l.advance(15 * time.Minute)
	mallory.device.signOut()

	ada := l.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	ada.requireOK(ada.device.confirmEmail(l.codeIn(l.lastEmail("ada@example.org", 6))))
	ada.email = "ada@example.org"
	ada.requireSignedIn()
}

func isNotifiedByEmail(l *env) {
	ada := l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := l.person("Ben", phone)
	ben.signsUpWithEmail("ben@example.org") // and does not confirm it
	hasLetters := func(count int) {
		l.t.Helper()
		l.lastEmail("ada@example.org", count)
	}
	key := ada.addsPasskey("Blue key", securityKey)
	hasLetters(2)
	ada.requireOK(ada.device.removePasskey(ada.otherPasskey(key).id))
	hasLetters(3)
	phoneApp := l.enrolTOTP(ada)
	hasLetters(4)
	ada.makesBackupCodes()
	hasLetters(5)
	l.advance(time.Minute)
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{email: "ada@example.org", totpCode: phoneApp.code()})
	hasLetters(7) // a code was used, and a passkey made with it
	back.stepsUp()
	back.requireOK(back.device.removeTOTP())
	hasLetters(8)
	back.signsOut() // and in, which nobody needs to be told of
	back.signsIn()
	hasLetters(8)
	var subjects []string
	for _, letter := range l.emails("ada@example.org") {
		if !strings.Contains(letter.Text, "UTC") {
			l.t.Errorf("%q does not say when", letter.Subject)
		}
		subjects = append(subjects, letter.Subject)
	}
	if slices.Sort(subjects); len(slices.Compact(subjects)) != 8 {
		l.t.Errorf("eight letters are about %q", subjects)
	}
	back.stepsUp()
	back.requireOK(back.device.deleteAccount())
	hasLetters(9)

	// Nobody is told anything at an address that was never confirmed.
	ben.addsPasskey("Blue key", securityKey)
	ben.makesBackupCodes()
	l.lastEmail("ben@example.org", 1)
}

// otherPasskey is the one beside it, of two.
func (p *person) otherPasskey(than shownPasskey) shownPasskey {
	p.t.Helper()
	keys := p.listPasskeys()
	if len(keys) != 2 {
		p.t.Fatalf("%s has %d passkeys", p.name, len(keys))
	}
	if keys[0].id == than.id {
		return keys[1]
	}
	return keys[0]
}

func emailsWaitForTheMailServer(l *env) {
	l.mailServer.Stop()
	ada := l.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	ben := l.person("Ben", phone)
	ben.signsUpWithEmail("ben@example.org")
	for range 3 {
		l.driver.runJobs(l.t)
		l.advance(2 * time.Minute)
	}
	l.mailServer.Resume()
	l.advance(5 * time.Minute)
	ada.requireOK(ada.device.confirmEmail(l.codeIn(l.lastEmail("ada@example.org", 1))))

	// One that nobody takes does not hold up the others.
	l.mailServer.SetReply("RCPT", "ben@example.org", "450 4.2.1 come back later")
	ben.requireOK(ben.device.sendEmailCode())
	ada.stepsUp()
	ada.makesBackupCodes()
	l.lastEmail("ada@example.org", 2)
	l.lastEmail("ben@example.org", 1)
	l.mailServer.SetReply("RCPT", "ben@example.org", "")
	l.advance(time.Minute)
	ben.requireOK(ben.device.confirmEmail(l.codeIn(l.lastEmail("ben@example.org", 2))))
}
