package domain_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// ada returns Ada with a name and a verified address.
func ada(t *testing.T) *domain.User {
	t.Helper()
	a := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	is := a.ToUser(noon).State()
	is.EmailVerifiedAt = noon
	return domain.RestoreUser(is)
}

func TestUser_DisableAndEnable(t *testing.T) {
	u := ada(t)
	if err := u.RequireEnabled(); err != nil || u.Disabled() || u.Enable() {
		t.Fatalf("a new account: %v, disabled %t", err, u.Disabled())
	}
	if !u.Disable(noon) || u.Disable(noon.Add(time.Hour)) {
		t.Error("the account is not disabled exactly once")
	}
	if err := u.RequireEnabled(); !errors.Is(err, domain.ErrUserDisabled) || !u.Disabled() || !u.DisabledAt().Equal(noon) {
		t.Errorf("after Disable: %v, at %s", err, u.DisabledAt())
	}
	if !u.Enable() || u.Enable() {
		t.Error("the account is not enabled exactly once")
	}
	if err := u.RequireEnabled(); err != nil || u.Disabled() || !u.DisabledAt().IsZero() {
		t.Errorf("after Enable: %v, disabled at %s", err, u.DisabledAt())
	}
}

func TestUser_Rename(t *testing.T) {
	u := ada(t)
	for _, c := range []struct {
		name    domain.DisplayName
		changed bool
	}{{"Ada", false}, {"Ada Lovelace", true}, {"Ada Lovelace", false}, {"", true}, {"", false}} {
		if changed := u.Rename(c.name); changed != c.changed || u.DisplayName() != c.name {
			t.Errorf("renamed to %q: changed %t, is %q", c.name, changed, u.DisplayName())
		}
	}
	if !u.EmailVerified() {
		t.Error("Rename changed the verified address")
	}
}

// SetEmail sets an unverified address, also if the user had verified it before.
func TestUser_SetEmail(t *testing.T) {
	for name, c := range map[string]struct {
		to                []domain.Email
		changed, verified bool
	}{
		"the same":       {[]domain.Email{"ada@example.org"}, false, true},
		"another":        {[]domain.Email{"ada@example.com"}, true, false},
		"none":           {[]domain.Email{""}, true, false},
		"the same again": {[]domain.Email{"", "ada@example.org"}, true, false},
	} {
		u := ada(t)
		changed := false
		for _, email := range c.to {
			changed = u.SetEmail(email)
		}
		if changed != c.changed || u.EmailVerified() != c.verified || u.Email() != c.to[len(c.to)-1] {
			t.Errorf("%s: changed %t, verified %t, is %q", name, changed, u.EmailVerified(), u.Email())
		}
	}
}

// The entity has the current name and address. Only the handle does not change.
func TestUser_Entity_followsChanges(t *testing.T) {
	u := ada(t)
	before := u.Entity()
	u.Rename("Countess")
	u.SetEmail("countess@example.org")
	want := domain.UserEntity{Handle: before.Handle, Name: "countess@example.org", DisplayName: "Countess"}
	if got := u.Entity(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
