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

// Requirement: ASVS-9.2.1
func TestAccessPolicy_AccessClaims(t *testing.T) {
	policy := domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://api.example", TTL: 5 * time.Minute}
	s, _ := session(t, synced)
	stepUp(t, s, deviceBound, noon.Add(1500*time.Millisecond))
	now := noon.Add(90*time.Second + 700*time.Millisecond)
	claims := policy.AccessClaims(s, now, bytes.NewReader(make([]byte, 16)))
	want := domain.AccessClaims{
		TokenID: "AAAAAAAAAAAAAAAAAAAAAA", Issuer: "https://keylodge.example", Audience: []string{"https://api.example", "https://keylodge.example"},
		ClientID: "keylodge", Subject: s.UserID(), SessionID: s.ID(), Scope: []string{"account"},
		// In whole seconds, rounded down. The time of issue is set back by 30 seconds.
		IssuedAt: noon.Add(60 * time.Second), ExpiresAt: noon.Add(390 * time.Second), AuthTime: noon.Add(time.Second), AMR: []string{"hwk", "user", "mfa"},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("got  %+v\nwant %+v", claims, want)
	}
	again := policy.AccessClaims(s, now, rand.Reader)
	if again.TokenID == claims.TokenID || len(again.TokenID) != 22 {
		t.Errorf("a second token has the id %q", again.TokenID)
	}
	policy.Audience = policy.Issuer
	if same := policy.AccessClaims(s, now, rand.Reader); !slices.Equal(same.Audience, []string{policy.Issuer}) {
		t.Errorf("the audience is the issuer: %q", same.Audience)
	}
}

// A token for other services states the authentication of the proof that requested it, and permits no more than it.
// Requirement: ASVS-9.2.1
func TestAccessPolicy_ServiceClaims(t *testing.T) {
	policy := domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://keylodge.example", TTL: 5 * time.Minute}
	s, _ := bearerSession(t)
	claims := policy.AccessClaims(s, noon, rand.Reader)
	stepUp(t, s, deviceBound, noon.Add(time.Minute))
	later := noon.Add(2 * time.Minute)
	got, err := policy.ServiceClaims(s, claims.AuthContext(), later, rand.Reader)
	if err != nil || got.Scope != nil || !slices.Equal(got.Audience, []string{policy.Audience}) || got.SessionID != s.ID() || got.Subject != s.UserID() ||
		!got.AuthTime.Equal(noon) || !slices.Equal(got.AMR, []string{"swk", "user", "mfa"}) || !got.IssuedAt.Equal(later.Add(-30*time.Second)) || !got.ExpiresAt.Equal(claims.ExpiresAt) {
		t.Errorf("with an access token from before the step-up: %+v, %v", got, err)
	}
	if got, err := policy.ServiceClaims(s, s.AuthContext(), later, rand.Reader); err != nil || !got.AuthTime.Equal(noon.Add(time.Minute)) || !got.ExpiresAt.Equal(later.Add(policy.TTL)) {
		t.Errorf("with the cookie: %+v, %v", got, err)
	}
	for _, kind := range []domain.TokenKind{domain.TokenService, domain.TokenRefresh, domain.TokenRecoveryGrant, ""} {
		proof := s.AuthContext()
		proof.Kind = kind
		if got, err := policy.ServiceClaims(s, proof, later, rand.Reader); !errors.Is(err, domain.ErrUnauthenticated) || got.TokenID != "" {
			t.Errorf("with %q: %+v, %v", kind, got, err)
		}
	}
}

// Requirement: ASVS-7.4.1
func TestAccessPolicy_TokenExpiresWithSession(t *testing.T) {
	policy := domain.AccessPolicy{TTL: 5 * time.Minute}
	for name, c := range map[string]struct{ left, want time.Duration }{
		"an hour left":           {time.Hour, 5 * time.Minute},
		"its lifetime left":      {5 * time.Minute, 5 * time.Minute},
		"a second less":          {5*time.Minute - time.Second, 5*time.Minute - time.Second},
		"a fraction of a second": {time.Minute + 700*time.Millisecond, time.Minute},
		"a millisecond":          {time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := session(t, synced)
			is := s.State()
			is.IdleEndsAt = noon.Add(c.left)
			claims := policy.AccessClaims(domain.RestoreSession(is), noon, rand.Reader)
			if !claims.ExpiresAt.Equal(noon.Add(c.want)) || claims.ExpiresAt.After(is.IdleEndsAt) {
				t.Errorf("expires at %s, the session at %s", claims.ExpiresAt, is.IdleEndsAt)
			}
		})
	}
}
