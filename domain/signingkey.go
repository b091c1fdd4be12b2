package domain

import (
	"slices"
	"time"
)

// SigningAlgorithm is how access tokens are signed (RFC 7518, RFC 8037). A key is for one of them (RFC 8725, section 3.1).
type SigningAlgorithm string

const (
	SigningES256 SigningAlgorithm = "ES256"
	SigningEdDSA SigningAlgorithm = "EdDSA" // with Ed25519
)

// SigningKey signs access tokens.
type SigningKey struct{ state SigningKeyState }

// SigningKeyState is a signing key's state as storage keeps it.
type SigningKeyState struct {
	ID           string           `export:"id"` // the kid: the key's RFC 7638 thumbprint
	Algorithm    SigningAlgorithm `export:"algorithm"`
	EncryptedKey []byte           `export:"sealed"` // the private key (PKCS #8), encrypted and authenticated; the public one is part of it
	CreatedAt    time.Time        `export:"created_at"`
	SignsFrom    time.Time        `export:"signs_from"`
}

// RestoreSigningKey is storage's way back from a snapshot.
func RestoreSigningKey(s SigningKeyState) *SigningKey {
	s.EncryptedKey = slices.Clone(s.EncryptedKey)
	return &SigningKey{s}
}

// State is storage's way in.
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

// KeyRotation says when signing keys follow each other.
type KeyRotation struct {
	Algorithm SigningAlgorithm
	Interval  time.Duration
	// TokenTTL is how long a token may still be shown after its key has stopped signing.
	TokenTTL time.Duration
}

const (
	// keyLeadTime is how long a key is published before it signs. Every other node knows it by then, and so does whoever
	// keeps the published keys, also those who keep them for longer than their answer allows, as libraries do.
	keyLeadTime = 2 * time.Hour
	// keyGracePeriod is how long a key is published after its last token has expired, for clocks that go slow.
	keyGracePeriod = 10 * time.Minute
)

// SigningKeys are all keys of an installation, in any order. One signs at a time; those before and after it are published
// with it, so that no valid token is ever refused because of a rotation.
type SigningKeys []*SigningKey

// Signer returns the key that signs now: the latest whose time has come. If no key's has, because the clock was put back,
// it is the first one. It returns nil only if there are no keys.
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

// RotationDue reports whether a new key has to be made now, to be announced in time.
func (k SigningKeys) RotationDue(r KeyRotation, now time.Time) bool {
	latest := k.latest()
	if latest == nil {
		return true
	}
	// The key that signs will do as well as the one that is announced: nodes that are told different algorithms, as they are
	// while a new setting is rolled out, must not outdo each other.
	wanted := latest.Algorithm() == r.Algorithm || k.Signer(now).Algorithm() == r.Algorithm
	return !wanted || !now.Before(latest.SignsFrom().Add(r.Interval-keyLeadTime))
}

// Successor makes a key of a new pair the next to sign: after its announcement, or at once if no key signs now.
func (k SigningKeys) Successor(id string, algorithm SigningAlgorithm, sealed []byte, now time.Time) *SigningKey {
	s := SigningKeyState{ID: id, Algorithm: algorithm, EncryptedKey: sealed, CreatedAt: now, SignsFrom: now}
	if latest := k.latest(); latest != nil {
		s.SignsFrom = now.Add(keyLeadTime)
		if !s.SignsFrom.After(latest.SignsFrom()) { // one after the other, never two at once
			s.SignsFrom = latest.SignsFrom().Add(time.Microsecond)
		}
	}
	return &SigningKey{s}
}

// Expired are the keys that no valid token can bear any more.
func (k SigningKeys) Expired(r KeyRotation, now time.Time) SigningKeys {
	signer := k.Signer(now)
	var spent SigningKeys
	for _, key := range k {
		if signer == nil || key == signer || key.SignsFrom().After(signer.SignsFrom()) {
			continue
		}
		if !now.Before(k.successorOf(key).SignsFrom().Add(r.TokenTTL + keyGracePeriod)) {
			spent = append(spent, key)
		}
	}
	return spent
}

// successorOf is the key that took over from the given one, which is not the latest.
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
