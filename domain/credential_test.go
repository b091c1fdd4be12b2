package domain_test

import (
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const (
	up = domain.AuthenticatorFlags(1 << 0)
	uv = domain.AuthenticatorFlags(1 << 2)
	be = domain.AuthenticatorFlags(1 << 3)
	bs = domain.AuthenticatorFlags(1 << 4)

	deviceBound = up | uv
	synced      = up | uv | be | bs
)

// adasID is the owner of passkeys and sessions in tests.
var adasID = func() domain.UserID {
	id, err := domain.ParseUserID("01a20846-fe00-7000-8000-0000000000ad")
	if err != nil {
		panic(err)
	}
	return id
}()

func credential(t *testing.T, flags domain.AuthenticatorFlags, count uint32) *domain.Credential {
	t.Helper()
	c, err := domain.NewCredential(adasID, "Ada's key", domain.Registration{CredentialID: "id", Flags: flags, SignCount: count}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Requirement: WebAuthn-7.1-15, WebAuthn-7.1-16, WebAuthn-7.1-17, NIST-appendix-B
func TestAuthenticatorFlags_Verify(t *testing.T) {
	for name, c := range map[string]struct {
		flags  domain.AuthenticatorFlags
		want   *domain.Error
		reason domain.Reason
	}{
		"device-bound":             {up | uv, nil, ""},
		"synced":                   {up | uv | be | bs, nil, ""},
		"eligible, not backed up":  {up | uv | be, nil, ""},
		"user not present":         {uv, domain.ErrPasskeyRejected, domain.ReasonUserPresenceMissing},
		"not verified":             {up, domain.ErrUserVerificationRequired, domain.ReasonUserVerificationMissing},
		"backed up, not eligible":  {up | uv | bs, domain.ErrPasskeyRejected, domain.ReasonBackupStateInvalid},
		"other bits do not matter": {up | uv | 1<<6 | 1<<7, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, atRegistration := domain.NewCredential(domain.UserID{}, "", domain.Registration{CredentialID: "id", Flags: c.flags}, noon)
			good := credential(t, deviceBound|c.flags&be, 0)
			_, atUse := good.RecordUse(domain.Assertion{Flags: c.flags}, domain.UsePolicy{}, noon)
			for when, err := range map[string]error{"registration": atRegistration, "use": atUse} {
				if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) || domain.ReasonOf(err) != c.reason {
					t.Errorf("at %s: got %v, want %v for %q", when, err, c.want, c.reason)
				}
			}
		})
	}
}

// Requirement: WebAuthn-7.2-22
func TestCredential_RecordUse_counter(t *testing.T) {
	for name, c := range map[string]struct {
		flags         domain.AuthenticatorFlags
		stored, shown uint32
		policy        domain.CounterPolicy
		anomaly       domain.Anomaly
		reason        domain.Reason
		count         uint32
		warning       bool
		status        domain.CredentialStatus
	}{
		"increased":                  {deviceBound, 7, 8, domain.CounterReject, "", "", 8, false, domain.CredentialActive},
		"always zero":                {deviceBound, 0, 0, domain.CounterReject, "", "", 0, false, domain.CredentialActive},
		"unchanged":                  {deviceBound, 7, 7, domain.CounterReject, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed, 7, true, domain.CredentialActive},
		"decreased":                  {deviceBound, 7, 6, domain.CounterReject, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed, 7, true, domain.CredentialActive},
		"decreased to zero":          {deviceBound, 7, 0, domain.CounterReject, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed, 7, true, domain.CredentialActive},
		"decreased, flagged":         {deviceBound, 7, 6, domain.CounterFlag, domain.AnomalyCounterRegressed, "", 6, true, domain.CredentialActive},
		"decreased, suspended":       {deviceBound, 7, 6, domain.CounterSuspend, domain.AnomalyCounterRegressed, domain.ReasonCounterRegressed, 7, true, domain.CredentialSuspended},
		"of a synced one, decreased": {synced, 7, 6, domain.CounterReject, "", "", 6, false, domain.CredentialActive},
		"of a synced one, zero":      {synced, 7, 0, domain.CounterSuspend, "", "", 0, false, domain.CredentialActive},
	} {
		t.Run(name, func(t *testing.T) {
			key := credential(t, c.flags, c.stored)
			anomaly, err := key.RecordUse(domain.Assertion{Flags: c.flags, SignCount: c.shown}, domain.UsePolicy{Counter: c.policy}, noon.Add(time.Hour))
			is := key.State()
			if anomaly != c.anomaly || domain.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
				t.Errorf("anomaly %q, error %v; want anomaly %q, reason %q", anomaly, err, c.anomaly, c.reason)
			}
			if is.SignCount != c.count || is.CloneWarning != c.warning || is.Status != c.status {
				t.Errorf("left with count %d, warning %t, %s; want %d, %t, %s", is.SignCount, is.CloneWarning, is.Status, c.count, c.warning, c.status)
			}
			if used := !is.LastUsedAt.IsZero(); used != (err == nil) {
				t.Errorf("a use with error %v left LastUsedAt %v", err, is.LastUsedAt)
			}
		})
	}
}

func TestCredential_RecordUse_suspended(t *testing.T) {
	key := credential(t, deviceBound, 7)
	policy := domain.UsePolicy{Counter: domain.CounterSuspend}
	if _, err := key.RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 7}, policy, noon); err == nil {
		t.Fatal("a regressed counter was accepted")
	}
	if _, err := key.RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 9}, policy, noon); !errors.Is(err, domain.ErrPasskeySuspended) {
		t.Errorf("a suspended passkey with an increased counter: %v", err)
	}
}

// Requirement: WebAuthn-7.2-19
func TestCredential_RecordUse_backupFlags(t *testing.T) {
	reject := domain.UsePolicy{BackupEligibility: domain.BackupEligibilityReject}
	accept := domain.UsePolicy{BackupEligibility: domain.BackupEligibilityAcceptAndRecord}

	key := credential(t, up|uv|be, 0)
	if _, err := key.RecordUse(domain.Assertion{Flags: synced}, reject, noon); err != nil || !key.BackedUp() {
		t.Errorf("a passkey that is now synced: error %v, backed up %t", err, key.BackedUp())
	}
	if _, err := key.RecordUse(domain.Assertion{Flags: up | uv | be}, reject, noon); err != nil || key.BackedUp() {
		t.Errorf("a passkey that is no longer synced: error %v, backed up %t", err, key.BackedUp())
	}
	anomaly, err := key.RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 1}, reject, noon)
	if domain.ReasonOf(err) != domain.ReasonBackupEligibilityChanged || anomaly != domain.AnomalyBackupEligibilityChanged || !key.BackupEligible() {
		t.Errorf("BE removed: anomaly %q, error %v, BE now %t", anomaly, err, key.BackupEligible())
	}
	anomaly, err = key.RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 1}, accept, noon)
	if err != nil || anomaly != domain.AnomalyBackupEligibilityChanged || key.BackupEligible() {
		t.Errorf("BE removed, accepted: anomaly %q, error %v, BE now %t", anomaly, err, key.BackupEligible())
	}
}

// Requirement: WebAuthn-7.2-19
func TestCredential_RecordUse_becomesBackupEligible(t *testing.T) {
	key := credential(t, deviceBound, 0)
	anomaly, err := key.RecordUse(domain.Assertion{Flags: synced}, domain.UsePolicy{BackupEligibility: domain.BackupEligibilityReject}, noon)
	if domain.ReasonOf(err) != domain.ReasonBackupEligibilityChanged || anomaly != domain.AnomalyBackupEligibilityChanged || key.BackupEligible() {
		t.Errorf("anomaly %q, error %v, BE now %t", anomaly, err, key.BackupEligible())
	}
}

// A copy of a device-bound key cannot avoid the check of its counter with the flag BE.
func TestCredential_RecordUse_counterUsesStoredFlags(t *testing.T) {
	key := credential(t, deviceBound, 7)
	policy := domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityAcceptAndRecord}
	if _, err := key.RecordUse(domain.Assertion{Flags: synced, SignCount: 6}, policy, noon); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("got %v", err)
	}
	if is := key.State(); !is.CloneWarning || key.BackupEligible() {
		t.Errorf("left with warning %t, BE %t", is.CloneWarning, key.BackupEligible())
	}
}

// Requirement: ASVS-16.5.1
func TestPolicies_ZeroValueRejects(t *testing.T) {
	var unset domain.UsePolicy
	if _, err := credential(t, deviceBound, 7).RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 7}, unset, noon); domain.ReasonOf(err) != domain.ReasonCounterRegressed {
		t.Errorf("a regressed counter: got %v", err)
	}
	if _, err := credential(t, synced, 0).RecordUse(domain.Assertion{Flags: deviceBound, SignCount: 1}, unset, noon); domain.ReasonOf(err) != domain.ReasonBackupEligibilityChanged {
		t.Errorf("a changed BE flag: got %v", err)
	}
	if err := domain.RegistrationOpen.RequireSignUp(false); err != nil {
		t.Errorf("an open sign-up: %v", err)
	}
	if err := domain.RegistrationPolicy("").RequireSignUp(true); !errors.Is(err, domain.ErrRegistrationClosed) {
		t.Errorf("the zero value: got %v", err)
	}
}

// A passkey stored without user verification, for example by another server, is marked as verified by its first use.
func TestCredential_UserVerifiedIsLatched(t *testing.T) {
	key := domain.RestoreCredential(domain.CredentialState{Status: domain.CredentialActive, Flags: up})
	if _, err := key.RecordUse(domain.Assertion{Flags: deviceBound}, domain.UsePolicy{}, noon); err != nil || !key.State().Flags.UserVerified() {
		t.Errorf("flags %b, %v", key.State().Flags, err)
	}
}

// Requirement: NIST-appendix-B
func TestNewCredential_KeepsRegistration(t *testing.T) {
	registration := domain.Registration{
		CredentialID: "id", RPID: "example.org", PublicKey: []byte("key"), Algorithm: -7, AAGUID: [16]byte{1}, Attachment: "platform",
		Transports: []string{"usb", "internal"}, Flags: synced, SignCount: 7, Extensions: []byte("{}"),
	}
	owner := domain.NewUserID(noon, rand.Reader)
	key, err := domain.NewCredential(owner, "Ada's key", registration, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.CredentialState{
		ID: "id", UserID: owner, Name: "Ada's key", Status: domain.CredentialActive, RPID: "example.org", PublicKey: []byte("key"), Algorithm: -7,
		AAGUID: [16]byte{1}, Attachment: "platform", Transports: []string{"internal", "usb"}, Flags: synced, SignCount: 7,
		Extensions: []byte("{}"), CreatedAt: noon,
	}
	if got := key.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !slices.Equal(registration.Transports, []string{"usb", "internal"}) {
		t.Error("NewCredential sorted the caller's slice")
	}

	// The credential shares no memory with its input and states.
	taken := key.State()
	restored := domain.RestoreCredential(taken)
	for _, bytes := range [][]byte{taken.PublicKey, taken.Extensions, registration.PublicKey} {
		bytes[0] = 'X'
	}
	taken.Transports[0], key.Descriptor().Transports[0] = "X", "X"
	want.PublicKey, want.Extensions = []byte("key"), []byte("{}")
	for _, key := range []*domain.Credential{key, restored} {
		if got := key.State(); !reflect.DeepEqual(got, want) {
			t.Errorf("changed to %+v", got)
		}
	}
}

func TestCredential_Rename(t *testing.T) {
	key := credential(t, synced, 0)
	for _, c := range []struct {
		name    domain.PasskeyName
		changed bool
	}{{"Ada's key", false}, {"the blue one", true}, {"the blue one", false}, {"", true}, {"", false}} {
		if changed := key.Rename(c.name); changed != c.changed || key.Name() != c.name {
			t.Errorf("renamed to %q: changed %t, is %q", c.name, changed, key.Name())
		}
	}
}

// Requirement: WebAuthn-7.1-25
func TestNewCredentialID_Length(t *testing.T) {
	for length, fits := range map[int]bool{0: false, 1: true, 1023: true, 1024: false} {
		if _, err := domain.NewCredentialID(make([]byte, length)); (err == nil) != fits {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestNewCredential_FiltersClientHints(t *testing.T) {
	c, err := domain.NewCredential(domain.UserID{}, "", domain.Registration{
		CredentialID: "id", Flags: synced, Attachment: "<b>",
		Transports: []string{"usb", "internal", "usb", "", "no spaces", "UPPER", "smart-card", "x23456789012345678901234567890123"},
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	many, err := domain.NewCredential(domain.UserID{}, "", domain.Registration{
		CredentialID: "id", Flags: synced, Transports: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"},
	}, noon)
	if err != nil || len(many.State().Transports) != 8 {
		t.Errorf("%d transports were kept, %v", len(many.State().Transports), err)
	}
	longest, err := domain.NewCredential(domain.UserID{}, "", domain.Registration{CredentialID: "id", Flags: synced, Transports: []string{"x2345678901234567890123456789012"}}, noon)
	if err != nil || len(longest.State().Transports) != 1 {
		t.Errorf("a hint of 32 characters: %q, %v", longest.State().Transports, err)
	}
	is := c.State()
	if want := []string{"internal", "smart-card", "usb"}; !slices.Equal(is.Transports, want) || is.Attachment != "" {
		t.Errorf("kept %q and %q, want %q and none", is.Transports, is.Attachment, want)
	}
}

// A restored backup has older counters than the authenticators: no authentic use is rejected, and a copy is detected by the owner's
// next use (docs/decisions/0039-counters-after-a-restore.md).
// Requirement: WebAuthn-7.2-22
func TestCredential_CountersAfterARestore(t *testing.T) {
	const deviceBound = domain.AuthenticatorFlags(1<<0 | 1<<2)
	restored := domain.RestoreCredential(domain.CredentialState{ID: "key", Status: domain.CredentialActive, Flags: deviceBound, SignCount: 50})
	for _, use := range []struct {
		whose string
		count uint32
		want  domain.Anomaly
	}{
		{"the copy's", 61, domain.AnomalyNone}, // an anomaly before the restore, when the stored count was 100
		{"the owner's", 101, domain.AnomalyNone},
		{"the copy's", 62, domain.AnomalyCounterRegressed},
		{"the owner's", 102, domain.AnomalyNone},
	} {
		anomaly, err := restored.RecordUse(domain.Assertion{Flags: deviceBound, SignCount: use.count}, domain.UsePolicy{Counter: domain.CounterReject}, noon)
		if anomaly != use.want || (err != nil) != (use.want != domain.AnomalyNone) {
			t.Errorf("%s %d: %q, %v", use.whose, use.count, anomaly, err)
		}
	}
}

func TestAnomaly_IndicatesClone(t *testing.T) {
	for _, anomaly := range append([]domain.Anomaly{domain.AnomalyNone}, domain.Anomalies...) {
		want := anomaly == domain.AnomalyCounterRegressed || anomaly == domain.AnomalyBackupEligibilityChanged
		if got := anomaly.IndicatesClone(); got != want {
			t.Errorf("%q: got %t", anomaly, got)
		}
	}
}
