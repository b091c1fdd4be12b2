package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/smtp"
)

func TestLoad_Brand(t *testing.T) {
	folder := t.TempDir()
	settings.WriteFile(t, filepath.Join(folder, "logo.svg"), "<svg/>", 0o644)
	config, err := load(t, "BRAND_DIR="+folder, "ACCENT_COLOR=#0a5fb4", "LINKS_TERMS=https://example.org/terms", "LINKS_PRIVACY=https://example.org/privacy?lang=de#top",
		"LINKS_IMPRINT=https://example.org/imprint", "LINKS_SUPPORT=mailto:support@example.org", "LINKS_HOME=https://example.org", "SECURED_BY=off",
		"SMTP_HOST=smtp.example.org", "SMTP_FROM=no-reply@example.org")
	if err != nil {
		t.Fatal(err)
	}
	want := httpapi.Links{
		Terms: "https://example.org/terms", Privacy: "https://example.org/privacy?lang=de#top", Imprint: "https://example.org/imprint",
		Support: "mailto:support@example.org", Home: "https://example.org",
	}
	if config.Links != want || config.SecuredBy {
		t.Errorf("%+v, %t", config.Links, config.SecuredBy)
	}
	accent := config.Brand.Accent
	if urls := config.Brand.URLs(); accent.Light.String() != "#0a5fb4" || accent.Dark == accent.Light || urls["logo"] == "" || urls["theme"] == "" || len(urls) != 2 {
		t.Errorf("%+v, %v", accent, urls)
	}
	if want := (smtp.Brand{
		Accent: "#0a5fb4", DarkAccent: accent.Dark.String(),
		Links: smtp.Links{Terms: want.Terms, Privacy: want.Privacy, Imprint: want.Imprint, Support: want.Support},
	}); config.SMTP.Brand != want {
		t.Errorf("e-mails have %+v", config.SMTP.Brand)
	}
	if config, err := load(t, "ACCENT_COLOR=#0a5fb4", "ACCENT_COLOR_DARK=#ffcc00"); err != nil || config.Brand.Accent.Dark.String() != "#ffcc00" || !config.SecuredBy {
		t.Errorf("%+v, %v", config.Brand, err)
	}
	if config, err := load(t); err != nil || !config.Brand.Accent.IsZero() || len(config.Brand.URLs()) != 0 {
		t.Errorf("%+v, %v", config.Brand, err)
	}
}

func TestLoad_RejectsInvalidBrand(t *testing.T) {
	folder, empty := t.TempDir(), t.TempDir()
	for _, name := range []string{"logo.gif", "icon.svg"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("<svg/>"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		settings []string
		setting  string
		text     string
	}{
		"missing folder":         {[]string{"BRAND_DIR=" + folder + "/missing"}, "BRAND_DIR", "no such file"},
		"empty folder":           {[]string{"BRAND_DIR=" + empty}, "BRAND_DIR", "no file of a brand"},
		"unknown file":           {[]string{"BRAND_DIR=" + folder}, "BRAND_DIR", "logo.gif is none of"},
		"another unknown file":   {[]string{"BRAND_DIR=" + folder}, "BRAND_DIR", "icon.svg is none of"},
		"no colour":              {[]string{"ACCENT_COLOR=blue"}, "ACCENT_COLOR", "#rrggbb"},
		"too light":              {[]string{"ACCENT_COLOR=#7ab8ff"}, "ACCENT_COLOR", "contrast of 2.0"},
		"too dark":               {[]string{"ACCENT_COLOR=#0a5fb4", "ACCENT_COLOR_DARK=#0a5fb4"}, "ACCENT_COLOR_DARK", "the dark mode"},
		"dark mode only":         {[]string{"ACCENT_COLOR_DARK=#ffcc00"}, "ACCENT_COLOR_DARK", "has no effect"},
		"http link":              {[]string{"LINKS_TERMS=http://example.org"}, "LINKS_TERMS", "https"},
		"script link":            {[]string{"LINKS_PRIVACY=javascript:alert(1)"}, "LINKS_PRIVACY", "https"},
		"link without host":      {[]string{"LINKS_HOME=https:///x"}, "LINKS_HOME", "https"},
		"path":                   {[]string{"LINKS_IMPRINT=/imprint"}, "LINKS_IMPRINT", "https"},
		"quote in a link":        {[]string{`LINKS_IMPRINT=https://example.org/"x`}, "LINKS_IMPRINT", "https"},
		"password in a link":     {[]string{"LINKS_HOME=https://ada:hunter2@example.org"}, "LINKS_HOME", "password"},
		"address without mailto": {[]string{"LINKS_SUPPORT=support@example.org"}, "LINKS_SUPPORT", "https"},
		"invalid address":        {[]string{"LINKS_SUPPORT=mailto:support?subject=x"}, "LINKS_SUPPORT", "mailto:"},
		"mailto for terms":       {[]string{"LINKS_TERMS=mailto:support@example.org"}, "LINKS_TERMS", "https"},
		"unknown switch":         {[]string{"SECURED_BY=yes"}, "SECURED_BY", "on or off"},
		"unknown language":       {[]string{"LANGUAGE=tlh"}, "LANGUAGE", "en or de"},
		"name of 65 characters":  {[]string{"RP_NAME=" + strings.Repeat("Ω", 65)}, "RP_NAME", "64 characters"},
	} {
		_, err := load(t, c.settings...)
		var errs SettingErrors
		if !errors.As(err, &errs) || !slices.ContainsFunc(errs, func(e SettingError) bool {
			return e.Setting == "KEYLODGE_"+c.setting && strings.Contains(e.Problem+" "+e.Fix, c.text) && e.Fix != ""
		}) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if config, err := load(t, "RP_NAME="+strings.Repeat("Ω", 64)); err != nil || config.RPName != strings.Repeat("Ω", 64) {
		t.Errorf("a name of 64 Greek characters: %v", err)
	}
}
