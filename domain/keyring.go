package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
)

// KeyRing is the keys that authenticate values of the type Value by HMAC-SHA-256 (RFC 2104): first the key that is derived from
// the current secret, then those of previous secrets. The first key signs and all verify, so that replacing the secret
// invalidates nothing. Each purpose has keys of its own. With Value the compiler rejects the keys of another purpose.
type KeyRing[Value any] [][]byte

// MACs returns the HMACs of the concatenated parts under all keys, in the order of the keys.
func (k KeyRing[Value]) MACs(parts ...[]byte) [][]byte {
	all := make([][]byte, len(k))
	for i, key := range k {
		all[i] = hmacSHA256(key, parts...)
	}
	return all
}

// Sign returns the HMAC of the message under the first key, in unpadded base64url.
func (k KeyRing[Value]) Sign(message string) string {
	return base64.RawURLEncoding.EncodeToString(hmacSHA256(k[0], []byte(message)))
}

// Verify reports whether the signature is that of the message under one of the keys.
func (k KeyRing[Value]) Verify(message, signature string) bool {
	return slices.ContainsFunc(k.MACs([]byte(message)), func(mac []byte) bool {
		return hmac.Equal([]byte(signature), []byte(base64.RawURLEncoding.EncodeToString(mac)))
	})
}

func hmacSHA256(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}
