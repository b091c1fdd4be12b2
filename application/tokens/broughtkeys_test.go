package tokens_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (i *installation) nodeBringing(keys ...ports.TokenKey) *node {
	return i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), nil, i.clock, rotation, keys))
}

func tokenKey(t *testing.T, algorithm domain.SigningAlgorithm) ports.TokenKey {
	t.Helper()
	key, err := jwt.New().Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheFirstOfTheKeysThatWereBroughtSigns(t *testing.T) {
	i := newInstallation(t)
	first, second := tokenKey(t, domain.SigningES256), tokenKey(t, domain.SigningEdDSA)
	n := i.nodeBringing(first, second)
	if ids := n.publishes(); !slices.Equal(ids, []string{first.ID(), second.ID()}) {
		t.Errorf("published %q", ids)
	}
	token := n.issues()
	if signedBy(t, token) != first.ID() || n.believes(token) != nil {
		t.Errorf("%s signs, %v", signedBy(t, token), n.believes(token))
	}
	if err := n.believes(i.nodeBringing(second).issues()); err != nil {
		t.Errorf("a token of the second: %v", err)
	}
	if err := n.believes(i.nodeBringing(tokenKey(t, domain.SigningES256)).issues()); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("a token of a key that was not brought: %v", err)
	}
	want := []tokens.Key{
		{ID: first.ID(), Algorithm: domain.SigningES256, State: tokens.KeySigning}, {ID: second.ID(), Algorithm: domain.SigningEdDSA, State: tokens.KeyRetired},
	}
	if list := n.lists(); !slices.Equal(list, want) {
		t.Errorf("listed %+v", list)
	}
}

// They are the operator's: nothing is made, stored or even read beside them.
func TestWithKeysThatWereBroughtNoneIsMade(t *testing.T) {
	i := newInstallation(t)
	n := i.nodeBringing(tokenKey(t, domain.SigningES256))
	i.store.down = true
	n.mustKeep()
	if list, err := n.rotates(); !errors.Is(err, tokens.ErrBrought) || list != nil {
		t.Errorf("rotating: %+v, %v", list, err)
	}
	i.clock.advance(10 * rotation.Every)
	n.mustKeep()
	if err := n.believes(n.issues()); err != nil {
		t.Error(err)
	}
	if stored := i.stored(); len(stored) != 0 {
		t.Errorf("%d keys are stored", len(stored))
	}
}
