package domain_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/keylodge/keylodge/domain"
)

// digitsOf returns the digits of code in the script with the given zero.
func digitsOf(zero rune, code string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, code)
}

// fullWidth returns the full-width form of ASCII, as keyboards of East Asia produce it.
func fullWidth(code string) string {
	return strings.Map(func(r rune) rune { return r - '!' + '\uff01' }, code)
}

// spellings returns a code in every script, and with all characters that normalization removes.
func spellings(code string) map[string]string {
	all := map[string]string{"as it is": code, "full width": fullWidth(code), "between isolates and marks": "\u200e\u2066" + code[:3] + "\u200b" + code[3:] + "\u2069"}
	for name, zero := range map[string]rune{
		"Arabic-Indic": '٠', "Persian": '۰', "NKo": '߀', "Devanagari": '०', "Bengali": '০', "Gurmukhi": '੦', "Gujarati": '૦', "Tamil": '௦',
		"Thai": '๐', "Lao": '໐', "Tibetan": '༠', "Myanmar": '၀', "Khmer": '០', "Mongolian": '᠐', "full width": '０', "Adlam": '\U0001E950',
		"mathematical bold": '𝟎', "mathematical double-struck": '𝟘', "mathematical monospace": '𝟶', "segmented": '🯰', "Chakma": '\U00011136',
	} {
		all[name] = digitsOf(zero, code)
		all[name+", from right to left"] = "\u202b" + digitsOf(zero, code) + "\u202c\u200f"
	}
	ignored := map[string]string{
		"spaces": " \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
		"dashes": "-\u00ad\u058a\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\u301c\u3030\ufe31\ufe58\ufe63\uff0d\u30fc\uff70\u2043\u02d7",
		"marks": "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2065\u2066\u2067\u2068\u2069\u206a\u206f" +
			"\ufeff\u061c\u034f\u115f\u3164\u180e\ufe0f\U000e0020\u2800",
	}
	for kind, runes := range ignored {
		for _, r := range runes {
			all[kind+", "+string(r)] = string(r) + code[:3] + string(r) + code[3:] + string(r)
		}
	}
	return all
}

// Requirement: NIST-3.2.2
func TestTypedCodes_Spellings(t *testing.T) {
	for name, typed := range spellings("012349") {
		if code, err := domain.ParseTOTPCode(typed); err != nil || code.Reveal() != "012349" {
			t.Errorf("TOTP code: %s (%+q): %q, %v", name, typed, code.Reveal(), err)
		}
	}
	for name, typed := range spellings("01234589") {
		if code, err := domain.ParseEmailCode(typed); err != nil || code.Reveal() != "01234589" {
			t.Errorf("e-mail code: %s (%+q): %q, %v", name, typed, code.Reveal(), err)
		}
	}
	for _, written := range []string{plainBackupCode, strings.ToUpper(plainBackupCode)} {
		for name, typed := range spellings(written) {
			if code, err := domain.ParseBackupCode(typed); err != nil || code.Reveal() != plainBackupCode {
				t.Errorf("backup code: %s (%+q): %q, %v", name, typed, code.Reveal(), err)
			}
		}
	}
	for _, alike := range []string{"ＯＩＬ１", "ｏｉｌ１", "OIl\u0661", "0\u06f1\u0967\u09e7"} {
		if code, err := domain.ParseBackupCode(alike + plainBackupCode[4:]); err != nil || code.Reveal() != "0111"+plainBackupCode[4:] {
			t.Errorf("%q: %q, %v", alike, code.Reveal(), err)
		}
	}
}

// Requirement: NIST-3.2.2
func TestTypedCodes_Invalid(t *testing.T) {
	for _, typed := range []string{
		"", "      ", "------", "\u200b\u2066", "12345", "1234567", "0123456", "123456123456", "12345o", "12345O", "+12345", "12345.", "12_345", "12345\x00", "0x1234",
		"12345\xff", "12345\ufffd", "١٢٣٤٥", "١٢٣٤٥٦٧", "①②③④⑤⑥", "¹²³⁴⁵⁶", "一二三四五六", "ⅠⅡⅢⅣⅤⅥ", "½2345", strings.Repeat(" ", 251) + "123456",
	} {
		if code, err := domain.ParseTOTPCode(typed); !errors.Is(err, domain.ErrInvalidCode) || !code.IsZero() {
			t.Errorf("%q: %q, %v", typed, code.Reveal(), err)
		}
	}
	if _, err := domain.ParseTOTPCode(strings.Repeat(" ", 250) + "123456"); err != nil {
		t.Errorf("256 bytes: %v", err)
	}
}

// decimalDigit derives a digit's value from its position in unicode.Nd, so that each range must consist of whole scripts of ten digits.
func TestDecimalDigit_AllScripts(t *testing.T) {
	scripts := 0
	check := func(lo, hi, stride rune) {
		if stride != 1 || (hi-lo+1)%10 != 0 {
			t.Errorf("%U to %U by %d", lo, hi, stride)
		}
		for zero := lo; zero < hi; zero += 10 {
			scripts++
			if code, err := domain.ParseTOTPCode(digitsOf(zero, "907381")); err != nil || code.Reveal() != "907381" {
				t.Errorf("digits from %U: %q, %v", zero, code.Reveal(), err)
			}
		}
	}
	for _, r := range unicode.Nd.R16 {
		check(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range unicode.Nd.R32 {
		check(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	if scripts < 60 {
		t.Errorf("%d scripts", scripts)
	}
}

func FuzzParseTOTPCode(f *testing.F) {
	for _, seed := range []string{"", "123456", "１２３-４５６", "\u2066123\u00a0456\u2069", "12345\xff", "𝟎𝟏𝟐𝟑𝟒𝟓", "1234567"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := domain.ParseTOTPCode(typed)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalidCode) || !code.IsZero() {
				t.Fatalf("%q: %q, %v", typed, code.Reveal(), err)
			}
			return
		}
		digits := 0
		for _, r := range typed {
			if unicode.IsDigit(r) {
				digits++
			}
		}
		if again, err := domain.ParseTOTPCode(code.Reveal()); digits != 6 || err != nil || again != code || len(code.Reveal()) != 6 {
			t.Fatalf("%q became %q", typed, code.Reveal())
		}
	})
}
