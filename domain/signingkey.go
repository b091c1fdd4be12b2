package domain

import (
	"slices"
	"time"
)

// SigningAlgorithm is an algorithm of access tokens (RFC 7518, RFC 8037). A key is for one algorithm (RFC 8725, section 3.1).
type SigningAlgorithm string

const (
	SigningES256 SigningAlgorithm = "ES256"
	SigningEdDSA SigningAlgorithm = "EdDSA" // with Ed25519
)

// SigningKey is a key pair that signs access tokens.
type SigningKey struct{ state SigningKeyState }

// SigningKeyState is the state of a signing key as it is stored.
type SigningKeyState struct {
	ID           string           `export:"id"` // the kid: the key's RFC 7638 thumbprint
	Algorithm    SigningAlgorithm `export:"algorithm"`
	EncryptedKey []byte           `export:"encrypted_key"` // the private key (PKCS #8), which contains the public key
	CreatedAt    time.Time        `export:"created_at"`
	SignsFrom    time.Time        `export:"signs_from"`
}

// RestoreSigningKey returns the key with the given state.
func RestoreSigningKey(s SigningKeyState) *SigningKey {
	s.EncryptedKey = slices.Clone(s.EncryptedKey)
	return &SigningKey{s}
}

// State returns a copy of the state, for storage.
func (k *SigningKey) State() SigningKeyState {
	s := k.state
	s.EncryptedKey = slices.Clone(s.EncryptedKey)
	return s
}

func (k *SigningKey) ID() string                   { return k.state.ID }
func (k *SigningKey) Equal(other *SigningKey) bool { return k.state.ID == other.state.ID }
func (k *SigningKey) Algorithm() SigningAlgorithm  { return k.state.Algorithm }
func (k *SigningKey) CreatedAt() time.Time         { return k.state.CreatedAt }
func (k *SigningKey) SignsFrom() time.Time         { return k.state.SignsFrom }

// KeyRotation says when a new signing key replaces the current one.
type KeyRotation struct {
	Algorithm SigningAlgorithm
	Interval  time.Duration
	TokenTTL  time.Duration // the lifetime of access tokens
}

const (
	// keyLeadTime is how long a key is published before it signs, so that all nodes know it, and all services that cache the
	// published keys, including libraries that cache them longer than allowed.
	keyLeadTime = 2 * time.Hour
	// keyGracePeriod is how long a key is published after its last token has expired, for slow clocks.
	keyGracePeriod = 10 * time.Minute
)

// SigningKeys are all signing keys, in any order. One signs at a time. Previous and next keys are published with it, so that a
// rotation never makes a valid token fail.
type SigningKeys []*SigningKey

// Signer returns the key that signs now: the latest whose SignsFrom has passed, or, if there is none because the clock was put back,
// the first key. It returns nil if there are no keys.
func (k SigningKeys) Signer(now time.Time) *SigningKey {
	var first, signer *SigningKey
	for _, key := range k {
		if first == nil || key.SignsFrom().Before(first.SignsFrom()) {
			first = key
		}
		if !key.SignsFrom().After(now) && (signer == nil || key.SignsFrom().After(signer.SignsFrom())) {
			signer = key
		}
	}
	if signer == nil {
		return first
	}
	return signer
}

// RotationDue reports whether a new key must be generated now, to be published keyLeadTime before it signs.
func (k SigningKeys) RotationDue(r KeyRotation, now time.Time) bool {
	latest := k.latest()
	if latest == nil {
		return true
	}
	// The signer's algorithm counts too: otherwise nodes with different settings, during a roll-out, would generate keys in turn.
	matches := latest.Algorithm() == r.Algorithm || k.Signer(now).Algorithm() == r.Algorithm
	return !matches || !now.Before(latest.SignsFrom().Add(r.Interval-keyLeadTime))
}

// Successor returns a new key that signs next: after keyLeadTime, or at once if there are no keys.
func (k SigningKeys) Successor(id string, algorithm SigningAlgorithm, encryptedKey []byte, now time.Time) *SigningKey {
	s := SigningKeyState{ID: id, Algorithm: algorithm, EncryptedKey: encryptedKey, CreatedAt: now, SignsFrom: now}
	if latest := k.latest(); latest != nil {
		s.SignsFrom = now.Add(keyLeadTime)
		if !s.SignsFrom.After(latest.SignsFrom()) { // two keys never start at the same time
			s.SignsFrom = latest.SignsFrom().Add(time.Microsecond)
		}
	}
	return &SigningKey{s}
}

// Expired returns the keys that no valid token is signed with.
func (k SigningKeys) Expired(r KeyRotation, now time.Time) SigningKeys {
	signer := k.Signer(now)
	var expired SigningKeys
	for _, key := range k {
		if signer == nil || key == signer || key.SignsFrom().After(signer.SignsFrom()) {
			continue
		}
		if !now.Before(k.successorOf(key).SignsFrom().Add(r.TokenTTL + keyGracePeriod)) {
			expired = append(expired, key)
		}
	}
	return expired
}

// successorOf returns the key that signs after the given one, which is not the latest.
func (k SigningKeys) successorOf(of *SigningKey) *SigningKey {
	var next *SigningKey
	for _, key := range k {
		if key.SignsFrom().After(of.SignsFrom()) && (next == nil || key.SignsFrom().Before(next.SignsFrom())) {
			next = key
		}
	}
	return next
}

func (k SigningKeys) latest() *SigningKey {
	var latest *SigningKey
	for _, key := range k {
		if latest == nil || key.SignsFrom().After(latest.SignsFrom()) {
			latest = key
		}
	}
	return latest
}
