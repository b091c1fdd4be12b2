// Package transfer carries a whole installation from one database to another, as a file of lines: see docs/transfer.md for its
// format.
//
// What moves is everything that lasts: users, passkeys, sessions, authenticator apps, backup codes, security logs, signing
// keys, counts of wrong codes, and mail that waits. Ceremonies and recoveries under way do not: they are over in minutes.
package transfer

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
)

// Stage is what is being done.
type Stage string

const (
	Exporting Stage = "exporting"
	Checking  Stage = "checking" // the file, before anything of it is written
	Importing Stage = "importing"
)

// ProgressFunc hears how many users are done, of how many.
type ProgressFunc func(stage Stage, done, total int)

// Counts say how many of each there are.
type Counts struct {
	Users        int `json:"users"`
	Passkeys     int `json:"passkeys"`
	Sessions     int `json:"sessions"`
	Events       int `json:"events"`
	SigningKeys  int `json:"signing_keys"`
	Lockouts     int `json:"lockouts"`
	OutboxEmails int `json:"messages"`
}

func (c Counts) plus(more Counts) Counts {
	return Counts{
		Users: c.Users + more.Users, Passkeys: c.Passkeys + more.Passkeys, Sessions: c.Sessions + more.Sessions, Events: c.Events + more.Events,
		SigningKeys: c.SigningKeys + more.SigningKeys, Lockouts: c.Lockouts + more.Lockouts, OutboxEmails: c.OutboxEmails + more.OutboxEmails,
	}
}

// Keys are derived from the installation's secrets, for this purpose alone, the present one's first. What moves is sealed
// and digested under those secrets, so a file is of use only where all of them are known; and since the file is
// authenticated under the first, nobody can add a passkey to it on its way.
type Keys [][]byte

const fingerprintLength = 16

// fingerprints name the secrets without telling anything of them.
func (k Keys) fingerprints() []binary {
	all := make([]binary, len(k))
	for i, key := range k {
		all[i] = fingerprint(key)
	}
	return all
}

func fingerprint(key []byte) binary {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("fingerprint"))
	return mac.Sum(nil)[:fingerprintLength]
}

// forHeader returns the key that a file was written under, if all secrets of its installation are known here.
func (k Keys) forHeader(h header) ([]byte, error) {
	for i, f := range h.Secrets {
		known := slices.ContainsFunc(k, func(key []byte) bool { return hmac.Equal(fingerprint(key), f) })
		switch {
		case !known && i == 0:
			return nil, errUnknownSecret
		case !known:
			return nil, errUnknownPreviousSecret
		}
	}
	for _, key := range k {
		if len(h.Secrets) > 0 && hmac.Equal(fingerprint(key), h.Secrets[0]) {
			return key, nil
		}
	}
	return nil, errUnknownSecret
}
