package domain

import (
	"crypto/sha256"
	"io"
	"strings"
)

// BackupCode is a printed single-use code for recovery: 80 random bits as sixteen characters of an alphabet without look-alikes
// (Crockford's Base32), in groups of four.
type BackupCode struct{ Secret }

// BackupCodeCount is the number of codes in a set.
const BackupCodeCount = 10

const (
	crockford        = "0123456789abcdefghjkmnpqrstvwxyz"
	backupCodeLength = 16 // characters of five bits each
)

// NewBackupCodes returns a new set of codes.
func NewBackupCodes(random io.Reader) []BackupCode {
	set := make([]BackupCode, BackupCodeCount)
	for i := range set {
		var raw [backupCodeLength]byte
		readRandom(random, raw[:])
		for j, b := range raw {
			raw[j] = crockford[b%32] // uniform, since 256 is a multiple of 32
		}
		set[i] = BackupCode{NewSecret(string(raw[:]))}
	}
	return set
}

// RevealFormatted returns the code in groups of four characters, as it is shown once to its user.
func (c BackupCode) RevealFormatted() string {
	s := c.Reveal()
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// ParseBackupCode parses a typed code: normalized by normalizeCode, in upper or lower case, with o, i and l read as digits. It
// returns ErrInvalidCode for anything else.
func ParseBackupCode(s string) (BackupCode, error) {
	normalized := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(normalizeCode(s)))
	if len(normalized) != backupCodeLength || strings.Trim(normalized, crockford) != "" {
		return BackupCode{}, ErrInvalidCode
	}
	return BackupCode{NewSecret(normalized)}, nil
}

// BackupCodeDigest is the stored form of a backup code: an HMAC, so that guesses cannot be checked against a stolen database, and
// so that a code is found without a user's name.
type BackupCodeDigest [sha256.Size]byte

// Digest returns the digest of a new code.
func (c BackupCode) Digest(keys KeyRing[BackupCode]) BackupCodeDigest {
	return c.Digests(keys[:1])[0]
}

// Digests returns the code's digest under each key.
func (c BackupCode) Digests(keys KeyRing[BackupCode]) []BackupCodeDigest {
	digests := make([]BackupCodeDigest, len(keys))
	for i, mac := range keys.MACs([]byte(c.Reveal())) {
		digests[i] = BackupCodeDigest(mac)
	}
	return digests
}
