package tokens_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestAFormerSecretStillOpensItsKeys(t *testing.T) {
	i := newInstallation(t)
	before := i.node().issues()
	n := i.nodeWith(rotation, newSecret(t), i.secret)
	n.mustKeep()
	if err := errors.Join(n.believes(before), n.believes(n.issues())); err != nil {
		t.Error(err)
	}
	if len(i.stored()) != 1 {
		t.Errorf("%d keys are stored", len(i.stored()))
	}
}

// Silently making other keys would break every token and every service that has the old ones; so the operator is told.
func TestKeysThatNobodyCanOpenAreToldAndNotReplaced(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	stored := i.stored()[0].ID()
	n := i.nodeWith(rotation, newSecret(t))
	err := n.keeps()
	if err == nil || !strings.Contains(err.Error(), "keylodge keys rotate") || !strings.Contains(err.Error(), stored) ||
		!strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") {
		t.Errorf("keeping the keys: %v", err)
	}
	if _, err := n.issue(); err == nil {
		t.Error("a token was issued")
	}
	if err := n.believes("x"); err == nil || errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("reading a token: %v", err)
	}
	i.clock.advance(2 * rotation.Every) // the next key is long due
	if err := n.keeps(); err == nil {
		t.Error("keeping the keys later succeeds")
	}
	if now := i.stored(); len(now) != 1 || now[0].ID() != stored {
		t.Errorf("%d keys are stored now", len(now))
	}
}

func TestKeysThatNobodyCanOpenAreGivenUpByHand(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	lost := i.stored()[0].ID()
	n := i.nodeWith(rotation, newSecret(t))
	list := n.mustRotate()
	if len(list) != 1 || list[0].ID == lost || list[0].State != tokens.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if now := i.stored(); len(now) != 1 || now[0].ID() != list[0].ID {
		t.Errorf("%d keys are stored", len(now))
	}
	if token := n.issues(); signedBy(t, token) != list[0].ID || n.believes(token) != nil {
		t.Error("the new key does not sign")
	}
	n.mustKeep()
}

// A key that cannot be opened came to the database of a node that runs: it signs and reads on with those that it knows.
func TestANodeKeepsTheKeysThatItKnows(t *testing.T) {
	i := newInstallation(t)
	n := i.node()
	token := n.issues()
	strange := i.addsAKeyUnder(newInstallation(t), noon.Add(announcement))
	if err := n.keeps(); err == nil || !strings.Contains(err.Error(), strange) {
		t.Errorf("keeping the keys: %v", err)
	}
	if err := errors.Join(n.believes(token), n.believes(n.issues())); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	if slices.Contains(n.publishes(), strange) {
		t.Error("a key is published that cannot be opened")
	}
	list := n.mustRotate()
	if got := states(list); !slices.Equal(got, []tokens.KeyState{tokens.KeyAnnounced, tokens.KeySigning}) || list[1].ID != signedBy(t, token) {
		t.Errorf("listed %+v", list)
	}
	if err := n.believes(token); err != nil {
		t.Errorf("a token that was out: %v", err)
	}
	n.mustKeep()
}

func TestAStrangeKeyThatComesDuringARotationIsToldAsWell(t *testing.T) {
	i := newInstallation(t)
	n := i.node()
	token := n.issues()
	i.clock.advance(rotation.Every - announcement)
	var strange string
	i.store.between = func() { strange = i.addsAKeyUnder(newInstallation(t), i.clock.Now().Add(-time.Hour)) }
	if err := n.keeps(); err == nil || !strings.Contains(err.Error(), strange) {
		t.Errorf("keeping the keys: %v", err)
	}
	if still := n.issues(); signedBy(t, still) != signedBy(t, token) || n.believes(still) != nil {
		t.Errorf("key %s signs, not %s", signedBy(t, still), signedBy(t, token))
	}
}

// addsAKeyUnder puts a key of another installation into the store.
func (i *installation) addsAKeyUnder(other *installation, signsFrom time.Time) string {
	i.t.Helper()
	other.node().mustKeep()
	key := other.stored()[0].Snapshot()
	key.SignsFrom = signsFrom
	err := i.store.Store.Update(i.t.Context(), func(tx ports.Tx) error { return tx.SigningKeys.Add(i.t.Context(), domain.RestoreSigningKey(key)) })
	if err != nil {
		i.t.Fatal(err)
	}
	return key.ID
}

// The key that signs is lost with its secret, and the one that is announced is not: somebody has to sign meanwhile.
func TestSomeKeySignsAlsoAfterTheSigningOneIsGivenUp(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	present := newSecret(t)
	i.clock.advance(rotation.Every - announcement)
	i.nodeWith(rotation, present, i.secret).mustKeep() // announces a key under the present secret
	n := i.nodeWith(rotation, present)                 // which alone is known from now on
	if err := n.keeps(); err == nil {
		t.Fatal("the signing key was opened")
	}
	n.mustRotate()
	for range 3 * 12 {
		if err := n.believes(n.issues()); err != nil {
			t.Fatal(err)
		}
		n.mustKeep()
		i.clock.advance(5 * time.Minute)
	}
}

// Giving up is for keys that were tried in vain, not for one that another node has made since.
func TestARotationGivesUpNoKeyThatAppearedMeanwhile(t *testing.T) {
	for name, before := range map[string]bool{"the first of all": false, "the next": true} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			n, other := i.node(), i.node()
			if before {
				other.mustKeep()
			}
			var made string
			i.store.between = func() { made = other.mustRotate()[0].ID }
			n.mustRotate()
			if !slices.Contains(n.publishes(), made) {
				t.Error("a key was given up that another node had just made")
			}
			token := other.issues()
			n.mustKeep()
			if err := n.believes(token); err != nil {
				t.Errorf("a token of the other node: %v", err)
			}
		})
	}
}
