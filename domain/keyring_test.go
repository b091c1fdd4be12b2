package domain_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

const (
	active    = domain.CredentialActive
	suspended = domain.CredentialSuspended
)

// ring has one passkey of each given status, called "0", "1" and so on.
func ring(statuses ...domain.CredentialStatus) domain.Keyring {
	var k domain.Keyring
	for i, status := range statuses {
		id := domain.CredentialID(rune('0' + i))
		k = append(k, domain.RestoreCredential(domain.CredentialSnapshot{ID: id, Status: status, Transports: []string{"usb"}}))
	}
	return k
}

func ids(k domain.Keyring) (list []domain.CredentialID) {
	for _, c := range k {
		list = append(list, c.ID())
	}
	return list
}

func TestARingHoldsSoMany(t *testing.T) {
	for held, want := range map[int]error{0: nil, 1: nil, 2: domain.ErrPasskeyLimitReached, 3: domain.ErrPasskeyLimitReached} {
		if err := ring(slices.Repeat([]domain.CredentialStatus{suspended}, held)...).Room(2); !errors.Is(err, want) {
			t.Errorf("%d passkeys, where 2 may be: %v", held, err)
		}
	}
}

func TestAPasskeyIsFoundOnItsRingOnly(t *testing.T) {
	k := ring(active, suspended)
	for _, want := range k {
		if got, err := k.Find(want.ID()); got != want || err != nil {
			t.Errorf("%q: got %v, %v", want.ID(), got, err)
		}
	}
	for _, id := range []domain.CredentialID{"", "2", "00"} {
		if got, err := k.Find(id); !errors.Is(err, domain.ErrPasskeyNotFound) || got != nil {
			t.Errorf("%q: got %v, %v", id, got, err)
		}
	}
}

func TestTheLastPasskeyThatOpensStays(t *testing.T) {
	for name, c := range map[string]struct {
		ring domain.Keyring
		id   domain.CredentialID
		left []domain.CredentialID
		want error
	}{
		"one of two":                         {ring(active, active), "0", []domain.CredentialID{"1"}, nil},
		"one of three":                       {ring(active, active, active), "1", []domain.CredentialID{"0", "2"}, nil},
		"the only one":                       {ring(active), "0", nil, domain.ErrLastPasskey},
		"the only one, suspended":            {ring(suspended), "0", nil, domain.ErrLastPasskey},
		"the only active one":                {ring(active, suspended), "0", nil, domain.ErrLastPasskey},
		"the only active one among many":     {ring(suspended, active, suspended), "1", nil, domain.ErrLastPasskey},
		"a suspended one beside an active":   {ring(active, suspended), "1", []domain.CredentialID{"0"}, nil},
		"an active one, another beside it":   {ring(active, suspended, active), "2", []domain.CredentialID{"0", "1"}, nil},
		"a suspended one of two":             {ring(suspended, suspended), "0", []domain.CredentialID{"1"}, nil},
		"one that is not there":              {ring(active, active), "2", nil, domain.ErrPasskeyNotFound},
		"one that is not there, of only one": {ring(active), "2", nil, domain.ErrPasskeyNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			before := ids(c.ring)
			left, err := c.ring.Without(c.id)
			if !errors.Is(err, c.want) || !slices.Equal(ids(left), c.left) {
				t.Errorf("left %q, %v; want %q, %v", ids(left), err, c.left, c.want)
			}
			if !slices.Equal(ids(c.ring), before) {
				t.Errorf("the ring itself became %q", ids(c.ring))
			}
		})
	}
}

func TestARingNamesAllItsPasskeysToAClient(t *testing.T) {
	got := ring(active, suspended).Descriptors()
	want := []domain.CredentialDescriptor{{ID: "0", Transports: []string{"usb"}}, {ID: "1", Transports: []string{"usb"}}}
	if !slices.EqualFunc(got, want, sameDescriptor) {
		t.Errorf("got %+v", got)
	}
	if none := ring().Descriptors(); none == nil || len(none) != 0 {
		t.Errorf("an empty ring: %#v", none)
	}
}
