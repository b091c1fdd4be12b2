package domain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// notice is one to Ada's address, made at noon.
func notice(t *testing.T) *domain.Message {
	t.Helper()
	m, err := domain.NewNotice("ada@example.org", adasID, domain.MessagePasskeyAdded, domain.EventSnapshot{}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestANoticeTellsWhatItsEventSays(t *testing.T) {
	e := domain.EventSnapshot{
		Kind: domain.EventPasskeyAdded, UserID: adasID, At: noon.Add(-time.Second), By: domain.ByOperator, CredentialID: "id", PasskeyName: "the blue one",
		Reason: "reason", DeviceName: "Firefox on Linux", IP: "203.0.113.9", RequestID: "request-17", Changed: []string{"email"},
	}
	m, err := domain.NewNotice("ada@example.org", adasID, domain.MessagePasskeyAdded, e, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.MessageSnapshot{
		ID: m.ID(), UserID: adasID, To: "ada@example.org", Kind: domain.MessagePasskeyAdded, DueAt: noon, ExpiresAt: noon.Add(4 * 24 * time.Hour),
		About: domain.MessageFacts{At: noon.Add(-time.Second), By: domain.ByOperator, PasskeyName: "the blue one", DeviceName: "Firefox on Linux", IP: "203.0.113.9"},
	}
	if got := m.Snapshot(); !reflect.DeepEqual(got, want) || got.ID == (domain.MessageID{}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if m, err := domain.NewNotice("ada@example.org", adasID, domain.MessagePasskeyAdded, e, noon, iotest.ErrReader(errStumbled)); m != nil || !errors.Is(err, errStumbled) {
		t.Errorf("without randomness: %v, %v", m, err)
	}
}

var errStumbled = errors.New("no randomness at this moment")

// Whoever gets a letter for everything reads none.
func TestThereIsANoticeOfWhatOpensAnAccountAndOfNothingElse(t *testing.T) {
	told := []domain.EventKind{
		domain.EventPasskeyAdded, domain.EventPasskeyRemoved, domain.EventPasskeyFlagged, domain.EventPasskeySuspended, domain.EventRecoveryGranted, domain.EventRecovered,
		domain.EventRecoveryClosed, domain.EventTOTPAdded, domain.EventTOTPRemoved, domain.EventBackupCodesMade, domain.EventRefreshTokenReused,
	}
	for _, kind := range told {
		if notice, found := domain.NoticeOf(kind); !found || string(notice) != string(kind) {
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
		if notice, found := domain.NoticeOf(kind); found || notice != "" {
			t.Errorf("of %q: %q, %t", kind, notice, found)
		}
	}
}

func TestNobodyElseTriesWhileAMessageIsBeingSent(t *testing.T) {
	m := notice(t)
	for attempt := 1; attempt <= 3; attempt++ {
		now := noon.Add(time.Duration(attempt) * time.Hour)
		m.Attempt(now)
		if is := m.Snapshot(); is.Attempts != attempt || !is.DueAt.Equal(now.Add(5*time.Minute)) || !is.ExpiresAt.Equal(noon.Add(4*24*time.Hour)) {
			t.Errorf("attempt %d at %s: %+v", attempt, now, is)
		}
	}
}

func TestEachFailureDoublesTheTimeToTheNextAttemptUpToAnHour(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	message, now := notice(t), noon
	for attempt, want := range []time.Duration{30 * s, m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, h, h, h, h, h} {
		message.Attempt(now)
		now = now.Add(7 * time.Second) // that it took
		if !message.Postpone(now) {
			t.Fatalf("given up after attempt %d", attempt+1)
		}
		is := message.Snapshot()
		if !is.DueAt.Equal(now.Add(want)) || is.Attempts != attempt+1 {
			t.Errorf("after attempt %d: %+v at %s", attempt+1, is, now)
		}
		now = is.DueAt
	}
	// However many there were.
	for _, attempts := range []int{20, 64, 100, 1 << 40} {
		is := message.Snapshot()
		is.Attempts, is.ExpiresAt = attempts, now.Add(24*h)
		many := domain.RestoreMessage(is)
		if !many.Postpone(now) || !many.Snapshot().DueAt.Equal(now.Add(h)) {
			t.Errorf("after attempt %d: %+v at %s", attempts, many.Snapshot(), now)
		}
	}
	// One that was never tried waits no less.
	if never := notice(t); !never.Postpone(noon) || !never.Snapshot().DueAt.Equal(noon.Add(30*s)) {
		t.Errorf("never tried: %+v", never.Snapshot())
	}
}

func TestAMessageIsGivenUpOnceItWouldBeOfNoUse(t *testing.T) {
	for left, again := range map[time.Duration]bool{
		time.Hour: true, 30*time.Second + time.Microsecond: true, 30 * time.Second: false, 30*time.Second - time.Microsecond: false, 0: false, -time.Hour: false,
	} {
		m := notice(t)
		now := m.Snapshot().ExpiresAt.Add(-left)
		m.Attempt(now)
		if m.Postpone(now) != again {
			t.Errorf("%s before it expires: tried again %t", left, !again)
		}
	}
}

func TestAMessageIsKeptAsItIs(t *testing.T) {
	sealed := []byte("sealed")
	claimant := ada(t)
	claimant.Claim("ada@example.com", domain.EmailCodeDigest{1}, noon)
	m := domain.NewEmailCodeMessage(messageID(t), claimant, sealed, noon)
	sealed[0] = 'X'
	m.Snapshot().Code[0] = 'X'
	is := m.Snapshot()
	restored := domain.RestoreMessage(is)
	is.Code[0] = 'X'
	restored.Snapshot().Code[0] = 'X'
	if got := restored.Snapshot(); !reflect.DeepEqual(got, m.Snapshot()) || !bytes.Equal(got.Code, []byte("sealed")) {
		t.Errorf("got %+v", got)
	}
}

func messageID(t *testing.T) domain.MessageID {
	t.Helper()
	id, err := domain.NewMessageID(noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAMessageIsCalledByItsID(t *testing.T) {
	earlier, err := domain.NewMessageID(noon.Add(-time.Second), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := messageID(t)
	again, err := domain.ParseMessageID(id.String())
	if err != nil || again != id || slices.Compare([]byte(earlier.String()), []byte(id.String())) >= 0 {
		t.Errorf("%s became %s, %v, after %s", id, again, err, earlier)
	}
	if id, err := domain.ParseMessageID("ada"); err == nil {
		t.Errorf("made %s of a name", id)
	}
	if id, err := domain.NewMessageID(noon, iotest.ErrReader(errStumbled)); !errors.Is(err, errStumbled) {
		t.Errorf("without randomness: %s, %v", id, err)
	}
}

func TestWhereNoMailIsSentThatIsAnError(t *testing.T) {
	if err := domain.MailOn.On(); err != nil {
		t.Errorf("on: %v", err)
	}
	if err := domain.MailOff.On(); !errors.Is(err, domain.ErrMailOff) {
		t.Errorf("off: %v", err)
	}
	var unset domain.MailPolicy
	if err := unset.On(); !errors.Is(err, domain.ErrMailOff) {
		t.Errorf("unset: %v", err)
	}
}
