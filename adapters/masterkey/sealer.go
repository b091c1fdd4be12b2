package masterkey

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"

	"github.com/keylodge/keylodge/ports"
)

// Sealer implements ports.Sealer by AES-256-GCM under a key derived from the master key. It may be used from any number
// of goroutines.
//
// What it seals is a format byte, a random nonce of 96 bits, the ciphertext and the tag. Format and label are
// authenticated with it. One master key is good for 2^32 seals (NIST SP 800-38D, section 8.3).
type Sealer struct{ keys []cipher.AEAD } // the first one seals

var _ ports.Sealer = (*Sealer)(nil)

const formatGCM = 1 // the format byte

// NewSealer returns a sealer that seals under the present key, and opens what any of the keys has sealed.
func NewSealer(present Key, previous []Key) (*Sealer, error) {
	var s Sealer
	for _, key := range slices.Concat([]Key{present}, previous) {
		aead, err := key.aead()
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, aead)
	}
	return &s, nil
}

func (k Key) aead() (cipher.AEAD, error) {
	derived, err := k.Derive("sealing")
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("preparing the sealing key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *Sealer) Seal(plain []byte, label string) ([]byte, error) {
	return s.keys[0].Seal([]byte{formatGCM}, nil, plain, additionalData(label)), nil //nolint:gosec // G407: this AEAD chooses its nonces itself
}

func (s *Sealer) Open(sealed []byte, label string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != formatGCM {
		return nil, errors.New("sealed in a format that this version does not know: damaged, or of a later version")
	}
	for _, key := range s.keys {
		if plain, err := key.Open(nil, nil, sealed[1:], additionalData(label)); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("sealed under a secret that is not known, or for another place, or damaged; " +
		"if KEYLODGE_SECRET was changed, bring the former one back in KEYLODGE_PREVIOUS_SECRETS")
}

func additionalData(label string) []byte { return append([]byte{formatGCM}, label...) }
