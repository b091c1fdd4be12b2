package domain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

const (
	formattedCode   = "0123-4567-89ab-cdef"
	plainBackupCode = "0123456789abcdef"
	alphabet        = "0123456789abcdefghjkmnpqrstvwxyz" // of Crockford's Base32
)

func backupCode(t *testing.T, s string) domain.BackupCode {
	t.Helper()
	code, err := domain.ParseBackupCode(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return code
}

// Requirement: ASVS-6.5.3, NIST-4.2.1.1
func TestNewBackupCodes_TenDistinctCodes(t *testing.T) {
	form := regexp.MustCompile(`^[` + alphabet + `]{4}(-[` + alphabet + `]{4}){3}$`)
	seen := map[string]bool{}
	for range 10 {
		set := domain.NewBackupCodes(rand.Reader)
		if len(set) != 10 || domain.BackupCodeCount != 10 {
			t.Fatalf("%d codes", len(set))
		}
		for _, code := range set {
			if !form.MatchString(code.RevealFormatted()) || seen[code.RevealFormatted()] {
				t.Errorf("%q after %d others", code.RevealFormatted(), len(seen))
			}
			seen[code.RevealFormatted()] = true
			if printed := fmt.Sprintf("%v %+v %#v %s", code, code, code, code); strings.Contains(printed, code.Reveal()) || strings.Contains(printed, code.RevealFormatted()) {
				t.Errorf("the code is printed: %s", printed)
			}
		}
	}
}

// If each random byte is equally frequent, each character is. A code has 16 × 5 = 80 bits.
// Requirement: ASVS-6.5.2
func TestNewBackupCodes_UniformAlphabet(t *testing.T) {
	counter := make([]byte, 0, 8*160)
	for i := range cap(counter) { // eight sets: every byte five times
		counter = append(counter, byte(i))
	}
	source, counts := bytes.NewReader(counter), map[rune]int{}
	for range 8 {
		for _, code := range domain.NewBackupCodes(source) {
			for _, r := range code.Reveal() {
				counts[r]++
			}
		}
	}
	for _, r := range alphabet {
		if counts[r] != 8*160/32 {
			t.Errorf("%c occurs %d times in %d characters", r, counts[r], 8*160)
		}
	}
	if source.Len() != 0 || len(counts) != len(alphabet) {
		t.Errorf("%d unused bytes, %d different characters", source.Len(), len(counts))
	}
}

// Requirement: ASVS-6.5.3
func TestNewBackupCodes_EveryBitCounts(t *testing.T) {
	first := func(random []byte) string {
		return domain.NewBackupCodes(bytes.NewReader(random))[0].Reveal()
	}
	seen := map[string]bool{first(make([]byte, 160)): true}
	for bit := range 80 {
		random := make([]byte, 160)
		random[bit/5] = 1 << (bit % 5)
		code := first(random)
		if seen[code] {
			t.Errorf("bit %d does not change the code: %s", bit, code)
		}
		seen[code] = true
	}
}

func TestParseBackupCode_Spellings(t *testing.T) {
	for _, typed := range []string{
		formattedCode, plainBackupCode, "0123-4567-89AB-CDEF", "0123 4567 89ab cdef", "  0123-4567-89ab-cdef\t", "01-23-45-67-89-ab-cd-ef-",
		"0123\u00a04567\u00a089ab\u00a0cdef", "---0123456789abcdef",
		"0123\u20104567\u201089ab\u2010cdef", // hyphen
		"0123\u20114567\u201189ab\u2011cdef", // non-breaking hyphen
		"0123\u20134567\u201389ab\u2013cdef", // en dash
		"0123\u20144567\u201489ab\u2014cdef", // em dash
		"o123-4567-89ab-cdef", "O123-4567-89ab-cdef", "0i23-4567-89ab-cdef", "0I23-4567-89ab-cdef", "0l23-4567-89ab-cdef", "0L23-4567-89AB-CDEF",
		"0123-4567\n89ab-cdef\r\n", "0123\u22124567\u221289ab\u2212cdef", "0123\u20094567\u200989ab\u2009cdef", // pasted
		"0 1 2 3 4 5 6 7 8 9 a b c d e f",
		"0—1—2—3—4—5—6—7—8—9—a—b—c—d—e—f", // 61 bytes
	} {
		if code, err := domain.ParseBackupCode(typed); err != nil || code.Reveal() != plainBackupCode || code.RevealFormatted() != formattedCode {
			t.Errorf("%q: %v", typed, err)
		}
	}
	for _, r := range alphabet {
		typed := strings.Repeat(string(r), 16)
		for _, typed := range []string{typed, strings.ToUpper(typed)} {
			if code, err := domain.ParseBackupCode(typed); err != nil || code.Reveal() != strings.Repeat(string(r), 16) {
				t.Errorf("%q: %v", typed, err)
			}
		}
	}
}

func TestParseBackupCode_Invalid(t *testing.T) {
	for name, typed := range map[string]string{
		"empty":          "",
		"hyphens only":   "----------------",
		"15 characters":  "0123-4567-89ab-cde",
		"17 characters":  "0123-4567-89ab-cdef-0",
		"twice the code": formattedCode + formattedCode,
		"a u":            "u123-4567-89ab-cdef",
		"a U":            "U123-4567-89ab-cdef",
		"a dot":          "0123.4567.89ab.cdef",
		"an underscore":  "0123_4567_89ab_cdef",
		"a zero byte":    "0123-4567-89ab-cdef\x00",
		"invalid UTF-8":  "0123-4567-89ab-cde\xff",
		"a replacement":  "0123-4567-89ab-cde\ufffd",
		"a Cyrillic a":   "0123-4567-89аb-cdef",
		"a long s":       "0123-4567-89ab-cdeſ",
		"257 bytes":      formattedCode + strings.Repeat(" ", 257-len(formattedCode)),
		"a megabyte":     strings.Repeat("-", 1<<20) + plainBackupCode,
	} {
		if code, err := domain.ParseBackupCode(typed); !errors.Is(err, domain.ErrInvalidCode) || !code.IsZero() {
			t.Errorf("%s: %q, %v", name, code.Reveal(), err)
		}
	}
	if _, err := domain.ParseBackupCode(formattedCode + strings.Repeat(" ", 256-len(formattedCode))); err != nil {
		t.Errorf("256 bytes: %v", err)
	}
}

func FuzzParseBackupCode(f *testing.F) {
	for _, seed := range []string{"", formattedCode, plainBackupCode, "OIL1-oil1-OIL1-oil1", "0123 4567 89AB CDEF", "u123-4567-89ab-cdef", "K123-4567-89ab-cdef", "İ123-4567-89ab-cdef", "—\u00a0‑", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := domain.ParseBackupCode(typed)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalidCode) || !code.IsZero() {
				t.Fatalf("%q: %q, %v", typed, code.Reveal(), err)
			}
			return
		}
		normal := code.Reveal()
		if len(normal) != 16 || strings.Trim(normal, alphabet) != "" {
			t.Fatalf("%q became %q", typed, normal)
		}
		for _, form := range []string{normal, code.RevealFormatted(), strings.ToUpper(code.RevealFormatted()), strings.ReplaceAll(code.RevealFormatted(), "-", " ")} {
			if again, err := domain.ParseBackupCode(form); err != nil || again != code {
				t.Fatalf("%q became %q, and %q of it %q, %v", typed, normal, form, again.Reveal(), err)
			}
		}
	})
}

// Requirement: ASVS-6.5.2
func TestBackupCode_Digests(t *testing.T) {
	older, newer := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	code := backupCode(t, formattedCode)
	former, rotated := domain.KeyRing[domain.BackupCode]{older}, domain.KeyRing[domain.BackupCode]{newer, older}
	stored := code.Digest(former)
	if want := []domain.BackupCodeDigest{code.Digest(rotated), stored}; want[0] == stored || !slices.Equal(code.Digests(rotated), want) {
		t.Errorf("got %x, want %x", code.Digests(rotated), want)
	}
	if backupCode(t, "O123 4567 89AB CDEF").Digest(rotated) != code.Digest(rotated) {
		t.Error("the digest depends on how the code was typed")
	}
	if slices.Contains(backupCode(t, "0123-4567-89ab-cdeg").Digests(rotated), stored) {
		t.Error("another code has the same digest")
	}
	if slices.Contains(code.Digests(rotated[:1]), stored) {
		t.Error("a code has the digest of a key that was removed")
	}
}
