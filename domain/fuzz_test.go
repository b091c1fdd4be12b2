package domain_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/keylodge/keylodge/domain"
)

// The fuzz tests of all parsers of client input.

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{
		"", " ", "ada@example.org", " Ada@Example.ORG\n", "a.b+c@x-y.example", "ada@xn--bcher-kva.example", "ada@example", "@example.org", "ada@",
		"ada@@example.org", "ada..b@example.org", ".ada@example.org", "ada@-example.org", "ada@example-.org", "ada@example..org", `"ada b"@example.org`,
		"ada@[127.0.0.1]", "ada@example.org\x00", "ada@example.org\r\nBcc: ben@example.org", "İda@example.org", "\u212aada@example.org", "\xff@example.org",
		strings.Repeat("a", 64) + "@example.org", strings.Repeat("a", 65) + "@example.org", strings.Repeat("a", 243) + "@example.org",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := domain.ParseEmail("email", typed)
		if err != nil {
			wantInvalid(t, err, email != "")
			return
		}
		if again, err := domain.ParseEmail("email", string(email)); err != nil || again != email {
			t.Fatalf("%q became %q, and that became %q, %v", typed, email, again, err)
		}
		if upper, err := domain.ParseEmail("email", strings.ToUpper(string(email))); err != nil || upper != email {
			t.Fatalf("%q in upper case is another account: %q, %v", email, upper, err)
		}
		if email == "" {
			return
		}
		invalid := func(r rune) bool {
			return r <= ' ' || r > '~' || 'A' <= r && r <= 'Z' || strings.ContainsRune(`"(),:;<>[\]`, r)
		}
		if len(email) > 254 || strings.Count(string(email), "@") != 1 || strings.ContainsFunc(string(email), invalid) {
			t.Fatalf("%q became %q", typed, email)
		}
	})
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{
		"", "Ada", "  Ada  ", "Ada\nBen", "Ada\x1b[31m", "\u202eadA", "Ada\u2028", "\u2028Ada", "\ufeffAda", "Zoë", "\xffAda", "👩‍👩‍👧", "\u0085Ada", "Ada\u200f",
		strings.Repeat("é", 64), strings.Repeat("é", 65),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := domain.ParseDisplayName("display_name", typed)
		passkey, sameErr := domain.ParsePasskeyName("name", typed)
		if string(passkey) != string(name) || (err == nil) != (sameErr == nil) {
			t.Fatalf("%q is %q, %v as a display name and %q, %v as a passkey's name", typed, name, err, passkey, sameErr)
		}
		if err != nil {
			wantInvalid(t, err, name != "")
			return
		}
		if again, err := domain.ParseDisplayName("display_name", string(name)); err != nil || again != name {
			t.Fatalf("%q became %q, and that became %q, %v", typed, name, again, err)
		}
		breaks := func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}
		if !utf8.ValidString(string(name)) || utf8.RuneCountInString(string(name)) > 64 || strings.ContainsFunc(string(name), breaks) {
			t.Fatalf("%q became %q", typed, name)
		}
	})
}

// wantInvalid fails the test unless err is an *InvalidInput for one field, and came without a value.
func wantInvalid(t *testing.T, err error, value bool) {
	t.Helper()
	var invalid *domain.InvalidInput
	if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field == "" || value {
		t.Fatalf("got error %v, and a value: %t", err, value)
	}
}

// A token is accepted unchanged or not at all: a token has one spelling.
func FuzzParseToken(f *testing.F) {
	long := strings.Repeat("A", 43)
	for _, seed := range []string{
		"", "kls_", "klr_", "klg_", "kls_" + long, "klg_" + long, "klr_" + strings.Repeat("A", 86), "KLS_" + long, "kls_" + long + "=", "kls_" + long[1:] + "\n",
		"klr_" + strings.Repeat("A", 84) + "\r\n", "klr_" + strings.Repeat("A", 85) + "B", "klr_" + strings.Repeat("+", 86), "kls_" + long[1:] + "\x00", "kls_kls_" + long,
		" kls_" + long, "kls_" + long[2:] + "é", "kls_" + long[1:], "klg_" + long[1:], "klr_" + strings.Repeat("A", 85),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		session, err := domain.ParseSessionToken(sent)
		wantToken(t, "session token", sent, "kls_", 47, session.Secret, err, domain.ErrUnauthenticated)
		grant, err := domain.ParseRecoveryGrantToken(sent)
		wantToken(t, "grant token", pastedToken(sent, grant.Secret), "klg_", 47, grant.Secret, err, domain.ErrRecoveryGrantInvalid)
		refresh, err := domain.ParseRefreshToken(sent)
		wantToken(t, "refresh token", sent, "klr_", 90, refresh.Secret, err, domain.ErrRefreshTokenInvalid)
		if err == nil && refresh.SessionID().String() == "" {
			t.Fatal("a refresh token without a session")
		}
	})
}

// pastedToken returns the parsed token: a recovery grant's token is pasted, so that it has several spellings.
func pastedToken(sent string, grant domain.Secret) string {
	if grant.IsZero() {
		return sent
	}
	return grant.Reveal()
}

func wantToken(t *testing.T, name, sent, prefix string, length int, token domain.Secret, err, want error) {
	t.Helper()
	switch {
	case err != nil && (!errors.Is(err, want) || !token.IsZero()):
		t.Fatalf("%s: %q: %v, and %q", name, sent, err, token.Reveal())
	case err == nil && (token.Reveal() != sent || !strings.HasPrefix(sent, prefix) || len(sent) != length):
		t.Fatalf("%s: %q became %q", name, sent, token.Reveal())
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		"", "01a206fa-f19b-71aa-8eee-8e90a9bc70db", "01A206FA-F19B-71AA-8EEE-8E90A9BC70DB", "00000000-0000-0000-0000-000000000000", "01a206faf19b71aa8eee8e90a9bc70db",
		"{01a206fa-f19b-71aa-8eee-8e90a9bc70db}", "01a206fa-f19b-71aa-8eee-8e90a9bc70d-", "01a206fa-f19b-71aa-8eee-8e90a9bc70dg", "01a206fa-f19b-71aa-8eee-8e90a9bc70\xff\xff",
		"--------------------------------------", "../../../../../../etc/passwd", "01a206fa0f19b-71aa-8eee-8e90a9bc70db", "01a206fa-f19b071aa-8eee-8e90a9bc70db",
		"01a206fa-f19b-71aa08eee-8e90a9bc70db", "01a206fa-f19b-71aa-8eee08e90a9bc70db",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		user, err := domain.ParseUserID(sent)
		session, sameErr := domain.ParseSessionID(sent)
		event, thirdErr := domain.ParseEventID(sent)
		if (err == nil) != (sameErr == nil) || (err == nil) != (thirdErr == nil) || user.String() != session.String() || user.String() != event.String() {
			t.Fatalf("the parsers of ids differ for %q", sent)
		}
		switch {
		case err != nil && !user.IsZero():
			t.Fatalf("%q was rejected, with the value %s", sent, user)
		case err == nil && user.String() != strings.ToLower(sent):
			t.Fatalf("%q became %s", sent, user)
		}
	})
}

func FuzzParseEmailCode(f *testing.F) {
	for _, seed := range []string{
		"", "12345678", "1234 5678", "1234-5678", " 1234\u00a05678\t", "1234567", "123456789", "1234567a", "١٢٣٤٥٦٧٨", "12345678\x00", "+12345678", "1234\u20095678",
		strings.Repeat(" ", 24) + "12345678", strings.Repeat(" ", 25) + "12345678",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := domain.ParseEmailCode(typed)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalidCode) || !code.IsZero() {
				t.Fatalf("%q: %q, %v", typed, code.Reveal(), err)
			}
			return
		}
		if digits := code.Reveal(); len(digits) != 8 || strings.Trim(digits, "0123456789") != "" || strings.Trim(typed, "0123456789 -") == "" && strings.Map(onlyDigits, typed) != digits {
			t.Fatalf("%q became %q", typed, digits)
		}
	})
}

func onlyDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return r
	}
	return -1
}

// A backup code is recognised in any spelling: in upper or lower case, with look-alikes, and with spaces and dashes anywhere.
func FuzzBackupCodeSpelling(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte{})
	f.Add([]byte("0110101101011010"), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Add([]byte{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, []byte{1, 2, 2, 3, 0, 4, 1, 1}) // the digits that have look-alikes
	f.Add([]byte("zyxwvtsrqpnmkjhg"), []byte{0x11, 0x21, 0x31, 0x41, 0x51, 0x61})
	f.Fuzz(func(t *testing.T, random, styles []byte) {
		const crockford = "0123456789abcdefghjkmnpqrstvwxyz"
		if len(random) < 16 {
			return
		}
		var code, written strings.Builder
		for i, b := range random[:16] {
			character := crockford[b%32]
			code.WriteByte(character)
			style := byte(0)
			if i < len(styles) {
				style = styles[i]
			}
			spelled := string(character)
			if alike := map[byte][]string{'0': {"0", "o", "O"}, '1': {"1", "i", "l", "I", "L"}}[character]; alike != nil {
				spelled = alike[int(style)%len(alike)]
			} else if style&1 == 1 {
				spelled = strings.ToUpper(spelled)
			}
			written.WriteString(spelled)
			written.WriteString([]string{"", "", "-", " ", "\u2010", "\u2013", "\u00a0", "\u2212", "\n"}[int(style>>4)%9])
		}
		parsed, err := domain.ParseBackupCode(written.String())
		if len(written.String()) > 256 {
			if !errors.Is(err, domain.ErrInvalidCode) {
				t.Fatalf("%d bytes were accepted: %v", written.Len(), err)
			}
			return
		}
		if err != nil || parsed.Reveal() != code.String() {
			t.Fatalf("%q, written %q, became %q, %v", code.String(), written.String(), parsed.Reveal(), err)
		}
	})
}
