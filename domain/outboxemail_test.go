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

// notificationEmail is one to Ada's address, made at noon.
func notificationEmail(t *testing.T) *domain.OutboxEmail {
	t.Helper()
	return domain.NewNotificationEmail("ada@example.org", adasID, domain.EmailKindPasskeyAdded, domain.EventState{}, noon, rand.Reader)
}

func TestNewNotificationEmail(t *testing.T) {
	e := domain.EventState{
		Kind: domain.EventPasskeyAdded, UserID: adasID, At: noon.Add(-time.Second), Actor: domain.ActorOperator, CredentialID: "id", PasskeyName: "the blue one",
		Reason: "reason", DeviceName: "Firefox on Linux", IP: "203.0.113.9", RequestID: "request-17", Changed: []string{"email"},
	}
	m := domain.NewNotificationEmail("ada@example.org", adasID, domain.EmailKindPasskeyAdded, e, noon, rand.Reader)
	want := domain.OutboxEmailState{
		ID: m.ID(), UserID: adasID, To: "ada@example.org", Kind: domain.EmailKindPasskeyAdded, DueAt: noon, ExpiresAt: noon.Add(4 * 24 * time.Hour),
		Details: domain.EmailDetails{At: noon.Add(-time.Second), Actor: domain.ActorOperator, PasskeyName: "the blue one", DeviceName: "Firefox on Linux", IP: "203.0.113.9"},
	}
	if got := m.State(); !reflect.DeepEqual(got, want) || got.ID == (domain.OutboxEmailID{}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Whoever gets a letter for everything reads none.
func TestNotificationKind(t *testing.T) {
	told := []domain.EventKind{
		domain.EventPasskeyAdded, domain.EventPasskeyRemoved, domain.EventPasskeyFlagged, domain.EventPasskeySuspended, domain.EventRecoveryGranted, domain.EventRecovered,
		domain.EventRecoveryLocked, domain.EventTOTPAdded, domain.EventTOTPRemoved, domain.EventBackupCodesGenerated, domain.EventRefreshTokenReused,
	}
	for _, kind := range told {
		if notice, found := domain.NotificationKind(kind); !found || string(notice) != string(kind) {
			t.Errorf("of %s: %q, %t", kind, notice, found)
		}
	}
	for _, kind := range []domain.EventKind{
		domain.EventSignedUp, domain.EventSignedIn, domain.EventSignInRefused, domain.EventSignedOut, domain.EventSteppedUp, domain.EventStepUpRefused,
		domain.EventSessionRevoked, domain.EventPasskeyAddRefused, domain.EventPasskeyRenamed, domain.EventAccountChanged,
		domain.EventRecoveryRefused, domain.EventAccountDisabled, domain.EventAccountEnabled,
		domain.EventAccountDeleted, // told as well, when there is no user any more who could be asked for an address
		"", "email_code", "address_taken", "email_changed", "email_removed",
	} {
		if notice, found := domain.NotificationKind(kind); found || notice != "" {
			t.Errorf("of %q: %q, %t", kind, notice, found)
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
	message, now := notificationEmail(t), noon
	for attempt, want := range []time.Duration{30 * s, m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, h, h, h, h, h} {
		message.BeginAttempt(now)
		now = now.Add(7 * time.Second) // that it took
		if !message.ScheduleRetry(now) {
			t.Fatalf("given up after attempt %d", attempt+1)
		}
		is := message.State()
		if !is.DueAt.Equal(now.Add(want)) || is.Attempts != attempt+1 {
			t.Errorf("after attempt %d: %+v at %s", attempt+1, is, now)
		}
		now = is.DueAt
	}
	// However many there were.
	for _, attempts := range []int{20, 64, 100, 1 << 40} {
		is := message.State()
		is.Attempts, is.ExpiresAt = attempts, now.Add(24*h)
		many := domain.RestoreOutboxEmail(is)
		if !many.ScheduleRetry(now) || !many.State().DueAt.Equal(now.Add(h)) {
			t.Errorf("after attempt %d: %+v at %s", attempts, many.State(), now)
		}
	}
	// One that was never tried waits no less.
	if never := notificationEmail(t); !never.ScheduleRetry(noon) || !never.State().DueAt.Equal(noon.Add(30*s)) {
		t.Errorf("never tried: %+v", never.State())
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
			t.Errorf("%s before it expires: tried again %t", left, !again)
		}
	}
}

func TestOutboxEmail_StateIsACopy(t *testing.T) {
	sealed := []byte("sealed")
	claimant := ada(t)
	claimant.RequestEmail("ada@example.com", domain.EmailCodeDigest{1}, noon)
	m := domain.NewVerificationEmail(outboxEmailID(t), claimant, sealed, noon)
	sealed[0] = 'X'
	m.State().Code[0] = 'X'
	is := m.State()
	restored := domain.RestoreOutboxEmail(is)
	is.Code[0] = 'X'
	restored.State().Code[0] = 'X'
	if got := restored.State(); !reflect.DeepEqual(got, m.State()) || !bytes.Equal(got.Code, []byte("sealed")) {
		t.Errorf("got %+v", got)
	}
}

func outboxEmailID(t *testing.T) domain.OutboxEmailID {
	t.Helper()
	id := domain.NewOutboxEmailID(noon, rand.Reader)
	return id
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
	if err := domain.EmailOn.RequireEnabled(); err != nil {
		t.Errorf("on: %v", err)
	}
	if err := domain.EmailOff.RequireEnabled(); !errors.Is(err, domain.ErrEmailOff) {
		t.Errorf("off: %v", err)
	}
	var unset domain.EmailPolicy
	if err := unset.RequireEnabled(); !errors.Is(err, domain.ErrEmailOff) {
		t.Errorf("unset: %v", err)
	}
}
