package signingkeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// loadedKeys are the keys that were read last. A value does not change after it became the current one.
type loadedKeys struct {
	keys          domain.SigningKeys // nil with external keys
	byID          map[string]ports.TokenKey
	order         []ports.TokenKey // whose tokens are accepted
	undecryptable domain.SigningKeys
}

// signer returns the key that signs now.
func (s *Service) signer(ctx context.Context, now time.Time) (ports.TokenKey, error) {
	current, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.External) > 0 {
		return s.External[0], nil
	}
	return current.byID[current.keys.Signer(now).ID()], nil
}

func (s *Service) load(ctx context.Context) (*loadedKeys, error) {
	if current := s.current.Load(); current != nil {
		return current, nil
	}
	return s.reload(ctx, false)
}

func (s *Service) stored(ctx context.Context) (keys domain.SigningKeys, err error) {
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		keys, err = tx.SigningKeys.All(ctx)
		return err
	})
	return keys, err
}

// decrypt returns the keys that it can decrypt, and ErrUndecryptable if there are others.
func (s *Service) decrypt(stored domain.SigningKeys) (*loadedKeys, error) {
	loaded := &loadedKeys{keys: make(domain.SigningKeys, 0, len(stored)), byID: make(map[string]ports.TokenKey, len(stored))}
	var failures error
	for _, key := range stored {
		pair, err := s.decryptKey(key)
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("signing key %s: %w", key.ID(), err))
			loaded.undecryptable = append(loaded.undecryptable, key)
			continue
		}
		loaded.keys = append(loaded.keys, key)
		loaded.byID[key.ID()] = pair
		loaded.order = append(loaded.order, pair)
	}
	if failures != nil {
		return loaded, fmt.Errorf("%w: %w", ErrUndecryptable, failures)
	}
	return loaded, nil
}

func (s *Service) decryptKey(key *domain.SigningKey) (ports.TokenKey, error) {
	if known := s.current.Load(); known != nil && known.byID[key.ID()] != nil {
		return known.byID[key.ID()], nil
	}
	private, err := s.Sealer.Open(key.State().EncryptedKey, additionalData(key.ID()))
	if err != nil {
		return nil, err
	}
	return s.TokenKeys.Parse(private)
}

// additionalData binds an encrypted key to its id.
func additionalData(id string) string { return "signing key " + id }

// Decryptable reports whether the sealer decrypts the key.
func Decryptable(key *domain.SigningKey, sealer ports.Sealer) bool {
	return RequireDecryptable(domain.SigningKeys{key}, sealer) == nil
}

// RequireDecryptable returns an error that lists the keys that the sealer cannot decrypt, or nil.
func RequireDecryptable(keys domain.SigningKeys, sealer ports.Sealer) error {
	var failures error
	for _, key := range keys {
		if _, err := sealer.Open(key.State().EncryptedKey, additionalData(key.ID())); err != nil {
			failures = errors.Join(failures, fmt.Errorf("signing key %s: %w", key.ID(), err))
		}
	}
	return failures
}
