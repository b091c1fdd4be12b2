package tokens_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (i *installation) nodeBringing(keys ...ports.TokenKey) *node {
	i.t.Helper()
	sealer, err := masterkey.NewSealer(i.secret, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), sealer, i.clock, rotation, keys))
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

// They are the operator's: nothing is made or stored beside them.
func TestWithKeysThatWereBroughtNoneIsMade(t *testing.T) {
	i := newInstallation(t)
	n := i.nodeBringing(tokenKey(t, domain.SigningES256))
	n.mustKeep()
	if list, err := n.rotates(); !errors.Is(err, tokens.ErrBrought) || list != nil {
		t.Errorf("rotating: %+v, %v", list, err)
	}
	if tokens.ErrBrought.Kind != domain.KindConflict || tokens.ErrBrought.Code != "signing_keys_brought" || !strings.Contains(tokens.ErrBrought.Message, "KEYLODGE_JWT_KEY_FILE") {
		t.Errorf("told as %+v", tokens.ErrBrought)
	}
	i.clock.advance(10 * rotation.Every)
	n.mustKeep()
	if err := n.believes(n.issues()); err != nil {
		t.Error(err)
	}
	if got := states(n.lists()); !slices.Equal(got, []tokens.KeyState{tokens.KeySigning}) {
		t.Errorf("listed %q", got)
	}
	if stored := i.stored(); len(stored) != 0 {
		t.Errorf("%d keys are stored", len(stored))
	}
}

// An operator who brings keys of their own must not sign everybody out by it.
func TestTokensOfTheKeysBeforeThemAreBelievedStill(t *testing.T) {
	i := newInstallation(t)
	made := i.node()
	token := made.issues()
	brought := tokenKey(t, domain.SigningES256)
	n := i.nodeBringing(brought)
	if err := n.believes(token); err != nil {
		t.Errorf("a token that was out: %v", err)
	}
	if ids := n.publishes(); !slices.Equal(ids, []string{brought.ID(), signedBy(t, token)}) {
		t.Errorf("published %q", ids)
	}
	if id := signedBy(t, n.issues()); id != brought.ID() {
		t.Errorf("%s signs", id)
	}
}

// Whoever has lost the secret may bring keys instead of it. What nobody can open has nothing to say then, least of all that
// it has to be given up by a rotation, which there is none of.
func TestKeysThatNobodyCanOpenAreNotMissedBesideThoseThatWereBrought(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	sealer, err := masterkey.NewSealer(newSecret(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	brought := tokenKey(t, domain.SigningES256)
	n := i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), sealer, i.clock, rotation, tokens.Brought{brought}))
	n.mustKeep()
	if err := n.believes(n.issues()); err != nil {
		t.Error(err)
	}
	if ids := n.publishes(); !slices.Equal(ids, []string{brought.ID()}) {
		t.Errorf("published %q", ids)
	}
}

// broken is a key that can be neither used nor published.
type broken struct{ ports.TokenKey }

var errBroken = errors.New("the key is broken")

func (broken) Sign(domain.AccessClaims) (domain.AccessToken, error) {
	return domain.AccessToken{}, errBroken
}

func (broken) Public() (json.RawMessage, error) { return nil, errBroken }

func TestAKeyThatFailsIsTold(t *testing.T) {
	n := newInstallation(t).nodeBringing(broken{tokenKey(t, domain.SigningES256)})
	if token, err := n.issue(); !errors.Is(err, errBroken) || token != "" {
		t.Errorf("issuing: %q, %v", token, err)
	}
	if keys, err := (&tokens.Publish{Keyring: n.keyring}).Execute(t.Context()); !errors.Is(err, errBroken) || keys != nil {
		t.Errorf("publishing: %s, %v", keys, err)
	}
}
