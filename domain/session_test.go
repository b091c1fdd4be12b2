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

var lifetime = domain.SessionLifetime{TTL: 30 * 24 * time.Hour, IdleTTL: 7 * 24 * time.Hour}

func session(t *testing.T, flags domain.AuthenticatorFlags) (*domain.Session, domain.SessionToken) {
	t.Helper()
	s, token, err := domain.OpenSession(credential(t, flags, 0), domain.NewDevice("curl/8.5.0", "127.0.0.1"), lifetime, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s, token
}

func TestASessionEndsIdleOldOrRevoked(t *testing.T) {
	const day = 24 * time.Hour
	s, _ := session(t, synced)
	usable := func(after time.Duration, want error) {
		t.Helper()
		if err := s.Usable(noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: got %v, want %v", after, err, want)
		}
	}
	usable(7*day-1, nil)
	usable(7*day, domain.ErrSessionExpired)
	for after := 6 * day; after < 30*day; after += 6 * day {
		s.Touch(lifetime, noon.Add(after))
	}
	usable(30*day-1, nil)
	usable(30*day, domain.ErrSessionExpired)
	s.Revoke(noon.Add(day))
	s.Revoke(noon.Add(2 * day))
	usable(day, domain.ErrSessionRevoked)
	if at := s.Snapshot().RevokedAt; !at.Equal(noon.Add(day)) {
		t.Errorf("revoked at %v, want the first time", at)
	}
}

func TestTheIdleEndIsNeverBeyondTheLastOne(t *testing.T) {
	s, _ := session(t, synced)
	s.Touch(lifetime, noon.Add(29*24*time.Hour))
	if is := s.Snapshot(); !is.IdleEndsAt.Equal(is.ExpiresAt) || !is.ExpiresAt.Equal(noon.Add(lifetime.TTL)) {
		t.Errorf("idle until %s, lasts until %s", is.IdleEndsAt, is.ExpiresAt)
	}
	careless := s.Snapshot()
	careless.IdleEndsAt = careless.ExpiresAt.Add(time.Hour)
	if err := domain.RestoreSession(careless).Usable(careless.ExpiresAt); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("restored with an idle end beyond it: got %v", err)
	}
}

func TestASnapshotSharesNothingWithItsSession(t *testing.T) {
	s, _ := session(t, synced)
	taken := s.Snapshot()
	restored := domain.RestoreSession(taken)
	taken.AMR[0] = "pwd"
	if s.Snapshot().AMR[0] != "swk" || restored.Snapshot().AMR[0] != "swk" {
		t.Error("the session was changed from outside")
	}
}

func TestUseIsKnownToTheMinute(t *testing.T) {
	s, _ := session(t, synced)
	if !s.SeenLately(noon.Add(time.Minute-1)) || s.SeenLately(noon.Add(time.Minute)) {
		t.Error("a use is noted more or less often than once a minute")
	}
}

func TestMethodsSayWhereTheKeyIs(t *testing.T) {
	for flags, want := range map[domain.AuthenticatorFlags][]string{
		synced:       {"swk", "user", "mfa"},
		up | uv | be: {"swk", "user", "mfa"}, // it may leave its device
		deviceBound:  {"hwk", "user", "mfa"},
	} {
		if s, _ := session(t, flags); !slices.Equal(s.Snapshot().AMR, want) {
			t.Errorf("flags %b: amr %v, want %v", flags, s.Snapshot().AMR, want)
		}
	}
}

func TestATokenOpensItsSessionOnly(t *testing.T) {
	s, token := session(t, synced)
	parsed, err := domain.ParseSessionToken(token.Reveal())
	if err != nil || parsed.Digest() != s.Snapshot().Token {
		t.Errorf("the token does not open its session: %v", err)
	}
	if _, other := session(t, synced); other.Digest() == token.Digest() {
		t.Error("two sessions share a token")
	}
	rest, last := token.Reveal()[:len(token.Reveal())-1], "A"
	if rest+last == token.Reveal() {
		last = "B"
	}
	almost, err := domain.ParseSessionToken(rest + last)
	if err != nil || almost.Digest() == token.Digest() {
		t.Errorf("a token that differs in its last letter opens the same session, %v", err)
	}
	for _, bad := range []string{"", "kls_", token.Reveal()[4:], token.Reveal() + "x", "klx" + token.Reveal()[3:]} {
		if _, err := domain.ParseSessionToken(bad); !errors.Is(err, domain.ErrUnauthenticated) {
			t.Errorf("ParseSessionToken(%q): %v", bad, err)
		}
	}
}

func TestABrowserAndAProgramCarryTheirSessionsDifferently(t *testing.T) {
	browsers, cookie := session(t, synced)
	programs, refresh := bearerSession(t)
	for name, c := range map[string]struct {
		is        domain.SessionSnapshot
		transport domain.Transport
		token     domain.TokenDigest
	}{
		"a browser": {browsers.Snapshot(), domain.TransportCookie, cookie.Digest()},
		"a program": {programs.Snapshot(), domain.TransportBearer, refresh.Digest()},
	} {
		if c.is.Transport != c.transport || c.is.Token != c.token || c.is.Previous != (domain.TokenDigest{}) || !c.is.RotatedAt.IsZero() {
			t.Errorf("%s: %+v", name, c.is)
		}
		// In all else they are alike.
		c.is.ID, c.is.Transport, c.is.Token = domain.SessionID{}, "", domain.TokenDigest{}
		want := domain.SessionSnapshot{
			UserID: adasID, CredentialID: "id", Assurance: domain.AssurancePasskey, AMR: []string{"swk", "user", "mfa"},
			Device: domain.Device{UserAgent: "curl/8.5.0", IP: "127.0.0.1"}, CreatedAt: noon, AuthTime: noon, LastSeenAt: noon,
			IdleEndsAt: noon.Add(lifetime.IdleTTL), ExpiresAt: noon.Add(lifetime.TTL),
		}
		if !reflect.DeepEqual(c.is, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, c.is, want)
		}
	}
	if refresh.SessionID() != programs.ID() {
		t.Errorf("the refresh token of session %s names %s", programs.ID(), refresh.SessionID())
	}
}

func TestAProofIsFreshForAWhile(t *testing.T) {
	const ttl = domain.StepUpTTL(10 * time.Minute)
	s, _ := session(t, synced)
	for after, want := range map[time.Duration]error{
		-time.Second:                     nil, // a clock that was put back a little
		0:                                nil,
		10 * time.Minute:                 nil,
		10*time.Minute + time.Nanosecond: domain.ErrStepUpRequired,
		24 * time.Hour:                   domain.ErrStepUpRequired,
	} {
		if err := s.Fresh(ttl, noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: got %v, want %v", after, err, want)
		}
	}
}

func TestNeitherUseNorRefreshIsAProof(t *testing.T) {
	s, token := bearerSession(t)
	later := noon.Add(time.Hour)
	refreshed(t, s, token, later)
	s.Touch(lifetime, later)
	if err := s.Fresh(domain.StepUpTTL(10*time.Minute), later); !errors.Is(err, domain.ErrStepUpRequired) {
		t.Errorf("got %v", err)
	}
}

// What recovery opens proves a code, however lately, and no passkey.
func TestARecoveredSessionIsNotFreshUntilAStepUp(t *testing.T) {
	const ttl = domain.StepUpTTL(10 * time.Minute)
	browsers, _ := session(t, deviceBound)
	programs, _ := bearerSession(t)
	for name, s := range map[string]*domain.Session{"a browser's": browsers, "a program's": programs} {
		t.Run(name, func(t *testing.T) {
			want := s.Snapshot()
			want.Assurance, want.AMR, want.AuthTime = domain.AssuranceRecovery, []string{"otp"}, domain.Never
			s.Recovered()
			if got := s.Snapshot(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if err := s.Usable(noon); err != nil {
				t.Errorf("it does not open: %v", err)
			}
			for _, after := range []time.Duration{0, time.Second, time.Hour} {
				if err := s.Fresh(ttl, noon.Add(after)); !errors.Is(err, domain.ErrStepUpRequired) {
					t.Errorf("after %s: got %v", after, err)
				}
			}
			if err := s.ByPasskey(); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("by a passkey: %v", err)
			}
			later := noon.Add(time.Hour)
			s.Touch(lifetime, later)
			if err := domain.RestoreSession(s.Snapshot()).Fresh(ttl, later); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("after it was used and stored: %v", err)
			}
			s.StepUp(credential(t, synced, 0), later)
			if err := errors.Join(s.Fresh(ttl, later), s.ByPasskey()); err != nil {
				t.Errorf("after a step-up: %v", err)
			}
			if is := s.Snapshot(); is.Assurance != domain.AssurancePasskey || !slices.Equal(is.AMR, []string{"swk", "user", "mfa"}) {
				t.Errorf("after a step-up: %+v", is)
			}
		})
	}
}

func TestARefreshDoesNotMakeUpForARecovery(t *testing.T) {
	s, token := bearerSession(t)
	s.Recovered()
	refreshed(t, s, token, noon.Add(time.Minute))
	if err := s.Fresh(domain.StepUpTTL(10*time.Minute), noon.Add(time.Minute)); !errors.Is(err, domain.ErrStepUpRequired) || s.Snapshot().Assurance != domain.AssuranceRecovery {
		t.Errorf("got %v, %+v", err, s.Snapshot())
	}
}

func TestAStepUpRenewsTheProofAndNothingElse(t *testing.T) {
	s, _ := session(t, synced)
	before := s.Snapshot()
	later := noon.Add(time.Hour)
	s.StepUp(credential(t, deviceBound, 7), later)
	want := before
	want.AuthTime, want.AMR = later, []string{"hwk", "user", "mfa"}
	if got := s.Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := s.Fresh(domain.StepUpTTL(time.Minute), later); err != nil {
		t.Errorf("just stepped up: %v", err)
	}
}

func TestABrowsersSessionIsCarriedByAnotherToken(t *testing.T) {
	browsers, former := session(t, synced)
	programs, refresh := bearerSession(t)
	for name, c := range map[string]struct {
		session *domain.Session
		renewed bool
		carried domain.TokenDigest // if it is not
	}{"a browser's": {browsers, true, former.Digest()}, "a program's": {programs, false, refresh.Digest()}} {
		token, err := domain.NewSessionToken(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		before := domain.RestoreSession(c.session.Snapshot())
		want := before.Snapshot()
		if c.renewed {
			want.Token = token.Digest()
		}
		if got := c.session.Renew(token); got != c.renewed || !reflect.DeepEqual(c.session.Snapshot(), want) {
			t.Errorf("%s: %t, %+v, want %+v", name, got, c.session.Snapshot(), want)
		}
		if c.session.RenewedSince(before) != c.renewed || c.session.RenewedSince(c.session) || before.Snapshot().Token != c.carried {
			t.Errorf("%s: renewed since it was read: %t", name, c.session.RenewedSince(before))
		}
	}
	next, _, err := programs.Refresh(refresh, refreshKeys, lifetime, noon)
	if err != nil || next.Digest() == refresh.Digest() {
		t.Fatal(err)
	}
	if before := programs.Snapshot(); before.Token != next.Digest() {
		t.Fatal("a refresh left the token")
	}
	earlier := programs.Snapshot()
	earlier.Token = refresh.Digest()
	if programs.RenewedSince(domain.RestoreSession(earlier)) {
		t.Error("a refresh puts a program's access tokens out")
	}
}

func TestASessionKnowsWhereItWasLastUsedFrom(t *testing.T) {
	s, _ := session(t, synced)
	for _, c := range []struct{ from, known string }{
		{"203.0.113.9", "203.0.113.9"},
		{"", "203.0.113.9"}, // not known this time
		{"2001:db8::1", "2001:db8::1"},
	} {
		s.SeenFrom(c.from)
		if device := s.Snapshot().Device; device.IP != c.known || device.UserAgent != "curl/8.5.0" {
			t.Errorf("seen from %q: %+v", c.from, device)
		}
	}
}

func TestASessionsMethodsAreItsOwn(t *testing.T) {
	s, _ := session(t, synced)
	s.AMR()[0] = "pwd"
	if s.AMR()[0] != "swk" {
		t.Error("the session was changed from outside")
	}
}
