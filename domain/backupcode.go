package domain

import (
	"crypto/sha256"
	"io"
	"strings"
)

// BackupCode is a code to be kept on paper: 80 random bits as sixteen letters and digits that cannot be mistaken for each
// other (Crockford's Base32), in groups of four.
type BackupCode struct{ Secret }

// BackupCodeCount is how many a set holds.
const BackupCodeCount = 10

const (
	crockford        = "0123456789abcdefghjkmnpqrstvwxyz"
	backupCodeLength = 16 // of five bits each
)

// NewBackupCodes draws a set.
func NewBackupCodes(random io.Reader) []BackupCode {
	set := make([]BackupCode, BackupCodeCount)
	for i := range set {
		var raw [backupCodeLength]byte
		readRandom(random, raw[:])
		for j, b := range raw {
			raw[j] = crockford[b%32] // 256 is a multiple of 32: every letter is as likely
		}
		set[i] = BackupCode{NewSecret(string(raw[:]))}
	}
	return set
}

// RevealFormatted is the code as its owner writes it down. It is shown once.
func (c BackupCode) RevealFormatted() string {
	s := c.Reveal()
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// ParseBackupCode reads a code from paper: as normalizeCode does, in either case, and with the letters that look like digits. It returns
// ErrInvalidCode for anything that cannot be one.
func ParseBackupCode(s string) (BackupCode, error) {
	plain := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(normalizeCode(s)))
	if len(plain) != backupCodeLength || strings.Trim(plain, crockford) != "" {
		return BackupCode{}, ErrInvalidCode
	}
	return BackupCode{NewSecret(plain)}, nil
}

// BackupCodeDigest is what the server keeps of a backup code: an HMAC under a key of its own, so that a stolen database gives no
// way to try codes, and a code is found without knowing whose it is.
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
