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
	return domain.OpenSession(credential(t, flags, 0), domain.NewDevice("curl/8.5.0", "127.0.0.1"), lifetime, noon, rand.Reader)
}

// Requirement: ASVS-7.3.1
func TestSession_RequireActive(t *testing.T) {
	const day = 24 * time.Hour
	s, _ := session(t, synced)
	wantActive := func(after time.Duration, want error) {
		t.Helper()
		if err := s.RequireActive(noon.Add(after)); !errors.Is(err, want) || s.Active(noon.Add(after)) != (want == nil) {
			t.Errorf("after %s: active %t, %v, want %v", after, s.Active(noon.Add(after)), err, want)
		}
	}
	wantActive(7*day-1, nil)
	wantActive(7*day, domain.ErrSessionExpired)
	for after := 6 * day; after < 30*day; after += 6 * day {
		s.Touch(lifetime, noon.Add(after))
	}
	wantActive(30*day-1, nil)
	wantActive(30*day, domain.ErrSessionExpired)
	s.Revoke(noon.Add(day))
	s.Revoke(noon.Add(2 * day))
	wantActive(day, domain.ErrSessionRevoked)
	if at := s.State().RevokedAt; !at.Equal(noon.Add(day)) {
		t.Errorf("revoked at %v, want the first time", at)
	}
}

// Requirement: ASVS-7.3.1
func TestSession_Touch_capsIdleEnd(t *testing.T) {
	s, _ := session(t, synced)
	s.Touch(lifetime, noon.Add(29*24*time.Hour))
	if is := s.State(); !is.IdleEndsAt.Equal(is.ExpiresAt) || !is.ExpiresAt.Equal(noon.Add(lifetime.TTL)) {
		t.Errorf("idle until %s, lasts until %s", is.IdleEndsAt, is.ExpiresAt)
	}
	state := s.State()
	state.IdleEndsAt = state.ExpiresAt.Add(time.Hour)
	if err := domain.RestoreSession(state).RequireActive(state.ExpiresAt); !errors.Is(err, domain.ErrSessionExpired) {
		t.Errorf("restored with an idle end after ExpiresAt: got %v", err)
	}
}

func TestSession_StateIsACopy(t *testing.T) {
	s, _ := session(t, synced)
	state := s.State()
	restored := domain.RestoreSession(state)
	state.AMR[0] = "pwd"
	if s.State().AMR[0] != "swk" || restored.State().AMR[0] != "swk" {
		t.Error("the session shares memory with its caller")
	}
}

func TestSession_RecentlySeen(t *testing.T) {
	s, _ := session(t, synced)
	if !s.RecentlySeen(noon.Add(time.Minute-1)) || s.RecentlySeen(noon.Add(time.Minute)) {
		t.Error("the precision of the last use is not one minute")
	}
}

// Requirement: NIST-appendix-B
func TestOpenSession_AMR(t *testing.T) {
	for flags, want := range map[domain.AuthenticatorFlags][]string{
		synced:       {"swk", "user", "mfa"},
		up | uv | be: {"swk", "user", "mfa"}, // eligible, not yet backed up
		deviceBound:  {"hwk", "user", "mfa"},
	} {
		if s, _ := session(t, flags); !slices.Equal(s.State().AMR, want) {
			t.Errorf("flags %b: amr %v, want %v", flags, s.State().AMR, want)
		}
	}
}

// Requirement: ASVS-7.2.1, NIST-5.1.1
func TestParseSessionToken(t *testing.T) {
	s, token := session(t, synced)
	parsed, err := domain.ParseSessionToken(token.Reveal())
	if err != nil || parsed.Digest() != s.State().Token {
		t.Errorf("the parsed token differs: %v", err)
	}
	if _, other := session(t, synced); other.Digest() == token.Digest() {
		t.Error("two sessions share a token")
	}
	rest, last := token.Reveal()[:len(token.Reveal())-1], "A"
	if rest+last == token.Reveal() {
		last = "B"
	}
	similar, err := domain.ParseSessionToken(rest + last)
	if err != nil || similar.Digest() == token.Digest() {
		t.Errorf("a token with another last character has the same digest, %v", err)
	}
	for _, bad := range []string{"", "kls_", token.Reveal()[4:], token.Reveal() + "x", "klx" + token.Reveal()[3:]} {
		if _, err := domain.ParseSessionToken(bad); !errors.Is(err, domain.ErrUnauthenticated) {
			t.Errorf("ParseSessionToken(%q): %v", bad, err)
		}
	}
}

func TestOpenSession_CookieAndBearer(t *testing.T) {
	browser, cookie := session(t, synced)
	app, refresh := bearerSession(t)
	for name, c := range map[string]struct {
		is        domain.SessionState
		transport domain.Transport
		token     domain.TokenDigest
	}{
		"browser": {browser.State(), domain.TransportCookie, cookie.Digest()},
		"app":     {app.State(), domain.TransportBearer, refresh.Digest()},
	} {
		if c.is.Transport != c.transport || c.is.Token != c.token || c.is.PreviousToken != (domain.TokenDigest{}) || !c.is.RotatedAt.IsZero() {
			t.Errorf("%s: %+v", name, c.is)
		}
		// All other fields are equal.
		c.is.ID, c.is.Transport, c.is.Token = domain.SessionID{}, "", domain.TokenDigest{}
		want := domain.SessionState{
			UserID: adasID, CredentialID: "id", Assurance: domain.AssurancePasskey, AMR: []string{"swk", "user", "mfa"},
			Device: domain.Device{UserAgent: "curl/8.5.0", IP: "127.0.0.1"}, CreatedAt: noon, AuthTime: noon, LastSeenAt: noon,
			IdleEndsAt: noon.Add(lifetime.IdleTTL), ExpiresAt: noon.Add(lifetime.TTL),
		}
		if !reflect.DeepEqual(c.is, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, c.is, want)
		}
	}
	if refresh.SessionID() != app.ID() {
		t.Errorf("the refresh token of session %s has the id %s", app.ID(), refresh.SessionID())
	}
}

// Requirement: ASVS-7.5.1
func TestAuthContext_RequireRecentAuth(t *testing.T) {
	const ttl = domain.StepUpTTL(10 * time.Minute)
	s, _ := session(t, synced)
	for after, want := range map[time.Duration]error{
		-24 * time.Hour:                  domain.ErrStepUpRequired, // an assertion in the future
		-31 * time.Second:                domain.ErrStepUpRequired,
		-30 * time.Second:                nil, // from a node with another clock
		0:                                nil,
		10 * time.Minute:                 nil,
		10*time.Minute + time.Nanosecond: domain.ErrStepUpRequired,
		24 * time.Hour:                   domain.ErrStepUpRequired,
	} {
		if err := s.AuthContext().RequireRecentAuth(s, ttl, noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: got %v, want %v", after, err, want)
		}
	}
	for _, kind := range append(slices.Clone(domain.TokenKinds), "") {
		proof := s.AuthContext()
		proof.Kind = kind
		err := proof.RequireRecentAuth(s, ttl, noon)
		if permitted := kind == domain.TokenSessionCookie || kind == domain.TokenAccess; permitted != (err == nil) {
			t.Errorf("with %q: got %v", kind, err)
		}
	}
}

// A proof issued before a step-up, which may have been copied, must not become as recent or as strong as the step-up.
// Requirement: ASVS-7.5.1
func TestAuthContext_issuedBeforeStepUp(t *testing.T) {
	const ttl = domain.StepUpTTL(10 * time.Minute)
	for name, open := range map[string]func(*domain.Session){"signed in": func(*domain.Session) {}, "recovered": (*domain.Session).MarkRecovered} {
		for _, after := range []time.Duration{0, time.Millisecond, time.Second, time.Minute, time.Hour} {
			s, _ := bearerSession(t)
			open(s)
			before := s.AuthContext()
			stepUp(t, s, synced, noon.Add(after))
			if err := before.RequireRecentAuth(s, ttl, noon.Add(after)); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("%s, %s later: recent: %v", name, after, err)
			}
			if err := before.RequirePasskey(s); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("%s, %s later: passkey: %v", name, after, err)
			}
			if err := s.AuthContext().RequireRecentAuth(s, ttl, noon.Add(after)); err != nil {
				t.Errorf("%s, %s later: the new proof: %v", name, after, err)
			}
		}
	}
}

// After a wrong clock was corrected, a step-up makes the session recent again.
// Requirement: ASVS-7.5.1
func TestSession_StepUp_afterTheClockWasSetBack(t *testing.T) {
	s, _ := session(t, synced)
	earlier := noon.Add(-time.Hour)
	stepUp(t, s, synced, earlier)
	if err := s.AuthContext().RequireRecentAuth(s, domain.StepUpTTL(10*time.Minute), earlier); err != nil {
		t.Errorf("got %v, assertion at %s", err, s.AuthTime())
	}
}

func stepUp(t *testing.T, s *domain.Session, flags domain.AuthenticatorFlags, now time.Time) domain.SessionSecret {
	t.Helper()
	secret := s.NewSecret(refreshKeys, rand.Reader)
	s.StepUp(credential(t, flags, 0), secret, now)
	return secret
}

// Requirement: ASVS-7.5.1
func TestAuthContext_refreshIsNoRecentAuth(t *testing.T) {
	s, token := bearerSession(t)
	later := noon.Add(time.Hour)
	mustRefresh(t, s, token, later)
	s.Touch(lifetime, later)
	if err := s.AuthContext().RequireRecentAuth(s, domain.StepUpTTL(10*time.Minute), later); !errors.Is(err, domain.ErrStepUpRequired) {
		t.Errorf("got %v", err)
	}
}

// A session opened by recovery has no recent authentication and no passkey assertion until a step-up.
// Requirement: ASVS-6.4.3
func TestSession_MarkRecovered(t *testing.T) {
	const ttl = domain.StepUpTTL(10 * time.Minute)
	browser, _ := session(t, deviceBound)
	app, _ := bearerSession(t)
	for name, s := range map[string]*domain.Session{"browser": browser, "app": app} {
		t.Run(name, func(t *testing.T) {
			want := s.State()
			want.Assurance, want.AMR, want.AuthTime = domain.AssuranceRecovery, []string{"otp"}, domain.NoAuthTime
			s.MarkRecovered()
			if got := s.State(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if err := s.RequireActive(noon); err != nil {
				t.Errorf("the session is not active: %v", err)
			}
			for _, after := range []time.Duration{0, time.Second, time.Hour} {
				if err := s.AuthContext().RequireRecentAuth(s, ttl, noon.Add(after)); !errors.Is(err, domain.ErrStepUpRequired) {
					t.Errorf("after %s: got %v", after, err)
				}
			}
			if err := s.AuthContext().RequirePasskey(s); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("passkey: %v", err)
			}
			later := noon.Add(time.Hour)
			s.Touch(lifetime, later)
			stored := domain.RestoreSession(s.State())
			if err := stored.AuthContext().RequireRecentAuth(stored, ttl, later); !errors.Is(err, domain.ErrStepUpRequired) {
				t.Errorf("after a use: %v", err)
			}
			stepUp(t, s, synced, later)
			if err := errors.Join(s.AuthContext().RequireRecentAuth(s, ttl, later), s.AuthContext().RequirePasskey(s)); err != nil {
				t.Errorf("after a step-up: %v", err)
			}
			if is := s.State(); is.Assurance != domain.AssurancePasskey || !slices.Equal(is.AMR, []string{"swk", "user", "mfa"}) {
				t.Errorf("after a step-up: %+v", is)
			}
		})
	}
}

// Requirement: ASVS-6.3.4
func TestSession_MarkRecovered_refreshDoesNotClear(t *testing.T) {
	s, token := bearerSession(t)
	s.MarkRecovered()
	mustRefresh(t, s, token, noon.Add(time.Minute))
	if err := s.AuthContext().RequireRecentAuth(s, domain.StepUpTTL(10*time.Minute), noon.Add(time.Minute)); !errors.Is(err, domain.ErrStepUpRequired) || s.State().Assurance != domain.AssuranceRecovery {
		t.Errorf("got %v, %+v", err, s.State())
	}
}

func TestSession_StepUp_changesOnlyAuthentication(t *testing.T) {
	s, _ := session(t, synced)
	before := s.State()
	later := noon.Add(time.Hour)
	secret := stepUp(t, s, deviceBound, later)
	want := before
	want.AuthTime, want.AMR, want.Token = later, []string{"hwk", "user", "mfa"}, secret.Token.Digest()
	if got := s.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := s.AuthContext().RequireRecentAuth(s, domain.StepUpTTL(time.Minute), later); err != nil {
		t.Errorf("after the step-up: %v", err)
	}
}

// Requirement: ASVS-7.2.4
func TestSession_StepUp_replacesTheCookie(t *testing.T) {
	s, previous := session(t, synced)
	before := domain.RestoreSession(s.State())
	secret := stepUp(t, s, synced, noon)
	if is := s.State().Token; is == previous.Digest() || is != secret.Token.Digest() || !secret.RefreshToken.IsZero() {
		t.Errorf("token %x, secret %+v", is, secret)
	}
	if !s.TokenRotatedSince(before) || s.TokenRotatedSince(s) {
		t.Error("TokenRotatedSince does not tell the previous cookie from the new one")
	}
}

// The previous refresh token has no successor after a step-up: its use is a reuse and revokes the session.
// Requirement: ASVS-7.2.4
func TestSession_StepUp_replacesTheRefreshToken(t *testing.T) {
	for name, steps := range map[string]func(*domain.Session, domain.RefreshToken) domain.RefreshToken{
		"the first one": func(_ *domain.Session, first domain.RefreshToken) domain.RefreshToken { return first },
		"its successor": func(s *domain.Session, first domain.RefreshToken) domain.RefreshToken {
			return mustRefresh(t, s, first, noon)
		},
		"its parent": func(s *domain.Session, first domain.RefreshToken) domain.RefreshToken {
			mustRefresh(t, s, first, noon)
			return first
		},
	} {
		s, first := bearerSession(t)
		previous := steps(s, first)
		before := domain.RestoreSession(s.State())
		secret := stepUp(t, s, synced, noon)
		if s.TokenRotatedSince(before) {
			t.Errorf("%s: the token of a bearer session counts as rotated", name)
		}
		if next := mustRefresh(t, domain.RestoreSession(s.State()), secret.RefreshToken, noon); next.IsZero() || !secret.Token.IsZero() {
			t.Errorf("%s: the new token: %+v", name, secret)
		}
		if _, changed, err := s.Refresh(previous, refreshKeys, lifetime, noon); !errors.Is(err, domain.ErrRefreshTokenReused) || !changed {
			t.Errorf("%s, used after the step-up: %t, %v", name, changed, err)
		}
		if err := s.RequireActive(noon); !errors.Is(err, domain.ErrSessionRevoked) {
			t.Errorf("%s: the session: %v", name, err)
		}
	}
}

func TestSession_RecordIP(t *testing.T) {
	s, _ := session(t, synced)
	for _, c := range []struct{ ip, want string }{
		{"203.0.113.9", "203.0.113.9"},
		{"", "203.0.113.9"}, // unknown
		{"2001:db8::1", "2001:db8::1"},
	} {
		s.RecordIP(c.ip)
		if device := s.State().Device; device.IP != c.want || device.UserAgent != "curl/8.5.0" {
			t.Errorf("used from %q: %+v", c.ip, device)
		}
	}
}

func TestSession_AMRIsACopy(t *testing.T) {
	s, _ := session(t, synced)
	s.AMR()[0] = "pwd"
	if s.AMR()[0] != "swk" {
		t.Error("the session shares memory with its caller")
	}
}
