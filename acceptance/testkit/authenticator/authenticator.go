// Package authenticator implements a browser and its authenticator in memory, so that tests can perform real ceremonies: with
// real keys, real CBOR and the JSON of PublicKeyCredential.toJSON().
//
// Its responses are valid unless a test changes them. A [Variation] changes one property of one response and signs the result
// with the passkey's key, so that only the rule about that property can reject it.
//
// It omits two steps of a browser, because a server must not rely on them: it does not check that the RP ID matches its
// origin, and it does not ask the user.
package authenticator

import (
	"bytes"
	"errors"
	"slices"
	"sync"
)

// The errors that a browser would throw, by the name of the DOMException.
var (
	// ErrInvalidState: this authenticator already has one of the excluded credentials.
	ErrInvalidState = errors.New("InvalidStateError: a passkey is registered on this authenticator already")
	// ErrNotAllowed: no passkey matches the request.
	ErrNotAllowed = errors.New("NotAllowedError: there is no passkey for this request")
	// ErrNotSupported: this authenticator supports none of the algorithms that the relying party accepts.
	ErrNotSupported = errors.New("NotSupportedError: no offered algorithm is supported")
)

// Authenticator is a browser at one origin with a built-in authenticator. It is safe for concurrent use.
type Authenticator struct {
	origin      string
	algorithms  []Algorithm
	aaguid      [16]byte
	deviceBound bool
	attest      attester // nil for no attestation

	mu       sync.Mutex
	passkeys []*passkey
}

// Option configures an Authenticator.
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

// WithAAGUID sets the AAGUID of the authenticator's model; the default is the zero AAGUID, which names no model.
func WithAAGUID(aaguid [16]byte) Option {
	return func(a *Authenticator) { a.aaguid = aaguid }
}

// DeviceBound makes the authenticator a security key: its passkeys are not eligible for backup and have a signature counter,
// which is 1 at registration.
func DeviceBound() Option {
	return func(a *Authenticator) { a.deviceBound = true }
}

// SelfAttested adds a self attestation to new passkeys (the "packed" format with the passkey's own key), whatever attestation
// conveyance the relying party requests.
func SelfAttested() Option {
	return func(a *Authenticator) { a.attest = selfAttestation }
}

// Attested adds a basic attestation of the batch to new passkeys (the "packed" format with its attestation key and
// certificates), whatever attestation conveyance the relying party requests.
func Attested(batch *Batch) Option {
	return func(a *Authenticator) { a.attest = batch.packed }
}

// AttestedU2F makes the authenticator a key from before FIDO2, with the format "fido-u2f". Its algorithm is ES256 and its
// AAGUID is zero. Unlike a real one it reports user verification.
func AttestedU2F(batch *Batch) Option {
	return func(a *Authenticator) { a.attest, a.algorithms = batch.u2f, []Algorithm{ES256} }
}

// Origin returns the origin of the browser.
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

// supported returns the first algorithm of the relying party, in its order of preference, that the authenticator supports.
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

// choose returns the newest matching passkey.
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
