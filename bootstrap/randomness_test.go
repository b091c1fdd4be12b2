package bootstrap

import (
	"crypto/rand"
	"testing"
)

// All random values that are secret come from the operating system (OWASP ASVS 5.0, 11.5.1). bootstrap passes the source to the
// use cases. depguard rejects math/rand in all other packages.
// Requirement: ASVS-6.5.3, ASVS-11.5.1, RFC8725-3.5
func TestRandomness_UsesCryptoRand(t *testing.T) {
	if random() != rand.Reader {
		t.Errorf("the use cases read from %T", random())
	}
}
