package domain_test

import (
	"crypto/rand"
	"errors"
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
