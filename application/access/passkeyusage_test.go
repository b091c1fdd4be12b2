package access_test

import (
	"errors"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const synced = deviceBound | 1<<3 | 1<<4

// usePasskey has the person's key counted to 7 be used, and keeps what came of it.
func (p *person) usePasskey(a domain.Assertion, policy domain.UsePolicy) (use access.UseResult) {
	p.t.Helper()
	examiner := &access.PasskeyUsage{Policy: policy, Audit: newAuditLog()}
	visitor := access.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}
	p.update(func(tx ports.Tx) (err error) {
		use, err = examiner.Record(p.t.Context(), tx, p.key.ID(), a, visitor, domain.EventStepUpRefused, noon)
		return err
	})
	return use
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
		finding domain.Anomaly
		reason  domain.Reason // of the refusal
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
			ada := newPerson(t, memory.New(), "Ada")
			use := ada.usePasskey(c.use, c.policy)
			if use.Anomaly != c.finding || domain.ReasonOf(use.Rejection) != c.reason || (use.Rejection == nil) != (c.reason == "") {
				t.Errorf("finding %q, refusal %v", use.Anomaly, use.Rejection)
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
					DeviceName: "curl/8.5.0", IP: "127.0.0.1", Reason: e.Reason, RequestID: "request-17",
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
	ada := newPerson(t, memory.New(), "Ada")
	policy := domain.UsePolicy{Counter: domain.CounterSuspend}
	ada.usePasskey(domain.Assertion{Flags: deviceBound, SignCount: 7}, policy)
	logged := kindsAndReasons(ada.log())
	if use := ada.usePasskey(domain.Assertion{Flags: deviceBound, SignCount: 9}, policy); !errors.Is(use.Rejection, domain.ErrPasskeySuspended) || use.Anomaly != "" {
		t.Errorf("finding %q, refusal %v", use.Anomaly, use.Rejection)
	}
	logged = append(logged, "step_up_refused passkey_suspended")
	slices.Sort(logged)
	if got := kindsAndReasons(ada.log()); !slices.Equal(got, logged) {
		t.Errorf("logged %q, want %q", got, logged)
	}
}

func TestPasskeyUsage_UnknownPasskey(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
		_, err := (&access.PasskeyUsage{Audit: newAuditLog()}).Record(t.Context(), tx, "gone", domain.Assertion{}, access.Client{}, domain.EventSignInRefused, noon)
		return err
	})
	if !errors.Is(err, domain.ErrPasskeyUnknown) || len(ada.log()) != 0 {
		t.Errorf("got %v, logged %+v", err, ada.log())
	}
}

// A use that leaves a mark leaves it in the log as well, or not at all.
func TestPasskeyUsage_RollsBackWithoutEvent(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	dry := &access.AuditLog{Random: iotest.ErrReader(errors.New("no randomness")), Devices: echoDeviceNames{}}
	for name, c := range map[string]struct {
		policy domain.CounterPolicy
		use    domain.Assertion
	}{
		"an allowed oddity": {domain.CounterFlag, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a refused one":     {domain.CounterReject, domain.Assertion{Flags: deviceBound, SignCount: 7}},
		"a refusal alone":   {domain.CounterReject, domain.Assertion{Flags: 1 << 2, SignCount: 8}},
	} {
		examiner := &access.PasskeyUsage{Policy: domain.UsePolicy{Counter: c.policy}, Audit: dry}
		err := ada.store.Update(t.Context(), func(tx ports.Tx) error {
			_, err := examiner.Record(t.Context(), tx, ada.key.ID(), c.use, access.Client{}, domain.EventSignInRefused, noon)
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
		for _, refused := range []domain.EventKind{domain.EventSignInRefused, domain.EventStepUpRefused} {
			ada := newPerson(t, memory.New(), "Ada")
			ada.setEmail("ada@example.org", true)
			examiner := &access.PasskeyUsage{Policy: c.policy, Audit: newAuditLogWithMail()}
			use := func(now time.Time) (use access.UseResult) {
				ada.update(func(tx ports.Tx) (err error) {
					use, err = examiner.Record(t.Context(), tx, ada.key.ID(), c.use, testClient, refused, now)
					return err
				})
				return use
			}
			first := use(noon)
			for i := range 5 {
				use(noon.Add(time.Duration(i) * time.Minute))
			}
			got := ada.outbox()
			if len(got) != 1 || got[0].Kind != c.kind || got[0].To != "ada@example.org" || got[0].Details.IP != testClient.IP {
				t.Errorf("%s, %s: sent %+v", name, refused, got)
			}
			if c.policy.Counter == domain.CounterSuspend || c.policy.BackupEligibility == domain.BackupEligibilityAcceptAndRecord {
				continue // there is nothing more to find
			}
			use(noon.Add(24 * time.Hour))
			if got := ada.outbox(); len(got) != 2 {
				t.Errorf("%s, %s: %d messages after another day", name, refused, len(got))
			}
			var odd *access.AnomalyError
			if errors.As(first.Rejection, &odd) != (first.Rejection != nil) || odd != nil && (odd.Anomaly != first.Anomaly || odd.Credential.ID() != ada.key.ID()) {
				t.Errorf("%s, %s: refused with %+v", name, refused, first.Rejection)
			}
		}
	}
}
