package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
)

// decoyShapes are what passkeys look like to whoever is asked for them, by length of id and transports: mostly synced ones, some
// that stay in a computer, a few security keys. Each is as likely as it stands here often.
var decoyShapes = [16]struct {
	length     int
	transports []string
}{
	{20, synced}, {20, synced}, {20, synced}, {20, synced}, {20, synced},
	{16, synced}, {16, synced}, {16, synced}, {16, synced},
	{32, synced}, {32, synced},
	{32, inside}, {32, inside}, {32, inside},
	{48, aKey}, {64, aKey},
}

var synced, inside, aKey = []string{"hybrid", "internal"}, []string{"internal"}, []string{"nfc", "usb"}

// decoyCounts are how many passkeys people have.
var decoyCounts = [8]int{1, 1, 1, 1, 1, 2, 2, 3}

// Decoys invents the passkeys of an address that has none, so that asking for a login by e-mail does not tell which
// addresses have an account (WebAuthn Level 3, section 14.6.2). The same key and address give the same answer for ever,
// as a real account would. They are of every usual kind and number, so that neither proves an account.
func Decoys(key []byte, email Email) []CredentialDescriptor {
	seed := keyedHash(key, string(email))
	decoys := make([]CredentialDescriptor, decoyCounts[seed[0]%8])
	for i := range decoys {
		own := keyedHash(seed, string(rune('1'+i)))
		shape := decoyShapes[own[0]%16]
		id := slices.Concat(keyedHash(own, "credential id"), keyedHash(own, "its rest"))
		decoys[i] = CredentialDescriptor{ID: CredentialID(id[:shape.length]), Transports: slices.Clone(shape.transports)}
	}
	return decoys
}

func keyedHash(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
