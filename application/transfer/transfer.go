// Package transfer moves an installation from one database to another by a file of lines; docs/transfer.md has its format.
//
// The file has all persistent data: users, passkeys, sessions, authenticator apps, backup codes, security logs, signing keys,
// lockouts and e-mails in the outbox. Challenges and recovery grants are not in it: they expire within minutes.
package transfer

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"

	"github.com/keylodge/keylodge/ports"
)

// Service exports and imports an installation.
type Service struct {
	Store ports.Store
	Clock ports.Clock
	Keys  Keys
}

// Stage is a step of an export or import.
type Stage string

const (
	Exporting Stage = "exporting"
	Checking  Stage = "checking" // the file, before anything of it is written
	Importing Stage = "importing"
)

// ProgressFunc is called with the number of users that are done, and of all.
type ProgressFunc func(stage Stage, done, total int)

// Counts are numbers of records.
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

// Keys are derived from the installation's secrets for exports alone, the present secret's first. Encrypted values and
// digests in a file depend on these secrets, so it can be used only where all of them are known. The first key authenticates
// the file, so that a passkey cannot be added to it.
type Keys [][]byte

const fingerprintLength = 16

// fingerprints identify the secrets and reveal nothing of them.
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

// forHeader returns the key that authenticates a file. It fails unless all secrets of the file's installation are known here.
func (k Keys) forHeader(h header) (key []byte, err error) {
	if len(h.Secrets) == 0 {
		return nil, ErrUnknownSecret
	}
	for i, f := range h.Secrets {
		known := slices.IndexFunc(k, func(key []byte) bool { return hmac.Equal(fingerprint(key), f) })
		switch {
		case known < 0 && i == 0:
			return nil, ErrUnknownSecret
		case known < 0:
			return nil, ErrUnknownPreviousSecret
		case i == 0:
			key = k[known]
		}
	}
	return key, nil
}
