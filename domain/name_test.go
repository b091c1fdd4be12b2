package domain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestParseEmail(t *testing.T) {
	for given, want := range map[string]domain.Email{
		"":                                       "",
		"  ada@example.org ":                     "ada@example.org",
		"Ada.Lovelace@Example.ORG":               "ada.lovelace@example.org",
		"ada+keys@sub.example.co.uk":             "ada+keys@sub.example.co.uk",
		"ada@xn--mller-kva.example":              "ada@xn--mller-kva.example",
		"azAZ09@az.09.AZ":                        "azaz09@az.09.az",
		"ada@example.a1":                         "ada@example.a1",
		"ada@0x.example":                         "ada@0x.example",
		"ada@192.0.2.example":                    "ada@192.0.2.example",
		"ada@localhost":                          "ada@localhost", // of one label, as on an intranet
		"Ada@Intranet":                           "ada@intranet",
		"a@" + strings.Repeat("b", 63) + ".org":  domain.Email("a@" + strings.Repeat("b", 63) + ".org"),
		strings.Repeat("a", 64) + "@example.org": domain.Email(strings.Repeat("a", 64) + "@example.org"),
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "org": domain.Email(strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "org"),
	} {
		if got, err := domain.ParseEmail("email", given); got != want || err != nil {
			t.Errorf("ParseEmail(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{
		"ada", "@example.org", "ada@", "ada@@example.org", "a da@example.org", "ada@example..org", ".ada@example.org",
		"ada@-example.org", "ada@exam\nple.org", "ada@exa\x00mple.org", "ädä@example.org", "ada@b@c.org", `"ada"@example.org`,
		strings.Repeat("a", 65) + "@example.org", "ada@example-.org", "ada@" + strings.Repeat("a", 64) + ".org", "ada@" + strings.Repeat("a.", 126) + "org",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "info",
		"ada@192.0.2.1", "ada@127.1", "ada@2130706433", "ada@example.123", "ada@example.0", "ada@example.0x7f", "ada@0x7F000001", "ada@example.0x", // ends like an IP address
		"ada@[192.0.2.1]", "ada@[IPv6:2001:db8::1]", "ada@::1", "ada@2001:db8::1", "ada@example.org.", "ada@localhost.", "ada@.", "ada@my_host", "ada@-", "ada@host:25", "ada@*.org",
	} {
		if got, err := domain.ParseEmail("email", bad); !errors.Is(err, domain.ErrInvalidRequest) {
			t.Errorf("ParseEmail(%q) = %q, %v", bad, got, err)
		}
	}
}

// Requirement: ASVS-16.2.5
func TestParseDisplayName(t *testing.T) {
	for given, want := range map[string]domain.DisplayName{
		"":                       "",
		" \t\u00a0\u3000":        "",
		"  Ada Lovelace\t":       "Ada Lovelace",
		"Ωmega 👩‍🚀":              "Ωmega 👩‍🚀",
		strings.Repeat("é", 64):  domain.DisplayName(strings.Repeat("é", 64)),
		"O'Brien <b>&amp;</b> %": "O'Brien <b>&amp;</b> %",
		"...":                    "...",
		"李小龍":                    "李小龍",
		"山田　太郎":                  "山田　太郎",
		"محمد علي":               "محمد علي",
		"דוד בן־גוריון":          "דוד בן־גוריון",
		"דָּוִד":                 "דָּוִד",        // characters with two marks
		"می\u200cخواهم":          "می\u200cخواهم", // ZERO WIDTH NON-JOINER in Persian
		"ශ්\u200dරී":             "ශ්\u200dරී",    // ZERO WIDTH JOINER in Sinhala
		"র\u200d্যাব":            "র\u200d্যাব",   // and before a virama, in Bengali
		"Nguyễn Thị":             "Nguyễn Thị",
		"Q\u0323\u0307":          "Q\u0323\u0307", // two marks, and no composed form
		"👩🏽‍❤️‍💋‍👨🏻":             "👩🏽‍❤️‍💋‍👨🏻",
		"❤️":                     "❤️",
		"1️⃣":                    "1️⃣",
		"🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F": "🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F", // Scotland
		"🇫🇷":                        "🇫🇷",
		"葛\U000E0100城":              "葛\U000E0100城", // an ideographic variant
		"\u0601١٢":                  "\u0601١٢",     // a visible format character
		"⠁⠙⠁⠀⠇":                     "⠁⠙⠁⠀⠇",        // Braille with a blank cell
		"\ufeffAda\u200b":           "Ada",          // invisible characters of a pasted name
		"\u202aAda Lovelace\u202c ": "Ada Lovelace",
		"محمد\u200f":                "محمد",
		"Ada\u200d":                 "Ada",
		"\u3164Ada\u2800":           "Ada",
	} {
		if got, err := domain.ParseDisplayName("display_name", given); got != want || err != nil {
			t.Errorf("ParseDisplayName(%+q) = %+q, %v", given, got, err)
		}
	}
	for name, bad := range map[string]string{
		"65 characters":                        strings.Repeat("é", 65),
		"two lines":                            "Ada\nBen",
		"a control character":                  "Ada\x00",
		"a control character of C1":            "Ada\u0085Ben",
		"another direction":                    "Ada\u202enimda",
		"an isolate without an end":            "Ada \u2067Ben",
		"an isolate with an end":               "Ada \u2067Ben\u2069 C",
		"a direction mark":                     "Ada\u200eBen",
		"invalid UTF-8":                        "\xff\xfe",
		"a line separator":                     "Ada\u2028Ben",
		"a paragraph separator":                "Ada\u2029Ben",
		"zero width spaces only":               "\u200b\u200b",
		"a space between invisible characters": "\u200b \u2060",
		"joiners only":                         "\u200d\u200c",
		"direction marks only":                 "\u200e\u200f\u061c",
		"a soft hyphen only":                   "\u00ad",
		"a byte order mark only":               "\ufeff",
		"Hangul fillers only":                  "\u3164\u115f\u1160\uffa0",
		"blank Braille only":                   "\u2800\u2800",
		"a Mongolian separator only":           "\u180e",
		"variation selectors only":             "\ufe0f\ufe0f",
		"supplementary selectors only":         "\U000E0100",
		"a Mongolian selector only":            "\u180b",
		"tags only":                            "\U000E0041\U000E0064\U000E0061",
		"a language tag only":                  "\U000E0001",
		"combining marks only":                 "\u0301\u0301",
		"a grapheme joiner only":               "\u034f",
		"inherent vowels of Khmer only":        "\u17b4\u17b5",
		"an enclosing mark only":               "\u20dd",
		"an object replacement only":           "\ufffc",
		"a musical blank only":                 "\U0001D159",
		"blank hieroglyphs only":               "\U00013441\U00013442",
		"invisible operators only":             "\u2061\u2062\u2063\u2064",
		"an annotation anchor only":            "\ufff9",
		"a mark at the start":                  "\u0301Ada",
		"a mark after a space":                 "Ada \u0301Ben",
		"a mark after pasted white space":      "\u200b\u0301Ada",
		"a vowel sign at the start":            "\u093eA",
		"five marks on one character":          "Z" + strings.Repeat("\u0301", 5),
		"a selector after Latin":               "Ada\ufe0f",
		"an ideographic selector after it":     "Ada\U000E0100",
		"two selectors":                        "❤\ufe0f\ufe0f",
		"a selector after a space":             "Ada \ufe0f",
		"a joiner in Latin":                    "A\u200dda",
		"a joiner in digits":                   "1\u200c2",
		"a joiner before a space":              "می\u200c خواهم",
		"two joiners":                          "می\u200c\u200dخواهم",
		"a zero width space inside":            "A\u200bda",
		"a soft hyphen inside":                 "A\u00adda",
		"a filler inside":                      "A\u3164da",
		"an invisible operator inside":         "A\u2062da",
		"tags after Latin":                     "Ada\U000E0041\U000E0042",
		"tags after another flag":              "🇫🇷\U000E0041",
		"a noncharacter":                       "Ada\ufdd0",
	} {
		if got, err := domain.ParseDisplayName("display_name", bad); !errors.Is(err, domain.ErrInvalidRequest) {
			t.Errorf("%s: ParseDisplayName(%+q) = %+q, %v", name, bad, got, err)
		}
	}
}

// Two members of the contract name a passkey. The error has the path of the invalid one.
func TestParsePasskeyName(t *testing.T) {
	if name, err := domain.ParsePasskeyName("name", "  Ada's key "); name != "Ada's key" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
	for _, field := range []string{"name", "passkey_name"} {
		for bad, code := range map[string]string{"a\nb": "invalid_name", "\xff": "invalid_name", strings.Repeat("x", 65): "too_long"} {
			_, err := domain.ParsePasskeyName(field, bad)
			var invalid *domain.InvalidInput
			if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field || invalid.Fields[0].Code != code {
				t.Errorf("ParsePasskeyName(%q, %q): %v", field, bad, err)
			}
		}
	}
}

func TestJoinInvalid(t *testing.T) {
	_, badEmail := domain.ParseEmail("email", "ada")
	_, badName := domain.ParseDisplayName("display_name", "a\nb")
	var invalid *domain.InvalidInput
	if err := domain.JoinInvalid(nil, badEmail, nil, badName); !errors.As(err, &invalid) || len(invalid.Fields) != 2 {
		t.Errorf("got %v", err)
	}
	other := errors.New("another error")
	if err := domain.JoinInvalid(badEmail, other); !errors.Is(err, other) {
		t.Errorf("another error among invalid fields became %v", err)
	}
	if err := domain.JoinInvalid(nil, nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}

// The client does not learn the reason: it would tell an attacker which check to defeat next.
func TestReject_ReasonOnlyInDetail(t *testing.T) {
	for reason, want := range map[domain.Reason]*domain.Error{
		domain.ReasonSignatureInvalid: domain.ErrPasskeyRejected, domain.ReasonUserVerificationMissing: domain.ErrUserVerificationRequired,
	} {
		err := domain.Reject(reason, "detail")
		var broken *domain.Error
		if !errors.As(err, &broken) || broken != want || err.Detail != "detail" || err.Error() != string(reason)+": detail" || domain.ReasonOf(err) != reason {
			t.Errorf("%s: the log has %q, the client %v", reason, err, broken)
		}
	}
	if reason := domain.ReasonOf(domain.ErrPasskeyRejected); reason != "" {
		t.Errorf("an error that is no rejection has the reason %q", reason)
	}
}

func TestPendingUser_Entity(t *testing.T) {
	entity := func(email domain.Email, display domain.DisplayName) domain.UserEntity {
		a := domain.NewPendingUser(email, display, noon, rand.Reader)
		if user := a.ToUser(noon); user.Entity() != a.Entity() || a.Entity().Handle != a.Handle || !user.CreatedAt().Equal(noon) {
			t.Errorf("the pending user is %+v and the user %+v", a.Entity(), user.Entity())
		}
		return a.Entity()
	}
	if got := entity("ada@example.org", "Ada"); got.Name != "ada@example.org" || got.DisplayName != "Ada" {
		t.Errorf("with both: %+v", got)
	}
	if got := entity("ada@example.org", ""); got.Name != "ada@example.org" || got.DisplayName != got.Name {
		t.Errorf("with an address: %+v", got)
	}
	if got := entity("", "Ada"); got.Name != "Ada" || got.DisplayName != "Ada" {
		t.Errorf("with a name: %+v", got)
	}
	one, two := entity("", ""), entity("", "")
	if one.Name == two.Name || len(one.Name) != len("account 0A1B2C") || !strings.HasPrefix(one.Name, "account ") || one.DisplayName != one.Name {
		t.Errorf("two accounts without names are %+v and %+v", one, two)
	}
}

// Requirement: WebAuthn-14.6.1
func TestUserHandle_Random(t *testing.T) {
	a := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	b := domain.NewPendingUser("ada@example.org", "Ada", noon, rand.Reader)
	if len(a.Handle) != 32 || a.Handle == b.Handle || strings.Contains(string(a.Handle), a.UserID.String()) {
		t.Errorf("handles %q and %q", a.Handle, b.Handle)
	}
}

// Requirement: ASVS-16.2.5
func TestSecret_NeverPrinted(t *testing.T) {
	secret := domain.NewSecret("hunter2")
	text, _ := secret.MarshalText()
	for _, printed := range []string{fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret), secret.LogValue().String(), string(text)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("a secret was printed: %s", printed)
		}
	}
	if _, token := session(t, synced); strings.Contains(fmt.Sprintf("%v %+v %#v", token, token, token), token.Reveal()) {
		t.Error("a session token was printed")
	}
	if _, token := bearerSession(t); strings.Contains(fmt.Sprintf("%v %+v %#v", token, token, token), token.Reveal()) {
		t.Error("a refresh token was printed")
	}
}

func TestNewDevice_SanitizesUserAgent(t *testing.T) {
	d := domain.NewDevice("ok\x00\n\u202e\xff"+strings.Repeat("é", 600), "")
	if !strings.HasPrefix(d.UserAgent, "oké") || len(d.UserAgent) > 512 {
		t.Errorf("kept %d bytes: %q…", len(d.UserAgent), d.UserAgent[:10])
	}
	for length, kept := range map[int]int{511: 511, 512: 512, 513: 512} {
		if d := domain.NewDevice(strings.Repeat("x", length), ""); len(d.UserAgent) != kept {
			t.Errorf("of %d bytes %d were kept", length, len(d.UserAgent))
		}
	}
}

func TestUserID_FormAndTime(t *testing.T) {
	id := domain.NewUserID(noon, rand.Reader)
	if parsed, err := domain.ParseUserID(id.String()); err != nil || parsed != id {
		t.Errorf("%s came back as %s, %v", id, parsed, err)
	}
	if s := id.String(); s[14] != '7' || !strings.ContainsRune("89ab", rune(s[19])) || s[:13] != "01a20846-fe00" {
		t.Errorf("%s is not a UUIDv7 of its time", s)
	}
	if later := domain.NewUserID(noon.Add(1e6), rand.Reader); later.String() <= id.String() {
		t.Error("a later id sorts before an earlier one")
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", 36), id.String()[1:], id.String() + "0", strings.Replace(id.String(), "7", "g", 1), id.String()[:23] + "0" + id.String()[24:]} {
		if !rejectsUserID(bad) {
			t.Errorf("ParseUserID(%q) succeeded", bad)
		}
	}
	for _, at := range []int{8, 13, 18, 23} {
		if bad := id.String()[:at] + "0" + id.String()[at+1:]; !rejectsUserID(bad) {
			t.Errorf("ParseUserID(%q) succeeded", bad)
		}
	}
}

func rejectsUserID(s string) bool {
	_, err := domain.ParseUserID(s)
	return err != nil
}

// All bits of an id except its time, version and variant are random.
// Requirement: ASVS-6.7.2
func TestChallengeID_UsesAllRandomBits(t *testing.T) {
	for random, want := range map[byte]string{0x00: "01a20846-fe00-7000-8000-000000000000", 0xff: "01a20846-fe00-7fff-bfff-ffffffffffff"} {
		if id := domain.NewChallengeID(noon, bytes.NewReader(bytes.Repeat([]byte{random}, 10))); id.String() != want {
			t.Errorf("of bytes %x: %s", random, id)
		}
	}
	mixed := []byte{0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88, 0x79, 0x6a}
	if id := domain.NewChallengeID(noon, bytes.NewReader(mixed)); id.String() != "01a20846-fe00-71e2-93c4-b5a69788796a" {
		t.Errorf("of bytes %x: %s", mixed, id)
	}
}
