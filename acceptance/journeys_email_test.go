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

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/adapters/smtp"
)

// smtpConfig returns the settings of a server that sends its e-mails to this mail server.
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

// emails runs the server's jobs, and returns all e-mails to an address.
func (e *env) emails(to string) []mailserver.Email {
	e.t.Helper()
	e.driver.runJobs(e.t)
	return e.mailServer.Emails(to)
}

// lastEmail waits until an address has received count e-mails, and returns the last one. The server may be sending them while the
// test runs its jobs.
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
		e.t.Fatalf("%s has %d e-mails, want %d: %q", to, len(emails), count, subjects)
	}
	return emails[count-1]
}

var eightDigits = regexp.MustCompile(`(?m)^ *([0-9]{4} [0-9]{4})$`)

// codeIn returns the code in the e-mail, with its space.
func (e *env) codeIn(email mailserver.Email) string {
	e.t.Helper()
	found := eightDigits.FindStringSubmatch(email.Text)
	if found == nil {
		e.t.Fatalf("the e-mail %q has no code:\n%s", email.Subject, email.Text)
	}
	return found[1]
}

// wrongEmailCode returns another code of the same form.
func wrongEmailCode(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func (p *person) requireEmail(want shownEmail) {
	p.t.Helper()
	if shown := p.device.emailStatus().must(p.t); shown != want {
		p.t.Fatalf("%s sees %+v, want %+v", p.name, shown, want)
	}
}

// signsUpWithEmail signs up with an address, which is then pending.
func (p *person) signsUpWithEmail(email string) {
	p.t.Helper()
	p.requireOK(p.device.signUp(profile{name: p.name, email: email}))
	p.requireEmail(shownEmail{pending: email})
}

// personWithVerifiedEmail returns a signed-in user with a confirmed address.
func (e *env) personWithVerifiedEmail(name string, kind deviceKind, email string) *person {
	e.t.Helper()
	before := len(e.emails(email))
	p := e.person(name, kind)
	p.signsUpWithEmail(email)
	p.confirmsEmail(e.codeIn(e.lastEmail(email, before+1)))
	p.email = email
	p.requireEmail(shownEmail{current: email, verified: true})
	return p
}

// requestsEmail requests another address, which is then pending.
func (p *person) requestsEmail(email string) {
	p.t.Helper()
	p.requireOK(p.device.changeAccount(p.name, email))
}

func (p *person) requestsEmailCode() {
	p.t.Helper()
	p.requireOK(p.device.sendEmailCode())
}

func (p *person) confirmsEmail(code string) {
	p.t.Helper()
	p.requireOK(p.device.confirmEmail(code))
}

func confirmsTheirEmail(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	first := e.codeIn(e.lastEmail("ada@example.org", 1))
	ada.requireRejected(ada.device.confirmEmail(wrongEmailCode(first)), "invalid_code")
	ada.requestsEmailCode()
	second := e.codeIn(e.lastEmail("ada@example.org", 2))
	ada.requireRejected(ada.device.confirmEmail(first), "invalid_code")
	ada.requireEmail(shownEmail{pending: "ada@example.org"})
	ada.confirmsEmail(" " + strings.ReplaceAll(second, " ", "-"))
	ada.email = "ada@example.org"
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
	ada.requireEvents(shownEvent{kind: "account_changed"})
	ada.signsOut()
	ada.signsInByEmail()
	e.lastEmail("ada@example.org", 2)
}

func signsUpWithATakenEmail(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := e.person("Ben", securityKey)
	ben.signsUpWithEmail("ada@example.org")
	notification := e.lastEmail("ada@example.org", 2)
	if eightDigits.MatchString(notification.Text) {
		e.t.Errorf("Ada received a code for Ben's account:\n%s", notification.Text)
	}
	ben.requireRejected(ben.device.confirmEmail("1234 5678"), "invalid_code")
	ben.requestsEmailCode()
	if second := e.lastEmail("ada@example.org", 3); second.Subject != notification.Subject {
		e.t.Errorf("the second notification has the subject %q", second.Subject)
	}
	ben.requireEmail(shownEmail{pending: "ada@example.org"})
	ada.requireEmail(shownEmail{current: "ada@example.org", verified: true})
	ada.signsOut()
	ada.signsInByEmail()
	// Ben keeps the account, without an address.
	ben.requestsEmail("")
	ben.requireEmail(shownEmail{})
	ben.signsOut()
	ben.signsIn()
}

func changesEmailAndNotifiesTheFormer(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ada.requestsEmail("ada@example.net")
	ada.requireEmail(shownEmail{current: "ada@example.org", pending: "ada@example.net", verified: true})
	ada.signsOut()
	ada.signsInByEmail() // with the current address
	code := e.codeIn(e.lastEmail("ada@example.net", 1))
	e.lastEmail("ada@example.org", 1)
	ada.confirmsEmail(code)
	ada.email = "ada@example.net"
	ada.requireEmail(shownEmail{current: "ada@example.net", verified: true})
	if notification := e.lastEmail("ada@example.org", 2); eightDigits.MatchString(notification.Text) {
		e.t.Errorf("the former address received a code:\n%s", notification.Text)
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

	// A code expires after 30 minutes.
	mallory.requestsEmailCode()
	code = e.codeIn(e.lastEmail("ada@example.org", 2))
	e.advance(30 * time.Minute)
	mallory.requireRejected(mallory.device.confirmEmail(code), "invalid_code")

	// An address that is only pending for another account can be used.
	e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
}

func isNotifiedByEmail(e *env) {
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	ben := e.person("Ben", phone)
	ben.signsUpWithEmail("ben@example.org") // Ben does not confirm it
	requireEmails := func(count int) {
		e.t.Helper()
		e.lastEmail("ada@example.org", count)
	}
	key := ada.addsPasskey("Blue key", securityKey)
	requireEmails(2)
	ada.removesPasskey(ada.otherPasskey(key))
	requireEmails(3)
	phoneApp := e.enrolTOTP(ada)
	requireEmails(4)
	ada.makesBackupCodes()
	requireEmails(5)
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	recovered.recovers(withTOTP("ada@example.org", phoneApp.code()))
	requireEmails(7) // one for the used code, one for the new passkey
	recovered.stepsUp()
	recovered.removesTOTP()
	requireEmails(8)
	recovered.signsOut() // signing out and in is not notified
	recovered.signsIn()
	requireEmails(8)
	var subjects []string
	for _, email := range e.emails("ada@example.org") {
		if !strings.Contains(email.Text, "UTC") {
			e.t.Errorf("the e-mail %q has no time", email.Subject)
		}
		subjects = append(subjects, email.Subject)
	}
	if slices.Sort(subjects); len(slices.Compact(subjects)) != 8 {
		e.t.Errorf("eight e-mails have the subjects %q", subjects)
	}
	recovered.stepsUp()
	recovered.deletesAccount()
	requireEmails(9)

	// An address that is not confirmed gets no notifications.
	ben.addsPasskey("Blue key", securityKey)
	ben.makesBackupCodes()
	e.lastEmail("ben@example.org", 1)
}

// otherPasskey returns the other of two passkeys.
func (p *person) otherPasskey(than shownPasskey) shownPasskey {
	p.t.Helper()
	keys := p.listPasskeys()
	if len(keys) != 2 {
		p.t.Fatalf("%s has %d passkeys, want 2", p.name, len(keys))
	}
	if keys[0].id == than.id {
		return keys[1]
	}
	return keys[0]
}
