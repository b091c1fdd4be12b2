package domain

import "io"

// readRandom fills b with random bytes. It panics if random returns an error, as crypto/rand does: no secret may consist of
// fewer random bytes than its type requires.
func readRandom(random io.Reader, b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic("domain: reading random bytes: " + err.Error())
	}
}
