package domain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestParseGroup(t *testing.T) {
	for _, good := range []string{"a", "9", "admin", "on-call", "team:eu.north_1", strings.Repeat("a", 64)} {
		if got, err := domain.ParseGroup("group", good); err != nil || string(got) != good {
			t.Errorf("%q: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", " ", "Admin", "ad min", "a,b", "a|b", "ä", "-a", ".a", "_a", ":a", "a\n", "a\x00", strings.Repeat("a", 65)} {
		got, err := domain.ParseGroup("group", bad)
		if input := (*domain.InvalidInput)(nil); !errors.As(err, &input) || got != "" {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func TestUser_ChangeGroups(t *testing.T) {
	ada := domain.RestoreUser(domain.UserState{})
	for _, c := range []struct {
		add, remove []domain.Group
		changed     bool
		want        domain.Groups
	}{
		{nil, nil, false, nil},
		{nil, []domain.Group{"admin"}, false, nil},
		{[]domain.Group{"staff", "admin", "staff"}, nil, true, domain.Groups{"admin", "staff"}},
		{[]domain.Group{"admin"}, []domain.Group{"other"}, false, domain.Groups{"admin", "staff"}},
		{[]domain.Group{"new"}, []domain.Group{"admin"}, true, domain.Groups{"new", "staff"}},
		{[]domain.Group{"both"}, []domain.Group{"both"}, false, domain.Groups{"new", "staff"}},
	} {
		before := ada.State()
		changed, err := ada.ChangeGroups(c.add, c.remove)
		if changed != c.changed || err != nil || !slices.Equal(ada.Groups(), c.want) {
			t.Errorf("+%v -%v: %t, %v, %v; want %t, %v", c.add, c.remove, changed, err, ada.Groups(), c.changed, c.want)
		}
		if ada.Groups(); len(before.Groups) > 0 && before.Groups[0] == "changed" {
			t.Error("a state shares the groups of its user")
		}
	}
	var many []domain.Group
	for i := range 99 {
		many = append(many, domain.Group(fmt.Sprint("g", i)))
	}
	if changed, err := ada.ChangeGroups(many, nil); changed || !errors.Is(err, domain.ErrInvalidRequest) || len(ada.Groups()) != 2 {
		t.Errorf("101 groups: %t, %v, %d are stored", changed, err, len(ada.Groups()))
	}
	if changed, err := ada.ChangeGroups(many[1:], nil); !changed || err != nil || len(ada.Groups()) != 100 {
		t.Errorf("100 groups: %t, %v, %d are stored", changed, err, len(ada.Groups()))
	}
}

// A user's state and the values that were read from it are copies.
func TestUser_GroupsAreCopied(t *testing.T) {
	given := domain.Groups{"admin"}
	ada := domain.RestoreUser(domain.UserState{Groups: given})
	given[0], ada.State().Groups[0], ada.Groups()[0], ada.Clone().State().Groups[0] = "x", "x", "x", "x"
	if got := ada.Groups(); !slices.Equal(got, domain.Groups{"admin"}) {
		t.Errorf("got %v", got)
	}
}
