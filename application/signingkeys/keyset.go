// Package signingkeys makes access tokens and keeps the keys that sign them.
package signingkeys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// KeySet holds the signing keys of the installation opened and in memory, so that a login that wants tokens asks no
// database for them. All nodes of one database share the keys; each reads them again now and then (Refresh).
type KeySet struct {
	store    ports.Store
	keys     ports.TokenKeys
	sealer   ports.Sealer
	clock    ports.Clock
	rotation domain.KeyRotation
	external ExternalKeys

	refreshMu sync.Mutex
	current   atomic.Pointer[loadedKeys]
}

// ExternalKeys are keys that the operator keeps in a file of their own: the first one signs, all are published. With any, none
// is made or stored here.
type ExternalKeys []ports.TokenKey

// loadedKeys are the keys as of the last look. It is never changed.
type loadedKeys struct {
	keys          domain.SigningKeys // nil if they were brought
	byID          map[string]ports.TokenKey
	order         []ports.TokenKey
	undecryptable domain.SigningKeys // that could not be opened
}

// ErrExternalKeys refuses to rotate keys that are not kept here.
var ErrExternalKeys = &domain.Error{
	Kind: domain.KindConflict, Code: "signing_keys_brought",
	Message: "the signing keys come from KEYLODGE_JWT_KEY_FILE; put the new key first in that file and restart",
}

// NewKeySet makes a keyring that reads its keys at the first need, or by Refresh.
func NewKeySet(store ports.Store, keys ports.TokenKeys, sealer ports.Sealer, clock ports.Clock, rotation domain.KeyRotation, brought ExternalKeys) *KeySet {
	return &KeySet{store: store, keys: keys, sealer: sealer, clock: clock, rotation: rotation, external: brought}
}

// signer is the key that signs now.
func (k *KeySet) signer(ctx context.Context, now time.Time) (ports.TokenKey, error) {
	current, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	if len(k.external) > 0 {
		return k.external[0], nil
	}
	return current.byID[current.keys.Signer(now).ID()], nil
}

// verificationKeys are the keys whose tokens are.
func (k *KeySet) verificationKeys(ctx context.Context) ([]ports.TokenKey, error) {
	current, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	return current.order, nil
}

func (k *KeySet) load(ctx context.Context) (*loadedKeys, error) {
	if current := k.current.Load(); current != nil {
		return current, nil
	}
	return k.refresh(ctx, false)
}

// refresh reads the keys again, after making a new one if it is due or forced and taking those away that are spent.
func (k *KeySet) refresh(ctx context.Context, force bool) (*loadedKeys, error) {
	k.refreshMu.Lock()
	defer k.refreshMu.Unlock()
	stored, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	if len(k.external) > 0 {
		return k.withExternal(stored), nil
	}
	now := k.clock.Now()
	readable, err := k.decrypt(stored)
	if err != nil && !force {
		return nil, err
	}
	if force || stored.RotationDue(k.rotation, now) || len(stored.Expired(k.rotation, now)) > 0 {
		if stored, err = k.rotate(ctx, readable.undecryptable, force, now); err != nil {
			return nil, err
		}
		if readable, err = k.decrypt(stored); err != nil {
			return nil, err
		}
	}
	return k.publish(readable), nil
}

// withExternal goes on believing the keys that are kept here, which may have signed until the operator brought others, as
// far as they can be opened: bringing others is a way on, too, when the secret of these is lost.
func (k *KeySet) withExternal(stored domain.SigningKeys) *loadedKeys {
	readable, _ := k.decrypt(stored)
	return k.publish(&loadedKeys{byID: readable.byID, order: slices.Concat(k.external, readable.order)})
}

func (k *KeySet) stored(ctx context.Context) (keys domain.SigningKeys, err error) {
	err = k.store.View(ctx, func(tx ports.Tx) error {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	return keys, err
}

// rotate decides once more inside a unit of work, since other nodes see at the same time that a key is due. Forced, it
// also gives up keys that nobody can open.
func (k *KeySet) rotate(ctx context.Context, lost domain.SigningKeys, force bool, now time.Time) (domain.SigningKeys, error) {
	pair, sealed, err := k.generate()
	if err != nil {
		return nil, err
	}
	var stored domain.SigningKeys
	err = k.store.Update(ctx, func(tx ports.Tx) (err error) {
		if stored, err = tx.SigningKeys.All(ctx); err != nil {
			return err
		}
		usable, gone := stored, stored.Expired(k.rotation, now)
		if force {
			isLost := func(key *domain.SigningKey) bool { return slices.ContainsFunc(lost, key.Equal) }
			usable = slices.DeleteFunc(slices.Clone(stored), isLost)
			gone = append(gone, lost...)
		}
		if force || stored.RotationDue(k.rotation, now) {
			if err := tx.SigningKeys.Add(ctx, usable.Successor(pair.ID(), pair.Algorithm(), sealed, now)); err != nil {
				return err
			}
		}
		for _, key := range gone {
			if err := tx.SigningKeys.Remove(ctx, key.ID()); err != nil {
				return err
			}
		}
		stored, err = tx.SigningKeys.All(ctx)
		return err
	})
	return stored, err
}

func (k *KeySet) generate() (pair ports.TokenKey, sealed []byte, err error) {
	if pair, err = k.keys.Generate(k.rotation.Algorithm); err != nil {
		return nil, nil, err
	}
	private, err := pair.Private()
	if err != nil {
		return nil, nil, err
	}
	sealed, err = k.sealer.Seal(private, additionalData(pair.ID()))
	return pair, sealed, err
}

// decrypt returns the keys that can be opened, and an error if there is one that cannot.
func (k *KeySet) decrypt(stored domain.SigningKeys) (*loadedKeys, error) {
	readable := &loadedKeys{keys: make(domain.SigningKeys, 0, len(stored)), byID: make(map[string]ports.TokenKey, len(stored))}
	var faults error
	for _, key := range stored {
		pair, err := k.decryptKey(key)
		if err != nil {
			faults = errors.Join(faults, fmt.Errorf("signing key %s: %w", key.ID(), err))
			readable.undecryptable = append(readable.undecryptable, key)
			continue
		}
		readable.keys = append(readable.keys, key)
		readable.byID[key.ID()] = pair
		readable.order = append(readable.order, pair)
	}
	if faults != nil {
		return readable, fmt.Errorf("the keys of access tokens cannot be read: %w; only if that secret is lost for good, give them up with: keylodge keys rotate", faults)
	}
	return readable, nil
}

func (k *KeySet) decryptKey(key *domain.SigningKey) (ports.TokenKey, error) {
	if known := k.current.Load(); known != nil && known.byID[key.ID()] != nil {
		return known.byID[key.ID()], nil
	}
	private, err := k.sealer.Open(key.State().EncryptedKey, additionalData(key.ID()))
	if err != nil {
		return nil, err
	}
	return k.keys.Parse(private)
}

func (k *KeySet) publish(now *loadedKeys) *loadedKeys {
	k.current.Store(now)
	return now
}

func additionalData(id string) string { return "signing key " + id }
