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

	"github.com/keylodge/keylodge/acceptance/settings"
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
		config.OpsListen != "127.0.0.1:9090" || config.OpsListenSet || config.Database != SQLite("keylodge.db") || config.Secret != nil || config.RPName != "Keylodge" ||
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
		"a public name":         {[]string{"PUBLIC_URL=https://id.example.org/"}, "https://id.example.org", "id.example.org", nil},
		"in capitals, with 443": {[]string{"PUBLIC_URL=HTTPS://ID.example.ORG:443"}, "https://id.example.org", "id.example.org", nil},
		"a parent domain":       {[]string{"PUBLIC_URL=https://id.example.org", "RP_ID=example.org"}, "https://id.example.org", "example.org", nil},
		"in plain, with 80":     {[]string{"PUBLIC_URL=http://localhost:80"}, "http://localhost", "localhost", nil},
		"a name below here":     {[]string{"PUBLIC_URL=http://id.localhost:8080"}, "http://id.localhost:8080", "id.localhost", nil},
		"a name of one label":   {[]string{"PUBLIC_URL=https://myserver"}, "https://myserver", "myserver", nil},
		"one, with a port":      {[]string{"PUBLIC_URL=https://MyServer:8443", "RP_ID=myserver"}, "https://myserver:8443", "myserver", nil},
		"a port of its own":     {[]string{"LISTEN=:9999"}, "http://localhost:9999", "localhost", nil},
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

func TestLoad_ReadsEverySetting(t *testing.T) {
	secret, former := settings.FirstSecret, settings.SecondSecret
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "LISTEN=:9999", "RP_ID=example.org", "RP_NAME="+strings.Repeat("x", 64),
		"ORIGINS= https://app.example.org ,,https://app.example.org,https://app.example.org:3000", "TRUSTED_PROXIES=10.0.0.7, ::ffff:10.0.0.8,10.1.2.3/16,fd00::1",
		"DATABASE_URL=sqlite:/var/lib//keylodge/./keylodge.db", "SECRET="+secret, "PREVIOUS_SECRETS="+former+","+strings.Repeat("A", 43), "REGISTRATION=closed",
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
	for encoded, key := range map[string]masterkey.Key{secret: *config.Secret, former: config.PreviousSecrets[0]} {
		want, err := masterkey.Parse(encoded)
		if err != nil || !reflect.DeepEqual(key, want) {
			t.Errorf("a secret became another one, %v", err)
		}
	}
}

// fingerprint is the SHA-256 of an app's certificate, as keytool shows it.
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

// A list of related origins is for those that need one; a public suffix is no name of anybody's.
func TestRelatedOrigins(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "RP_ID=example.org", "ORIGINS=https://app.example.org,https://example.org:8443,https://notexample.org,"+
		"https://shop.example.co.uk,https://www.example.co.uk,android:apk-key-hash:"+strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	if got := config.RelatedOrigins(); !slices.Equal(got, []string{"https://notexample.org", "https://shop.example.co.uk", "https://www.example.co.uk"}) {
		t.Errorf("related are %v", got)
	}
	if got := config.RelatedLabels(); !slices.Equal(got, []string{"notexample", "example"}) {
		t.Errorf("their names are %v", got)
	}
}

func TestOwnsSubdomains(t *testing.T) {
	for address, owns := range map[string]bool{
		"https://id.example.org": true, "https://example.org": false, "https://id.example.co.uk": true, "https://example.co.uk": false,
		"https://ada.github.io": false, "http://localhost:8080": false, "https://id.example.org:8443": true,
	} {
		if (Config{PublicURL: address}).OwnsSubdomains() != owns {
			t.Errorf("%s: %t", address, !owns)
		}
	}
}

func TestLoad_RejectsInvalidSettings(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for name, c := range map[string]struct {
		settings []string
		setting  string // that must be named
		says     string
	}{
		"an RP id that no origin belongs to": {[]string{"PUBLIC_URL=https://id.example.org", "RP_ID=example.com"}, "RP_ID", "no origin belongs to"},
		"an RP id below the address":         {[]string{"PUBLIC_URL=https://example.org", "RP_ID=id.example.org"}, "RP_ID", "no origin belongs to"},
		"an RP id that only ends alike":      {[]string{"PUBLIC_URL=https://notexample.org", "RP_ID=example.org"}, "RP_ID", "no origin belongs to"},
		"an RP id with a scheme":             {[]string{"PUBLIC_URL=https://example.org", "RP_ID=https://example.org"}, "RP_ID", "not a domain name"},
		"an RP id that is a whole TLD":       {[]string{"PUBLIC_URL=https://example.org", "RP_ID=org"}, "RP_ID", "public suffix"},
		"its own RP id, retired":             {[]string{"RETIRED_RP_IDS=old.example.org,localhost"}, "RETIRED_RP_IDS", "take it out"},
		"retired, but no RP id":              {[]string{"RETIRED_RP_IDS=https://old.example.org"}, "RETIRED_RP_IDS", "separated by commas"},
		"http on a public host":              {[]string{"PUBLIC_URL=http://id.example.org"}, "PUBLIC_URL", "use https://id.example.org"},
		"http for another origin":            {[]string{"ORIGINS=http://app.example.org"}, "ORIGINS", "use https://app.example.org"},
		"an IP address":                      {[]string{"PUBLIC_URL=http://127.0.0.1:8080"}, "PUBLIC_URL", "http://localhost"},
		"an address with a path":             {[]string{"PUBLIC_URL=https://example.org/login"}, "PUBLIC_URL", "more than scheme, host and port"},
		"an address with a name in it":       {[]string{"PUBLIC_URL=https://ada@example.org"}, "PUBLIC_URL", "more than scheme, host and port"},
		"an address with a query":            {[]string{"PUBLIC_URL=https://example.org?a=b"}, "PUBLIC_URL", "more than scheme, host and port"},
		"an address with a fragment":         {[]string{"PUBLIC_URL=https://example.org#a"}, "PUBLIC_URL", "more than scheme, host and port"},
		"an address of another scheme":       {[]string{"PUBLIC_URL=ftp://example.org"}, "PUBLIC_URL", `begins with "ftp"`},
		"http on a host that ends alike":     {[]string{"PUBLIC_URL=http://id.notlocalhost"}, "PUBLIC_URL", "use https://id.notlocalhost"},
		"no address":                         {[]string{"PUBLIC_URL=example.org"}, "PUBLIC_URL", "not a web address"},
		"an origin with a slash":             {[]string{"ORIGINS=https://app.example.org/"}, "ORIGINS", "write https://app.example.org\n"},
		"an origin in capitals":              {[]string{"ORIGINS=https://App.example.org"}, "ORIGINS", "write https://app.example.org\n"},
		"an origin with its scheme's port":   {[]string{"ORIGINS=https://app.example.org:443"}, "ORIGINS", "write https://app.example.org\n"},
		"an app's origin cut short":          {[]string{"ORIGINS=android:apk-key-hash:AAAA"}, "ORIGINS", "43 characters"},
		"a secret that is too short":         {[]string{"SECRET=" + short}, "SECRET", "31 bytes"},
		"a secret that is no base64":         {[]string{"SECRET=correct horse battery staple!!!!!!!!"}, "SECRET", "openssl rand -base64 32"},
		"a former secret that is too short":  {[]string{"PREVIOUS_SECRETS=" + short}, "PREVIOUS_SECRETS", "31 bytes"},
		"a misspelt name":                    {[]string{"PUBLIC_URI=https://example.org"}, "PUBLIC_URI", "KEYLODGE_PUBLIC_URL"},
		"a database that is not":             {[]string{"DATABASE_URL=mysql://ada:hunter2@db/keylodge"}, "DATABASE_URL", "sqlite:"},
		"a database without a file":          {[]string{"DATABASE_URL=sqlite:"}, "DATABASE_URL", "names no file"},
		"a server's database in no URL":      {[]string{"DATABASE_URL=postgres://ada:hunter2%zz@db/keylodge", "SECRET=" + settings.FirstSecret}, "DATABASE_URL", "postgres://user:password@host"},
		"a server's database in odd TLS":     {[]string{"DATABASE_URL=postgres://ada:hunter2@db/keylodge?sslmode=odd", "SECRET=" + settings.FirstSecret}, "DATABASE_URL", "sslmode"},
		"a database that is a folder":        {[]string{"DATABASE_URL=sqlite:/var/lib/"}, "DATABASE_URL", "names no file"},
		"an address to listen on that isn't": {[]string{"LISTEN=8080"}, "LISTEN", "host:port"},
		"an idle time beyond the end":        {[]string{"SESSION_TTL=1h", "SESSION_IDLE_TTL=2h"}, "SESSION_IDLE_TTL", "never matter"},
		"a time without a unit":              {[]string{"CHALLENGE_TTL=300"}, "CHALLENGE_TTL", "90s"},
		"a time out of range":                {[]string{"CHALLENGE_TTL=1s"}, "CHALLENGE_TTL", "from 30s to 1h\n"},
		"a time that is too long":            {[]string{"CHALLENGE_TTL=61m"}, "CHALLENGE_TTL", "from 30s to 1h"},
		"an idle time of nothing":            {[]string{"SESSION_IDLE_TTL=0s"}, "SESSION_IDLE_TTL", "from 5m to"},
		"a session of nothing":               {[]string{"SESSION_TTL=0s"}, "SESSION_TTL", "from 5m to"},
		"a session of years":                 {[]string{"SESSION_TTL=9000h"}, "SESSION_TTL", "to 8760h"},
		"a policy that is not":               {[]string{"COUNTER_POLICY=ignore"}, "COUNTER_POLICY", "reject or flag or suspend"},
		"another policy that is not":         {[]string{"BACKUP_ELIGIBILITY_POLICY=accept"}, "BACKUP_ELIGIBILITY_POLICY", "accept-and-record"},
		"a registration that is not":         {[]string{"REGISTRATION=maybe"}, "REGISTRATION", "open or closed"},
		"a proxy that is not":                {[]string{"TRUSTED_PROXIES=10.0.0.0/8,proxy"}, "TRUSTED_PROXIES", `"proxy"`},
		"a level that is not":                {[]string{"LOG_LEVEL=loud"}, "LOG_LEVEL", "debug, info, warn or error"},
		"a format that is not":               {[]string{"LOG_FORMAT=xml"}, "LOG_FORMAT", "text or json"},
		"a name that is too long":            {[]string{"RP_NAME=" + strings.Repeat("x", 65)}, "RP_NAME", "64 bytes"},
		"an operator's address that isn't":   {[]string{"OPS_LISTEN=9090"}, "OPS_LISTEN", "host:port"},
		"a port that is not":                 {[]string{"LISTEN=127.0.0.1:http"}, "LISTEN", "host:port"},
		"a port that cannot be":              {[]string{"LISTEN=:99999"}, "LISTEN", "host:port"},
		"an app without a certificate":       {[]string{"ANDROID_APPS=org.example.app"}, "ANDROID_APPS", "no SHA-256 fingerprint"},
		"an app with half a certificate":     {[]string{"ANDROID_APPS=org.example.app=00:11"}, "ANDROID_APPS", "keytool -list -v"},
		"an app that is no package":          {[]string{"ANDROID_APPS=app=" + fingerprint}, "ANDROID_APPS", "PACKAGE=FINGERPRINT"},
		"an app whose origin may not call":   {[]string{"ANDROID_APPS=org.example.app=" + fingerprint}, "ANDROID_APPS", "add android:apk-key-hash:ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8 to KEYLODGE_ORIGINS"},
		"an app of Apple's without a team":   {[]string{"APPLE_APPS=org.example.app"}, "APPLE_APPS", "TEAMID.BUNDLE"},
		"a team without an app":              {[]string{"APPLE_APPS=A1B2C3D4E5"}, "APPLE_APPS", "TEAMID.BUNDLE"},
		"a page for passwords over http":     {[]string{"CHANGE_PASSWORD_URL=http://example.org/account"}, "CHANGE_PASSWORD_URL", "not https"},
		"a page for passwords without host":  {[]string{"CHANGE_PASSWORD_URL=account"}, "CHANGE_PASSWORD_URL", "or / for this server's own"},
		"a page for passwords elsewhere":     {[]string{"CHANGE_PASSWORD_URL=//evil.example/"}, "CHANGE_PASSWORD_URL", "not https"},
		"a page for passwords of Ada's":      {[]string{"CHANGE_PASSWORD_URL=https://ada@example.org/"}, "CHANGE_PASSWORD_URL", "not a web address"},
		"a script for passwords":             {[]string{"CHANGE_PASSWORD_URL=javascript:alert(1)"}, "CHANGE_PASSWORD_URL", "not a web address"},
		"the second of two former secrets":   {[]string{"PREVIOUS_SECRETS=" + strings.Repeat("A", 43) + "," + short}, "PREVIOUS_SECRETS", "number 2 has 31 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.settings...)
			var faults SettingErrors
			if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != "KEYLODGE_"+c.setting || faults[0].Fix == "" {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error()+"\n", c.says) {
				t.Errorf("%v\ndoes not say %q", err, c.says)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), short) {
				t.Errorf("a secret was told: %v", err)
			}
		})
	}
}

func TestLoad_ReportsAllErrors(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=http://id.example.org", "SECRET=AAAA", "NONSENSE=1", "SESSION_TTL=soon", "LOG_LEVEL=loud")
	var faults SettingErrors
	if !errors.As(err, &faults) || len(faults) != 5 || !reflect.DeepEqual(config, Config{}) {
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
		t.Errorf("an empty KEYLODGE_OPS_LISTEN turns it off, and it is %q", config.OpsListen)
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
	if err := os.WriteFile(".env", []byte("KEYLODGE_RP_NAME='never closed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load()
	var faults SettingErrors
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != ".env" {
		t.Errorf("got %v", err)
	}
}

// Every setting has its line in the README and in .env.example, and none has one that is not there.
func TestSettingsAreDocumented(t *testing.T) {
	for file, mark := range map[string]string{"README.md": "| `KEYLODGE_%` |", ".env.example": "# KEYLODGE_%="} {
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
