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

func TestService_PreviousSecretDecryptsKeys(t *testing.T) {
	f := newFixture(t)
	before := f.node().mustIssue()
	n := f.nodeWith(rotation, newSecret(t), f.secret)
	n.mustRefresh()
	if err := errors.Join(n.verify(before), n.verify(n.mustIssue())); err != nil {
		t.Error(err)
	}
	if len(f.storedKeys()) != 1 {
		t.Errorf("%d keys are stored", len(f.storedKeys()))
	}
}

// Generating other keys silently would invalidate every token and every cached key set, so a lost secret is an error.
func TestService_UndecryptableKeysAreAnError(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	id := f.storedKeys()[0].ID()
	n := f.nodeWith(rotation, newSecret(t))
	err := n.refresh()
	if !errors.Is(err, signingkeys.ErrUndecryptable) || !strings.Contains(err.Error(), id) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := n.issue(); err == nil {
		t.Error("a token was issued")
	}
	if err := n.verify("x"); err == nil || errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("verification: %v", err)
	}
	f.clock.advance(2 * rotation.Interval) // the next key is overdue
	if err := n.refresh(); err == nil {
		t.Error("a later refresh succeeded")
	}
	if stored := f.storedKeys(); len(stored) != 1 || stored[0].ID() != id {
		t.Errorf("%d keys are stored, want the undecryptable one", len(stored))
	}
}

func TestRotate_RemovesUndecryptableKeys(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	lost := f.storedKeys()[0].ID()
	n := f.nodeWith(rotation, newSecret(t))
	list := n.mustRotate()
	if len(list) != 1 || list[0].ID == lost || list[0].State != signingkeys.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if stored := f.storedKeys(); len(stored) != 1 || stored[0].ID() != list[0].ID {
		t.Errorf("%d keys are stored, want the new one", len(stored))
	}
	if token := n.mustIssue(); signedBy(t, token) != list[0].ID || n.verify(token) != nil {
		t.Error("the new key does not sign")
	}
	n.mustRefresh()
}

// If an undecryptable key appears in the database of a running node, the node keeps using its known keys.
func TestService_KeepsKnownKeysBesideUndecryptableOne(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	token := n.mustIssue()
	foreign := f.addForeignKey(newFixture(t), noon.Add(announcePeriod))
	if err := n.refresh(); err == nil || !strings.Contains(err.Error(), foreign) {
		t.Errorf("refresh: %v", err)
	}
	if err := errors.Join(n.verify(token), n.verify(n.mustIssue())); err != nil {
		t.Errorf("with the known keys: %v", err)
	}
	if slices.Contains(n.publishedIDs(), foreign) {
		t.Error("an undecryptable key is published")
	}
	list := n.mustRotate()
	if got := keyStates(list); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) || list[1].ID != signedBy(t, token) {
		t.Errorf("listed %+v", list)
	}
	if err := n.verify(token); err != nil {
		t.Errorf("an earlier token: %v", err)
	}
	n.mustRefresh()
}

func TestService_UndecryptableKeyDuringRotation(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	token := n.mustIssue()
	f.clock.advance(rotation.Interval - announcePeriod)
	var foreign string
	f.store.beforeUpdate = func() { foreign = f.addForeignKey(newFixture(t), f.clock.Now().Add(-time.Hour)) }
	if err := n.refresh(); err == nil || !strings.Contains(err.Error(), foreign) {
		t.Errorf("refresh: %v", err)
	}
	if next := n.mustIssue(); signedBy(t, next) != signedBy(t, token) || n.verify(next) != nil {
		t.Errorf("key %s signs, not %s", signedBy(t, next), signedBy(t, token))
	}
}

// addForeignKey stores a key of another server.
func (f *fixture) addForeignKey(other *fixture, signsFrom time.Time) string {
	f.t.Helper()
	other.node().mustRefresh()
	key := other.storedKeys()[0].State()
	key.SignsFrom = signsFrom
	err := f.store.Store.Update(f.t.Context(), func(tx ports.Tx) error { return tx.SigningKeys.Add(f.t.Context(), domain.RestoreSigningKey(key)) })
	if err != nil {
		f.t.Fatal(err)
	}
	return key.ID
}

// If the signing key is lost with its secret, and the announced key is not, another key must sign until the announced one does.
func TestRotate_AfterLosingTheSigningKey(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	current := newSecret(t)
	f.clock.advance(rotation.Interval - announcePeriod)
	f.nodeWith(rotation, current, f.secret).mustRefresh() // announces a key encrypted with the current secret
	n := f.nodeWith(rotation, current)                    // without the previous secret
	if err := n.refresh(); err == nil {
		t.Fatal("the signing key was decrypted")
	}
	n.mustRotate()
	for range 3 * 12 {
		if err := n.verify(n.mustIssue()); err != nil {
			t.Fatal(err)
		}
		n.mustRefresh()
		f.clock.advance(5 * time.Minute)
	}
}

// A rotation removes only keys that it failed to decrypt, not a key that another node has stored meanwhile.
func TestRotate_KeepsKeyOfAnotherNode(t *testing.T) {
	for name, before := range map[string]bool{"first key": false, "next key": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			n, other := f.node(), f.node()
			if before {
				other.mustRefresh()
			}
			var added string
			f.store.beforeUpdate = func() { added = other.mustRotate()[0].ID }
			n.mustRotate()
			if !slices.Contains(n.publishedIDs(), added) {
				t.Error("the rotation removed a key that another node had just stored")
			}
			token := other.mustIssue()
			n.mustRefresh()
			if err := n.verify(token); err != nil {
				t.Errorf("a token of the other node: %v", err)
			}
		})
	}
}
