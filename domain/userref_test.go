package domain_test

import (
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestParseUserRef(t *testing.T) {
	for s, want := range map[string]domain.UserRef{
		adasID.String():     {ID: adasID},
		" Ada@Example.org ": {Email: "ada@example.org"},
	} {
		if got, err := domain.ParseUserRef("user", s); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", " ", "ada", adasID.String()[1:]} {
		var invalid *domain.InvalidInput
		if got, err := domain.ParseUserRef("user", s); !errors.As(err, &invalid) || invalid.Fields[0].Field != "user" || got != (domain.UserRef{}) {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestUserRef_String(t *testing.T) {
	for want, ref := range map[string]domain.UserRef{
		"ada@example.org":                      {Email: "ada@example.org"},
		adasID.String():                        {ID: adasID},
		"ben@example.org":                      {ID: adasID, Email: "ben@example.org"},
		"00000000-0000-0000-0000-000000000000": {},
	} {
		if got := ref.String(); got != want {
			t.Errorf("%+v: got %q, want %q", ref, got, want)
		}
	}
}
