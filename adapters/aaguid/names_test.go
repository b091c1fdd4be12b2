package aaguid

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNameOf(t *testing.T) {
	names := New()
	for text, want := range map[string]string{
		"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
		"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
		"08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
		"9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
		"891494da-2c90-4d31-a9cd-4eab0aed1309": "Sésame",
		"53414d53-554e-4700-0000-000000000000": "Samsung Pass",
		"00000000-0000-0000-0000-000000000000": "",
		"ffffffff-ffff-ffff-ffff-ffffffffffff": "",
	} {
		aaguid, _, ok := parse(text)
		if !ok {
			t.Fatalf("parse(%q) finds no AAGUID", text)
		}
		if got := names.NameOf(aaguid); got != want {
			t.Errorf("NameOf(%s) = %q, want %q", text, got, want)
		}
	}
}

func TestAAGUIDs_ListIsWellFormed(t *testing.T) {
	const longest = 64
	entries, previous, declared := 0, "", 0
	for line := range strings.Lines(aaguids) {
		if strings.HasPrefix(line, "#") {
			if entries > 0 {
				t.Errorf("comment %q after the first entry", line)
			}
			_, _ = fmt.Sscanf(line, "# Entries: %d", &declared)
			continue
		}
		entries++
		aaguid, name, ok := parse(line)
		canonical := fmt.Sprintf("%x-%x-%x-%x-%x", aaguid[:4], aaguid[4:6], aaguid[6:8], aaguid[8:10], aaguid[10:])
		switch {
		case !ok || line != canonical+" "+name+"\n":
			t.Errorf("%q is not an AAGUID in lower case, a space, a name and a line feed", line)
		case aaguid == [16]byte{}:
			t.Errorf("%q names the zero AAGUID, with which an authenticator states no model", line)
		case canonical <= previous:
			t.Errorf("%q is out of order or a duplicate", line)
		case name == "" || name != strings.TrimSpace(name) || utf8.RuneCountInString(name) > longest || !printable(name):
			t.Errorf("%q has no printable name of 1 to %d characters", line, longest)
		}
		previous = canonical
	}
	if entries == 0 || entries != declared {
		t.Errorf("the list has %d entries, its comment states %d", entries, declared)
	}
}

func printable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
