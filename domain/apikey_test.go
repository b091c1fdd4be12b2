package domain_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const apiKeyTTL = 24 * time.Hour

func newAPIKey(t *testing.T, scopes ...domain.Scope) (*domain.APIKey, domain.APIKeyToken) {
	t.Helper()
	key, token, err := domain.NewAPIKey("Backup", scopes, apiKeyTTL, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

func TestNewAPIKey(t *testing.T) {
	key, token := newAPIKey(t, domain.ScopeUsersWrite, domain.ScopeEventsRead, domain.ScopeUsersWrite)
	s := key.State()
	if s.Name != "Backup" || !slices.Equal(s.Scopes, []domain.Scope{domain.ScopeEventsRead, domain.ScopeUsersWrite}) ||
		!s.CreatedAt.Equal(noon) || !s.ExpiresAt.Equal(noon.Add(apiKeyTTL)) || !s.LastUsedAt.IsZero() || !s.RevokedAt.IsZero() {
		t.Errorf("got %+v", s)
	}
	parsed, err := domain.ParseAPIKeyToken(token.Reveal())
	if err != nil || parsed.Digest() != s.Token || !strings.HasPrefix(token.Reveal(), "klk_") || len(token.Reveal()) != 47 {
		t.Errorf("the token %q: %v", token.Reveal(), err)
	}
	if other, _ := newAPIKey(t, domain.ScopeUsersRead); other.State().Token == s.Token || other.ID() == key.ID() {
		t.Error("two keys are equal")
	}
	s.Scopes[0] = "other"
	if key.State().Scopes[0] != domain.ScopeEventsRead {
		t.Error("a copy of the state changes the key")
	}
}

func TestNewAPIKey_RejectsInvalidInput(t *testing.T) {
	scopes := []domain.Scope{domain.ScopeUsersRead}
	for name, c := range map[string]struct {
		name   string
		scopes []domain.Scope
		ttl    time.Duration
		fields []string
	}{
		"no name":        {" ", scopes, apiKeyTTL, []string{"name"}},
		"a name of 65":   {strings.Repeat("a", 65), scopes, apiKeyTTL, []string{"name"}},
		"no scope":       {"Backup", nil, apiKeyTTL, []string{"scopes"}},
		"no time":        {"Backup", scopes, 0, []string{"ttl"}},
		"a negative ttl": {"Backup", scopes, -time.Hour, []string{"ttl"}},
		"367 days":       {"Backup", scopes, 367 * 24 * time.Hour, []string{"ttl"}},
		"all of them":    {"", nil, 0, []string{"name", "scopes", "ttl"}},
	} {
		key, token, err := domain.NewAPIKey(c.name, c.scopes, c.ttl, noon, rand.Reader)
		var invalid *domain.InvalidInput
		if !errors.As(err, &invalid) || key != nil || !token.IsZero() {
			t.Errorf("%s: %v, %v", name, key, err)
			continue
		}
		var fields []string
		for _, f := range invalid.Fields {
			fields = append(fields, f.Field)
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%s: invalid are %v", name, fields)
		}
	}
	if _, _, err := domain.NewAPIKey("Backup", scopes, 366*24*time.Hour, noon, rand.Reader); err != nil {
		t.Errorf("366 days: %v", err)
	}
}

func TestParseAPIKeyToken_RejectsOtherTexts(t *testing.T) {
	_, valid := newAPIKey(t, domain.ScopeUsersRead)
	good := valid.Reveal()
	for _, bad := range []string{
		"", "klk_", good[4:], good + "A", good[:46], "kls_" + good[4:], "KLK_" + good[4:], " " + good, good + "\n", "klk_" + good,
		"klk_" + strings.Repeat("A", 42) + "B", "klk_" + strings.Repeat("+", 43), good + "=",
	} {
		if got, err := domain.ParseAPIKeyToken(bad); !errors.Is(err, domain.ErrAPIKeyInvalid) || !got.IsZero() {
			t.Errorf("ParseAPIKeyToken(%q): %v", bad, err)
		}
	}
}

func TestParseScope(t *testing.T) {
	for _, scope := range domain.Scopes {
		if got, err := domain.ParseScope("scope", string(scope)); err != nil || got != scope {
			t.Errorf("%s: %q, %v", scope, got, err)
		}
	}
	for _, bad := range []string{"", "users", "users:read ", "USERS:READ", "*"} {
		if got, err := domain.ParseScope("scope", bad); !errors.Is(err, domain.ErrInvalidRequest) || got != "" {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
	if !slices.IsSorted(domain.Scopes) {
		t.Error("the scopes are not in alphabetical order")
	}
}

func TestAPIKey_EndsByExpiryOrRevocation(t *testing.T) {
	key, _ := newAPIKey(t, domain.ScopeUsersRead)
	end := noon.Add(apiKeyTTL)
	if err := key.RequireActive(end.Add(-time.Nanosecond)); err != nil || key.Status(noon) != domain.APIKeyActive {
		t.Errorf("before the expiry: %v, %s", err, key.Status(noon))
	}
	if err := key.RequireActive(end); !errors.Is(err, domain.ErrAPIKeyInvalid) || key.Status(end) != domain.APIKeyExpired {
		t.Errorf("at the expiry: %v, %s", err, key.Status(end))
	}
	if !key.Revoke(noon) || key.Revoke(end) || !key.State().RevokedAt.Equal(noon) {
		t.Errorf("revoked at %v", key.State().RevokedAt)
	}
	if err := key.RequireActive(noon); !errors.Is(err, domain.ErrAPIKeyInvalid) || key.Status(end) != domain.APIKeyRevoked {
		t.Errorf("after the revocation: %v, %s", err, key.Status(end))
	}
}

func TestAPIKey_UseIsRecordedToTheMinute(t *testing.T) {
	key, _ := newAPIKey(t, domain.ScopeUsersRead)
	for _, c := range []struct {
		at      time.Duration
		changed bool
		last    time.Duration
	}{{0, true, 0}, {59 * time.Second, false, 0}, {time.Minute, true, time.Minute}} {
		if changed := key.Use(noon.Add(c.at)); changed != c.changed || !key.State().LastUsedAt.Equal(noon.Add(c.last)) {
			t.Errorf("after %v: changed %t, last use %v", c.at, changed, key.State().LastUsedAt)
		}
	}
}

// Requirement: ASVS-8.2.1
func TestOperator_RequireScope(t *testing.T) {
	key, _ := newAPIKey(t, domain.ScopeUsersRead)
	var server domain.Operator
	for _, scope := range domain.Scopes {
		if err := key.Operator().RequireScope(scope); (err == nil) != (scope == domain.ScopeUsersRead) || err != nil && !errors.Is(err, domain.ErrInsufficientScope) {
			t.Errorf("%s with a key: %v", scope, err)
		}
		if err := server.RequireScope(scope); err != nil {
			t.Errorf("%s on the server: %v", scope, err)
		}
	}
	if key.Operator().APIKeyID() != key.ID() || !server.APIKeyID().IsZero() {
		t.Error("an operator has another key")
	}
}
