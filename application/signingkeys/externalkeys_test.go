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

func (f *fixture) nodeWithExternalKeys(keys ...ports.TokenKey) *node {
	f.t.Helper()
	sealer, err := masterkey.NewSealer(f.secret, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.nodeOf(&signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: f.clock, Rotation: rotation, External: keys})
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
	f := newFixture(t)
	first, second := newTokenKey(t, domain.SigningES256), newTokenKey(t, domain.SigningEdDSA)
	n := f.nodeWithExternalKeys(first, second)
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{first.ID(), second.ID()}) {
		t.Errorf("published %q", ids)
	}
	token := n.mustIssue()
	if signedBy(t, token) != first.ID() || n.verify(token) != nil {
		t.Errorf("%s signs, %v", signedBy(t, token), n.verify(token))
	}
	if err := n.verify(f.nodeWithExternalKeys(second).mustIssue()); err != nil {
		t.Errorf("a token of the second key: %v", err)
	}
	if err := n.verify(f.nodeWithExternalKeys(newTokenKey(t, domain.SigningES256)).mustIssue()); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("a token of another key: %v", err)
	}
	want := []signingkeys.Key{
		{ID: first.ID(), Algorithm: domain.SigningES256, State: signingkeys.KeySigning}, {ID: second.ID(), Algorithm: domain.SigningEdDSA, State: signingkeys.KeyRetired},
	}
	if list := n.list(); !slices.Equal(list, want) {
		t.Errorf("listed %+v", list)
	}
}

// With external keys, the server generates and stores none.
func TestExternalKeys_NoneIsGenerated(t *testing.T) {
	f := newFixture(t)
	n := f.nodeWithExternalKeys(newTokenKey(t, domain.SigningES256))
	n.mustRefresh()
	if list, err := n.rotate(); !errors.Is(err, domain.ErrSigningKeysExternal) || list != nil {
		t.Errorf("rotation: %+v, %v", list, err)
	}
	if domain.ErrSigningKeysExternal.Kind != domain.KindConflict || domain.ErrSigningKeysExternal.Code != "signing_keys_external" {
		t.Errorf("the error is %+v", domain.ErrSigningKeysExternal)
	}
	f.clock.advance(10 * rotation.Interval)
	n.mustRefresh()
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning}) {
		t.Errorf("listed %q", got)
	}
	if stored := f.storedKeys(); len(stored) != 0 {
		t.Errorf("%d keys are stored", len(stored))
	}
}

// Configuring external keys does not invalidate tokens that stored keys signed.
func TestExternalKeys_StoredKeysStillVerify(t *testing.T) {
	f := newFixture(t)
	token := f.node().mustIssue()
	external := newTokenKey(t, domain.SigningES256)
	n := f.nodeWithExternalKeys(external)
	if err := n.verify(token); err != nil {
		t.Errorf("a token of a stored key: %v", err)
	}
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{external.ID(), signedBy(t, token)}) {
		t.Errorf("published %q", ids)
	}
	if id := signedBy(t, n.mustIssue()); id != external.ID() {
		t.Errorf("%s signs", id)
	}
}

// An operator who has lost the secret can configure external keys. Undecryptable stored keys are no error then: external keys cannot
// be rotated, so the operator could not remove them.
func TestExternalKeys_IgnoreUndecryptableStoredKeys(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	sealer, err := masterkey.NewSealer(newSecret(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	external := newTokenKey(t, domain.SigningES256)
	n := f.nodeOf(&signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: f.clock, Rotation: rotation, External: signingkeys.ExternalKeys{external}})
	n.mustRefresh()
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
	if ids := n.publishedIDs(); !slices.Equal(ids, []string{external.ID()}) {
		t.Errorf("published %q", ids)
	}
}

// brokenKey is a key that can neither sign nor be published.
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
