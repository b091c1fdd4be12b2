package signingkeys_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestKeySet_PreviousSecretDecryptsKeys(t *testing.T) {
	i := newFixture(t)
	before := i.node().mustIssue()
	n := i.nodeWith(rotation, newSecret(t), i.secret)
	n.mustRefresh()
	if err := errors.Join(n.verify(before), n.verify(n.mustIssue())); err != nil {
		t.Error(err)
	}
	if len(i.storedKeys()) != 1 {
		t.Errorf("%d keys are stored", len(i.storedKeys()))
	}
}

// Silently making other keys would break every token and every service that has the old ones; so the operator is told.
func TestKeySet_UndecryptableKeysAreAnError(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	stored := i.storedKeys()[0].ID()
	n := i.nodeWith(rotation, newSecret(t))
	err := n.refresh()
	if !errors.Is(err, signingkeys.ErrUndecryptable) || !strings.Contains(err.Error(), stored) {
		t.Errorf("keeping the keys: %v", err)
	}
	if _, err := n.issue(); err == nil {
		t.Error("a token was issued")
	}
	if err := n.verify("x"); err == nil || errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("reading a token: %v", err)
	}
	i.clock.advance(2 * rotation.Interval) // the next key is long due
	if err := n.refresh(); err == nil {
		t.Error("keeping the keys later succeeds")
	}
	if now := i.storedKeys(); len(now) != 1 || now[0].ID() != stored {
		t.Errorf("%d keys are stored now", len(now))
	}
}

func TestRotate_RemovesUndecryptableKeys(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	lost := i.storedKeys()[0].ID()
	n := i.nodeWith(rotation, newSecret(t))
	list := n.mustRotate()
	if len(list) != 1 || list[0].ID == lost || list[0].State != signingkeys.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if now := i.storedKeys(); len(now) != 1 || now[0].ID() != list[0].ID {
		t.Errorf("%d keys are stored", len(now))
	}
	if token := n.mustIssue(); signedBy(t, token) != list[0].ID || n.verify(token) != nil {
		t.Error("the new key does not sign")
	}
	n.mustRefresh()
}

// A key that cannot be opened came to the database of a node that runs: it signs and reads on with those that it knows.
func TestKeySet_KeepsKnownKeysBesideUndecryptableOne(t *testing.T) {
	i := newFixture(t)
	n := i.node()
	token := n.mustIssue()
	strange := i.addForeignKey(newFixture(t), noon.Add(announcePeriod))
	if err := n.refresh(); err == nil || !strings.Contains(err.Error(), strange) {
		t.Errorf("keeping the keys: %v", err)
	}
	if err := errors.Join(n.verify(token), n.verify(n.mustIssue())); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	if slices.Contains(n.publishedIDs(), strange) {
		t.Error("a key is published that cannot be opened")
	}
	list := n.mustRotate()
	if got := keyStates(list); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) || list[1].ID != signedBy(t, token) {
		t.Errorf("listed %+v", list)
	}
	if err := n.verify(token); err != nil {
		t.Errorf("a token that was out: %v", err)
	}
	n.mustRefresh()
}

func TestKeySet_UndecryptableKeyDuringRotation(t *testing.T) {
	i := newFixture(t)
	n := i.node()
	token := n.mustIssue()
	i.clock.advance(rotation.Interval - announcePeriod)
	var strange string
	i.store.beforeUpdate = func() { strange = i.addForeignKey(newFixture(t), i.clock.Now().Add(-time.Hour)) }
	if err := n.refresh(); err == nil || !strings.Contains(err.Error(), strange) {
		t.Errorf("keeping the keys: %v", err)
	}
	if still := n.mustIssue(); signedBy(t, still) != signedBy(t, token) || n.verify(still) != nil {
		t.Errorf("key %s signs, not %s", signedBy(t, still), signedBy(t, token))
	}
}

// addForeignKey puts a key of another installation into the store.
func (i *fixture) addForeignKey(other *fixture, signsFrom time.Time) string {
	i.t.Helper()
	other.node().mustRefresh()
	key := other.storedKeys()[0].State()
	key.SignsFrom = signsFrom
	err := i.store.Store.Update(i.t.Context(), func(tx ports.Tx) error { return tx.SigningKeys.Add(i.t.Context(), domain.RestoreSigningKey(key)) })
	if err != nil {
		i.t.Fatal(err)
	}
	return key.ID
}

// The key that signs is lost with its secret, and the one that is announced is not: somebody has to sign meanwhile.
func TestRotate_AfterLosingTheSigningKey(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	present := newSecret(t)
	i.clock.advance(rotation.Interval - announcePeriod)
	i.nodeWith(rotation, present, i.secret).mustRefresh() // announces a key under the present secret
	n := i.nodeWith(rotation, present)                    // which alone is known from now on
	if err := n.refresh(); err == nil {
		t.Fatal("the signing key was opened")
	}
	n.mustRotate()
	for range 3 * 12 {
		if err := n.verify(n.mustIssue()); err != nil {
			t.Fatal(err)
		}
		n.mustRefresh()
		i.clock.advance(5 * time.Minute)
	}
}

// Giving up is for keys that were tried in vain, not for one that another node has made since.
func TestRotate_KeepsKeyOfAnotherNode(t *testing.T) {
	for name, before := range map[string]bool{"the first of all": false, "the next": true} {
		t.Run(name, func(t *testing.T) {
			i := newFixture(t)
			n, other := i.node(), i.node()
			if before {
				other.mustRefresh()
			}
			var made string
			i.store.beforeUpdate = func() { made = other.mustRotate()[0].ID }
			n.mustRotate()
			if !slices.Contains(n.publishedIDs(), made) {
				t.Error("a key was given up that another node had just made")
			}
			token := other.mustIssue()
			n.mustRefresh()
			if err := n.verify(token); err != nil {
				t.Errorf("a token of the other node: %v", err)
			}
		})
	}
}
