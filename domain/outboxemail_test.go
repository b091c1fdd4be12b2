package domain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// notificationEmail returns a notification to Ada, created at noon.
func notificationEmail(t *testing.T) *domain.OutboxEmail {
	t.Helper()
	return domain.NewNotificationEmail("ada@example.org", "", adasID, domain.EmailKindPasskeyAdded, domain.EventState{}, noon, rand.Reader)
}

func TestNewNotificationEmail(t *testing.T) {
	e := domain.EventState{
		Kind: domain.EventPasskeyAdded, UserID: adasID, At: noon.Add(-time.Second), Actor: domain.ActorOperator, CredentialID: "id", PasskeyName: "the blue one",
		Reason: "reason", DeviceName: "Firefox on Linux", IP: "203.0.113.9", RequestID: "request-17", Changed: []string{"email"},
	}
	m := domain.NewNotificationEmail("ada@example.org", "", adasID, domain.EmailKindPasskeyAdded, e, noon, rand.Reader)
	want := domain.OutboxEmailState{
		ID: m.ID(), UserID: adasID, To: "ada@example.org", Kind: domain.EmailKindPasskeyAdded, DueAt: noon, ExpiresAt: noon.Add(4 * 24 * time.Hour),
		Details: domain.EmailDetails{At: noon.Add(-time.Second), Actor: domain.ActorOperator, PasskeyName: "the blue one", DeviceName: "Firefox on Linux", IP: "203.0.113.9"},
	}
	if got := m.State(); !reflect.DeepEqual(got, want) || got.ID == (domain.OutboxEmailID{}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Only events that the owner must know are sent by e-mail: too many e-mails are not read.
// Requirement: ASVS-6.3.5, NIST-4.2.1.1
func TestNotificationKind(t *testing.T) {
	notified := []domain.EventKind{
		domain.EventPasskeyAdded, domain.EventPasskeyRemoved, domain.EventPasskeyFlagged, domain.EventPasskeySuspended, domain.EventRecoveryGranted, domain.EventRecovered,
		domain.EventRecoveryLocked, domain.EventTOTPAdded, domain.EventTOTPRemoved, domain.EventBackupCodesGenerated, domain.EventRefreshTokenReused,
		domain.EventAuthorizationCodeReused,
	}
	// account_deleted is sent by the use case, to the address of the deleted user.
	for _, kind := range append(slices.Clone(domain.EventKinds), "", "email_code", "address_taken", "email_changed", "email_removed") {
		var want domain.EmailKind
		if slices.Contains(notified, kind) {
			want = domain.EmailKind(kind)
		}
		got, found := domain.NotificationKind(kind)
		if got != want || found != (want != "") || found && !slices.Contains(domain.EmailKinds, got) {
			t.Errorf("%q: %q, %t, want %q, one of %v", kind, got, found, want, domain.EmailKinds)
		}
	}
}

func TestOutboxEmail_BeginAttempt(t *testing.T) {
	m := notificationEmail(t)
	for attempt := 1; attempt <= 3; attempt++ {
		now := noon.Add(time.Duration(attempt) * time.Hour)
		m.BeginAttempt(now)
		if is := m.State(); is.Attempts != attempt || !is.DueAt.Equal(now.Add(5*time.Minute)) || !is.ExpiresAt.Equal(noon.Add(4*24*time.Hour)) {
			t.Errorf("attempt %d at %s: %+v", attempt, now, is)
		}
	}
}

func TestOutboxEmail_ScheduleRetry_doublesDelay(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	email, now := notificationEmail(t), noon
	for attempt, want := range []time.Duration{30 * s, m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, h, h, h, h, h} {
		email.BeginAttempt(now)
		now = now.Add(7 * time.Second) // the duration of the attempt
		if !email.ScheduleRetry(now) {
			t.Fatalf("ended after attempt %d", attempt+1)
		}
		is := email.State()
		if !is.DueAt.Equal(now.Add(want)) || is.Attempts != attempt+1 {
			t.Errorf("after attempt %d: %+v at %s", attempt+1, is, now)
		}
		now = is.DueAt
	}
	// The delay has a maximum.
	for _, attempts := range []int{20, 64, 100, 1 << 40} {
		is := email.State()
		is.Attempts, is.ExpiresAt = attempts, now.Add(24*h)
		many := domain.RestoreOutboxEmail(is)
		if !many.ScheduleRetry(now) || !many.State().DueAt.Equal(now.Add(h)) {
			t.Errorf("after attempt %d: %+v at %s", attempts, many.State(), now)
		}
	}
	// The first delay also applies before any attempt.
	if never := notificationEmail(t); !never.ScheduleRetry(noon) || !never.State().DueAt.Equal(noon.Add(30*s)) {
		t.Errorf("no attempt: %+v", never.State())
	}
}

func TestOutboxEmail_ScheduleRetry_expired(t *testing.T) {
	for left, again := range map[time.Duration]bool{
		time.Hour: true, 30*time.Second + time.Microsecond: true, 30 * time.Second: false, 30*time.Second - time.Microsecond: false, 0: false, -time.Hour: false,
	} {
		m := notificationEmail(t)
		now := m.State().ExpiresAt.Add(-left)
		m.BeginAttempt(now)
		if m.ScheduleRetry(now) != again {
			t.Errorf("%s before it expires: retry %t", left, !again)
		}
	}
}

func TestOutboxEmail_StateIsACopy(t *testing.T) {
	encrypted := []byte("encrypted")
	user := ada(t)
	user.RequestEmail("ada@example.com", domain.EmailCodeDigest{1}, noon)
	m := domain.NewVerificationEmail(outboxEmailID(t), user, encrypted, noon)
	encrypted[0] = 'X'
	m.State().Code[0] = 'X'
	is := m.State()
	restored := domain.RestoreOutboxEmail(is)
	is.Code[0] = 'X'
	restored.State().Code[0] = 'X'
	if got := restored.State(); !reflect.DeepEqual(got, m.State()) || !bytes.Equal(got.Code, []byte("encrypted")) {
		t.Errorf("got %+v", got)
	}
}

func outboxEmailID(t *testing.T) domain.OutboxEmailID {
	t.Helper()
	return domain.NewOutboxEmailID(noon, rand.Reader)
}

func TestOutboxEmailID(t *testing.T) {
	earlier := domain.NewOutboxEmailID(noon.Add(-time.Second), rand.Reader)
	id := outboxEmailID(t)
	again, err := domain.ParseOutboxEmailID(id.String())
	if err != nil || again != id || slices.Compare([]byte(earlier.String()), []byte(id.String())) >= 0 {
		t.Errorf("%s became %s, %v, after %s", id, again, err, earlier)
	}
	if id, err := domain.ParseOutboxEmailID("ada"); err == nil {
		t.Errorf("made %s of a name", id)
	}
}

func TestEmailPolicy_RequireEnabled(t *testing.T) {
	var unset domain.EmailPolicy
	for policy, want := range map[domain.EmailPolicy]error{domain.EmailOn: nil, domain.EmailOff: domain.ErrEmailOff, unset: domain.ErrEmailOff} {
		if err := policy.RequireEnabled(); !errors.Is(err, want) || policy.Enabled() != (want == nil) {
			t.Errorf("%t: enabled %t, %v", policy, policy.Enabled(), err)
		}
	}
}
