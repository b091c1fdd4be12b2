package tokens

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
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

// ListKeys tells an operator about the signing keys.
type ListKeys struct{ Keyring *Keyring }

// Execute returns the keys, the last to sign first.
func (l *ListKeys) Execute(ctx context.Context) ([]Key, error) {
	current, err := l.Keyring.look(ctx)
	if err != nil {
		return nil, err
	}
	return l.Keyring.describe(current), nil
}

// RotateKeys makes the next signing key by hand.
type RotateKeys struct{ Keyring *Keyring }

// Execute returns the keys as they are afterwards, the new one first. It signs as soon as everybody can know it; tokens
// that are out stay valid. Keys that cannot be opened, for want of the secret that they were kept under, are given up. It
// fails with ErrBrought.
func (r *RotateKeys) Execute(ctx context.Context) ([]Key, error) {
	if len(r.Keyring.brought) > 0 {
		return nil, ErrBrought
	}
	current, err := r.Keyring.refresh(ctx, true)
	if err != nil {
		return nil, err
	}
	return r.Keyring.describe(current), nil
}

func (k *Keyring) describe(current *opened) []Key {
	var list []Key
	for i, key := range k.brought {
		state := KeyRetired
		if i == 0 {
			state = KeySigning
		}
		list = append(list, Key{ID: key.ID(), Algorithm: key.Algorithm(), State: state})
	}
	now := k.clock.Now()
	signer := current.keys.Signer(now)
	for _, key := range slices.Backward(current.keys) {
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
