package account_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// emailFixture is an installation that sends mail.
type emailFixture struct {
	t            *testing.T
	store        ports.Store
	auditLog     *audit.Log
	verification *emailverify.Service
	now          time.Time
}

func newEmailFixture(t *testing.T) *emailFixture {
	t.Helper()
	secret, err := masterkey.Parse(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := masterkey.NewSealer(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &emailFixture{
		t: t, store: sqlitestore.New(t), now: noon, auditLog: &audit.Log{Random: rand.Reader, Devices: deviceNames{}, Notifier: notify.Notifier{Random: rand.Reader, Devices: deviceNames{}, Policy: domain.EmailOn}},
		verification: &emailverify.Service{
			Policy: domain.EmailOn, Keys: domain.KeyRing[domain.EmailCode]{bytes.Repeat([]byte{1}, 32)}, Sealer: sealer, Random: rand.Reader, Lockout: bytes.Repeat([]byte{2}, 32),
		},
	}
}

// disableMail sending mail, as an operator does who takes the settings back.
func (p *emailFixture) disableMail() {
	p.auditLog.Notifier.Policy, p.verification.Policy = domain.EmailOff, domain.EmailOff
}

func (p *emailFixture) addUser(name string, email domain.Email) identity.Principal {
	return addUser(p.t, p.store, name, email)
}

// setUnverified has an account's address not verified, say since it was set before mail was sent.
func (p *emailFixture) setUnverified(actor identity.Principal) identity.Principal {
	p.t.Helper()
	is := actor.User.State()
	is.EmailVerifiedAt = time.Time{}
	actor.User = domain.RestoreUser(is)
	update(p.t, p.store, func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), actor.User) })
	return actor
}

// markRecovered has the actor's session be one that recovery bought.
func (p *emailFixture) markRecovered(actor identity.Principal) {
	p.t.Helper()
	session := domain.RestoreSession(actor.Session.State())
	session.MarkRecovered()
	update(p.t, p.store, func(tx ports.Tx) error { return tx.Sessions.Save(p.t.Context(), session) })
}

func (p *emailFixture) service() *account.Service {
	return &account.Service{Store: p.store, Clock: clock(p.now), Audit: p.auditLog, Notifier: p.auditLog.Notifier, EmailVerification: p.verification, StepUp: stepUp}
}

func (p *emailFixture) changeEmail(actor identity.Principal, email domain.Email) (account.Changed, error) {
	return p.service().Change(p.t.Context(), actor, account.Patch{Email: &email})
}

// requestEmail has the actor claim an address and returns the code that was sent to it.
func (p *emailFixture) requestEmail(actor identity.Principal, email domain.Email) string {
	p.t.Helper()
	if _, err := p.changeEmail(actor, email); err != nil {
		p.t.Fatal(err)
	}
	return p.code(actor)
}

func (p *emailFixture) resendCode(actor identity.Principal) (time.Time, error) {
	return p.service().SendCode(p.t.Context(), actor)
}

func (p *emailFixture) confirmEmail(actor identity.Principal, code string) (account.Changed, error) {
	return p.service().ConfirmEmail(p.t.Context(), actor, code)
}

// sent are all messages of one kind.
func (p *emailFixture) sent(kind domain.EmailKind) (list []domain.OutboxEmailState) {
	p.t.Helper()
	update(p.t, p.store, func(tx ports.Tx) error {
		messages, err := tx.OutboxEmails.ListDue(p.t.Context(), p.now.Add(1000*time.Hour), 1000)
		for _, m := range messages {
			if kind == "" || m.State().Kind == kind {
				list = append(list, m.State())
			}
		}
		return err
	})
	return list
}

// code is the one that was sent to the actor and proves an address now; "" if there is none.
func (p *emailFixture) code(of identity.Principal) (code string) {
	p.t.Helper()
	for _, m := range p.sent(domain.EmailKindVerificationCode) {
		if m.UserID != of.User.ID() {
			continue
		}
		opened, err := p.verification.Sealer.Open(m.Code, "code in message "+m.ID.String())
		if err != nil {
			p.t.Fatal(err)
		}
		parsed, err := domain.ParseEmailCode(string(opened))
		if err != nil {
			p.t.Fatal(err)
		}
		if parsed.Digest(p.verification.Keys, m.UserID) == p.user(of).PendingEmail.Code {
			code = string(opened)
		}
	}
	return code
}

func (p *emailFixture) user(of identity.Principal) domain.UserState {
	return storedUser(p.t, p.store, of.User.ID())
}

// changedFields are what the account's log says was changed, newest first.
func (p *emailFixture) changedFields(of identity.Principal) (list []string) {
	p.t.Helper()
	for _, e := range entries(p.t, p.store, of.User.ID()) {
		if e.Kind != domain.EventAccountChanged || e.SessionID != of.Session.ID() || e.IP != of.Client.IP {
			p.t.Errorf("logged %+v", e)
		}
		list = append(list, strings.Join(e.Changed, "+"))
	}
	return list
}

// wrongCode is a code that is not the one given.
func wrongCode(code string) string {
	if code == "00000000" {
		return "11111111"
	}
	return "00000000"
}

func TestChangeEmail_PendingUntilConfirmed(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	changed, err := p.changeEmail(ada, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	is := p.user(ada)
	if is.Email != "ada@example.org" || !is.EmailVerifiedAt.Equal(noon) || is.PendingEmail.Email != "ada@example.com" || is != changed.User.State() || len(changed.AcceptedCredentials) != 1 {
		t.Errorf("became %+v, returned %+v", is, changed)
	}
	if log := p.changedFields(ada); !slices.Equal(changed.Fields, []string{"pending_email"}) || !slices.Equal(log, []string{"pending_email"}) {
		t.Errorf("changed %q, logged %q", changed.Fields, log)
	}
	if sent := p.sent(""); len(sent) != 1 || sent[0].To != "ada@example.com" || sent[0].UserID != ada.User.ID() || p.code(ada) == "" {
		t.Errorf("sent %+v", sent)
	}
}

func TestChangeEmail_CurrentAndPending(t *testing.T) {
	for name, c := range map[string]struct {
		claims, wish domain.Email
		email        domain.Email
		pending      domain.Email
		changed      []string
		sent         domain.EmailKind // "" for nothing
	}{
		"what she holds":                    {"", "ada@example.org", "ada@example.org", "", nil, ""},
		"what she claims":                   {"ada@example.com", "ada@example.com", "ada@example.org", "ada@example.com", nil, ""},
		"back to what she holds":            {"ada@example.com", "ada@example.org", "ada@example.org", "", []string{"pending_email"}, ""},
		"another than what she claims":      {"ada@example.com", "a@example.net", "ada@example.org", "a@example.net", []string{"pending_email"}, domain.EmailKindVerificationCode},
		"none":                              {"", "", "", "", []string{"email"}, domain.EmailKindAddressRemoved},
		"none, neither held nor claimed":    {"ada@example.com", "", "", "", []string{"email", "pending_email"}, domain.EmailKindAddressRemoved},
		"one that somebody else has":        {"", "ben@example.org", "ada@example.org", "ben@example.org", []string{"pending_email"}, domain.EmailKindAddressTaken},
		"one that somebody else has, again": {"ben@example.org", "ben@example.org", "ada@example.org", "ben@example.org", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newEmailFixture(t)
			ada := p.addUser("Ada", "ada@example.org")
			ben := p.addUser("Ben", "ben@example.org")
			logged := 0
			if c.claims != "" {
				if _, err := p.changeEmail(ada, c.claims); err != nil {
					t.Fatal(err)
				}
				logged = 1
			}
			before, earlier := p.user(ada), len(p.sent(""))
			changed, err := p.changeEmail(ada, c.wish)
			if err != nil {
				t.Fatal(err)
			}
			is := p.user(ada)
			if is.Email != c.email || is.PendingEmail.Email != c.pending || is.EmailVerifiedAt.IsZero() != (c.email == "") || changed.User.State() != is {
				t.Errorf("became %+v", is)
			}
			if c.changed == nil && is != before {
				t.Errorf("was %+v, became %+v", before, is)
			}
			log := p.changedFields(ada)
			if !slices.Equal(changed.Fields, c.changed) || len(log)-logged != min(len(c.changed), 1) || c.changed != nil && log[0] != strings.Join(c.changed, "+") {
				t.Errorf("changed %q, logged %q", changed.Fields, log)
			}
			sent := p.sent("")
			if c.sent == "" {
				if len(sent) != earlier {
					t.Errorf("sent %+v", sent)
				}
				return
			}
			if len(sent) != earlier+1 || len(p.sent(c.sent)) == 0 {
				t.Errorf("sent %+v", sent)
			}
			if got := storedUser(t, p.store, ben.User.ID()); got != ben.User.State() {
				t.Errorf("Ben became %+v", got)
			}
		})
	}
}

// Whoever reads the former address's mail hears who took it off; nobody hears who has not proved that it is theirs.
func TestChangeEmail_RemovalNotifiesFormerEmail(t *testing.T) {
	for name, verified := range map[string]bool{"verified": true, "not verified": false} {
		p := newEmailFixture(t)
		ada := p.addUser("Ada", "ada@example.org")
		if !verified {
			ada = p.setUnverified(ada)
		}
		if _, err := p.changeEmail(ada, ""); err != nil {
			t.Fatal(err)
		}
		sent := p.sent("")
		if !verified {
			if sent != nil {
				t.Errorf("%s: sent %+v", name, sent)
			}
			continue
		}
		facts := domain.EmailDetails{At: noon, Actor: domain.ActorUser, DeviceName: "curl/8.5.0", IP: "127.0.0.1"}
		if len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressRemoved || sent[0].To != "ada@example.org" || sent[0].UserID != ada.User.ID() || sent[0].Details != facts {
			t.Errorf("%s: sent %+v", name, sent)
		}
	}
}

func TestChangeEmail_RecoveredSessionRequiresStepUp(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	code := p.requestEmail(ada, "ada@example.com")
	p.markRecovered(ada)
	before, sent := p.user(ada), len(p.sent(""))
	for name, does := range map[string]func() error{
		"claims":          func() error { _, err := p.changeEmail(ada, "mallory@example.org"); return err },
		"takes it off":    func() error { _, err := p.changeEmail(ada, ""); return err },
		"asks for a code": func() error { _, err := p.resendCode(ada); return err },
		"shows the code":  func() error { _, err := p.confirmEmail(ada, code); return err },
		"shows no code":   func() error { _, err := p.confirmEmail(ada, wrongCode(code)); return err },
	} {
		if err := does(); !errors.Is(err, domain.ErrStepUpRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := p.user(ada); got != before || len(p.sent("")) != sent {
		t.Errorf("was %+v, became %+v; sent %+v", before, got, p.sent(""))
	}
	if _, err := p.changeEmail(ada, "ada@example.org"); err != nil { // what it is already
		t.Errorf("what it is already: %v", err)
	}
}

// Whoever finds a browser that is signed in must not be able to have the owner's letters sent elsewhere.
func TestChangeEmail_RequiresRecentAuth(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	before := p.user(ada)
	p.now = noon.Add(10*time.Minute + time.Second)
	for name, email := range map[string]domain.Email{"claims": "mallory@example.org", "takes it off": ""} {
		if _, err := p.changeEmail(ada, email); !errors.Is(err, domain.ErrStepUpRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := p.user(ada); got != before || len(p.sent("")) != 0 || p.changedFields(ada) != nil {
		t.Errorf("was %+v, became %+v; sent %+v, logged %q", before, got, p.sent(""), p.changedFields(ada))
	}
	p.now = noon.Add(10 * time.Minute)
	if _, err := p.changeEmail(ada, "ada@example.com"); err != nil {
		t.Errorf("in time: %v", err)
	}
}

func TestChangeEmail_SendLimitChangesNothing(t *testing.T) {
	p := newEmailFixture(t)
	mallory, ada := p.addUser("Mallory", ""), p.addUser("Ada", "ada@example.org")
	for n := range 5 { // each time another address in between, so that it is a claim again
		p.requestEmail(mallory, "ada@example.com")
		if n < 4 {
			p.requestEmail(mallory, domain.Email(strings.Repeat("m", n+1)+"@example.net"))
		}
	}
	before := p.user(ada)
	var wait *domain.RetryAfterError
	if _, err := p.changeEmail(ada, "ada@example.com"); !errors.As(err, &wait) || wait.Delay != 15*time.Minute {
		t.Errorf("got %v", err)
	}
	if got := p.user(ada); got != before || p.changedFields(ada) != nil {
		t.Errorf("became %+v, logged %q", got, p.changedFields(ada))
	}
	if _, err := p.resendCode(mallory); !errors.As(err, &wait) || wait.Delay != 15*time.Minute {
		t.Errorf("another code: %v", err)
	}
}

func TestChangeEmail_UnverifiedWithoutSMTP(t *testing.T) {
	for name, c := range map[string]struct {
		claims, wish domain.Email
		changed      []string
	}{
		"another, without a claim":    {"", "ada@example.net", []string{"email"}},
		"another, with a claim left":  {"ada@example.com", "ada@example.net", []string{"email", "pending_email"}},
		"none, with a claim left":     {"ada@example.com", "", []string{"email", "pending_email"}},
		"the same, with a claim left": {"ada@example.com", "ada@example.org", []string{"pending_email"}},
		"what was claimed":            {"ada@example.com", "ada@example.com", []string{"email", "pending_email"}},
	} {
		p := newEmailFixture(t)
		ada := p.addUser("Ada", "ada@example.org")
		p.addUser("Ben", "ben@example.org")
		if c.claims != "" {
			p.requestEmail(ada, c.claims)
		}
		sent := len(p.sent(""))
		p.disableMail()
		changed, err := p.changeEmail(ada, c.wish)
		if err != nil || !slices.Equal(changed.Fields, c.changed) {
			t.Errorf("%s: %q, %v", name, changed.Fields, err)
		}
		if is := p.user(ada); is.Email != c.wish || is.PendingEmail != (domain.PendingEmail{}) || is.EmailVerifiedAt.IsZero() == (c.wish == "ada@example.org") {
			t.Errorf("%s: became %+v", name, is)
		}
		if len(p.sent("")) != sent {
			t.Errorf("%s: sent %+v", name, p.sent(""))
		}
		if _, err := p.changeEmail(ada, "ben@example.org"); !errors.Is(err, domain.ErrEmailTaken) {
			t.Errorf("%s: a taken one: %v", name, err)
		}
	}
}

func TestConfirmEmail_MailOff(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	code := p.requestEmail(ada, "ada@example.com")
	p.disableMail()
	before := p.user(ada)
	if until, err := p.resendCode(ada); !errors.Is(err, domain.ErrEmailOff) || !until.IsZero() {
		t.Errorf("asked for: %s, %v", until, err)
	}
	if changed, err := p.confirmEmail(ada, code); !errors.Is(err, domain.ErrEmailOff) || changed.User != nil {
		t.Errorf("shown: %+v, %v", changed, err)
	}
	if got := p.user(ada); got != before {
		t.Errorf("became %+v", got)
	}
}

func TestSendCode_InvalidatesEarlierCode(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	first := p.requestEmail(ada, "ada@example.com")
	p.now = noon.Add(40 * time.Minute)
	if _, err := p.confirmEmail(ada, first); !errors.Is(err, domain.ErrInvalidCode) {
		t.Fatalf("after half an hour: %v", err)
	}
	until, err := p.resendCode(ada)
	if err != nil || !until.Equal(noon.Add(70*time.Minute)) || !p.user(ada).PendingEmail.ExpiresAt.Equal(until) {
		t.Errorf("good until %s, %v", until, err)
	}
	second := p.code(ada)
	if _, err := p.confirmEmail(ada, first); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("the first: %v", err)
	}
	if _, err := p.confirmEmail(ada, second); err != nil || p.user(ada).Email != "ada@example.com" {
		t.Errorf("the second: %v", err)
	}
}

func TestSendCode_RequiresUnverifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		holds    domain.Email
		verified bool
		claims   domain.Email
		to       domain.Email // "" for nobody
	}{
		"none":                            {"", false, "", ""},
		"held and verified":               {"ada@example.org", true, "", ""},
		"held since before mail was sent": {"ada@example.org", false, "", "ada@example.org"},
		"claimed":                         {"", false, "ada@example.com", "ada@example.com"},
		"claimed and another held":        {"ada@example.org", true, "ada@example.com", "ada@example.com"},
		"claimed, the other not verified": {"ada@example.org", false, "ada@example.com", "ada@example.com"},
	} {
		p := newEmailFixture(t)
		ada := p.addUser("Ada", c.holds)
		if !c.verified {
			ada = p.setUnverified(ada)
		}
		if c.claims != "" {
			p.requestEmail(ada, c.claims)
		}
		before, sent := p.user(ada), len(p.sent(""))
		until, err := p.resendCode(ada)
		if c.to == "" {
			if !errors.Is(err, domain.ErrNoPendingEmail) || !until.IsZero() || len(p.sent("")) != sent || p.user(ada) != before {
				t.Errorf("%s: until %s, %v, sent %+v", name, until, err, p.sent(""))
			}
			continue
		}
		if err != nil || len(p.sent(domain.EmailKindVerificationCode)) != sent+1 {
			t.Errorf("%s: %v, sent %+v", name, err, p.sent(""))
		}
		changed, err := p.confirmEmail(ada, p.code(ada))
		if is := p.user(ada); err != nil || is.Email != c.to || is.EmailVerifiedAt.IsZero() || is.PendingEmail != (domain.PendingEmail{}) || changed.User.State() != is {
			t.Errorf("%s: proved %v, %+v", name, err, is)
		}
	}
}

func TestConfirmEmail_SetsVerifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		holds    domain.Email
		verified bool
		told     bool
	}{
		"who held a verified one":             {"ada@example.org", true, true},
		"who held one that was not":           {"ada@example.org", false, false},
		"who held none":                       {"", false, false},
		"who held it, and it was not at that": {"ada@example.com", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newEmailFixture(t)
			ada := p.addUser("Ada", c.holds)
			if !c.verified {
				ada = p.setUnverified(ada)
			}
			if c.holds == "ada@example.com" {
				if _, err := p.resendCode(ada); err != nil {
					t.Fatal(err)
				}
			} else {
				p.requestEmail(ada, "ada@example.com")
			}
			logged := len(p.changedFields(ada))
			p.now = noon.Add(time.Minute)
			code := p.code(ada)
			changed, err := p.confirmEmail(ada, " "+code[:4]+"-"+code[4:])
			if err != nil {
				t.Fatal(err)
			}
			is := p.user(ada)
			if is.Email != "ada@example.com" || !is.EmailVerifiedAt.Equal(p.now) || is.PendingEmail != (domain.PendingEmail{}) || is != changed.User.State() ||
				len(changed.AcceptedCredentials) != 1 || !slices.Equal(changed.Fields, []string{"email"}) {
				t.Errorf("became %+v, returned %+v", is, changed)
			}
			if log := p.changedFields(ada); len(log) != logged+1 || log[0] != "email" {
				t.Errorf("logged %q", log)
			}
			told := p.sent(domain.EmailKindAddressChanged)
			if !c.told {
				if told != nil {
					t.Errorf("told %+v", told)
				}
				return
			}
			if len(told) != 1 || told[0].To != "ada@example.org" || told[0].UserID != ada.User.ID() || !told[0].Details.At.Equal(p.now) || told[0].Details.IP != "127.0.0.1" {
				t.Errorf("told %+v", told)
			}
		})
	}
}

func TestConfirmEmail_CountsWrongCodes(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "ada@example.org")
	code := p.requestEmail(ada, "ada@example.com")
	for wrong := 1; wrong <= 5; wrong++ {
		changed, err := p.confirmEmail(ada, wrongCode(code))
		if !errors.Is(err, domain.ErrInvalidCode) || changed.User != nil || changed.Fields != nil {
			t.Errorf("wrong code %d: %+v, %v", wrong, changed, err)
		}
		if counted := p.user(ada).PendingEmail.Failures; counted != wrong {
			t.Errorf("after %d wrong codes: counted %d", wrong, counted)
		}
	}
	for _, mistyped := range []string{"", "1234567", "x", code + "0"} { // cannot be one
		if _, err := p.confirmEmail(ada, mistyped); !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%q: %v", mistyped, err)
		}
	}
	if _, err := p.confirmEmail(ada, code); !errors.Is(err, domain.ErrInvalidCode) || p.user(ada).Email != "ada@example.org" {
		t.Errorf("the right one after five: %v", err)
	}
	if log := p.changedFields(ada); !slices.Equal(log, []string{"pending_email"}) {
		t.Errorf("logged %q", log)
	}
	if _, err := p.resendCode(ada); err != nil {
		t.Fatal(err)
	}
	if _, err := p.confirmEmail(ada, p.code(ada)); err != nil {
		t.Errorf("a new one: %v", err)
	}
}

func TestConfirmEmail_CodeOfAnotherAccount(t *testing.T) {
	p := newEmailFixture(t)
	ada, mallory := p.addUser("Ada", ""), p.addUser("Mallory", "")
	code := p.requestEmail(ada, "ada@example.com")
	p.requestEmail(mallory, "ada@example.com")
	if _, err := p.confirmEmail(mallory, code); !errors.Is(err, domain.ErrInvalidCode) || p.user(mallory).Email != "" {
		t.Errorf("another's code: %v, %+v", err, p.user(mallory))
	}
	nobody := p.addUser("Ben", "")
	if _, err := p.confirmEmail(nobody, code); !errors.Is(err, domain.ErrInvalidCode) || p.user(nobody).PendingEmail.Failures != 0 {
		t.Errorf("without a claim: %v, %+v", err, p.user(nobody))
	}
}

// Of two who read the same mailbox and claim its address at the same time, the first to prove it has it.
func TestConfirmEmail_SecondAccountGetsEmailTaken(t *testing.T) {
	p := newEmailFixture(t)
	ada, ben := p.addUser("Ada", "ada@example.org"), p.addUser("Ben", "ben@example.org")
	adas, bens := p.requestEmail(ada, "both@example.org"), p.requestEmail(ben, "both@example.org")
	if _, err := p.confirmEmail(ada, adas); err != nil {
		t.Fatal(err)
	}
	before, log := p.user(ben), p.changedFields(ben)
	changed, err := p.confirmEmail(ben, bens)
	if !errors.Is(err, domain.ErrEmailTaken) || changed.User != nil {
		t.Errorf("got %+v, %v", changed, err)
	}
	if got := p.user(ben); got != before || !slices.Equal(p.changedFields(ben), log) || p.user(ada).Email != "both@example.org" {
		t.Errorf("became %+v", got)
	}
	if told := p.sent(domain.EmailKindAddressChanged); len(told) != 1 || told[0].To != "ada@example.org" {
		t.Errorf("told %+v", told)
	}
}

// Nobody finds out by their own account whether somebody else has one.
func TestChangeEmail_TakenEmailIsIndistinguishable(t *testing.T) {
	p := newEmailFixture(t)
	mallory, ada := p.addUser("Mallory", ""), p.addUser("Ada", "")
	p.addUser("Ben", "ben@example.org")
	taken, takenErr := p.changeEmail(mallory, "ben@example.org")
	free, freeErr := p.changeEmail(ada, "free@example.org")
	if takenErr != nil || freeErr != nil || !slices.Equal(taken.Fields, free.Fields) || taken.User.PendingEmail() != "ben@example.org" || taken.User.Email() != free.User.Email() ||
		taken.User.State().PendingEmail.ExpiresAt != free.User.State().PendingEmail.ExpiresAt || !slices.Equal(p.changedFields(mallory), p.changedFields(ada)) {
		t.Errorf("%+v, %v; of a free one %+v, %v", taken, takenErr, free, freeErr)
	}
	for range 8 {
		takenUntil, takenErr := p.resendCode(mallory)
		freeUntil, freeErr := p.resendCode(ada)
		var a, b *domain.RetryAfterError
		if takenUntil != freeUntil || (takenErr == nil) != (freeErr == nil) || errors.As(takenErr, &a) && errors.As(freeErr, &b) && *a != *b {
			t.Errorf("another code: %s, %v; of a free one %s, %v", takenUntil, takenErr, freeUntil, freeErr)
		}
	}
	for _, code := range []string{"00000000", "12345678"} {
		_, takenErr := p.confirmEmail(mallory, code)
		_, freeErr := p.confirmEmail(ada, wrongCode(p.code(ada)))
		if !errors.Is(takenErr, domain.ErrInvalidCode) || !errors.Is(freeErr, domain.ErrInvalidCode) {
			t.Errorf("a wrong code: %v, of a free one %v", takenErr, freeErr)
		}
	}
	if p.user(mallory).PendingEmail.Failures != p.user(ada).PendingEmail.Failures {
		t.Errorf("counted %+v, of a free one %+v", p.user(mallory).PendingEmail, p.user(ada).PendingEmail)
	}
	for _, m := range p.sent(domain.EmailKindVerificationCode) {
		if m.To == "ben@example.org" {
			t.Errorf("the owner was sent a code: %+v", m)
		}
	}
	if told := p.sent(domain.EmailKindAddressTaken); len(told) != 5 || told[0].To != "ben@example.org" {
		t.Errorf("told %+v", told)
	}
}

// After an answer a mailbox that was written to often is written to again.
func TestConfirmEmail_ClearsSendLimit(t *testing.T) {
	p := newEmailFixture(t)
	ada := p.addUser("Ada", "")
	p.requestEmail(ada, "ada@example.com")
	for range 4 {
		if _, err := p.resendCode(ada); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.resendCode(ada); !errors.Is(err, domain.ErrRateLimited) {
		t.Fatalf("a sixth: %v", err)
	}
	if _, err := p.confirmEmail(ada, p.code(ada)); err != nil {
		t.Fatal(err)
	}
	ben := p.addUser("Ben", "")
	if _, err := p.changeEmail(ben, "ada@example.com"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
