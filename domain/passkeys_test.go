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

// passkeySet returns one passkey for each status, with the ids "0", "1" and so on.
func passkeySet(statuses ...domain.CredentialStatus) domain.Passkeys {
	var p domain.Passkeys
	for i, status := range statuses {
		id := domain.CredentialID(rune('0' + i))
		p = append(p, domain.RestoreCredential(domain.CredentialState{ID: id, Status: status, Transports: []string{"usb"}}))
	}
	return p
}

func passkeyIDs(k domain.Passkeys) (list []domain.CredentialID) {
	for _, c := range k {
		list = append(list, c.ID())
	}
	return list
}

func TestPasskeys_CheckLimit(t *testing.T) {
	for held, want := range map[int]error{0: nil, 1: nil, 2: domain.ErrPasskeyLimitReached, 3: domain.ErrPasskeyLimitReached} {
		if err := passkeySet(slices.Repeat([]domain.CredentialStatus{suspended}, held)...).CheckLimit(2); !errors.Is(err, want) {
			t.Errorf("%d passkeys, limit 2: %v", held, err)
		}
	}
}

func TestPasskeys_ByID(t *testing.T) {
	k := passkeySet(active, suspended)
	for _, want := range k {
		if got, err := k.ByID(want.ID()); got != want || err != nil {
			t.Errorf("%q: got %v, %v", want.ID(), got, err)
		}
	}
	for _, id := range []domain.CredentialID{"", "2", "00"} {
		if got, err := k.ByID(id); !errors.Is(err, domain.ErrPasskeyNotFound) || got != nil {
			t.Errorf("%q: got %v, %v", id, got, err)
		}
	}
}

// Requirement: WebAuthn-13.4.6
func TestPasskeys_Remove(t *testing.T) {
	for name, c := range map[string]struct {
		passkeys domain.Passkeys
		id       domain.CredentialID
		left     []domain.CredentialID
		want     error
	}{
		"one of two":                       {passkeySet(active, active), "0", []domain.CredentialID{"1"}, nil},
		"one of three":                     {passkeySet(active, active, active), "1", []domain.CredentialID{"0", "2"}, nil},
		"the only one":                     {passkeySet(active), "0", nil, domain.ErrLastPasskey},
		"the only one, suspended":          {passkeySet(suspended), "0", nil, domain.ErrLastPasskey},
		"the only active one":              {passkeySet(active, suspended), "0", nil, domain.ErrLastPasskey},
		"the only active one among many":   {passkeySet(suspended, active, suspended), "1", nil, domain.ErrLastPasskey},
		"a suspended one, one active left": {passkeySet(active, suspended), "1", []domain.CredentialID{"0"}, nil},
		"an active one, another left":      {passkeySet(active, suspended, active), "2", []domain.CredentialID{"0", "1"}, nil},
		"a suspended one of two":           {passkeySet(suspended, suspended), "0", []domain.CredentialID{"1"}, nil},
		"an unknown one":                   {passkeySet(active, active), "2", nil, domain.ErrPasskeyNotFound},
		"an unknown one, of one":           {passkeySet(active), "2", nil, domain.ErrPasskeyNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			before := passkeyIDs(c.passkeys)
			left, err := c.passkeys.Remove(c.id)
			if !errors.Is(err, c.want) || !slices.Equal(passkeyIDs(left), c.left) {
				t.Errorf("left %q, %v; want %q, %v", passkeyIDs(left), err, c.left, c.want)
			}
			if !slices.Equal(passkeyIDs(c.passkeys), before) {
				t.Errorf("the original became %q", passkeyIDs(c.passkeys))
			}
		})
	}
}

func TestPasskeys_Descriptors(t *testing.T) {
	got := passkeySet(active, suspended).Descriptors()
	want := []domain.CredentialDescriptor{{ID: "0", Transports: []string{"usb"}}, {ID: "1", Transports: []string{"usb"}}}
	if !slices.EqualFunc(got, want, sameDescriptor) {
		t.Errorf("got %+v", got)
	}
	if none := passkeySet().Descriptors(); none == nil || len(none) != 0 {
		t.Errorf("no passkeys: %#v", none)
	}
}
