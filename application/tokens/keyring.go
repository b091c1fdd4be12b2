// Package tokens makes access tokens and keeps the keys that sign them.
package tokens

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

// Keyring holds the signing keys of the installation opened and in memory, so that a login that wants tokens asks no
// database for them. All nodes of one database share the keys; each reads them again now and then (KeepKeys).
type Keyring struct {
	store    ports.Store
	keys     ports.TokenKeys
	sealer   ports.Sealer
	clock    ports.Clock
	rotation domain.KeyRotation
	brought  Brought

	loading sync.Mutex
	current atomic.Pointer[opened]
}

// Brought are keys that the operator keeps in a file of their own: the first one signs, all are published. With any, none
// is made or stored here.
type Brought []ports.TokenKey

// opened are the keys as of the last look. It is never changed.
type opened struct {
	keys  domain.SigningKeys // nil if they were brought
	byID  map[string]ports.TokenKey
	order []ports.TokenKey
	lost  domain.SigningKeys // that could not be opened
}

// ErrBrought refuses to rotate keys that are not kept here.
var ErrBrought = &domain.Error{
	Kind: domain.KindConflict, Code: "signing_keys_brought",
	Message: "the signing keys come from KEYLODGE_JWT_KEY_FILE; put the new key first in that file and restart",
}

// NewKeyring makes a keyring that reads its keys at the first need, or by KeepKeys.
func NewKeyring(store ports.Store, keys ports.TokenKeys, sealer ports.Sealer, clock ports.Clock, rotation domain.KeyRotation, brought Brought) *Keyring {
	return &Keyring{store: store, keys: keys, sealer: sealer, clock: clock, rotation: rotation, brought: brought}
}

// signer is the key that signs now.
func (k *Keyring) signer(ctx context.Context, now time.Time) (ports.TokenKey, error) {
	current, err := k.look(ctx)
	if err != nil {
		return nil, err
	}
	if len(k.brought) > 0 {
		return k.brought[0], nil
	}
	return current.byID[current.keys.Signer(now).ID()], nil
}

// believed are the keys whose tokens are.
func (k *Keyring) believed(ctx context.Context) ([]ports.TokenKey, error) {
	current, err := k.look(ctx)
	if err != nil {
		return nil, err
	}
	return current.order, nil
}

func (k *Keyring) look(ctx context.Context) (*opened, error) {
	if current := k.current.Load(); current != nil {
		return current, nil
	}
	return k.refresh(ctx, false)
}

// refresh reads the keys again, after making a new one if it is due or forced and taking those away that are spent.
func (k *Keyring) refresh(ctx context.Context, force bool) (*opened, error) {
	k.loading.Lock()
	defer k.loading.Unlock()
	stored, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	if len(k.brought) > 0 {
		return k.besideBrought(stored), nil
	}
	now := k.clock.Now()
	readable, err := k.open(stored)
	if err != nil && !force {
		return nil, err
	}
	if force || stored.Due(k.rotation, now) || len(stored.Spent(k.rotation, now)) > 0 {
		if stored, err = k.rotate(ctx, readable.lost, force, now); err != nil {
			return nil, err
		}
		if readable, err = k.open(stored); err != nil {
			return nil, err
		}
	}
	return k.keep(readable), nil
}

// besideBrought goes on believing the keys that are kept here, which may have signed until the operator brought others, as
// far as they can be opened: bringing others is a way on, too, when the secret of these is lost.
func (k *Keyring) besideBrought(stored domain.SigningKeys) *opened {
	readable, _ := k.open(stored)
	return k.keep(&opened{byID: readable.byID, order: slices.Concat(k.brought, readable.order)})
}

func (k *Keyring) stored(ctx context.Context) (keys domain.SigningKeys, err error) {
	err = k.store.View(ctx, func(tx ports.Tx) error {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	return keys, err
}

// rotate decides once more inside a unit of work, since other nodes see at the same time that a key is due. Forced, it
// also gives up keys that nobody can open.
func (k *Keyring) rotate(ctx context.Context, lost domain.SigningKeys, force bool, now time.Time) (domain.SigningKeys, error) {
	pair, sealed, err := k.generate()
	if err != nil {
		return nil, err
	}
	var stored domain.SigningKeys
	err = k.store.Update(ctx, func(tx ports.Tx) (err error) {
		if stored, err = tx.SigningKeys.All(ctx); err != nil {
			return err
		}
		usable, gone := stored, stored.Spent(k.rotation, now)
		if force {
			isLost := func(key *domain.SigningKey) bool { return slices.ContainsFunc(lost, key.Is) }
			usable = slices.DeleteFunc(slices.Clone(stored), isLost)
			gone = append(gone, lost...)
		}
		if force || stored.Due(k.rotation, now) {
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

func (k *Keyring) generate() (pair ports.TokenKey, sealed []byte, err error) {
	if pair, err = k.keys.Generate(k.rotation.Algorithm); err != nil {
		return nil, nil, err
	}
	private, err := pair.Private()
	if err != nil {
		return nil, nil, err
	}
	sealed, err = k.sealer.Seal(private, sealingLabel(pair.ID()))
	return pair, sealed, err
}

// open returns the keys that can be opened, and an error if there is one that cannot.
func (k *Keyring) open(stored domain.SigningKeys) (*opened, error) {
	readable := &opened{keys: make(domain.SigningKeys, 0, len(stored)), byID: make(map[string]ports.TokenKey, len(stored))}
	var faults error
	for _, key := range stored {
		pair, err := k.openOne(key)
		if err != nil {
			faults = errors.Join(faults, fmt.Errorf("signing key %s: %w", key.ID(), err))
			readable.lost = append(readable.lost, key)
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

func (k *Keyring) openOne(key *domain.SigningKey) (ports.TokenKey, error) {
	if known := k.current.Load(); known != nil && known.byID[key.ID()] != nil {
		return known.byID[key.ID()], nil
	}
	private, err := k.sealer.Open(key.Snapshot().Sealed, sealingLabel(key.ID()))
	if err != nil {
		return nil, err
	}
	return k.keys.Parse(private)
}

func (k *Keyring) keep(now *opened) *opened {
	k.current.Store(now)
	return now
}

func sealingLabel(id string) string { return "signing key " + id }
