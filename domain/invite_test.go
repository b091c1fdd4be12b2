package domain_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const inviteTTL = 7 * 24 * time.Hour

func newInvite(t *testing.T, email domain.Email, groups ...domain.Group) (*domain.Invite, domain.InviteToken) {
	t.Helper()
	invite, token, err := domain.NewInvite(email, groups, inviteTTL, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return invite, token
}

func newUser() *domain.User {
	return domain.NewPendingUser("", "Ada", noon, rand.Reader).ToUser(noon)
}

func TestNewInvite(t *testing.T) {
	invite, token := newInvite(t, "ada@example.org", "staff", "admin", "staff")
	s := invite.State()
	if s.Email != "ada@example.org" || !slices.Equal(s.Groups, domain.Groups{"admin", "staff"}) || !s.CreatedAt.Equal(noon) || !s.ExpiresAt.Equal(noon.Add(inviteTTL)) ||
		!s.UsedAt.IsZero() || !s.UserID.IsZero() || !s.RevokedAt.IsZero() {
		t.Errorf("got %+v", s)
	}
	parsed, err := domain.ParseInviteToken(token.Reveal())
	if err != nil || parsed.Digest() != s.Token || !strings.HasPrefix(token.Reveal(), "kli_") || len(token.Reveal()) != 47 {
		t.Errorf("the token %q: %v", token.Reveal(), err)
	}
	if other, _ := newInvite(t, ""); other.State().Token == s.Token || other.ID() == invite.ID() {
		t.Error("two invites are equal")
	}
	s.Groups[0] = "other"
	if invite.State().Groups[0] != "admin" {
		t.Error("a copy of the state changes the invite")
	}
}

func TestNewInvite_RejectsInvalidInput(t *testing.T) {
	groups := func(n int) (all []domain.Group) {
		for i := range n {
			all = append(all, domain.Group(fmt.Sprint(i)))
		}
		return all
	}
	for name, c := range map[string]struct {
		groups []domain.Group
		ttl    time.Duration
		fields string
	}{
		"no time":        {nil, 0, "[expires_in]"},
		"a negative ttl": {nil, -time.Hour, "[expires_in]"},
		"91 days":        {nil, 91 * 24 * time.Hour, "[expires_in]"},
		"101 groups":     {groups(101), inviteTTL, "[groups]"},
		"all of them":    {groups(101), 0, "[groups expires_in]"},
	} {
		invite, token, err := domain.NewInvite("", c.groups, c.ttl, noon, rand.Reader)
		var invalid *domain.InvalidInput
		if !errors.As(err, &invalid) || invite != nil || !token.IsZero() {
			t.Errorf("%s: %v, %v", name, invite, err)
			continue
		}
		var fields []string
		for _, f := range invalid.Fields {
			fields = append(fields, f.Field)
		}
		if fmt.Sprint(fields) != c.fields {
			t.Errorf("%s: invalid are %v", name, fields)
		}
	}
	if _, _, err := domain.NewInvite("", groups(100), 90*24*time.Hour, noon, rand.Reader); err != nil {
		t.Errorf("100 groups and 90 days: %v", err)
	}
}

func TestParseInviteToken(t *testing.T) {
	_, token := newInvite(t, "")
	text := token.Reveal()
	for _, copied := range []string{" " + text + "\n", text[:9] + "\u200b" + text[9:], strings.Replace(text, "kli_", "ｋｌｉ_", 1)} {
		if got, err := domain.ParseInviteToken(copied); err != nil || got.Digest() != token.Digest() {
			t.Errorf("%q: %v", copied, err)
		}
	}
	for _, other := range []string{"", "kli_", text[:46], text + "A", "klg_" + text[4:], text[4:]} {
		if got, err := domain.ParseInviteToken(other); !errors.Is(err, domain.ErrInviteInvalid) || !got.IsZero() {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestInvite_StatusOverTime(t *testing.T) {
	expiry := noon.Add(inviteTTL)
	for name, c := range map[string]struct {
		end    func(*domain.Invite) error
		at     time.Time
		status domain.InviteStatus
		err    error
	}{
		"new":                    {nil, noon, domain.InviteActive, nil},
		"just before its expiry": {nil, expiry.Add(-1), domain.InviteActive, nil},
		"at its expiry":          {nil, expiry, domain.InviteExpired, domain.ErrInviteExpired},
		"revoked":                {revokeInvite, noon, domain.InviteRevoked, domain.ErrInviteRevoked},
		"revoked, then expired":  {revokeInvite, expiry, domain.InviteRevoked, domain.ErrInviteRevoked},
		"used":                   {useInvite, noon, domain.InviteUsed, domain.ErrInviteUsed},
		"used, then expired":     {useInvite, expiry, domain.InviteUsed, domain.ErrInviteUsed},
	} {
		invite, _ := newInvite(t, "")
		if c.end != nil {
			if err := c.end(invite); err != nil {
				t.Fatal(err)
			}
		}
		before := invite.State()
		if got := invite.Status(c.at); got != c.status {
			t.Errorf("%s: %s", name, got)
		}
		if err := invite.RequireActive(c.at); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		ben := newUser()
		if err := invite.Use(ben, c.at); !errors.Is(err, c.err) || (err != nil && invite.State().UserID != before.UserID) {
			t.Errorf("%s: using it: %v, %+v", name, err, invite.State())
		}
	}
}

func revokeInvite(i *domain.Invite) error {
	_, err := i.Revoke(noon)
	return err
}

func useInvite(i *domain.Invite) error { return i.Use(newUser(), noon) }

func TestInvite_UseGivesGroups(t *testing.T) {
	invite, _ := newInvite(t, "", "staff", "admin")
	ada := newUser()
	if err := invite.Use(ada, noon.Add(time.Hour)); err != nil || !slices.Equal(ada.Groups(), domain.Groups{"admin", "staff"}) {
		t.Errorf("%v, groups %v", err, ada.Groups())
	}
	if s := invite.State(); s.UserID != ada.ID() || !s.UsedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("got %+v", s)
	}
}

func TestInvite_EmailFor(t *testing.T) {
	bound, _ := newInvite(t, "ada@example.org")
	free, _ := newInvite(t, "")
	for _, c := range []struct {
		invite        *domain.Invite
		entered, want domain.Email
		err           error
	}{
		{bound, "ada@example.org", "ada@example.org", nil},
		{bound, "", "ada@example.org", nil},
		{bound, "ben@example.org", "", domain.ErrInviteEmailMismatch},
		{free, "ben@example.org", "ben@example.org", nil},
		{free, "", "", nil},
	} {
		if got, err := c.invite.EmailFor(c.entered); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("entered %q with an invite for %q: %q, %v", c.entered, c.invite.State().Email, got, err)
		}
	}
}

func TestInvite_Revoke(t *testing.T) {
	invite, _ := newInvite(t, "")
	for i, want := range []bool{true, false} {
		if changed, err := invite.Revoke(noon.Add(time.Duration(i) * time.Hour)); changed != want || err != nil || !invite.State().RevokedAt.Equal(noon) {
			t.Errorf("time %d: %t, %v, %+v", i, changed, err, invite.State())
		}
	}
	used, _ := newInvite(t, "")
	if err := useInvite(used); err != nil {
		t.Fatal(err)
	}
	if changed, err := used.Revoke(noon); changed || !errors.Is(err, domain.ErrInviteAlreadyUsed) || !used.State().RevokedAt.IsZero() {
		t.Errorf("a used one: %t, %v", changed, err)
	}
	expired, _ := newInvite(t, "")
	if changed, err := expired.Revoke(noon.Add(inviteTTL)); !changed || err != nil {
		t.Errorf("an expired one: %t, %v", changed, err)
	}
}
