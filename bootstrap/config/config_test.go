package config

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/domain"
)

// load reads settings in an empty directory.
func load(t *testing.T, lines ...string) (Config, error) {
	t.Helper()
	settings.Set(t, lines...)
	return Load()
}

func TestLoad_Defaults(t *testing.T) {
	config, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if config.PublicURL != "http://localhost:8080" || config.RPID != "localhost" || config.Listen != "127.0.0.1:8080" ||
		config.OpsListen != "127.0.0.1:9090" || config.OpsListenSet || config.Database != SQLite("keylodge.db") || config.Secret != nil || config.RPName != "Keylodge" || config.Language != "en" ||
		!slices.Equal(config.Origins, []string{"http://localhost:8080"}) || config.Registration != domain.RegistrationOpen || config.Recovery != domain.RecoveryAny ||
		config.Use != (domain.UsePolicy{Counter: domain.CounterReject, BackupEligibility: domain.BackupEligibilityReject}) ||
		config.Sessions != (domain.SessionLifetime{TTL: 720 * time.Hour, IdleTTL: 168 * time.Hour}) ||
		config.ChallengeTTL != 5*time.Minute || config.StepUpTTL != domain.StepUpTTL(10*time.Minute) || config.PasskeyLimit != 20 || config.ExternalKeys != nil || config.SMTP != nil ||
		config.Access != (domain.AccessPolicy{Issuer: "http://localhost:8080", Audience: "http://localhost:8080", TTL: 5 * time.Minute}) ||
		config.Rotation != (domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 720 * time.Hour, TokenTTL: 5 * time.Minute}) || config.LogLevel != slog.LevelInfo || config.LogFormat != LogAuto {
		t.Errorf("%+v", config)
	}
}

func TestLoad_DerivesFromPublicURL(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		url, id  string
		origins  []string
	}{
		"public host":           {[]string{"PUBLIC_URL=https://id.example.org/"}, "https://id.example.org", "id.example.org", nil},
		"upper case, port 443":  {[]string{"PUBLIC_URL=HTTPS://ID.example.ORG:443"}, "https://id.example.org", "id.example.org", nil},
		"RP ID, parent domain":  {[]string{"PUBLIC_URL=https://id.example.org", "RP_ID=example.org"}, "https://id.example.org", "example.org", nil},
		"https, port 0443":      {[]string{"PUBLIC_URL=https://id.example.org:0443"}, "https://id.example.org", "id.example.org", nil},
		"port 80 of LISTEN":     {[]string{"LISTEN=127.0.0.1:80"}, "http://localhost", "localhost", nil},
		"zeros in LISTEN":       {[]string{"LISTEN=127.0.0.1:08081"}, "http://localhost:8081", "localhost", nil},
		"http, port 80":         {[]string{"PUBLIC_URL=http://localhost:80"}, "http://localhost", "localhost", nil},
		"localhost subdomain":   {[]string{"PUBLIC_URL=http://id.localhost:8080"}, "http://id.localhost:8080", "id.localhost", nil},
		"one label":             {[]string{"PUBLIC_URL=https://myserver"}, "https://myserver", "myserver", nil},
		"one label with a port": {[]string{"PUBLIC_URL=https://MyServer:8443", "RP_ID=myserver"}, "https://myserver:8443", "myserver", nil},
		"port from LISTEN":      {[]string{"LISTEN=:9999"}, "http://localhost:9999", "localhost", nil},
		"more origins": {
			[]string{"PUBLIC_URL=https://id.example.org", "ORIGINS=https://app.example.org, android:apk-key-hash:" + strings.Repeat("A", 43) + ",https://partner.example"},
			"https://id.example.org", "id.example.org",
			[]string{"https://app.example.org", "android:apk-key-hash:" + strings.Repeat("A", 43), "https://partner.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := load(t, c.settings...)
			if err != nil {
				t.Fatal(err)
			}
			if config.PublicURL != c.url || config.RPID != c.id || !slices.Equal(config.Origins, append([]string{c.url}, c.origins...)) {
				t.Errorf("%s, %s, %v", config.PublicURL, config.RPID, config.Origins)
			}
		})
	}
}

// Requirement: NIST-2.2.3
func TestLoad_ReadsEverySetting(t *testing.T) {
	secret, previous := settings.FirstSecret, settings.SecondSecret
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "LISTEN=:9999", "RP_ID=example.org", "RP_NAME="+strings.Repeat("x", 64),
		"ORIGINS= https://app.example.org ,,https://app.example.org,https://app.example.org:3000", "TRUSTED_PROXIES=10.0.0.7, ::ffff:10.0.0.8,10.1.2.3/16,fd00::1",
		"DATABASE_URL=sqlite:/var/lib//keylodge/./keylodge.db", "SECRET="+secret, "PREVIOUS_SECRETS="+previous+","+strings.Repeat("A", 43), "REGISTRATION=closed",
		"COUNTER_POLICY=suspend", "BACKUP_ELIGIBILITY_POLICY=accept-and-record", "SESSION_TTL=2h", "SESSION_IDLE_TTL=1h", "CHALLENGE_TTL=1h",
		"LOG_LEVEL=warn", "LOG_FORMAT=json")
	if err != nil {
		t.Fatal(err)
	}
	var proxies []string
	for _, proxy := range config.TrustedProxies {
		proxies = append(proxies, proxy.String())
	}
	if !slices.Equal(config.Origins, []string{"https://id.example.org", "https://app.example.org", "https://app.example.org:3000"}) ||
		!slices.Equal(proxies, []string{"10.0.0.7/32", "10.0.0.8/32", "10.1.0.0/16", "fd00::1/128"}) {
		t.Errorf("origins %v, proxies %v", config.Origins, proxies)
	}
	if config.PublicURL != "https://id.example.org" || config.Listen != ":9999" || config.RPID != "example.org" || config.RPName != strings.Repeat("x", 64) ||
		config.Database != SQLite("/var/lib/keylodge/keylodge.db") || config.Secret == nil || len(config.PreviousSecrets) != 2 ||
		config.Registration != domain.RegistrationClosed ||
		config.Use != (domain.UsePolicy{Counter: domain.CounterSuspend, BackupEligibility: domain.BackupEligibilityAcceptAndRecord}) ||
		config.Sessions != (domain.SessionLifetime{TTL: 2 * time.Hour, IdleTTL: time.Hour}) || config.ChallengeTTL != time.Hour ||
		config.LogLevel != slog.LevelWarn || config.LogFormat != LogJSON {
		t.Errorf("%+v", config)
	}
	for encoded, key := range map[string]masterkey.Key{secret: *config.Secret, previous: config.PreviousSecrets[0]} {
		want, err := masterkey.Parse(encoded)
		if err != nil || !reflect.DeepEqual(key, want) {
			t.Errorf("the secret has another value, %v", err)
		}
	}
}

// fingerprint is the SHA-256 of an app's certificate, as keytool prints it.
const fingerprint = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"

func TestLoad_WellKnown(t *testing.T) {
	const origins = "ORIGINS=android:apk-key-hash:ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8,android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	other := strings.Repeat("00:", 31) + "00"
	config, err := load(t, "PUBLIC_URL=https://id.example.org", origins, "APPLE_APPS=A1B2C3D4E5.org.example.app, A1B2C3D4E5.org.example.app-2",
		"ANDROID_APPS=org.example.app="+strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))+", org.example.app="+other+",org.example.app="+other+",org.example.two="+fingerprint,
		"CHANGE_PASSWORD_URL=/#account")
	if err != nil {
		t.Fatal(err)
	}
	if want := (httpapi.WellKnown{
		AndroidApps:    []httpapi.AndroidApp{{Package: "org.example.app", Fingerprints: []string{fingerprint, other}}, {Package: "org.example.two", Fingerprints: []string{fingerprint}}},
		AppleApps:      []string{"A1B2C3D4E5.org.example.app", "A1B2C3D4E5.org.example.app-2"},
		ChangePassword: "https://id.example.org/#account",
	}); !reflect.DeepEqual(config.WellKnown, want) {
		t.Errorf("got  %+v\nwant %+v", config.WellKnown, want)
	}
	if config, err = load(t, "CHANGE_PASSWORD_URL=https://example.org/account"); err != nil || config.WellKnown.ChangePassword != "https://example.org/account" {
		t.Errorf("%+v, %v", config.WellKnown, err)
	}
}

// Origins on the domain of the RP ID need no list. A public suffix is not a label.
// Requirement: ASVS-4.1.3
func TestRelatedOrigins(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "RP_ID=example.org", "ORIGINS=https://app.example.org,https://example.org:8443,https://notexample.org,"+
		"https://shop.example.co.uk,https://www.example.co.uk,android:apk-key-hash:"+strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	if got := config.RelatedOrigins(); !slices.Equal(got, []string{"https://notexample.org", "https://shop.example.co.uk", "https://www.example.co.uk"}) {
		t.Errorf("related origins: %v", got)
	}
	if got := config.RelatedLabels(); !slices.Equal(got, []string{"notexample", "example"}) {
		t.Errorf("labels: %v", got)
	}
}

func TestOwnsSubdomains(t *testing.T) {
	for address, owns := range map[string]bool{
		"https://id.example.org": true, "https://example.org": false, "https://id.example.co.uk": true, "https://example.co.uk": false,
		"https://ada.github.io": false, "http://localhost:8080": false, "https://id.example.org:8443": true,
	} {
		if (Config{PublicURL: address}).OwnsSubdomains() != owns {
			t.Errorf("%s: got %t", address, !owns)
		}
	}
}

// wantError loads settings, and requires one error: of this setting, with these texts, and without a secret.
func wantError(t *testing.T, lines []string, setting, problem, fix string) {
	t.Helper()
	_, err := load(t, lines...)
	var errs SettingErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Setting != "KEYLODGE_"+setting || errs[0].Fix == "" {
		t.Fatalf("got %v, want one error of %s", err, setting)
	}
	if !strings.Contains(errs[0].Problem, problem) || !strings.Contains(errs[0].Fix, fix) {
		t.Errorf("got %v\nwant %q and %q", err, problem, fix)
	}
	for _, secret := range []string{"hunter2", "horse", strings.Repeat("A", 20), settings.FirstSecret, settings.SecondSecret} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error contains a secret: %v", err)
		}
	}
}

func TestLoad_RejectsInvalidSettings(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for name, c := range map[string]struct {
		settings              []string
		setting, problem, fix string
	}{
		// Requirement: RFC8725-3.5
		"secret, too short":                   {[]string{"SECRET=" + short}, "SECRET", "31 bytes", "openssl rand -base64 32"},
		"RP ID without an origin on it":       {[]string{"PUBLIC_URL=https://id.example.org", "RP_ID=example.com"}, "RP_ID", "no origin of https://id.example.org is on the domain", "host of KEYLODGE_PUBLIC_URL"},
		"RP ID is a subdomain of the host":    {[]string{"PUBLIC_URL=https://example.org", "RP_ID=id.example.org"}, "RP_ID", "no origin of", "host of KEYLODGE_PUBLIC_URL"},
		"RP ID is a suffix, but not a domain": {[]string{"PUBLIC_URL=https://notexample.org", "RP_ID=example.org"}, "RP_ID", "no origin of", "host of KEYLODGE_PUBLIC_URL"},
		"RP ID with a scheme":                 {[]string{"PUBLIC_URL=https://example.org", "RP_ID=https://example.org"}, "RP_ID", "not a domain name", "without scheme and port"},
		"RP ID is a top-level domain":         {[]string{"PUBLIC_URL=https://example.org", "RP_ID=org"}, "RP_ID", "public suffix", "write example.org"},
		"RP ID is retired":                    {[]string{"RETIRED_RP_IDS=old.example.org,localhost"}, "RETIRED_RP_IDS", `"localhost" is the RP ID`, "remove it"},
		"retired RP ID with a scheme":         {[]string{"RETIRED_RP_IDS=https://old.example.org"}, "RETIRED_RP_IDS", "not a domain name", "separated by commas"},
		"public URL, http":                    {[]string{"PUBLIC_URL=http://id.example.org"}, "PUBLIC_URL", "localhost only", "use https://id.example.org"},
		"public URL, http, like localhost":    {[]string{"PUBLIC_URL=http://id.notlocalhost"}, "PUBLIC_URL", "localhost only", "use https://id.notlocalhost"},
		"public URL, IP address":              {[]string{"PUBLIC_URL=http://127.0.0.1:8080"}, "PUBLIC_URL", "IP address", "http://localhost"},
		"public URL with a path":              {[]string{"PUBLIC_URL=https://example.org/login"}, "PUBLIC_URL", "more than scheme, host and port", "https://id.example.org"},
		"public URL with a user name":         {[]string{"PUBLIC_URL=https://ada@example.org"}, "PUBLIC_URL", "more than scheme, host and port", "https://id.example.org"},
		"public URL with a query":             {[]string{"PUBLIC_URL=https://example.org?a=b"}, "PUBLIC_URL", "more than scheme, host and port", "https://id.example.org"},
		"public URL with a fragment":          {[]string{"PUBLIC_URL=https://example.org#a"}, "PUBLIC_URL", "more than scheme, host and port", "https://id.example.org"},
		"public URL, ftp":                     {[]string{"PUBLIC_URL=ftp://example.org"}, "PUBLIC_URL", `the scheme is "ftp"`, "use https://"},
		"public URL without a scheme":         {[]string{"PUBLIC_URL=example.org"}, "PUBLIC_URL", "not a web URL", "https://id.example.org"},
		"origin, http":                        {[]string{"ORIGINS=http://app.example.org"}, "ORIGINS", "localhost only", "use https://app.example.org"},
		"Android origin, too short":           {[]string{"ORIGINS=android:apk-key-hash:AAAA"}, "ORIGINS", "Android", "43 characters"},
		"secret, not base64":                  {[]string{"SECRET=correct horse battery staple!!!!!!!!"}, "SECRET", "the secret", "openssl rand -base64 32"},
		"previous secret, too short":          {[]string{"PREVIOUS_SECRETS=" + short}, "PREVIOUS_SECRETS", "number 1 has 31 bytes", "openssl rand -base64 32"},
		"second previous secret, too short":   {[]string{"PREVIOUS_SECRETS=" + strings.Repeat("A", 43) + "," + short}, "PREVIOUS_SECRETS", "number 2 has 31 bytes", "openssl rand -base64 32"},
		"unknown setting":                     {[]string{"PUBLIC_URI=https://example.org"}, "PUBLIC_URI", "no such setting", "KEYLODGE_PUBLIC_URL"},
		"database, unknown scheme":            {[]string{"DATABASE_URL=mysql://ada:hunter2@db/keylodge"}, "DATABASE_URL", `"mysql"`, "sqlite:"},
		"SQLite without a file":               {[]string{"DATABASE_URL=sqlite:"}, "DATABASE_URL", "contains no file name", "sqlite:FILE"},
		"SQLite with a directory":             {[]string{"DATABASE_URL=sqlite:/var/lib/"}, "DATABASE_URL", "contains no file name", "sqlite:FILE"},
		"PostgreSQL, invalid URL":             {[]string{"DATABASE_URL=postgres://ada:hunter2%zz@db/keylodge", "SECRET=" + settings.FirstSecret}, "DATABASE_URL", "", "postgres://user:password@host"},
		"PostgreSQL, invalid TLS mode":        {[]string{"DATABASE_URL=postgres://ada:hunter2@db/keylodge?sslmode=odd", "SECRET=" + settings.FirstSecret}, "DATABASE_URL", "sslmode", ""},
		"listen without a host":               {[]string{"LISTEN=8080"}, "LISTEN", "not host:port", "127.0.0.1:8080"},
		"listen with a port name":             {[]string{"LISTEN=127.0.0.1:http"}, "LISTEN", "not host:port", "127.0.0.1:8080"},
		"listen with a port above 65535":      {[]string{"LISTEN=:99999"}, "LISTEN", "not host:port", "127.0.0.1:8080"},
		"operations listen without a host":    {[]string{"OPS_LISTEN=9090"}, "OPS_LISTEN", "not host:port", "127.0.0.1:8080"},
		"duration without a unit":             {[]string{"CHALLENGE_TTL=300"}, "CHALLENGE_TTL", `"300" is not a duration`, "90s"},
		"challenge TTL, too short":            {[]string{"CHALLENGE_TTL=1s"}, "CHALLENGE_TTL", "out of range", "from 30s to 1h"},
		"challenge TTL, too long":             {[]string{"CHALLENGE_TTL=61m"}, "CHALLENGE_TTL", "out of range", "from 30s to 1h"},
		"idle TTL of 0":                       {[]string{"SESSION_IDLE_TTL=0s"}, "SESSION_IDLE_TTL", "out of range", "from 5m to"},
		"session TTL of 0":                    {[]string{"SESSION_TTL=0s"}, "SESSION_TTL", "out of range", "from 5m to"},
		"session TTL, too long":               {[]string{"SESSION_TTL=9000h"}, "SESSION_TTL", "out of range", "to 8760h"},
		"unknown counter policy":              {[]string{"COUNTER_POLICY=ignore"}, "COUNTER_POLICY", `"ignore"`, "reject or flag or suspend"},
		"unknown backup eligibility policy":   {[]string{"BACKUP_ELIGIBILITY_POLICY=accept"}, "BACKUP_ELIGIBILITY_POLICY", `"accept"`, "accept-and-record"},
		"unknown registration policy":         {[]string{"REGISTRATION=maybe"}, "REGISTRATION", `"maybe"`, "open or invite or closed"},
		"unknown log level":                   {[]string{"LOG_LEVEL=loud"}, "LOG_LEVEL", `"loud"`, "debug, info, warn or error"},
		"unknown log format":                  {[]string{"LOG_FORMAT=xml"}, "LOG_FORMAT", `"xml"`, "text or json"},
		"proxy by name":                       {[]string{"TRUSTED_PROXIES=10.0.0.0/8,proxy"}, "TRUSTED_PROXIES", `"proxy"`, "10.0.0.7,10.1.0.0/16"},
		"RP name, too long":                   {[]string{"RP_NAME=" + strings.Repeat("x", 65)}, "RP_NAME", "64 characters", "short name"},
		"Android app without a fingerprint":   {[]string{"ANDROID_APPS=org.example.app"}, "ANDROID_APPS", "no SHA-256 fingerprint", "keytool -list -v"},
		"Android app, half a fingerprint":     {[]string{"ANDROID_APPS=org.example.app=00:11"}, "ANDROID_APPS", "no SHA-256 fingerprint", "keytool -list -v"},
		"Android app, no package name":        {[]string{"ANDROID_APPS=app=" + fingerprint}, "ANDROID_APPS", "package name", "PACKAGE=FINGERPRINT"},
		"Android app without its origin":      {[]string{"ANDROID_APPS=org.example.app=" + fingerprint}, "ANDROID_APPS", "origin is not allowed", "add android:apk-key-hash:ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8 to KEYLODGE_ORIGINS"},
		"Apple app without a team":            {[]string{"APPLE_APPS=org.example.app"}, "APPLE_APPS", "not the id of an app", "TEAMID.BUNDLE"},
		"Apple team without an app":           {[]string{"APPLE_APPS=A1B2C3D4E5"}, "APPLE_APPS", "not the id of an app", "TEAMID.BUNDLE"},
		"password page, http":                 {[]string{"CHANGE_PASSWORD_URL=http://example.org/account"}, "CHANGE_PASSWORD_URL", "not https", "https URL of a page"},
		"password page, relative path":        {[]string{"CHANGE_PASSWORD_URL=account"}, "CHANGE_PASSWORD_URL", "not a web URL", "or / for the page of this server"},
		"password page without a scheme":      {[]string{"CHANGE_PASSWORD_URL=//evil.example/"}, "CHANGE_PASSWORD_URL", "not https", "https URL of a page"},
		"password page with a user name":      {[]string{"CHANGE_PASSWORD_URL=https://ada@example.org/"}, "CHANGE_PASSWORD_URL", "not a web URL", "https URL of a page"},
		"password page that redirects to it":  {[]string{"CHANGE_PASSWORD_URL=/.well-known/./change-password"}, "CHANGE_PASSWORD_URL", "redirects to itself", "https URL of a page"},
		"password page, wildcard":             {[]string{"CHANGE_PASSWORD_URL=https://*.example.org/account"}, "CHANGE_PASSWORD_URL", "no wildcard", "https URL of a page"},
		"password page, port":                 {[]string{"CHANGE_PASSWORD_URL=https://example.org:99999/account"}, "CHANGE_PASSWORD_URL", `"99999" is not a port`, "https URL of a page"},
		"password page, javascript":           {[]string{"CHANGE_PASSWORD_URL=javascript:alert(1)"}, "CHANGE_PASSWORD_URL", "not a web URL", "https URL of a page"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.settings, c.setting, c.problem, c.fix) })
	}
}

func TestLoad_ReportsAllErrors(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=http://id.example.org", "SECRET=AAAA", "NONSENSE=1", "SESSION_TTL=soon", "LOG_LEVEL=loud")
	var errs SettingErrors
	if !errors.As(err, &errs) || len(errs) != 5 || !reflect.DeepEqual(config, Config{}) {
		t.Errorf("got %+v, %v", config, err)
	}
}

func TestLoad_EmptySettingIsUnset(t *testing.T) {
	var empty []string
	for _, name := range settingNames() {
		empty = append(empty, strings.TrimPrefix(name, "KEYLODGE_")+"=")
	}
	config, err := load(t, empty...)
	if config.OpsListen != "" {
		t.Errorf("empty KEYLODGE_OPS_LISTEN: got %q, want it disabled", config.OpsListen)
	}
	if err != nil || config.PublicURL != "http://localhost:8080" || config.Database != SQLite("keylodge.db") {
		t.Errorf("%+v, %v", config, err)
	}
}

func TestLoad_DotenvErrorsRevealNoSecret(t *testing.T) {
	if _, err := load(t); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"KEYLODGE_SECRET=\"hunter2", "KEYLODGE_RP_NAME x\nKEYLODGE_SECRET=hunter2\n"} {
		if err := os.WriteFile(".env", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), ".env") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoad_EnvironmentOverridesDotenv(t *testing.T) {
	_, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(".env", []byte("KEYLODGE_RP_NAME=From the file\nKEYLODGE_LISTEN=127.0.0.1:1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYLODGE_RP_NAME", "From the environment")
	t.Cleanup(func() { _ = os.Unsetenv("KEYLODGE_LISTEN") })
	config, err := Load()
	if err != nil || config.RPName != "From the environment" || config.Listen != "127.0.0.1:1234" {
		t.Errorf("%q, %q, %v", config.RPName, config.Listen, err)
	}
}

func TestLoad_RejectsMalformedDotenv(t *testing.T) {
	if _, err := load(t); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(".env", []byte("KEYLODGE_RP_NAME='unclosed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load()
	var errs SettingErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Setting != ".env" {
		t.Errorf("got %v", err)
	}
}

// The reference and .env.example describe every setting.
func TestSettingsAreDocumented(t *testing.T) {
	for file, mark := range map[string]string{"docs/reference/settings.md": "| `KEYLODGE_%` |", ".env.example": "# KEYLODGE_%="} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range settingNames() {
			if line := strings.Replace(mark, "%", strings.TrimPrefix(name, "KEYLODGE_"), 1); !strings.Contains(string(text), line) {
				t.Errorf("%s does not explain %s", file, name)
			}
		}
	}
}
