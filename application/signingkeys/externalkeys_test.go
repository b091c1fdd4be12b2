package signingkeys_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func (i *fixture) nodeWithExternalKeys(keys ...ports.TokenKey) *node {
	i.t.Helper()
	sealer, err := masterkey.NewSealer(i.secret, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.nodeOf(&signingkeys.Service{Store: i.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: i.clock, Rotation: rotation, External: keys})
}

func newTokenKey(t *testing.T, algorithm domain.SigningAlgorithm) ports.TokenKey {
	t.Helper()
	key, err := jwt.New().Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestExternalKeys_FirstSigns(t *testing.T) {
	i := newFixture(t)
	first, second := newTokenKey(t, domain.SigningES256), newTokenKey(t, domain.SigningEdDSA)
	n := i.nodeWithExternalKeys(first, second)
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{first.ID(), second.ID()}) {
		t.Errorf("published %q", ids)
	}
	token := n.mustIssue()
	if signedBy(t, token) != first.ID() || n.verify(token) != nil {
		t.Errorf("%s signs, %v", signedBy(t, token), n.verify(token))
	}
	if err := n.verify(i.nodeWithExternalKeys(second).mustIssue()); err != nil {
		t.Errorf("a token of the second: %v", err)
	}
	if err := n.verify(i.nodeWithExternalKeys(newTokenKey(t, domain.SigningES256)).mustIssue()); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("a token of a key that was not brought: %v", err)
	}
	want := []signingkeys.Key{
		{ID: first.ID(), Algorithm: domain.SigningES256, State: signingkeys.KeySigning}, {ID: second.ID(), Algorithm: domain.SigningEdDSA, State: signingkeys.KeyRetired},
	}
	if list := n.list(); !slices.Equal(list, want) {
		t.Errorf("listed %+v", list)
	}
}

// They are the operator's: nothing is made or stored beside them.
func TestExternalKeys_NoneIsGenerated(t *testing.T) {
	i := newFixture(t)
	n := i.nodeWithExternalKeys(newTokenKey(t, domain.SigningES256))
	n.mustRefresh()
	if list, err := n.rotate(); !errors.Is(err, signingkeys.ErrExternalKeys) || list != nil {
		t.Errorf("rotating: %+v, %v", list, err)
	}
	if signingkeys.ErrExternalKeys.Kind != domain.KindConflict || signingkeys.ErrExternalKeys.Code != "signing_keys_brought" {
		t.Errorf("told as %+v", signingkeys.ErrExternalKeys)
	}
	i.clock.advance(10 * rotation.Interval)
	n.mustRefresh()
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning}) {
		t.Errorf("listed %q", got)
	}
	if stored := i.storedKeys(); len(stored) != 0 {
		t.Errorf("%d keys are stored", len(stored))
	}
}

// An operator who brings keys of their own must not sign everybody out by it.
func TestExternalKeys_StoredKeysStillVerify(t *testing.T) {
	i := newFixture(t)
	made := i.node()
	token := made.mustIssue()
	brought := newTokenKey(t, domain.SigningES256)
	n := i.nodeWithExternalKeys(brought)
	if err := n.verify(token); err != nil {
		t.Errorf("a token that was out: %v", err)
	}
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{brought.ID(), signedBy(t, token)}) {
		t.Errorf("published %q", ids)
	}
	if id := signedBy(t, n.mustIssue()); id != brought.ID() {
		t.Errorf("%s signs", id)
	}
}

// Whoever has lost the secret may bring keys instead of it. What nobody can open has nothing to say then, least of all that
// it has to be given up by a rotation, which there is none of.
func TestExternalKeys_IgnoreUndecryptableStoredKeys(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	sealer, err := masterkey.NewSealer(newSecret(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	brought := newTokenKey(t, domain.SigningES256)
	n := i.nodeOf(&signingkeys.Service{Store: i.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: i.clock, Rotation: rotation, External: signingkeys.ExternalKeys{brought}})
	n.mustRefresh()
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{brought.ID()}) {
		t.Errorf("published %q", ids)
	}
}

// brokenKey is a key that can be neither used nor published.
type brokenKey struct{ ports.TokenKey }

var errBrokenKey = errors.New("the key is broken")

func (brokenKey) Sign(domain.AccessClaims) (domain.AccessToken, error) {
	return domain.AccessToken{}, errBrokenKey
}

func (brokenKey) Public() (json.RawMessage, error) { return nil, errBrokenKey }

func TestExternalKeys_KeyError(t *testing.T) {
	n := newFixture(t).nodeWithExternalKeys(brokenKey{newTokenKey(t, domain.SigningES256)})
	if token, err := n.issue(); !errors.Is(err, errBrokenKey) || token != "" {
		t.Errorf("issuing: %q, %v", token, err)
	}
	if keys, err := n.service.Publish(t.Context()); !errors.Is(err, errBrokenKey) || keys != nil {
		t.Errorf("publishing: %s, %v", keys, err)
	}
}
