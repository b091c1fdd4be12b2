package account_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// emailFixture is a server that sends e-mail.
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

// disableMail turns e-mail off, as if the operator had removed the settings.
func (f *emailFixture) disableMail() {
	f.auditLog.Notifier.Policy, f.verification.Policy = domain.EmailOff, domain.EmailOff
}

func (f *emailFixture) addUser(name string, email domain.Email) identity.Principal {
	return addUser(f.t, f.store, name, email)
}

// setUnverified makes the address unverified, as if it had been set before the server sent e-mail.
func (f *emailFixture) setUnverified(principal identity.Principal) identity.Principal {
	f.t.Helper()
	state := principal.User.State()
	state.EmailVerifiedAt = time.Time{}
	principal.User = domain.RestoreUser(state)
	update(f.t, f.store, func(tx ports.Tx) error { return tx.Users.Save(f.t.Context(), principal.User) })
	return principal
}

// markRecovered makes the session one that was opened by recovery.
func (f *emailFixture) markRecovered(principal identity.Principal) {
	f.t.Helper()
	session := domain.RestoreSession(principal.Session.State())
	session.MarkRecovered()
	update(f.t, f.store, func(tx ports.Tx) error { return tx.Sessions.Save(f.t.Context(), session) })
}

func (f *emailFixture) service() *account.Service {
	return &account.Service{Store: f.store, Clock: clock(f.now), Audit: f.auditLog, Notifier: f.auditLog.Notifier, EmailVerification: f.verification, StepUp: stepUp}
}

func (f *emailFixture) changeEmail(principal identity.Principal, email domain.Email) (account.Changed, error) {
	return f.service().Change(f.t.Context(), principal, account.Patch{Email: &email})
}

// requestEmail makes an address pending and returns the code that was sent to it.
func (f *emailFixture) requestEmail(principal identity.Principal, email domain.Email) string {
	f.t.Helper()
	if _, err := f.changeEmail(principal, email); err != nil {
		f.t.Fatal(err)
	}
	return f.code(principal)
}

func (f *emailFixture) resendCode(principal identity.Principal) (time.Time, error) {
	return f.service().SendCode(f.t.Context(), principal)
}

func (f *emailFixture) confirmEmail(principal identity.Principal, code string) (account.Changed, error) {
	return f.service().ConfirmEmail(f.t.Context(), principal, code)
}

// sent returns the queued e-mails of a kind, or all of them for "".
func (f *emailFixture) sent(kind domain.EmailKind) (list []domain.OutboxEmailState) {
	f.t.Helper()
	update(f.t, f.store, func(tx ports.Tx) error {
		emails, err := tx.OutboxEmails.ListDue(f.t.Context(), f.now.Add(1000*time.Hour), 1000)
		for _, email := range emails {
			if kind == "" || email.State().Kind == kind {
				list = append(list, email.State())
			}
		}
		return err
	})
	return list
}

// code returns the code that verifies the pending address, or "".
func (f *emailFixture) code(of identity.Principal) (code string) {
	f.t.Helper()
	for _, email := range f.sent(domain.EmailKindVerificationCode) {
		if email.UserID != of.User.ID() {
			continue
		}
		plain, err := f.verification.Sealer.Open(email.Code, "code in message "+email.ID.String())
		if err != nil {
			f.t.Fatal(err)
		}
		parsed, err := domain.ParseEmailCode(string(plain))
		if err != nil {
			f.t.Fatal(err)
		}
		if parsed.Digest(f.verification.Keys, email.UserID) == f.user(of).PendingEmail.Code {
			code = string(plain)
		}
	}
	return code
}

func (f *emailFixture) user(of identity.Principal) domain.UserState {
	return storedUser(f.t, f.store, of.User.ID())
}

// changedFields returns the changed fields of each event, newest first.
func (f *emailFixture) changedFields(of identity.Principal) (list []string) {
	f.t.Helper()
	for _, e := range storedEvents(f.t, f.store, of.User.ID()) {
		if e.Kind != domain.EventAccountChanged || e.SessionID != of.Session.ID() || e.IP != of.Client.IP {
			f.t.Errorf("recorded %+v", e)
		}
		list = append(list, strings.Join(e.Changed, "+"))
	}
	return list
}

// wrongCode returns another code.
func wrongCode(code string) string {
	if code == "00000000" {
		return "11111111"
	}
	return "00000000"
}

func TestChangeEmail_PendingUntilConfirmed(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	changed, err := f.changeEmail(ada, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	state := f.user(ada)
	if state.Email != "ada@example.org" || !state.EmailVerifiedAt.Equal(noon) || state.PendingEmail.Email != "ada@example.com" || !reflect.DeepEqual(state, changed.User.State()) || len(changed.AcceptedCredentials) != 1 {
		t.Errorf("stored %+v, returned %+v", state, changed)
	}
	if events := f.changedFields(ada); !slices.Equal(changed.Fields, []string{"pending_email"}) || !slices.Equal(events, []string{"pending_email"}) {
		t.Errorf("changed %q, recorded %q", changed.Fields, events)
	}
	if sent := f.sent(""); len(sent) != 1 || sent[0].To != "ada@example.com" || sent[0].UserID != ada.User.ID() || f.code(ada) == "" {
		t.Errorf("sent %+v", sent)
	}
}

func TestChangeEmail_CurrentAndPending(t *testing.T) {
	for name, c := range map[string]struct {
		pending, email domain.Email // before
		wantEmail      domain.Email
		wantPending    domain.Email
		changed        []string
		sent           domain.EmailKind // "" for none
	}{
		"the current one":                     {"", "ada@example.org", "ada@example.org", "", nil, ""},
		"the pending one":                     {"ada@example.com", "ada@example.com", "ada@example.org", "ada@example.com", nil, ""},
		"the current one, with a pending one": {"ada@example.com", "ada@example.org", "ada@example.org", "", []string{"pending_email"}, ""},
		"another than the pending one":        {"ada@example.com", "a@example.net", "ada@example.org", "a@example.net", []string{"pending_email"}, domain.EmailKindVerificationCode},
		"none":                                {"", "", "", "", []string{"email"}, domain.EmailKindAddressRemoved},
		"none, with a pending one":            {"ada@example.com", "", "", "", []string{"email", "pending_email"}, domain.EmailKindAddressRemoved},
		"that of another user":                {"", "ben@example.org", "ada@example.org", "ben@example.org", []string{"pending_email"}, domain.EmailKindAddressTaken},
		"that of another user, again":         {"ben@example.org", "ben@example.org", "ada@example.org", "ben@example.org", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newEmailFixture(t)
			ada := f.addUser("Ada", "ada@example.org")
			ben := f.addUser("Ben", "ben@example.org")
			recorded := 0
			if c.pending != "" {
				if _, err := f.changeEmail(ada, c.pending); err != nil {
					t.Fatal(err)
				}
				recorded = 1
			}
			before, earlier := f.user(ada), len(f.sent(""))
			changed, err := f.changeEmail(ada, c.email)
			if err != nil {
				t.Fatal(err)
			}
			state := f.user(ada)
			if state.Email != c.wantEmail || state.PendingEmail.Email != c.wantPending || state.EmailVerifiedAt.IsZero() != (c.wantEmail == "") || !reflect.DeepEqual(changed.User.State(), state) {
				t.Errorf("stored %+v", state)
			}
			if c.changed == nil && !reflect.DeepEqual(state, before) {
				t.Errorf("changed from %+v to %+v", before, state)
			}
			events := f.changedFields(ada)
			if !slices.Equal(changed.Fields, c.changed) || len(events)-recorded != min(len(c.changed), 1) || c.changed != nil && events[0] != strings.Join(c.changed, "+") {
				t.Errorf("changed %q, recorded %q", changed.Fields, events)
			}
			sent := f.sent("")
			if c.sent == "" {
				if len(sent) != earlier {
					t.Errorf("sent %+v", sent)
				}
				return
			}
			if len(sent) != earlier+1 || len(f.sent(c.sent)) == 0 {
				t.Errorf("sent %+v", sent)
			}
			if got := storedUser(t, f.store, ben.User.ID()); !reflect.DeepEqual(got, ben.User.State()) {
				t.Errorf("Ben changed to %+v", got)
			}
		})
	}
}

// A removed address is notified if it was verified.
// Requirement: ASVS-6.3.5
func TestChangeEmail_RemovalNotifiesFormerEmail(t *testing.T) {
	for name, verified := range map[string]bool{"verified": true, "unverified": false} {
		f := newEmailFixture(t)
		ada := f.addUser("Ada", "ada@example.org")
		if !verified {
			ada = f.setUnverified(ada)
		}
		if _, err := f.changeEmail(ada, ""); err != nil {
			t.Fatal(err)
		}
		sent := f.sent("")
		if !verified {
			if sent != nil {
				t.Errorf("%s: sent %+v", name, sent)
			}
			continue
		}
		details := domain.EmailDetails{At: noon, Actor: domain.ActorUser, DeviceName: "curl/8.5.0", IP: "127.0.0.1"}
		if len(sent) != 1 || sent[0].Kind != domain.EmailKindAddressRemoved || sent[0].To != "ada@example.org" || sent[0].UserID != ada.User.ID() || sent[0].Details != details {
			t.Errorf("%s: sent %+v", name, sent)
		}
	}
}

// Requirement: ASVS-7.5.1
func TestChangeEmail_RecoveredSessionRequiresStepUp(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	code := f.requestEmail(ada, "ada@example.com")
	f.markRecovered(ada)
	before, sent := f.user(ada), len(f.sent(""))
	for name, execute := range map[string]func() error{
		"other address": func() error { _, err := f.changeEmail(ada, "mallory@example.org"); return err },
		"no address":    func() error { _, err := f.changeEmail(ada, ""); return err },
		"new code":      func() error { _, err := f.resendCode(ada); return err },
		"confirm":       func() error { _, err := f.confirmEmail(ada, code); return err },
		"wrong code":    func() error { _, err := f.confirmEmail(ada, wrongCode(code)); return err },
	} {
		if err := execute(); !errors.Is(err, domain.ErrStepUpRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := f.user(ada); !reflect.DeepEqual(got, before) || len(f.sent("")) != sent {
		t.Errorf("changed from %+v to %+v; sent %+v", before, got, f.sent(""))
	}
	if _, err := f.changeEmail(ada, "ada@example.org"); err != nil { // unchanged
		t.Errorf("the current address: %v", err)
	}
}

// A person who finds a signed-in browser must not be able to redirect the user's e-mail.
// Requirement: ASVS-7.5.1
func TestChangeEmail_RequiresRecentAuth(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	before := f.user(ada)
	f.now = noon.Add(10*time.Minute + time.Second)
	for name, email := range map[string]domain.Email{"other address": "mallory@example.org", "no address": ""} {
		if _, err := f.changeEmail(ada, email); !errors.Is(err, domain.ErrStepUpRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := f.user(ada); !reflect.DeepEqual(got, before) || len(f.sent("")) != 0 || f.changedFields(ada) != nil {
		t.Errorf("changed from %+v to %+v; sent %+v, recorded %q", before, got, f.sent(""), f.changedFields(ada))
	}
	f.now = noon.Add(10 * time.Minute)
	if _, err := f.changeEmail(ada, "ada@example.com"); err != nil {
		t.Errorf("after 10 minutes: %v", err)
	}
}

func TestChangeEmail_SendLimitChangesNothing(t *testing.T) {
	f := newEmailFixture(t)
	mallory, ada := f.addUser("Mallory", ""), f.addUser("Ada", "ada@example.org")
	for n := range 5 { // with another address in between, so that each request sends a code
		f.requestEmail(mallory, "ada@example.com")
		if n < 4 {
			f.requestEmail(mallory, domain.Email(strings.Repeat("m", n+1)+"@example.net"))
		}
	}
	before := f.user(ada)
	var wait *domain.RetryAfterError
	if _, err := f.changeEmail(ada, "ada@example.com"); !errors.As(err, &wait) || wait.Delay != 15*time.Minute {
		t.Errorf("got %v", err)
	}
	if got := f.user(ada); !reflect.DeepEqual(got, before) || f.changedFields(ada) != nil {
		t.Errorf("changed to %+v, recorded %q", got, f.changedFields(ada))
	}
	if _, err := f.resendCode(mallory); !errors.As(err, &wait) || wait.Delay != 15*time.Minute {
		t.Errorf("new code: %v", err)
	}
}

func TestChangeEmail_UnverifiedWithoutSMTP(t *testing.T) {
	for name, c := range map[string]struct {
		pending, email domain.Email
		changed        []string
	}{
		"another":                             {"", "ada@example.net", []string{"email"}},
		"another, with a pending one":         {"ada@example.com", "ada@example.net", []string{"email", "pending_email"}},
		"none, with a pending one":            {"ada@example.com", "", []string{"email", "pending_email"}},
		"the current one, with a pending one": {"ada@example.com", "ada@example.org", []string{"pending_email"}},
		"the pending one":                     {"ada@example.com", "ada@example.com", []string{"email", "pending_email"}},
	} {
		f := newEmailFixture(t)
		ada := f.addUser("Ada", "ada@example.org")
		f.addUser("Ben", "ben@example.org")
		if c.pending != "" {
			f.requestEmail(ada, c.pending)
		}
		sent := len(f.sent(""))
		f.disableMail()
		changed, err := f.changeEmail(ada, c.email)
		if err != nil || !slices.Equal(changed.Fields, c.changed) {
			t.Errorf("%s: %q, %v", name, changed.Fields, err)
		}
		if state := f.user(ada); state.Email != c.email || state.PendingEmail != (domain.PendingEmail{}) || state.EmailVerifiedAt.IsZero() == (c.email == "ada@example.org") {
			t.Errorf("%s: stored %+v", name, state)
		}
		if len(f.sent("")) != sent {
			t.Errorf("%s: sent %+v", name, f.sent(""))
		}
		if _, err := f.changeEmail(ada, "ben@example.org"); !errors.Is(err, domain.ErrEmailTaken) {
			t.Errorf("%s: address of another user: %v", name, err)
		}
	}
}

func TestConfirmEmail_MailOff(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	code := f.requestEmail(ada, "ada@example.com")
	f.disableMail()
	before := f.user(ada)
	if expires, err := f.resendCode(ada); !errors.Is(err, domain.ErrEmailOff) || !expires.IsZero() {
		t.Errorf("new code: %s, %v", expires, err)
	}
	if changed, err := f.confirmEmail(ada, code); !errors.Is(err, domain.ErrEmailOff) || changed.User != nil {
		t.Errorf("confirmation: %+v, %v", changed, err)
	}
	if got := f.user(ada); !reflect.DeepEqual(got, before) {
		t.Errorf("changed to %+v", got)
	}
}

func TestSendCode_InvalidatesEarlierCode(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	first := f.requestEmail(ada, "ada@example.com")
	f.now = noon.Add(40 * time.Minute)
	if _, err := f.confirmEmail(ada, first); !errors.Is(err, domain.ErrInvalidCode) {
		t.Fatalf("after 40 minutes: %v", err)
	}
	expires, err := f.resendCode(ada)
	if err != nil || !expires.Equal(noon.Add(70*time.Minute)) || !f.user(ada).PendingEmail.ExpiresAt.Equal(expires) {
		t.Errorf("expires at %s, %v", expires, err)
	}
	second := f.code(ada)
	if _, err := f.confirmEmail(ada, first); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("the first code: %v", err)
	}
	if _, err := f.confirmEmail(ada, second); err != nil || f.user(ada).Email != "ada@example.com" {
		t.Errorf("the second code: %v", err)
	}
}

func TestSendCode_RequiresUnverifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		email    domain.Email
		verified bool
		pending  domain.Email
		to       domain.Email // "" for no e-mail
	}{
		"none":                        {"", false, "", ""},
		"verified":                    {"ada@example.org", true, "", ""},
		"unverified":                  {"ada@example.org", false, "", "ada@example.org"},
		"pending":                     {"", false, "ada@example.com", "ada@example.com"},
		"pending, another verified":   {"ada@example.org", true, "ada@example.com", "ada@example.com"},
		"pending, another unverified": {"ada@example.org", false, "ada@example.com", "ada@example.com"},
	} {
		f := newEmailFixture(t)
		ada := f.addUser("Ada", c.email)
		if !c.verified {
			ada = f.setUnverified(ada)
		}
		if c.pending != "" {
			f.requestEmail(ada, c.pending)
		}
		before, sent := f.user(ada), len(f.sent(""))
		expires, err := f.resendCode(ada)
		if c.to == "" {
			if !errors.Is(err, domain.ErrNoPendingEmail) || !expires.IsZero() || len(f.sent("")) != sent || !reflect.DeepEqual(f.user(ada), before) {
				t.Errorf("%s: expires %s, %v, sent %+v", name, expires, err, f.sent(""))
			}
			continue
		}
		if err != nil || len(f.sent(domain.EmailKindVerificationCode)) != sent+1 {
			t.Errorf("%s: %v, sent %+v", name, err, f.sent(""))
		}
		changed, err := f.confirmEmail(ada, f.code(ada))
		if state := f.user(ada); err != nil || state.Email != c.to || state.EmailVerifiedAt.IsZero() || state.PendingEmail != (domain.PendingEmail{}) || !reflect.DeepEqual(changed.User.State(), state) {
			t.Errorf("%s: confirmation %v, %+v", name, err, state)
		}
	}
}

func TestConfirmEmail_SetsVerifiedEmail(t *testing.T) {
	for name, c := range map[string]struct {
		email    domain.Email
		verified bool
		notified bool // the former address
	}{
		"verified before":         {"ada@example.org", true, true},
		"unverified before":       {"ada@example.org", false, false},
		"none before":             {"", false, false},
		"same, unverified before": {"ada@example.com", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newEmailFixture(t)
			ada := f.addUser("Ada", c.email)
			if !c.verified {
				ada = f.setUnverified(ada)
			}
			if c.email == "ada@example.com" {
				if _, err := f.resendCode(ada); err != nil {
					t.Fatal(err)
				}
			} else {
				f.requestEmail(ada, "ada@example.com")
			}
			recorded := len(f.changedFields(ada))
			f.now = noon.Add(time.Minute)
			code := f.code(ada)
			changed, err := f.confirmEmail(ada, " "+code[:4]+"-"+code[4:])
			if err != nil {
				t.Fatal(err)
			}
			state := f.user(ada)
			if state.Email != "ada@example.com" || !state.EmailVerifiedAt.Equal(f.now) || state.PendingEmail != (domain.PendingEmail{}) || !reflect.DeepEqual(state, changed.User.State()) ||
				len(changed.AcceptedCredentials) != 1 || !slices.Equal(changed.Fields, []string{"email"}) {
				t.Errorf("stored %+v, returned %+v", state, changed)
			}
			if events := f.changedFields(ada); len(events) != recorded+1 || events[0] != "email" {
				t.Errorf("recorded %q", events)
			}
			notified := f.sent(domain.EmailKindAddressChanged)
			if !c.notified {
				if notified != nil {
					t.Errorf("notified %+v", notified)
				}
				return
			}
			if len(notified) != 1 || notified[0].To != "ada@example.org" || notified[0].UserID != ada.User.ID() || !notified[0].Details.At.Equal(f.now) || notified[0].Details.IP != "127.0.0.1" {
				t.Errorf("notified %+v", notified)
			}
		})
	}
}

func TestConfirmEmail_CountsWrongCodes(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "ada@example.org")
	code := f.requestEmail(ada, "ada@example.com")
	for wrong := 1; wrong <= 5; wrong++ {
		changed, err := f.confirmEmail(ada, wrongCode(code))
		if !errors.Is(err, domain.ErrInvalidCode) || changed.User != nil || changed.Fields != nil {
			t.Errorf("wrong code %d: %+v, %v", wrong, changed, err)
		}
		if counted := f.user(ada).PendingEmail.Failures; counted != wrong {
			t.Errorf("after %d wrong codes: %d failures", wrong, counted)
		}
	}
	for _, malformed := range []string{"", "1234567", "x", code + "0"} {
		if _, err := f.confirmEmail(ada, malformed); !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%q: %v", malformed, err)
		}
	}
	if _, err := f.confirmEmail(ada, code); !errors.Is(err, domain.ErrInvalidCode) || f.user(ada).Email != "ada@example.org" {
		t.Errorf("the right code after five wrong ones: %v", err)
	}
	if events := f.changedFields(ada); !slices.Equal(events, []string{"pending_email"}) {
		t.Errorf("recorded %q", events)
	}
	if _, err := f.resendCode(ada); err != nil {
		t.Fatal(err)
	}
	if _, err := f.confirmEmail(ada, f.code(ada)); err != nil {
		t.Errorf("a new code: %v", err)
	}
}

func TestConfirmEmail_CodeOfAnotherAccount(t *testing.T) {
	f := newEmailFixture(t)
	ada, mallory := f.addUser("Ada", ""), f.addUser("Mallory", "")
	code := f.requestEmail(ada, "ada@example.com")
	f.requestEmail(mallory, "ada@example.com")
	if _, err := f.confirmEmail(mallory, code); !errors.Is(err, domain.ErrInvalidCode) || f.user(mallory).Email != "" {
		t.Errorf("code of another account: %v, %+v", err, f.user(mallory))
	}
	cy := f.addUser("Cy", "")
	if _, err := f.confirmEmail(cy, code); !errors.Is(err, domain.ErrInvalidCode) || f.user(cy).PendingEmail.Failures != 0 {
		t.Errorf("without a pending address: %v, %+v", err, f.user(cy))
	}
}

// Two accounts can have the same pending address. The first to confirm it gets it.
func TestConfirmEmail_SecondAccountGetsEmailTaken(t *testing.T) {
	f := newEmailFixture(t)
	ada, ben := f.addUser("Ada", "ada@example.org"), f.addUser("Ben", "ben@example.org")
	adas, bens := f.requestEmail(ada, "both@example.org"), f.requestEmail(ben, "both@example.org")
	if _, err := f.confirmEmail(ada, adas); err != nil {
		t.Fatal(err)
	}
	before, events := f.user(ben), f.changedFields(ben)
	changed, err := f.confirmEmail(ben, bens)
	if !errors.Is(err, domain.ErrEmailTaken) || changed.User != nil {
		t.Errorf("got %+v, %v", changed, err)
	}
	if got := f.user(ben); !reflect.DeepEqual(got, before) || !slices.Equal(f.changedFields(ben), events) || f.user(ada).Email != "both@example.org" {
		t.Errorf("changed to %+v", got)
	}
	if notified := f.sent(domain.EmailKindAddressChanged); len(notified) != 1 || notified[0].To != "ada@example.org" {
		t.Errorf("notified %+v", notified)
	}
}

// A user cannot find out whether another account has an address.
func TestChangeEmail_TakenEmailIsIndistinguishable(t *testing.T) {
	f := newEmailFixture(t)
	mallory, ada := f.addUser("Mallory", ""), f.addUser("Ada", "")
	f.addUser("Ben", "ben@example.org")
	taken, takenErr := f.changeEmail(mallory, "ben@example.org")
	free, freeErr := f.changeEmail(ada, "free@example.org")
	if takenErr != nil || freeErr != nil || !slices.Equal(taken.Fields, free.Fields) || taken.User.PendingEmail() != "ben@example.org" || taken.User.Email() != free.User.Email() ||
		taken.User.State().PendingEmail.ExpiresAt != free.User.State().PendingEmail.ExpiresAt || !slices.Equal(f.changedFields(mallory), f.changedFields(ada)) {
		t.Errorf("taken: %+v, %v; free: %+v, %v", taken, takenErr, free, freeErr)
	}
	for range 8 {
		takenUntil, takenErr := f.resendCode(mallory)
		freeUntil, freeErr := f.resendCode(ada)
		var a, b *domain.RetryAfterError
		if takenUntil != freeUntil || (takenErr == nil) != (freeErr == nil) || errors.As(takenErr, &a) && errors.As(freeErr, &b) && *a != *b {
			t.Errorf("new code: taken %s, %v; free %s, %v", takenUntil, takenErr, freeUntil, freeErr)
		}
	}
	for _, code := range []string{"00000000", "12345678"} {
		_, takenErr := f.confirmEmail(mallory, code)
		_, freeErr := f.confirmEmail(ada, wrongCode(f.code(ada)))
		if !errors.Is(takenErr, domain.ErrInvalidCode) || !errors.Is(freeErr, domain.ErrInvalidCode) {
			t.Errorf("wrong code: taken %v, free %v", takenErr, freeErr)
		}
	}
	if f.user(mallory).PendingEmail.Failures != f.user(ada).PendingEmail.Failures {
		t.Errorf("pending: taken %+v, free %+v", f.user(mallory).PendingEmail, f.user(ada).PendingEmail)
	}
	for _, email := range f.sent(domain.EmailKindVerificationCode) {
		if email.To == "ben@example.org" {
			t.Errorf("the owner received a code: %+v", email)
		}
	}
	if notified := f.sent(domain.EmailKindAddressTaken); len(notified) != 5 || notified[0].To != "ben@example.org" {
		t.Errorf("notified %+v", notified)
	}
}

// A confirmation resets the limit of e-mails to a mailbox.
func TestConfirmEmail_ClearsSendLimit(t *testing.T) {
	f := newEmailFixture(t)
	ada := f.addUser("Ada", "")
	f.requestEmail(ada, "ada@example.com")
	for range 4 {
		if _, err := f.resendCode(ada); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.resendCode(ada); !errors.Is(err, domain.ErrRateLimited) {
		t.Fatalf("the sixth code: %v", err)
	}
	if _, err := f.confirmEmail(ada, f.code(ada)); err != nil {
		t.Fatal(err)
	}
	ben := f.addUser("Ben", "")
	if _, err := f.changeEmail(ben, "ada@example.com"); err != nil {
		t.Errorf("after the confirmation: %v", err)
	}
}
