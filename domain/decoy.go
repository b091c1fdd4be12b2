package domain

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Decoys invents the passkeys of an address that has none, so that asking for a login by e-mail does not tell which
// addresses have an account (WebAuthn Level 3, section 14.6.2). The same key and address give the same answer for ever,
// as a real account would.
func Decoys(key []byte, email Email) []CredentialDescriptor {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(email))
	seed := mac.Sum(nil)
	// Lengths and transports as the common synced passkeys have them: 16, 20 and 32 bytes.
	length := [...]int{16, 20, 20, 32}[seed[0]%4]
	id := hmac.New(sha256.New, seed)
	id.Write([]byte("credential id"))
	return []CredentialDescriptor{{ID: CredentialID(id.Sum(nil)[:length]), Transports: []string{"hybrid", "internal"}}}
}
