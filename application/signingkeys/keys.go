package signingkeys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Key is a signing key as its operator sees it.
type Key struct {
	ID        string
	Algorithm domain.SigningAlgorithm
	State     KeyState
	CreatedAt time.Time // zero if brought, as the next
	SignsFrom time.Time
}

// KeyState says what a key is for at present.
type KeyState string

const (
	KeyAnnounced KeyState = "announced" // published, to sign later
	KeySigning   KeyState = "signing"
	KeyRetired   KeyState = "retired" // published for tokens that it has signed
)

// List tells an operator about the signing keys.
type List struct{ KeySet *KeySet }

// Execute returns the keys, the last to sign first, and makes none.
func (l *List) Execute(ctx context.Context) ([]Key, error) {
	stored, err := l.KeySet.stored(ctx)
	if err != nil {
		return nil, err
	}
	return l.KeySet.describe(stored), nil
}

// Rotate makes the next signing key by hand.
type Rotate struct{ KeySet *KeySet }

// Execute returns the keys as they are afterwards, the new one first. It signs as soon as everybody can know it; tokens
// that are out stay valid. Keys that cannot be opened, for want of the secret that they were kept under, are given up. It
// fails with ErrExternalKeys.
func (r *Rotate) Execute(ctx context.Context) ([]Key, error) {
	if len(r.KeySet.external) > 0 {
		return nil, ErrExternalKeys
	}
	current, err := r.KeySet.refresh(ctx, true)
	if err != nil {
		return nil, err
	}
	return r.KeySet.describe(current.keys), nil
}

func (k *KeySet) describe(stored domain.SigningKeys) []Key {
	if len(k.external) > 0 {
		return k.external.describe()
	}
	var list []Key
	now := k.clock.Now()
	signer := stored.Signer(now)
	for _, key := range slices.Backward(stored) {
		state := KeyRetired
		switch {
		case key == signer:
			state = KeySigning
		case key.SignsFrom().After(now):
			state = KeyAnnounced
		}
		list = append(list, Key{ID: key.ID(), Algorithm: key.Algorithm(), State: state, CreatedAt: key.CreatedAt(), SignsFrom: key.SignsFrom()})
	}
	return list
}

func (b ExternalKeys) describe() []Key {
	list := make([]Key, len(b))
	for i, key := range b {
		list[i] = Key{ID: key.ID(), Algorithm: key.Algorithm(), State: KeyRetired}
	}
	list[0].State = KeySigning
	return list
}

// RequireDecryptable returns why the sealer cannot open some of the keys: nil if it opens all of them.
func RequireDecryptable(keys domain.SigningKeys, sealer ports.Sealer) error {
	var faults error
	for _, key := range keys {
		if _, err := sealer.Open(key.State().EncryptedKey, additionalData(key.ID())); err != nil {
			faults = errors.Join(faults, fmt.Errorf("signing key %s: %w", key.ID(), err))
		}
	}
	return faults
}
