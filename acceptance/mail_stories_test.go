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
func (e *env) emails(to string) []mailserver.Email {
	e.t.Helper()
	e.driver.runJobs(e.t)
	return e.mailServer.Emails(to)
}

// lastEmail is the one that came last, of so many. A server sends by itself, too, so they may still be on their way.
func (e *env) lastEmail(to string, count int) mailserver.Email {
	e.t.Helper()
	emails := e.emails(to)
	for deadline := time.Now().Add(pageTimeout); len(emails) < count && time.Now().Before(deadline); emails = e.emails(to) {
		time.Sleep(20 * time.Millisecond)
	}
	if len(emails) != count {
		var subjects []string
		for _, email := range emails {
			subjects = append(subjects, email.Subject)
		}
		e.t.Fatalf("%s has %d letters, want %d: %q", to, len(emails), count, subjects)
	}
	return emails[count-1]
}

var eightDigits = regexp.MustCompile(`(?m)^ *([0-9]{4} [0-9]{4})$`)

// codeIn is the code as it stands in the letter.
func (e *env) codeIn(email mailserver.Email) string {
	e.t.Helper()
	found := eightDigits.FindStringSubmatch(email.Text)
	if found == nil {
		e.t.Fatalf("there is no code in %q:\n%s", email.Subject, email.Text)
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
	shown, rejected := p.device.emailStatus()
	p.requireOK(rejected)
	if shown != want {
		p.t.Fatalf("%s sees %+v, want %+v", p.name, shown, want)
	}
}

// signsUpWithEmail signs up with the address, which is nobody's until it is confirmed.
func (p *person) signsUpWithEmail(email string) {
	p.t.Helper()
	_, rejected := p.device.signUp(profile{name: p.name, email: email})
	p.requireOK(rejected)
	p.requireEmail(shownEmail{pending: email})
}

// personWithVerifiedEmail is somebody whose address is known to be theirs.
func (e *env) personWithVerifiedEmail(name string, kind deviceKind, email string) *person {
	e.t.Helper()
	before := len(e.emails(email))
	p := e.person(name, kind)
	p.signsUpWithEmail(email)
	p.requireOK(p.device.confirmEmail(e.codeIn(e.lastEmail(email, before+1))))
	p.email = email
	p.requireEmail(shownEmail{current: email, verified: true})
	return p
}

func confirmsTheirEmail(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	first := e.codeIn(e.lastEmail("ada@example.org", 1))
	ada.requireRejected(ada.device.confirmEmail(wrongEmailCode(first)), "invalid_code")
	ada.requireOK(ada.device.sendEmailCode())
	second := e.codeIn(e.lastEmail("ada@example.org", 2))
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
	e.lastEmail("ada@example.org", 2)
}

func signsUpWithATakenEmail(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := e.person("Ben", securityKey)
	ben.signsUpWithEmail("ada@example.org")
	notification := e.lastEmail("ada@example.org", 2)
	if eightDigits.MatchString(notification.Text) {
		e.t.Errorf("Ada was sent a code for Ben's account:\n%s", notification.Text)
	}
	ben.requireRejected(ben.device.confirmEmail("1234 5678"), "invalid_code")
	ben.requireOK(ben.device.sendEmailCode())
	if second := e.lastEmail("ada@example.org", 3); second.Subject != notification.Subject {
		e.t.Errorf("the second letter is about %q", second.Subject)
	}
	ben.requireEmail(shownEmail{pending: "ada@example.org"})
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
	ada.signsOut()
	ada.signsInByEmail()
	// Ben keeps the account, without an address.
	_, rejected := ben.device.changeAccount("Ben", "")
	ben.requireOK(rejected)
	ben.requireEmail(shownEmail{})
	ben.signsOut()
	ben.signsIn()
}

func changesEmailAndNotifiesTheFormer(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	_, rejected := ada.device.changeAccount("Ada", "ada@example.net")
	ada.requireOK(rejected)
	ada.requireEmail(shownEmail{current: "ada@example.org", pending: "ada@example.net", verified: true})
	ada.signsOut()
	ada.signsInByEmail() // by the address that still is hers
	code := e.codeIn(e.lastEmail("ada@example.net", 1))
	e.lastEmail("ada@example.org", 1)
	ada.requireOK(ada.device.confirmEmail(code))
	ada.email = "ada@example.net"
	ada.requireEmail(shownEmail{current: "ada@example.net", verified: true})
	if notification := e.lastEmail("ada@example.org", 2); eightDigits.MatchString(notification.Text) {
		e.t.Errorf("whoever reads at the former address gets a code:\n%s", notification.Text)
	}
	e.lastEmail("ada@example.net", 1)
	// The former address is free.
	ben := e.personWithVerifiedEmail("Ben", phone, "ada@example.org")
	ben.requireSignedIn()
}

func guessesAnEmailCode(e *env) {
	mallory := e.person("Mallory", phone)
	mallory.signsUpWithEmail("ada@example.org")
	code := e.codeIn(e.lastEmail("ada@example.org", 1))
	for range 5 {
		mallory.requireRejected(mallory.device.confirmEmail(wrongEmailCode(code)), "invalid_code")
	}
	mallory.requireRejected(mallory.device.confirmEmail(code), "invalid_code")
	mallory.requireEmail(shownEmail{pending: "ada@example.org"})

	// A code is good for half an hour.
	mallory.requireOK(mallory.device.sendEmailCode())
	code = e.codeIn(e.lastEmail("ada@example.org", 2))
	e.advance(30 * time.Minute)
	mallory.requireRejected(mallory.device.confirmEmail(code), "invalid_code")

	// An address that somebody else only claims is free.
	e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
}

func verificationEmailsAreLimited(e *env) {
	for _, name := range []string{"Mallory", "Malory", "Mallorie", "Malorie", "Malloree"} {
		e.person(name, phone).signsUpWithEmail("ada@example.org")
	}
	e.lastEmail("ada@example.org", 5)
	mallory := e.person("Mallory", phone)
	mallory.signsUpWithEmail("ada@example.org") // it is not told
	mallory.requireRejected(mallory.device.sendEmailCode(), "rate_limited")
	_, rejected := mallory.device.changeAccount("Mallory", "ada@example.com")
	mallory.requireOK(rejected)
	_, rejected = mallory.device.changeAccount("Mallory", "ada@example.org")
	mallory.requireRejected(rejected, "rate_limited")
	e.lastEmail("ada@example.org", 5)
	e.advance(15 * time.Minute)
	mallory.device.signOut()

	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	ada.requireOK(ada.device.confirmEmail(e.codeIn(e.lastEmail("ada@example.org", 6))))
	ada.email = "ada@example.org"
	ada.requireSignedIn()
}

func isNotifiedByEmail(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := e.person("Ben", phone)
	ben.signsUpWithEmail("ben@example.org") // and does not confirm it
	requireEmails := func(count int) {
		e.t.Helper()
		e.lastEmail("ada@example.org", count)
	}
	key := ada.addsPasskey("Blue key", securityKey)
	requireEmails(2)
	ada.requireOK(ada.device.removePasskey(ada.otherPasskey(key).id))
	requireEmails(3)
	phoneApp := e.enrolTOTP(ada)
	requireEmails(4)
	ada.makesBackupCodes()
	requireEmails(5)
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	recovered.recovers(recoveryProof{email: "ada@example.org", totpCode: phoneApp.code()})
	requireEmails(7) // a code was used, and a passkey made with it
	recovered.stepsUp()
	recovered.requireOK(recovered.device.removeTOTP())
	requireEmails(8)
	recovered.signsOut() // and in, which nobody needs to be told of
	recovered.signsIn()
	requireEmails(8)
	var subjects []string
	for _, email := range e.emails("ada@example.org") {
		if !strings.Contains(email.Text, "UTC") {
			e.t.Errorf("%q does not say when", email.Subject)
		}
		subjects = append(subjects, email.Subject)
	}
	if slices.Sort(subjects); len(slices.Compact(subjects)) != 8 {
		e.t.Errorf("eight letters are about %q", subjects)
	}
	recovered.stepsUp()
	recovered.requireOK(recovered.device.deleteAccount())
	requireEmails(9)

	// Nobody is told anything at an address that was never confirmed.
	ben.addsPasskey("Blue key", securityKey)
	ben.makesBackupCodes()
	e.lastEmail("ben@example.org", 1)
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

func emailsWaitForTheMailServer(e *env) {
	e.mailServer.Stop()
	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	ben := e.person("Ben", phone)
	ben.signsUpWithEmail("ben@example.org")
	for range 3 {
		e.driver.runJobs(e.t)
		e.advance(2 * time.Minute)
	}
	e.mailServer.Resume()
	e.advance(5 * time.Minute)
	ada.requireOK(ada.device.confirmEmail(e.codeIn(e.lastEmail("ada@example.org", 1))))

	// One that nobody takes does not hold up the others.
	e.mailServer.SetReply("RCPT", "ben@example.org", "450 4.2.1 come back later")
	ben.requireOK(ben.device.sendEmailCode())
	ada.stepsUp()
	ada.makesBackupCodes()
	e.lastEmail("ada@example.org", 2)
	e.lastEmail("ben@example.org", 1)
	e.mailServer.SetReply("RCPT", "ben@example.org", "")
	e.advance(time.Minute)
	ben.requireOK(ben.device.confirmEmail(e.codeIn(e.lastEmail("ben@example.org", 2))))
}
