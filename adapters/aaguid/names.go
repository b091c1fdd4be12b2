// Package aaguid names authenticator models for people, by the AAGUID that an authenticator reports of itself (W3C WebAuthn
// Level 3, section 6.5.1). Without attestation nobody vouches for an AAGUID: the names are for showing, never for trusting.
//
// The names are in aaguids.txt, taken from the community's list of passkey providers; the head of that file says from which
// version of it, and on what terms. Security keys that only the FIDO Metadata Service knows are not among them.
//
// To refresh it, put the list's current aaguid.json beside aaguids.txt, run
//
//	{ grep '^#' aaguids.txt; jq -r 'to_entries | sort_by(.key)[] | "\(.key) \(.value.name)"' aaguid.json; } > refreshed.txt
//	mv refreshed.txt aaguids.txt && rm aaguid.json
//
// and write the new commit, day and number of entries into the head. The tests hold the file to its form. The list's
// keepers mean to retire it one day and to leave an empty object behind: then the names that are here stay.
package aaguid

import (
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/keylodge/keylodge/domain"
)

// aaguids has one "<aaguid> <name>" a line, sorted, below a head of lines that begin with #.
//
//go:embed aaguids.txt
var aaguids string

// Names holds the name of each model.
type Names struct {
	byAAGUID map[domain.AAGUID]string
}

// New reads the names that are built in.
func New() *Names {
	names := &Names{byAAGUID: make(map[domain.AAGUID]string)}
	for line := range strings.Lines(aaguids) {
		if aaguid, name, ok := parse(line); ok {
			names.byAAGUID[aaguid] = name
		}
	}
	return names
}

// NameOf returns a model's name in the words of its maker, like "Google Password Manager", or "" if the model is not known.
// Models can share a name.
func (n *Names) NameOf(aaguid domain.AAGUID) string { return n.byAAGUID[aaguid] }

// parse reads a line that is an entry; a line of the head is none.
func parse(line string) (aaguid domain.AAGUID, name string, ok bool) {
	text, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	digits, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(digits) != len(aaguid) {
		return aaguid, "", false
	}
	return domain.AAGUID(digits), name, true
}
