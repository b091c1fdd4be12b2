package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestParseLocale(t *testing.T) {
	for given, want := range map[string]domain.Locale{
		"":            "",
		"  ":          "",
		"de":          "de",
		" DE ":        "de",
		"gsw":         "gsw",
		"de-at":       "de-AT",
		"PT-br":       "pt-BR",
		"es-419":      "es-419",
		"zh-hant":     "zh-Hant",
		"ZH-HANT-tw":  "zh-Hant-TW",
		"sr-LATN-419": "sr-Latn-419",
	} {
		if got, err := domain.ParseLocale("locale", given); got != want || err != nil {
			t.Errorf("ParseLocale(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{
		"d", "deutsch", "d1", "de_AT", "de-", "-de", "de--AT", "de-A", "de-AT-", "de-AT-AT", "de-12", "de-1234", "de-CH-1996", "de-u-co-phonebk", "x-klingon",
		"d\x00", "dé", "de-ÄT", "de-Lat1", "de\nAT", "de,en", "*", "[[", "``", strings.Repeat("de-", 1000),
	} {
		if got, err := domain.ParseLocale("locale", bad); !errors.Is(err, domain.ErrInvalidRequest) || got != "" {
			t.Errorf("ParseLocale(%q) = %q, %v", bad, got, err)
		}
	}
}
