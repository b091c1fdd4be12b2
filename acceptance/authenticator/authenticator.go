// Package authenticator plays a browser and its authenticator in memory, so that tests can hold real ceremonies: with
// real keys, real CBOR and the JSON that PublicKeyCredential.toJSON() would have made.
//
// It is honest unless a test asks otherwise. A [Variation] makes a single answer differ in one respect and signs what
// came of it with the passkey's own key, so that only the rule about that respect can refuse it.
//
// Two things that a browser does are left out, because a server must not rely on them: it does not check that the RP id
// belongs to its origin, and it never asks anybody.
package authenticator

import (
	"bytes"
	"errors"
	"slices"
	"sync"
)

// What a browser would throw, by the DOMException's name.
var (
	// ErrInvalidState: this authenticator holds one of the excluded credentials already.
	ErrInvalidState = errors.New("InvalidStateError: a passkey is registered on this authenticator already")
	// ErrNotAllowed: no passkey fits the request.
	ErrNotAllowed = errors.New("NotAllowedError: there is no passkey for this request")
	// ErrNotSupported: the relying party accepts no algorithm that this authenticator has.
	ErrNotSupported = errors.New("NotSupportedError: no offered algorithm is supported")
)

// Authenticator is a browser at one origin with an authenticator built in. It may be used from several goroutines.
type Authenticator struct {
	origin      string
	algorithms  []Algorithm
	aaguid      [16]byte
	deviceBound bool
	attest      attester // nil for no attestation

	mu       sync.Mutex
	passkeys []*passkey
}

// Option says what kind of authenticator it is.
type Option func(*Authenticator)

// New returns an authenticator without passkeys whose browser is at the given origin. By default it supports every
// [Algorithm], and its passkeys are synced: eligible for backup, backed up, and with a signature counter that stays 0.
func New(origin string, options ...Option) *Authenticator {
	a := &Authenticator{origin: origin, algorithms: []Algorithm{ES256, EdDSA, RS256}}
	for _, option := range options {
		option(a)
	}
	return a
}

// WithAlgorithms limits what the authenticator supports.
func WithAlgorithms(algorithms ...Algorithm) Option {
	return func(a *Authenticator) { a.algorithms = algorithms }
}

// WithAAGUID names the authenticator's model; the default is the zero AAGUID, which names none.
func WithAAGUID(aaguid [16]byte) Option {
	return func(a *Authenticator) { a.aaguid = aaguid }
}

// DeviceBound makes a security key: its passkeys are not eligible for backup and count their uses, beginning with 1 at
// registration.
func DeviceBound() Option {
	return func(a *Authenticator) { a.deviceBound = true }
}

// SelfAttested makes new passkeys vouch for themselves (the "packed" format with the passkey's own key), whatever
// attestation the relying party asks for.
func SelfAttested() Option {
	return func(a *Authenticator) { a.attest = selfAttestation }
}

// Attested makes the batch vouch for new passkeys (the "packed" format with its attestation key and certificates), whatever
// attestation the relying party asks for.
func Attested(by *Batch) Option {
	return func(a *Authenticator) { a.attest = by.packed }
}

// AttestedU2F makes a key of before FIDO2, which speaks the format "fido-u2f". Its passkeys are of ES256 and it has the zero
// AAGUID; unlike a real one it says that it verified its user.
func AttestedU2F(by *Batch) Option {
	return func(a *Authenticator) { a.attest, a.algorithms = by.u2f, []Algorithm{ES256} }
}

// Origin is where the authenticator's browser is.
func (a *Authenticator) Origin() string { return a.origin }

func (a *Authenticator) attachment() string {
	if a.deviceBound {
		return "cross-platform"
	}
	return "platform"
}

func (a *Authenticator) transports() []string {
	if a.deviceBound {
		return []string{"nfc", "usb"}
	}
	return []string{"hybrid", "internal"}
}

// supported returns the first of the relying party's algorithms, which are in its order of preference.
func (a *Authenticator) supported(offered []credentialParameters) (Algorithm, error) {
	for _, p := range offered {
		if p.Type == publicKeyType && slices.Contains(a.algorithms, p.Algorithm) {
			return p.Algorithm, nil
		}
	}
	return 0, ErrNotSupported
}

func (a *Authenticator) holdsAny(rpID string, listed []credentialDescriptor) bool {
	return slices.ContainsFunc(a.passkeys, func(p *passkey) bool { return p.rpID == rpID && lists(listed, p.id) })
}

// choose returns the newest passkey that fits, as a person would who always takes the first suggestion.
func (a *Authenticator) choose(rpID string, allowed []credentialDescriptor, userHandle []byte) (*passkey, error) {
	for _, p := range slices.Backward(a.passkeys) {
		if p.rpID == rpID && (len(allowed) == 0 || lists(allowed, p.id)) && (userHandle == nil || bytes.Equal(userHandle, p.userHandle)) {
			return p, nil
		}
	}
	return nil, ErrNotAllowed
}

func lists(descriptors []credentialDescriptor, id []byte) bool {
	return slices.ContainsFunc(descriptors, func(d credentialDescriptor) bool {
		return d.Type == publicKeyType && bytes.Equal(d.ID, id)
	})
}
