package ceremony_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const deviceBound = domain.AuthenticatorFlags(1<<0 | 1<<2)

func newLog() *audit.Log {
	return &audit.Log{Random: rand.Reader, Devices: sqlitestore.EchoDeviceNames{}}
}

type person struct{ *sqlitestore.Account }

func newPerson(t *testing.T, store ports.Store, name string) *person {
	t.Helper()
	return &person{sqlitestore.NewAccount(t, store, name, noon)}
}

func newLogWithMail() *audit.Log {
	log := newLog()
	log.Notifier = notify.Notifier{Random: rand.Reader, Devices: sqlitestore.EchoDeviceNames{}, Policy: domain.EmailOn}
	return log
}

var testClient = identity.Client{UserAgent: "curl/8.5.0", IP: "203.0.113.9", RequestID: "request-17"}

const synced = deviceBound | 1<<3 | 1<<4

// usePasskey records a use of the person's passkey and returns its anomaly and its rejection.
func (p *person) usePasskey(usage *ceremony.PasskeyUsage, a domain.Assertion, rejected domain.EventKind, now time.Time) (domain.Anomaly, error) {
	p.T.Helper()
	var allowed domain.Anomaly
	rejection := p.Store.Update(p.T.Context(), func(tx ports.Tx) error {
		key, err := tx.Credentials.ByID(p.T.Context(), p.Key.ID())
		if err != nil {
			return err
		}
		allowed, err = usage.Record(p.T.Context(), tx, key, a, testClient, rejected, true, now)
		return err
	})
	var anomaly *ceremony.AnomalyError
	if errors.As(rejection, &anomaly) {
		if anomaly.Credential.ID() != p.Key.ID() {
			p.T.Errorf("anomaly of passkey %s, want %s", anomaly.Credential.ID(), p.Key.ID())
		}
		return anomaly.Anomaly, rejection
	}
	return allowed, rejection
}

func (p *person) storedKey() (s domain.CredentialState) {
	p.T.Helper()
	p.Update(func(tx ports.Tx) error {
		key, err := tx.Credentials.ByID(p.T.Context(), p.Key.ID())
		if err == nil {
			s = key.State()
		}
		return err
	})
	return s
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
		stored  domain.CredentialState
	}{
		"no anomaly": {
			domain.Assertion{Flags: deviceBound, SignCount: 8}, domain.UsePolicy{Counter: domain.CounterReject}, "", "", []string{},
			domain.CredentialState{SignCount: 8, Status: domain.CredentialActive, LastUsedAt: noon},
		},
		"counter, rejected": {
			regressed, domain.UsePolicy{Counter: domain.CounterReject}, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed,
			[]string{"passkey_flagged counter_regressed", "step_up_refused counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true},
		},
		"counter, flagged": {
			regressed, domain.UsePolicy{Counter: domain.CounterFlag}, domain.AnomalyCounterRegressed, "",
			[]string{"passkey_flagged counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true, LastUsedAt: noon},
		},
		"counter, suspended": {
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
		"attested data": {
			domain.Assertion{Flags: deviceBound, SignCount: 8, HasAttestedData: true}, domain.UsePolicy{Counter: domain.CounterReject}, domain.AnomalyAttestedData, "", []string{},
			domain.CredentialState{SignCount: 8, Status: domain.CredentialActive, LastUsedAt: noon},
		},
		"attested data and counter": {
			domain.Assertion{Flags: deviceBound, SignCount: 7, HasAttestedData: true}, domain.UsePolicy{Counter: domain.CounterFlag}, domain.AnomalyCounterRegressed, "",
			[]string{"passkey_flagged counter_regressed"},
			domain.CredentialState{SignCount: 7, Status: domain.CredentialActive, CloneWarning: true, LastUsedAt: noon},
		},
		"user presence missing": {
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
			s := ada.storedKey()
			if s.SignCount != c.stored.SignCount || s.Status != c.stored.Status || s.CloneWarning != c.stored.CloneWarning || !s.LastUsedAt.Equal(c.stored.LastUsedAt) {
				t.Errorf("stored %+v", s)
			}
			log := ada.Events()
			if got := sqlitestore.KindsAndReasons(log); !slices.Equal(got, c.log) {
				t.Errorf("logged %q, want %q", got, c.log)
			}
			for _, e := range log {
				want := domain.EventState{
					ID: e.ID, UserID: ada.User.ID(), Kind: e.Kind, At: noon, Actor: domain.ActorUser, CredentialID: ada.Key.ID(), PasskeyName: "a key",
					DeviceName: "curl/8.5.0", IP: "203.0.113.9", Reason: e.Reason, RequestID: "request-17",
				}
				if !equal(e, want) {
					t.Errorf("got  %+v\nwant %+v", e, want)
				}
			}
		})
	}
}

// The use of a suspended passkey is recorded as rejected, and not as another anomaly.
func TestPasskeyUsage_RecordsUseOfSuspendedPasskey(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	usage := &ceremony.PasskeyUsage{Policy: domain.UsePolicy{Counter: domain.CounterSuspend}, Audit: newLog()}
	if _, err := ada.usePasskey(usage, domain.Assertion{Flags: deviceBound, SignCount: 7}, domain.EventStepUpRefused, noon); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Fatal(err)
	}
	want := sqlitestore.KindsAndReasons(ada.Events())
	if anomaly, err := ada.usePasskey(usage, domain.Assertion{Flags: deviceBound, SignCount: 9}, domain.EventStepUpRefused, noon); !errors.Is(err, domain.ErrPasskeySuspended) || anomaly != "" {
		t.Errorf("anomaly %q, rejection %v", anomaly, err)
	}
	want = append(want, "step_up_refused passkey_suspended")
	slices.Sort(want)
	if got := sqlitestore.KindsAndReasons(ada.Events()); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestPasskeyUsage_RemovedPasskey(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	err := ada.Store.Update(t.Context(), func(tx ports.Tx) error {
		if err := tx.Credentials.Remove(t.Context(), ada.Key.ID()); err != nil {
			return err
		}
		_, err := (&ceremony.PasskeyUsage{Audit: newLog()}).Record(t.Context(), tx, ada.Key, domain.Assertion{Flags: deviceBound, SignCount: 9}, identity.Client{}, domain.EventSignInRefused, true, noon)
		return err
	})
	if !errors.Is(err, domain.ErrPasskeyUnknown) || len(ada.Events()) != 0 {
		t.Errorf("got %v, logged %+v", err, ada.Events())
	}
}

// The anomaly of a passkey and its event are stored together or not at all.
func TestPasskeyUsage_RollsBackWithoutEvent(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	for name, c := range map[string]struct {
		policy domain.CounterPolicy
		use    domain.Assertion
	}{
		"an allowed anomaly": {domain.CounterFlag, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a rejected one":     {domain.CounterReject, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a rejection alone":  {domain.CounterReject, domain.Assertion{Flags: 1 << 2, SignCount: 8}},
	} {
		usage := &ceremony.PasskeyUsage{Policy: domain.UsePolicy{Counter: c.policy}, Audit: newLog()}
		err := failingEventsStore{ada.Store}.Update(t.Context(), func(tx ports.Tx) error {
			_, err := usage.Record(t.Context(), tx, domain.RestoreCredential(ada.Key.State()), c.use, identity.Client{}, domain.EventSignInRefused, true, noon)
			return err
		})
		if !errors.Is(err, domain.ErrUnavailable) || ada.storedKey().CloneWarning {
			t.Errorf("%s: got %v, warning %t", name, err, ada.storedKey().CloneWarning)
		}
	}
}

// The owner is notified of a passkey that may be cloned, under every policy, at sign-in and at step-up. Repeated attempts send
// one e-mail a day for each passkey and anomaly.
// Requirement: WebAuthn-7.2-22
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
			ada.SetEmail("ada@example.org", true)
			usage := &ceremony.PasskeyUsage{Policy: c.policy, Audit: newLogWithMail()}
			anomaly, rejection := ada.usePasskey(usage, c.use, rejected, noon)
			if !anomaly.IndicatesClone() && rejection == nil {
				t.Errorf("%s, %s: no anomaly", name, rejected)
			}
			for i := range 5 {
				_, _ = ada.usePasskey(usage, c.use, rejected, noon.Add(time.Duration(i)*time.Minute))
			}
			got := ada.Outbox()
			if len(got) != 1 || got[0].Kind != c.kind || got[0].To != "ada@example.org" || got[0].Details.IP != testClient.IP {
				t.Errorf("%s, %s: sent %+v", name, rejected, got)
			}
			if c.policy.Counter == domain.CounterSuspend || c.policy.BackupEligibility == domain.BackupEligibilityAcceptAndRecord {
				continue // no further anomaly is possible
			}
			_, _ = ada.usePasskey(usage, c.use, rejected, noon.Add(24*time.Hour))
			if got := ada.Outbox(); len(got) != 2 {
				t.Errorf("%s, %s: %d e-mails after another day, want 2", name, rejected, len(got))
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
