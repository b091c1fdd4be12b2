package domain_test

import (
	"bytes"
	"crypto/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestAnAccessTokenStatesWhoHoldsTheSession(t *testing.T) {
	policy := domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://api.example", TTL: 5 * time.Minute}
	s, _ := session(t, synced)
	s.StepUp(credential(t, deviceBound, 0), noon.Add(1500*time.Millisecond))
	now := noon.Add(90*time.Second + 700*time.Millisecond)
	claims, err := policy.Claims(s, []string{"somebody"}, now, bytes.NewReader(make([]byte, 16)))
	want := domain.AccessClaims{
		TokenID: "AAAAAAAAAAAAAAAAAAAAAA", Issuer: "https://keylodge.example", Audience: []string{"somebody"}, Subject: s.UserID(), SessionID: s.ID(),
		// Whole seconds, as JWT has them, and none of them later than it is.
		IssuedAt: noon.Add(90 * time.Second), ExpiresAt: noon.Add(390 * time.Second), AuthTime: noon.Add(time.Second), AMR: []string{"hwk", "user", "mfa"},
	}
	if err != nil || !reflect.DeepEqual(claims, want) {
		t.Errorf("got  %+v, %v\nwant %+v", claims, err, want)
	}
	again, err := policy.Claims(s, nil, now, rand.Reader)
	if err != nil || again.TokenID == claims.TokenID || len(again.TokenID) != 22 {
		t.Errorf("another token has the id %q, %v", again.TokenID, err)
	}
}

func TestAnAccessTokenNeverOutlivesItsSession(t *testing.T) {
	policy := domain.AccessPolicy{TTL: 5 * time.Minute}
	for name, c := range map[string]struct{ left, want time.Duration }{
		"much is left":           {time.Hour, 5 * time.Minute},
		"as much as it lives":    {5 * time.Minute, 5 * time.Minute},
		"a second less":          {5*time.Minute - time.Second, 5*time.Minute - time.Second},
		"a fraction of a second": {time.Minute + 700*time.Millisecond, time.Minute},
		"almost nothing":         {time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := session(t, synced)
			is := s.Snapshot()
			is.IdleEndsAt = noon.Add(c.left)
			claims, err := policy.Claims(domain.RestoreSession(is), nil, noon, rand.Reader)
			if err != nil || !claims.ExpiresAt.Equal(noon.Add(c.want)) || claims.ExpiresAt.After(is.IdleEndsAt) {
				t.Errorf("expires at %s, %v; the session lasts until %s", claims.ExpiresAt, err, is.IdleEndsAt)
			}
		})
	}
}

// What a session hands to other services is not for Keylodge, or they could turn round and use it here.
func TestTokensAreForTheirAudience(t *testing.T) {
	apart := domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://api.example"}
	if own, services := apart.OwnAudience(), apart.ServiceAudience(); !slices.Equal(own, []string{"https://api.example", "https://keylodge.example"}) ||
		!slices.Equal(services, []string{"https://api.example"}) {
		t.Errorf("own %q, for services %q", own, services)
	}
	one := domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://keylodge.example"}
	if own, services := one.OwnAudience(), one.ServiceAudience(); !slices.Equal(own, []string{"https://keylodge.example"}) || !slices.Equal(services, own) {
		t.Errorf("where both are one: own %q, for services %q", own, services)
	}
}
