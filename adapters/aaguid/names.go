// Package aaguid returns the names of authenticator models by the AAGUID that an authenticator states (W3C WebAuthn Level 3,
// section 6.5.1). Without attestation an AAGUID is not verified: the names are for display, not for decisions.
//
// The names are in aaguids.txt, a copy of the community's list of passkey providers. The comment at the start of that file states
// its version and license. The list lacks security keys that only the FIDO Metadata Service lists.
//
// To update it, save the list's current aaguid.json beside aaguids.txt, run
//
//	{ grep '^#' aaguids.txt; jq -r 'to_entries | sort_by(.key)[] | "\(.key) \(.value.name)"' aaguid.json; } > refreshed.txt
//	mv refreshed.txt aaguids.txt && rm aaguid.json
//
// and write the new commit, date and number of entries into the comment. The tests check the format of the file. The
// maintainers of the list plan to retire it and to replace it by an empty object; keep the names of this file then.
package aaguid

import (
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/keylodge/keylodge/domain"
)

// aaguids has one "<aaguid> <name>" per line, sorted, after comment lines that begin with #.
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

// parse parses an entry. It returns false for a comment line.
func parse(line string) (aaguid domain.AAGUID, name string, ok bool) {
	text, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	digits, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(digits) != len(aaguid) {
		return aaguid, "", false
	}
	return domain.AAGUID(digits), name, true
}
