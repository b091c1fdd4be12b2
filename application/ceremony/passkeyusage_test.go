package ceremony_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const deviceBound = domain.AuthenticatorFlags(1<<0 | 1<<2)

// echoDeviceNames names a device by all that it is told of it.
type echoDeviceNames struct{}

func (echoDeviceNames) NameOf(userAgent string) string { return userAgent }

func newLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: echoDeviceNames{}}
}

// person is somebody with an account and a security key that has counted to 7.
type person struct {
	t     *testing.T
	store ports.Store
	user  *domain.User
	key   *domain.Credential
}

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	applicant, err := domain.NewPendingUser("", domain.DisplayName(name), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	registration := sqlitestore.Registration(domain.CredentialID(name))
	registration.SignCount = 7
	key, err := domain.NewCredential(applicant.UserID, "a key", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t, store, applicant.ToUser(noon), key}
	p.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), p.user), tx.Credentials.Add(t.Context(), p.key))
	})
	return p
}

func (p *person) update(fn func(ports.Tx) error) {
	p.t.Helper()
	if err := p.store.Update(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// log is the person's, newest first.
func (p *person) log() (entries []domain.EventState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(p.t.Context(), p.user.ID(), domain.EventID{}, 1000)
		for _, e := range events {
			entries = append(entries, e.State())
		}
		return err
	})
	return entries
}

// kindsAndReasons are the kinds and reasons of a log's entries, sorted.
func kindsAndReasons(entries []domain.EventState) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = strings.TrimSpace(string(e.Kind) + " " + e.Reason)
	}
	slices.Sort(list)
	return list
}

func newLogWithMail() *audit.Log {
	log := newLog()
	log.Notifier = notify.Notifier{Random: rand.Reader, Devices: echoDeviceNames{}, Policy: domain.EmailOn}
	return log
}

// setEmail gives the person an address.
func (p *person) setEmail(at domain.Email, verified bool) {
	p.t.Helper()
	is := p.user.State()
	is.Email, is.EmailVerifiedAt = at, time.Time{}
	if verified {
		is.EmailVerifiedAt = noon
	}
	p.user = domain.RestoreUser(is)
	p.update(func(tx ports.Tx) error { return tx.Users.Save(p.t.Context(), p.user) })
}

// outbox are all messages.
func (p *person) outbox() (list []domain.OutboxEmailState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		messages, err := tx.OutboxEmails.ListDue(p.t.Context(), noon.Add(1000*time.Hour), 1000)
		for _, m := range messages {
			list = append(list, m.State())
		}
		return err
	})
	return list
}

var testClient = identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}

const synced = deviceBound | 1<<3 | 1<<4

// usePasskey records a use of the person's passkey and returns its anomaly and why it is rejected.
func (p *person) usePasskey(usage *ceremony.PasskeyUsage, a domain.Assertion, rejected domain.EventKind, now time.Time) (domain.Anomaly, error) {
	p.t.Helper()
	var use ceremony.UseResult
	rejection := p.store.Update(p.t.Context(), func(tx ports.Tx) (err error) {
		use, err = usage.Record(p.t.Context(), tx, p.key.ID(), a, testClient, rejected, now)
		return err
	})
	var anomaly *ceremony.AnomalyError
	if errors.As(rejection, &anomaly) {
		if anomaly.Credential.ID() != p.key.ID() {
			p.t.Errorf("an anomaly of passkey %s, want %s", anomaly.Credential.ID(), p.key.ID())
		}
		return anomaly.Anomaly, rejection
	}
	return use.Anomaly, rejection
}

func (p *person) storedKey() (is domain.CredentialState) {
	p.t.Helper()
	p.update(func(tx ports.Tx) error {
		key, err := tx.Credentials.ByID(p.t.Context(), p.key.ID())
		if err == nil {
			is = key.State()
		}
		return err
	})
	return is
}

func TestPasskeyUsage_RecordsAnomaliesByPolicy(t *testing.T) {
	regressed := domain.Assertion{Flags: deviceBound, SignCount: 7}
	changed := domain.Assertion{Flags: synced, SignCount: 8}
	for name, c := range map[string]struct {
		use     domain.Assertion
		policy  domain.UsePolicy
		anomaly domain.Anomaly
		reason  domain.Reason // of the rejection
		log     []string
		left    domain.CredentialState
	}{
		"nothing": {
			domain.Assertion{Flags: deviceBound, SignCount: 8}, domain.UsePolicy{Counter: domain.CounterReject}, "", "", []string{},
			domain.CredentialState{SignCount: 8, Status: domain.CredentialActive, LastUsedAt: noon},
		},
		"the counter, rejected": {
			regressed, domain.UsePolicy{Counter: domain.CounterReject}, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed,
			[]string{"passkey_flagged counter_regressed", "step_up_refused counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true},
		},
		"the counter, flagged": {
			regressed, domain.UsePolicy{Counter: domain.CounterFlag}, domain.AnomalyCounterRegressed, "",
			[]string{"passkey_flagged counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true, LastUsedAt: noon},
		},
		"the counter, suspended": {
			regressed, domain.UsePolicy{Counter: domain.CounterSuspend}, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed,
			[]string{"passkey_suspended counter_regressed", "step_up_refused counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialSuspended, CloneWarning: true},
		},
		"backup eligibility, rejected": {
			changed, domain.UsePolicy{BackupEligibility: domain.BackupEligibilityReject}, domain.AnomalyBackupEligibilityChanged, domain.ReasonBackupEligibilityChanged,
			[]string{"passkey_flagged backup_eligibility_changed", "step_up_refused backup_eligibility_changed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive},
		},
		"backup eligibility, accepted": {
			changed, domain.UsePolicy{BackupEligibility: domain.BackupEligibilityAcceptAndRecord}, domain.AnomalyBackupEligibilityChanged, "",
			[]string{"passkey_flagged backup_eligibility_changed"},
			domain.CredentialState{SignCount: 8, Status: domain.CredentialActive, LastUsedAt: noon},
		},
		"attested again": {
			domain.Assertion{Flags: deviceBound, SignCount: 8, HasAttestedData: true}, domain.UsePolicy{Counter: domain.CounterReject}, domain.AnomalyAttestedData, "", []string{},
			domain.CredentialState{SignCount: 8, Status: domain.CredentialActive, LastUsedAt: noon},
		},
		"attested again, and the counter": {
			domain.Assertion{Flags: deviceBound, SignCount: 7, HasAttestedData: true}, domain.UsePolicy{Counter: domain.CounterFlag}, domain.AnomalyCounterRegressed, "",
			[]string{"passkey_flagged counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true, LastUsedAt: noon},
		},
		"nobody was there": {
			domain.Assertion{Flags: 1 << 2, SignCount: 8}, domain.UsePolicy{}, "", domain.ReasonUserPresenceMissing,
			[]string{"step_up_refused user_presence_missing"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ada := newPerson(t, sqlitestore.New(t), "Ada")
			anomaly, rejection := ada.usePasskey(&ceremony.PasskeyUsage{Policy: c.policy, Audit: newLog()}, c.use, domain.EventStepUpRefused, noon)
			if anomaly != c.anomaly || domain.ReasonOf(rejection) != c.reason || (rejection == nil) != (c.reason == "") {
				t.Errorf("anomaly %q, rejection %v", anomaly, rejection)
			}
			is := ada.storedKey()
			if is.SignCount != c.left.SignCount || is.Status != c.left.Status || is.CloneWarning != c.left.CloneWarning || !is.LastUsedAt.Equal(c.left.LastUsedAt) {
				t.Errorf("left %+v", is)
			}
			log := ada.log()
			if got := kindsAndReasons(log); !slices.Equal(got, c.log) {
				t.Errorf("logged %q, want %q", got, c.log)
			}
			for _, e := range log {
				want := domain.EventState{
					ID: e.ID, UserID: ada.user.ID(), Kind: e.Kind, At: noon, Actor: domain.ActorUser, CredentialID: ada.key.ID(), PasskeyName: "a key",
					DeviceName: "curl/8.5.0", IP: "203.0.113.9", Reason: e.Reason, RequestID: "request-17",
				}
				if !equal(e, want) {
					t.Errorf("got  %+v\nwant %+v", e, want)
				}
			}
		})
	}
}

// A suspended passkey is not found odd again at every attempt; that it was tried is told.
func TestPasskeyUsage_RecordsUseOfSuspendedPasskey(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	usage := &ceremony.PasskeyUsage{Policy: domain.UsePolicy{Counter: domain.CounterSuspend}, Audit: newLog()}
	if _, err := ada.usePasskey(usage, domain.Assertion{Flags: deviceBound, SignCount: 7}, domain.EventStepUpRefused, noon); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Fatal(err)
	}
	logged := kindsAndReasons(ada.log())
	if anomaly, err := ada.usePasskey(usage, domain.Assertion{Flags: deviceBound, SignCount: 9}, domain.EventStepUpRefused, noon); !errors.Is(err, domain.ErrPasskeySuspended) || anomaly != "" {
		t.Errorf("anomaly %q, rejection %v", anomaly, err)
	}
	logged = append(logged, "step_up_refused passkey_suspended")
	slices.Sort(logged)
	if got := kindsAndReasons(ada.log()); !slices.Equal(got, logged) {
		t.Errorf("logged %q, want %q", got, logged)
	}
}

func TestPasskeyUsage_UnknownPasskey(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
		_, err := (&ceremony.PasskeyUsage{Audit: newLog()}).Record(t.Context(), tx, "gone", domain.Assertion{}, identity.Client{}, domain.EventSignInRefused, noon)
		return err
	})
	if !errors.Is(err, domain.ErrPasskeyUnknown) || len(ada.log()) != 0 {
		t.Errorf("got %v, logged %+v", err, ada.log())
	}
}

// A use that leaves a mark leaves it in the log as well, or not at all.
func TestPasskeyUsage_RollsBackWithoutEvent(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	dry := &audit.Log{Random: iotest.ErrReader(errors.New("no randomness")), Devices: echoDeviceNames{}}
	for name, c := range map[string]struct {
		policy domain.CounterPolicy
		use    domain.Assertion
	}{
		"an allowed oddity": {domain.CounterFlag, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a refused one":     {domain.CounterReject, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a refusal alone":   {domain.CounterReject, domain.Assertion{Flags: 1 << 2, SignCount: 8}},
	} {
		usage := &ceremony.PasskeyUsage{Policy: domain.UsePolicy{Counter: c.policy}, Audit: dry}
		err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
			_, err := usage.Record(t.Context(), tx, ada.key.ID(), c.use, identity.Client{}, domain.EventSignInRefused, noon)
			return err
		})
		if err == nil || ada.storedKey().CloneWarning {
			t.Errorf("%s: got %v, warning %t", name, err, ada.storedKey().CloneWarning)
		}
	}
}

// The owner hears of a passkey that may have been copied under every policy, at sign-in and at step-up, and once a day for each
// passkey and finding: a copy that is tried again and again sends no more e-mail.
func TestPasskeyUsage_NotifiesEveryAnomaly(t *testing.T) {
	regressed := domain.Assertion{Flags: deviceBound, SignCount: 7}
	changed := domain.Assertion{Flags: synced, SignCount: 8}
	for name, c := range map[string]struct {
		use    domain.Assertion
		policy domain.UsePolicy
		kind   domain.EmailKind
	}{
		"counter, reject":  {regressed, domain.UsePolicy{Counter: domain.CounterReject}, domain.EmailKindPasskeyFlagged},
		"counter, flag":    {regressed, domain.UsePolicy{Counter: domain.CounterFlag}, domain.EmailKindPasskeyFlagged},
		"counter, suspend": {regressed, domain.UsePolicy{Counter: domain.CounterSuspend}, domain.EmailKindPasskeySuspended},
		"backup eligibility, reject": {
			changed, domain.UsePolicy{BackupEligibility: domain.BackupEligibilityReject}, domain.EmailKindPasskeyFlagged,
		},
		"backup eligibility, accept and record": {
			changed, domain.UsePolicy{BackupEligibility: domain.BackupEligibilityAcceptAndRecord}, domain.EmailKindPasskeyFlagged,
		},
	} {
		for _, rejected := range []domain.EventKind{domain.EventSignInRefused, domain.EventStepUpRefused} {
			ada := newPerson(t, sqlitestore.New(t), "Ada")
			ada.setEmail("ada@example.org", true)
			usage := &ceremony.PasskeyUsage{Policy: c.policy, Audit: newLogWithMail()}
			anomaly, rejection := ada.usePasskey(usage, c.use, rejected, noon)
			if !anomaly.IndicatesClone() && rejection == nil {
				t.Errorf("%s, %s: no anomaly", name, rejected)
			}
			for i := range 5 {
				_, _ = ada.usePasskey(usage, c.use, rejected, noon.Add(time.Duration(i)*time.Minute))
			}
			got := ada.outbox()
			if len(got) != 1 || got[0].Kind != c.kind || got[0].To != "ada@example.org" || got[0].Details.IP != testClient.IP {
				t.Errorf("%s, %s: sent %+v", name, rejected, got)
			}
			if c.policy.Counter == domain.CounterSuspend || c.policy.BackupEligibility == domain.BackupEligibilityAcceptAndRecord {
				continue // there is nothing more to find
			}
			_, _ = ada.usePasskey(usage, c.use, rejected, noon.Add(24*time.Hour))
			if got := ada.outbox(); len(got) != 2 {
				t.Errorf("%s, %s: %d messages after another day", name, rejected, len(got))
			}
			var anomalyErr *ceremony.AnomalyError
			if errors.As(rejection, &anomalyErr) != (rejection != nil) {
				t.Errorf("%s, %s: rejected with %+v", name, rejected, rejection)
			}
		}
	}
}

func equal(a, b domain.EventState) bool {
	a.Changed, b.Changed = nil, nil
	return a.ID == b.ID && a.UserID == b.UserID && a.Kind == b.Kind && a.At.Equal(b.At) && a.Actor == b.Actor && a.SessionID == b.SessionID &&
		a.CredentialID == b.CredentialID && a.PasskeyName == b.PasskeyName && a.DeviceName == b.DeviceName && a.IP == b.IP &&
		a.Reason == b.Reason && a.RequestID == b.RequestID
}
