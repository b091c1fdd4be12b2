package domain_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

var refreshKeys = domain.KeyRing[domain.RefreshToken]{bytes.Repeat([]byte{1}, 32)}

func bearerSession(t *testing.T) (*domain.Session, domain.RefreshToken) {
	t.Helper()
	return bearerSessionWithKeys(t, refreshKeys)
}

func bearerSessionWithKeys(t *testing.T, keys domain.KeyRing[domain.RefreshToken]) (*domain.Session, domain.RefreshToken) {
	t.Helper()
	return domain.OpenBearerSession(credential(t, synced, 0), domain.NewDevice("curl/8.5.0", "127.0.0.1"), lifetime, keys, noon, rand.Reader)
}

// mustRefresh exchanges a token and fails the test unless it is the latest one.
func mustRefresh(t *testing.T, s *domain.Session, token domain.RefreshToken, now time.Time) domain.RefreshToken {
	t.Helper()
	next, changed, err := s.Refresh(token, refreshKeys, lifetime, now)
	if err != nil || !changed {
		t.Fatalf("the latest token: changed %t, %v", changed, err)
	}
	return next
}

// wantRefreshRejected fails the test unless the token is rejected and the session unchanged.
func wantRefreshRejected(t *testing.T, s *domain.Session, token domain.RefreshToken, keys domain.KeyRing[domain.RefreshToken], now time.Time, want error) {
	t.Helper()
	before := s.State()
	next, changed, err := s.Refresh(token, keys, lifetime, now)
	if !errors.Is(err, want) || changed || !next.IsZero() {
		t.Errorf("got %q, changed %t, %v; want %v", next.Reveal(), changed, err, want)
	}
	after := s.State()
	if before.Token != after.Token || before.PreviousToken != after.PreviousToken || !before.RevokedAt.Equal(after.RevokedAt) || !before.IdleEndsAt.Equal(after.IdleEndsAt) {
		t.Errorf("the session was %+v and is now %+v", before, after)
	}
}

// Requirement: RFC9700-4.14.2
func TestSession_Refresh_rotates(t *testing.T) {
	s, token := bearerSession(t)
	seen := []string{token.Reveal()}
	for i := range 5 {
		now := noon.Add(time.Duration(i) * time.Hour)
		next := mustRefresh(t, s, token, now)
		is := s.State()
		if is.Token != next.Digest() || is.PreviousToken != token.Digest() || !is.RotatedAt.Equal(now) {
			t.Errorf("stored %+v after %q was replaced by %q at %s", is, token.Reveal(), next.Reveal(), now)
		}
		if !is.LastSeenAt.Equal(now) || !is.IdleEndsAt.Equal(now.Add(lifetime.IdleTTL)) {
			t.Errorf("a refresh at %s: last seen at %s, idle until %s", now, is.LastSeenAt, is.IdleEndsAt)
		}
		if !is.AuthTime.Equal(noon) || !is.ExpiresAt.Equal(noon.Add(lifetime.TTL)) {
			t.Errorf("a refresh, which is no authentication: auth time %s, end %s", is.AuthTime, is.ExpiresAt)
		}
		if next.SessionID() != s.ID() || slices.Contains(seen, next.Reveal()) {
			t.Errorf("the next token %q is of session %s; seen were %q", next.Reveal(), next.SessionID(), seen)
		}
		seen, token = append(seen, next.Reveal()), next
	}
}

// A client repeats a request if the response is lost, and two tabs may refresh at the same time.
// Requirement: RFC9700-4.14.2
func TestSession_Refresh_repeatsUnusedSuccessor(t *testing.T) {
	for after, want := range map[time.Duration]error{
		-time.Second:                         nil, // a clock that was put back a little
		0:                                    nil,
		time.Second:                          nil,
		10*time.Second + time.Microsecond:    nil,
		12 * time.Second:                     nil,
		time.Hour:                            nil,
		7*24*time.Hour - 1*time.Microsecond:  nil,
		7*24*time.Hour + 30*time.Microsecond: domain.ErrSessionExpired,
	} {
		t.Run(after.String(), func(t *testing.T) {
			s, first := bearerSession(t)
			second := mustRefresh(t, s, first, noon)
			for range 2 { // a repetition changes nothing, including the idle end
				again, changed, err := s.Refresh(first, refreshKeys, lifetime, noon.Add(after))
				if !errors.Is(err, want) || changed || !s.State().RevokedAt.IsZero() || !s.IdleEndsAt().Equal(noon.Add(lifetime.IdleTTL)) {
					t.Fatalf("got %v, want %v; changed %t, %+v", err, want, changed, s.State())
				}
				if want == nil && again != second {
					t.Errorf("got %q; the first answer was %q", again.Reveal(), second.Reveal())
				}
			}
			if want != nil {
				return
			}
			// After the use of the successor, two parties have the tokens.
			third := mustRefresh(t, s, second, noon.Add(max(after, 0)))
			if _, changed, err := s.Refresh(first, refreshKeys, lifetime, noon.Add(max(after, 0))); !errors.Is(err, domain.ErrRefreshTokenReused) || !changed {
				t.Errorf("after its successor was used: changed %t, %v", changed, err)
			}
			wantRefreshRejected(t, s, third, refreshKeys, noon.Add(max(after, 0)), domain.ErrSessionRevoked)
		})
	}
}

// Requirement: RFC9700-4.14.2
func TestSession_Refresh_reuseRevokes(t *testing.T) {
	s, stolen := bearerSession(t)
	token := stolen
	for i := range 3 {
		token = mustRefresh(t, s, token, noon.Add(time.Duration(i)*time.Second))
	}
	// A token from two refreshes ago is a reuse, even a second later: no client repeats that request.
	next, changed, err := s.Refresh(stolen, refreshKeys, lifetime, noon.Add(3*time.Second))
	if !errors.Is(err, domain.ErrRefreshTokenReused) || !changed || !next.IsZero() {
		t.Fatalf("got %q, changed %t, %v", next.Reveal(), changed, err)
	}
	if at := s.State().RevokedAt; !at.Equal(noon.Add(3 * time.Second)) {
		t.Errorf("revoked at %s", at)
	}
	wantRefreshRejected(t, s, token, refreshKeys, noon.Add(4*time.Second), domain.ErrSessionRevoked)
	wantRefreshRejected(t, s, stolen, refreshKeys, noon.Add(4*time.Second), domain.ErrSessionRevoked)
}

func TestSession_Refresh_endedSession(t *testing.T) {
	s, token := bearerSession(t)
	wantRefreshRejected(t, s, token, refreshKeys, noon.Add(lifetime.IdleTTL), domain.ErrSessionExpired)
	s.Revoke(noon)
	wantRefreshRejected(t, s, token, refreshKeys, noon, domain.ErrSessionRevoked)
}

// Otherwise an attacker who knows the id of a session, which is no secret, could revoke it.
func TestSession_Refresh_forgedToken(t *testing.T) {
	s, token := bearerSession(t)
	mustRefresh(t, s, token, noon)
	otherKeys := domain.KeyRing[domain.RefreshToken]{bytes.Repeat([]byte{2}, 32)}
	own, other := s.ID(), sessionID(t)
	_, others := bearerSession(t)
	ofAnother := domain.RestoreSession(func() domain.SessionState { is := s.State(); is.ID = other; return is }())
	for name, c := range map[string]struct {
		session *domain.Session
		token   domain.RefreshToken
		keys    domain.KeyRing[domain.RefreshToken]
	}{
		"zeros after its id":          {s, forgedToken(t, own, make([]byte, 48)), refreshKeys},
		"issued with another key":     {s, tokenIssuedWith(t, otherKeys, own), refreshKeys},
		"the last byte of the tag":    {s, flipBit(t, token, 63), refreshKeys},
		"the first byte of the tag":   {s, flipBit(t, token, 48), refreshKeys},
		"another nonce":               {s, flipBit(t, token, 16), refreshKeys},
		"of another session":          {s, others, refreshKeys},
		"its own, in another session": {ofAnother, token, refreshKeys},
		"without keys":                {s, flipBit(t, token, 20), nil},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefreshRejected(t, c.session, c.token, c.keys, noon.Add(time.Minute), domain.ErrRefreshTokenInvalid)
		})
	}
}

// forgedToken returns a token with the id of a session and the given bytes after it.
func forgedToken(t *testing.T, session domain.SessionID, rest []byte) domain.RefreshToken {
	t.Helper()
	_, valid := bearerSession(t)
	raw := rawOf(t, valid)
	id := idBytes(t, session)
	return mustParseRefreshToken(t, append(append(raw[:0], id...), rest...))
}

// tokenIssuedWith returns a token for the session, issued with the keys.
func tokenIssuedWith(t *testing.T, keys domain.KeyRing[domain.RefreshToken], session domain.SessionID) domain.RefreshToken {
	t.Helper()
	id := idBytes(t, session)
	random := append(slices.Clone(id[6:]), bytes.Repeat([]byte{7}, 32)...) // the id consists of the time and these bytes
	s, token := domain.OpenBearerSession(credential(t, synced, 0), domain.Device{}, lifetime, keys, noon, bytes.NewReader(random))
	if s.ID() != session {
		t.Fatalf("session %s, want %s", s.ID(), session)
	}
	return token
}

func flipBit(t *testing.T, token domain.RefreshToken, at int) domain.RefreshToken {
	t.Helper()
	raw := rawOf(t, token)
	raw[at] ^= 1
	return mustParseRefreshToken(t, raw)
}

func rawOf(t *testing.T, token domain.RefreshToken) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "klr_"))
	if err != nil || len(raw) != 64 {
		t.Fatalf("a token of %d bytes, %v", len(raw), err)
	}
	return raw
}

func idBytes(t *testing.T, session domain.SessionID) []byte {
	t.Helper()
	id, err := hex.DecodeString(strings.ReplaceAll(session.String(), "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustParseRefreshToken(t *testing.T, raw []byte) domain.RefreshToken {
	t.Helper()
	token, err := domain.ParseRefreshToken("klr_" + base64.RawURLEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Requirement: ASVS-13.3.1
func TestSession_Refresh_afterSecretRotation(t *testing.T) {
	previous, current := refreshKeys[0], bytes.Repeat([]byte{3}, 32)
	both := domain.KeyRing[domain.RefreshToken]{current, previous}

	t.Run("the latest token yields one of the new key", func(t *testing.T) {
		s, token := bearerSession(t)
		next, _, err := s.Refresh(token, both, lifetime, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Refresh(next, domain.KeyRing[domain.RefreshToken]{current}, lifetime, noon.Add(time.Hour)); err != nil {
			t.Errorf("its successor, after the previous key is removed: %v", err)
		}
	})
	t.Run("the token before it yields the same successor", func(t *testing.T) {
		s, token := bearerSession(t)
		next := mustRefresh(t, s, token, noon)
		if again, changed, err := s.Refresh(token, both, lifetime, noon.Add(time.Second)); err != nil || changed || again != next {
			t.Errorf("got %q instead of %q, changed %t, %v", again.Reveal(), next.Reveal(), changed, err)
		}
	})
	t.Run("an earlier token is a reuse", func(t *testing.T) {
		s, token := bearerSession(t)
		mustRefresh(t, s, mustRefresh(t, s, token, noon), noon)
		if _, changed, err := s.Refresh(token, both, lifetime, noon.Add(time.Second)); !errors.Is(err, domain.ErrRefreshTokenReused) || !changed {
			t.Errorf("changed %t, %v", changed, err)
		}
	})
}

// If the secret is lost, the stored digests remain: sessions continue, and the latest two tokens are recognised.
func TestSession_Refresh_afterSecretLoss(t *testing.T) {
	newKeys := domain.KeyRing[domain.RefreshToken]{bytes.Repeat([]byte{4}, 32)}

	t.Run("the latest token yields a new one", func(t *testing.T) {
		s, token := bearerSession(t)
		next, changed, err := s.Refresh(token, newKeys, lifetime, noon)
		if err != nil || !changed {
			t.Fatalf("changed %t, %v", changed, err)
		}
		if _, _, err := s.Refresh(next, newKeys, lifetime, noon.Add(time.Hour)); err != nil {
			t.Errorf("its successor: %v", err)
		}
	})
	t.Run("the token before it is invalid", func(t *testing.T) {
		s, token := bearerSession(t)
		mustRefresh(t, s, token, noon)
		wantRefreshRejected(t, s, token, newKeys, noon.Add(time.Second), domain.ErrRefreshTokenInvalid)
		wantRefreshRejected(t, s, token, newKeys, noon.Add(time.Minute), domain.ErrRefreshTokenInvalid)
	})
	t.Run("an earlier token is invalid", func(t *testing.T) {
		s, token := bearerSession(t)
		mustRefresh(t, s, mustRefresh(t, s, token, noon), noon)
		wantRefreshRejected(t, s, token, newKeys, noon.Add(time.Second), domain.ErrRefreshTokenInvalid)
	})
}

// An attacker with an old token cannot compute its successors.
func TestSession_Refresh_successorDependsOnSecret(t *testing.T) {
	s, token := bearerSession(t)
	same := domain.RestoreSession(s.State())
	own, _, err := s.Refresh(token, refreshKeys, lifetime, noon)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := same.Refresh(token, domain.KeyRing[domain.RefreshToken]{bytes.Repeat([]byte{5}, 32)}, lifetime, noon)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(rawOf(t, own)[16:48], rawOf(t, other)[16:48]) {
		t.Error("two keys derive the same successor")
	}
}

// A token has one spelling: other strings that decode to the same bytes are invalid.
func TestParseRefreshToken(t *testing.T) {
	s, token := bearerSession(t)
	good := token.Reveal()
	parsed, err := domain.ParseRefreshToken(good)
	if err != nil || parsed != token || parsed.SessionID() != s.ID() || parsed.Digest() != s.State().Token {
		t.Fatalf("%q came back as %q of session %s, %v", good, parsed.Reveal(), parsed.SessionID(), err)
	}
	if !strings.HasPrefix(good, "klr_") || len(good) != 4+86 {
		t.Errorf("%q is not klr_ and 64 bytes in base64url", good)
	}
	body := good[4:]
	_, sessionToken := session(t, synced)
	for name, bad := range map[string]string{
		"empty":                      "",
		"the prefix only":            "klr_",
		"no prefix":                  body,
		"another prefix":             "kls_" + body,
		"the prefix in upper case":   "KLR_" + body,
		"the prefix twice":           "klr_" + good,
		"a session token":            sessionToken.Reveal(),
		"63 bytes":                   "klr_" + base64.RawURLEncoding.EncodeToString(make([]byte, 63)),
		"65 bytes":                   "klr_" + base64.RawURLEncoding.EncodeToString(make([]byte, 65)),
		"without its last character": good[:len(good)-1],
		"padded":                     good + "==",
		"a newline after it":         good + "\n",
		"a newline within":           good[:40] + "\n" + good[40:],
		"a carriage return within":   good[:40] + "\r" + good[40:],
		"a space before":             " " + good,
		"a space after":              good + " ",
		"a zero byte after":          good + "\x00",
		"the standard alphabet":      "klr_" + strings.Repeat("+/", 43),
		"bits after its last byte":   "klr_" + strings.Repeat("A", 85) + "B",
	} {
		if token, err := domain.ParseRefreshToken(bad); !errors.Is(err, domain.ErrRefreshTokenInvalid) || !token.IsZero() {
			t.Errorf("%s: %q, %v", name, token.Reveal(), err)
		}
	}
	// Upper and lower case differ: a token in another case is another token.
	if swapped, err := domain.ParseRefreshToken("klr_" + swapCase(body)); err == nil && swapped.Digest() == token.Digest() {
		t.Error("a token in another case has the same digest")
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func TestRefreshToken_UniquePerSession(t *testing.T) {
	_, one := bearerSession(t)
	_, two := bearerSession(t)
	if one.Digest() == two.Digest() {
		t.Error("two sessions have the same token")
	}
}

// Tokens outlive an upgrade of the server, so that their form must not change. The values were computed with Python's hmac module.
func TestRefreshToken_StableFormat(t *testing.T) {
	s, first := domain.OpenBearerSession(credential(t, synced, 0), domain.Device{}, lifetime, refreshKeys, noon, bytes.NewReader(make([]byte, 42)))
	if want := "klr_AaIIRv4AcACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAlOtGT515yl8R9Nv2bQ3emg"; first.Reveal() != want {
		t.Errorf("the first token is %s, want %s", first.Reveal(), want)
	}
	if second, want := mustRefresh(t, s, first, noon), "klr_AaIIRv4AcACAAAAAAAAAAAz3wiBlVFvX63RIKMERMi0vIHdN5mEFyWxSVeHwxkcrGZ04REuZNXa0aSxQywDq3w"; second.Reveal() != want {
		t.Errorf("the second token is %s, want %s", second.Reveal(), want)
	}
}
