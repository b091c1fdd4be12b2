package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// settingFile writes a file with the value of a setting, and returns its name.
func settingFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "value")
	settings.WriteFile(t, file, text, mode)
	return file
}

// unsetAfter removes a variable that Load sets from a file, so that the next Load reads its file again.
func unsetAfter(t *testing.T, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, name := range names {
			_ = os.Unsetenv(prefix + "_" + name)
		}
	})
}

func TestLoad_SettingsFromFiles(t *testing.T) {
	unsetAfter(t, "SECRET", "RP_NAME", "LISTEN")
	config, err := load(t, "SECRET_FILE="+settingFile(t, settings.FirstSecret+"\n", 0o600), "RP_NAME_FILE="+settingFile(t, "Ada's site\r\n", 0o644),
		"LISTEN_FILE="+settingFile(t, "127.0.0.1:1234", 0o444))
	if err != nil || config.Secret == nil || config.RPName != "Ada's site" || config.Listen != "127.0.0.1:1234" || config.PublicURL != "http://localhost:1234" {
		t.Errorf("%+v, %v", config, err)
	}
}

func TestLoad_RejectsInvalidSettingFiles(t *testing.T) {
	secret := settingFile(t, settings.FirstSecret, 0o600)
	for name, c := range map[string]struct {
		lines   []string
		setting string
		problem string
	}{
		"both":                  {[]string{"SECRET=" + settings.FirstSecret, "SECRET_FILE=" + secret}, "SECRET_FILE", "KEYLODGE_SECRET is also set"},
		"no file":               {[]string{"RP_NAME_FILE=/nonexistent/name"}, "RP_NAME_FILE", "no such file"},
		"a folder":              {[]string{"RP_NAME_FILE=" + t.TempDir()}, "RP_NAME_FILE", "is a directory"},
		"a readable secret":     {[]string{"SECRET_FILE=" + settingFile(t, settings.FirstSecret, 0o644)}, "SECRET_FILE", "chmod 600"},
		"a readable password":   {[]string{"SMTP_PASSWORD_FILE=" + settingFile(t, "hunter2", 0o644)}, "SMTP_PASSWORD_FILE", "chmod 600"},
		"a URL with a password": {[]string{"RATE_LIMIT_URL_FILE=" + settingFile(t, "redis://:hunter2@127.0.0.1:1/0", 0o644)}, "RATE_LIMIT_URL_FILE", "chmod 600"},
		"two lines":             {[]string{"RP_NAME_FILE=" + settingFile(t, "Ada\nBen\n", 0o600)}, "RP_NAME_FILE", "more than one line"},
		"no text":               {[]string{"RP_NAME_FILE=" + settingFile(t, "\xff", 0o600)}, "RP_NAME_FILE", "not UTF-8"},
		"a NUL":                 {[]string{"RP_NAME_FILE=" + settingFile(t, "a\x00", 0o600)}, "RP_NAME_FILE", "not UTF-8"},
		"64 KiB":                {[]string{"RP_NAME_FILE=" + settingFile(t, strings.Repeat("a", 64<<10+1), 0o600)}, "RP_NAME_FILE", "64 KiB"},
		"an invalid value":      {[]string{"SESSION_TTL_FILE=" + settingFile(t, "soon", 0o600)}, "SESSION_TTL", "not a duration"},
		"a file of a file":      {[]string{"JWT_KEY_FILE_FILE=" + secret}, "JWT_KEY_FILE_FILE", "no such setting"},
		"an unknown setting":    {[]string{"NONSENSE_FILE=" + secret}, "NONSENSE_FILE", "no such setting"},
	} {
		t.Run(name, func(t *testing.T) {
			unsetAfter(t, "SECRET", "RP_NAME", "SMTP_PASSWORD", "RATE_LIMIT_URL", "SESSION_TTL")
			_, err := load(t, c.lines...)
			var errs SettingErrors
			if !errors.As(err, &errs) || errs[0].Setting != "KEYLODGE_"+c.setting || !strings.Contains(errs[0].Problem, c.problem) || errs[0].Fix == "" {
				t.Errorf("%v, want %s: %s", err, c.setting, c.problem)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
}

func TestEffective(t *testing.T) {
	unsetAfter(t, "RP_NAME", "DATABASE_URL", "SMTP_PASSWORD")
	name := settingFile(t, "Ada's site\n", 0o600)
	settings.Set(t, "LISTEN=127.0.0.1:1234", "RP_NAME_FILE="+name, "SECRET="+settings.FirstSecret, "OPS_LISTEN=", "LOG_LEVEL= warn ")
	settings.WriteFile(t, dotenvFile, "KEYLODGE_DATABASE_URL=postgres://ada:hunter2@db/keylodge?sslmode=disable&password=hunter3\nKEYLODGE_SMTP_PASSWORD=hunter4\n", 0o600)
	all, err := Effective()
	var errs SettingErrors
	if !errors.As(err, &errs) { // a password without KEYLODGE_SMTP_HOST
		t.Errorf("got %v", err)
	}
	got := map[string]dbadmin.Setting{}
	for _, s := range all {
		got[strings.TrimPrefix(s.Name, "KEYLODGE_")] = s
		if strings.Contains(s.Value, "hunter") || strings.Contains(s.Value, settings.FirstSecret) {
			t.Errorf("%s shows its secret: %s", s.Name, s.Value)
		}
	}
	for setting, want := range map[string]dbadmin.Setting{
		"LISTEN":        {Value: "127.0.0.1:1234", Origin: "environment"},
		"RP_NAME":       {Value: "Ada's site", Origin: name},
		"SECRET":        {Origin: "environment", Hidden: true},
		"OPS_LISTEN":    {Origin: "environment"},
		"LOG_LEVEL":     {Value: "warn", Origin: "environment"},
		"DATABASE_URL":  {Value: "postgres://ada:xxxxx@db/keylodge?password=xxxxx&sslmode=disable", Origin: ".env", Hidden: true},
		"SMTP_PASSWORD": {Origin: ".env", Hidden: true},
		"SESSION_TTL":   {Value: "720h", Origin: "default"},
		"SMTP_TLS":      {Value: "starttls", Origin: "default"},
		"ORIGINS":       {Origin: "default"},
	} {
		want.Name = "KEYLODGE_" + setting
		if got[setting] != want {
			t.Errorf("got %+v, want %+v", got[setting], want)
		}
	}
	if len(all) != len(settingNames()) {
		t.Errorf("%d settings, want %d", len(all), len(settingNames()))
	}
}

// The settings that are read are shown beside the error of a file.
func TestEffective_WithInvalidFile(t *testing.T) {
	settings.Set(t, "LISTEN=127.0.0.1:1234", "RP_NAME_FILE=/nonexistent/name")
	all, err := Effective()
	if err == nil || !strings.Contains(err.Error(), "KEYLODGE_RP_NAME_FILE") {
		t.Errorf("got %v", err)
	}
	for _, s := range all {
		if s.Name == "KEYLODGE_LISTEN" && (s.Value != "127.0.0.1:1234" || s.Origin != "environment") {
			t.Errorf("got %+v", s)
		}
	}
}
