// Package transfer moves all data from one database to another with a file of lines; docs/operations/move.md has its format.
//
// The file has all persistent data: users, passkeys, sessions, authenticator apps, backup codes, audit logs, signing keys,
// lockouts, invites and e-mails in the outbox. Challenges and recovery grants are not in it: they expire within minutes.
package transfer

import (
	"crypto/hmac"
	"slices"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service exports and imports all data of a server.
type Service struct {
	Store ports.Store
	Clock ports.Clock

	// Keys are derived from the server's secrets for exports only. Encrypted values and digests in a file depend on these
	// secrets, so that only a server with all of them can use the file. The first key authenticates the file, so that an
	// attacker cannot add a passkey to it.
	Keys domain.KeyRing[domain.UserState]
}

// Stage is a step of an export or import.
type Stage string

const (
	Exporting Stage = "exporting"
	Checking  Stage = "checking" // verifying the file before the import
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
	Invites      int `json:"invites"`
	OutboxEmails int `json:"outbox_emails"`
}

func (c Counts) plus(more Counts) Counts {
	return Counts{
		Users: c.Users + more.Users, Passkeys: c.Passkeys + more.Passkeys, Sessions: c.Sessions + more.Sessions, Events: c.Events + more.Events,
		SigningKeys: c.SigningKeys + more.SigningKeys, Lockouts: c.Lockouts + more.Lockouts, Invites: c.Invites + more.Invites, OutboxEmails: c.OutboxEmails + more.OutboxEmails,
	}
}

const fingerprintLength = 16

// fingerprints returns values that identify the secrets and reveal nothing of them.
func fingerprints(keys domain.KeyRing[domain.UserState]) []binary {
	all := make([]binary, len(keys))
	for i, mac := range keys.MACs([]byte("fingerprint")) {
		all[i] = mac[:fingerprintLength]
	}
	return all
}

// keyOf returns the key that authenticates a file. It fails unless all secrets of the server that wrote the file are known here.
func keyOf(h header, keys domain.KeyRing[domain.UserState]) (key []byte, err error) {
	if len(h.Secrets) == 0 {
		return nil, ErrUnknownSecret
	}
	here := fingerprints(keys)
	for i, f := range h.Secrets {
		known := slices.IndexFunc(here, func(own binary) bool { return hmac.Equal(own, f) })
		switch {
		case known < 0 && i == 0:
			return nil, ErrUnknownSecret
		case known < 0:
			return nil, ErrUnknownPreviousSecret
		case i == 0:
			key = keys[known]
		}
	}
	return key, nil
}
