package signingkeys

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Refresh reads the stored keys again. It generates the first key, and the next key when it is due, and removes expired keys. Each
// node runs it periodically and thereby learns the keys of other nodes. It returns ErrUndecryptable for a key that it cannot decrypt;
// the keys known before stay in use.
func (s *Service) Refresh(ctx context.Context) error {
	_, err := s.reload(ctx, false)
	return err
}

// reload is Refresh. If rotate is set, it generates the next key although it is not due, and removes keys that it cannot decrypt.
func (s *Service) reload(ctx context.Context, rotate bool, inTx ...func(ports.Tx) error) (*loadedKeys, error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	stored, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.External) > 0 {
		// Stored keys may have signed valid tokens before the operator provided external keys. Those that cannot be decrypted are
		// ignored: external keys are a way out after the loss of the secret.
		loaded, _ := s.decrypt(stored)
		return s.setCurrent(&loadedKeys{byID: loaded.byID, order: slices.Concat(s.External, loaded.order)}), nil
	}
	now := s.Clock.Now()
	loaded, err := s.decrypt(stored)
	if err != nil && !rotate {
		return nil, err
	}
	if rotate || stored.RotationDue(s.Rotation, now) || len(stored.Expired(s.Rotation, now)) > 0 {
		if stored, err = s.replace(ctx, loaded.undecryptable, rotate, now, inTx...); err != nil {
			return nil, err
		}
		if loaded, err = s.decrypt(stored); err != nil {
			return nil, err
		}
	}
	return s.setCurrent(loaded), nil
}

func (s *Service) setCurrent(loaded *loadedKeys) *loadedKeys {
	s.current.Store(loaded)
	return loaded
}

// replace stores a new key if one is due, removes expired keys, and returns the stored keys. It decides inside the transaction, since
// other nodes find the key due at the same time. If rotate is set, it stores a new key in any case and removes the lost keys.
func (s *Service) replace(ctx context.Context, lost domain.SigningKeys, rotate bool, now time.Time, inTx ...func(ports.Tx) error) (domain.SigningKeys, error) {
	pair, encrypted, err := s.generate()
	if err != nil {
		return nil, err
	}
	var stored domain.SigningKeys
	err = s.Store.Update(ctx, func(tx ports.Tx) (err error) {
		if stored, err = tx.SigningKeys.All(ctx); err != nil {
			return err
		}
		usable, removed := stored, stored.Expired(s.Rotation, now)
		if rotate {
			isLost := func(key *domain.SigningKey) bool { return slices.ContainsFunc(lost, key.Equal) }
			usable = slices.DeleteFunc(slices.Clone(stored), isLost)
			removed = append(removed, lost...)
		}
		if rotate || stored.RotationDue(s.Rotation, now) {
			if err := tx.SigningKeys.Add(ctx, usable.Successor(pair.ID(), pair.Algorithm(), encrypted, now)); err != nil {
				return err
			}
		}
		for _, key := range removed {
			if err := tx.SigningKeys.Remove(ctx, key.ID()); err != nil {
				return err
			}
		}
		for _, do := range inTx {
			if err := do(tx); err != nil {
				return err
			}
		}
		stored, err = tx.SigningKeys.All(ctx)
		return err
	})
	return stored, err
}

func (s *Service) generate() (pair ports.TokenKey, encrypted []byte, err error) {
	if pair, err = s.TokenKeys.Generate(s.Rotation.Algorithm); err != nil {
		return nil, nil, err
	}
	private, err := pair.Private()
	if err != nil {
		return nil, nil, err
	}
	encrypted, err = s.Sealer.Seal(private, additionalData(pair.ID()))
	return pair, encrypted, err
}
