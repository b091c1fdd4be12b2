package masterkey

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"

	"github.com/keylodge/keylodge/ports"
)

// Sealer implements ports.Sealer with AES-256-GCM and a key derived from the master key. Its methods may be called concurrently.
//
// The ciphertext is a format byte, a random nonce of 96 bits, the encrypted text and the tag. Format and label are additional
// data. One master key may encrypt 2^32 values (NIST SP 800-38D, section 8.3).
type Sealer struct{ keys []cipher.AEAD } // the first one encrypts

var _ ports.Sealer = (*Sealer)(nil)

const formatGCM = 1 // the format byte

// NewSealer returns a sealer that encrypts with the current key and decrypts with any of the keys.
func NewSealer(current Key, previous []Key) (*Sealer, error) {
	var s Sealer
	for _, key := range slices.Concat([]Key{current}, previous) {
		aead, err := key.aead()
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, aead)
	}
	return &s, nil
}

func (k Key) aead() (cipher.AEAD, error) {
	derived, err := k.Derive(Sealing)
	if err != nil {
		return nil, fmt.Errorf("deriving the encryption key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("preparing the encryption key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *Sealer) Seal(plain []byte, label string) ([]byte, error) {
	return s.keys[0].Seal([]byte{formatGCM}, nil, plain, additionalData(label)), nil //nolint:gosec // G407: this AEAD chooses its nonces itself
}

func (s *Sealer) Open(ciphertext []byte, label string) ([]byte, error) {
	if len(ciphertext) == 0 || ciphertext[0] != formatGCM {
		return nil, errors.New("unknown ciphertext format: the data is damaged, or was encrypted by a later release")
	}
	for _, key := range s.keys {
		if plain, err := key.Open(nil, nil, ciphertext[1:], additionalData(label)); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("none of the secrets decrypts the data, or the data is damaged; " +
		"if KEYLODGE_SECRET was changed, add the previous value to KEYLODGE_PREVIOUS_SECRETS")
}

func additionalData(label string) []byte { return append([]byte{formatGCM}, label...) }
