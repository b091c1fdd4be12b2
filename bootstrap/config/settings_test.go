package config

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
)

// Each row sets a value that has no effect, or another one than it seems to have. The error names the setting, shows the value or
// the problem, and the fix.
// Requirement: ASVS-3.4.1
func TestLoad_RejectsIneffectiveSettings(t *testing.T) {
	const (
		public  = "PUBLIC_URL=https://id.example.org"
		parent  = "RP_ID=example.org"
		digest  = "ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8"
		android = "android:apk-key-hash:"
	)
	weak := strings.Repeat("A", 43)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := settings.KeyFile(t, private)
	for name, c := range map[string]struct {
		settings              []string
		setting, problem, fix string
	}{
		// Origins that no browser sends.
		"a wildcard":                                  {[]string{public, parent, "ORIGINS=https://*.example.org"}, "ORIGINS", `"https://*.example.org"`, "list each origin"},
		"a wildcard for a port":                       {[]string{public, parent, "ORIGINS=https://app.example.org:*"}, "ORIGINS", "no wildcard", "list each origin"},
		"every origin":                                {[]string{public, "ORIGINS=*"}, "ORIGINS", `"*"`, "list each origin"},
		"null":                                        {[]string{public, "ORIGINS=null"}, "ORIGINS", `"null"`, "https URL"},
		"host only":                                   {[]string{public, parent, "ORIGINS=app.example.org"}, "ORIGINS", "not a web URL", "https://app.example.org"},
		"host and port only":                          {[]string{public, parent, "ORIGINS=app.example.org:8443"}, "ORIGINS", `"app.example.org:8443"`, "https://"},
		"no scheme":                                   {[]string{public, parent, "ORIGINS=//app.example.org"}, "ORIGINS", "not a web URL", "https://"},
		"a trailing slash":                            {[]string{public, parent, "ORIGINS=https://app.example.org/"}, "ORIGINS", `"https://app.example.org/"`, "write https://app.example.org"},
		"a path":                                      {[]string{public, parent, "ORIGINS=https://app.example.org/login"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"a query":                                     {[]string{public, parent, "ORIGINS=https://app.example.org?a=b"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"a fragment":                                  {[]string{public, parent, "ORIGINS=https://app.example.org#a"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"capitals in the host":                        {[]string{public, parent, "ORIGINS=https://App.Example.Org"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"capitals in the scheme":                      {[]string{public, parent, "ORIGINS=HTTPS://app.example.org"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"the default port of https":                   {[]string{public, parent, "ORIGINS=https://app.example.org:443"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"the default port of http":                    {[]string{"ORIGINS=http://app.localhost:80"}, "ORIGINS", "browsers write this origin differently", "write http://app.localhost"},
		"a port with a zero":                          {[]string{public, parent, "ORIGINS=https://app.example.org:08443"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org:8443"},
		"the default port with a zero":                {[]string{public, parent, "ORIGINS=https://app.example.org:0443"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"a colon without a port":                      {[]string{public, parent, "ORIGINS=https://app.example.org:"}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"a port beyond the last":                      {[]string{public, parent, "ORIGINS=https://app.example.org:65536"}, "ORIGINS", `"65536" is not a port`, "1 to 65535"},
		"a trailing dot":                              {[]string{public, parent, "ORIGINS=https://app.example.org."}, "ORIGINS", "browsers write this origin differently", "write https://app.example.org"},
		"non-ASCII host":                              {[]string{public, "ORIGINS=https://münchen.example"}, "ORIGINS", "browsers write this origin differently", "write https://xn--mnchen-3ya.example"},
		"percent-encoded non-ASCII host":              {[]string{public, "ORIGINS=https://m%C3%BCnchen.example"}, "ORIGINS", "browsers write this origin differently", "write https://xn--mnchen-3ya.example"},
		"percent-encoded ASCII host":                  {[]string{public, parent, "ORIGINS=https://%61pp.example.org"}, "ORIGINS", `"https://%61pp.example.org"`, "https://app.example.org"},
		"spaces inside":                               {[]string{public, parent, "ORIGINS=https://app .example.org"}, "ORIGINS", "not a web URL", "https://app.example.org"},
		"two, separated by a space":                   {[]string{public, parent, "ORIGINS=https://a.example.org https://b.example.org"}, "ORIGINS", "not a web URL", "https://"},
		"two, separated by a semicolon":               {[]string{public, parent, "ORIGINS=https://a.example.org;https://b.example.org"}, "ORIGINS", "https://a.example.org;", "https://"},
		"in quotes":                                   {[]string{public, parent, `ORIGINS="https://app.example.org"`}, "ORIGINS", "in quotes", "without quotes"},
		"an invalid Punycode label":                   {[]string{public, parent, "ORIGINS=https://xn--a.example.org"}, "ORIGINS", `"xn--a.example.org" is not a host name`, "https://app.example.org"},
		"Punycode of a character that is mapped":      {[]string{public, parent, "ORIGINS=https://xn--mnchen-9na.example.org"}, "ORIGINS", "is not a host name", "https://app.example.org"},
		"an IPv4 address":                             {[]string{public, "ORIGINS=https://192.0.2.7"}, "ORIGINS", "IP address", "use a domain name"},
		"a short IPv4 address":                        {[]string{public, "ORIGINS=https://127.1:8443"}, "ORIGINS", "IP address", "use a domain name"},
		"a hexadecimal IPv4 address":                  {[]string{public, "ORIGINS=https://0x7f000001"}, "ORIGINS", "IP address", "use a domain name"},
		"a loopback address":                          {[]string{"ORIGINS=http://127.0.0.1:3000"}, "ORIGINS", "IP address", "http://localhost"},
		"an IPv6 address":                             {[]string{public, "ORIGINS=https://[2001:DB8::7]"}, "ORIGINS", "IP address", "use a domain name"},
		"an IPv6 address in full":                     {[]string{public, "ORIGINS=https://[0:0:0:0:0:0:0:1]:8443"}, "ORIGINS", "IP address", "use a domain name"},
		"plain http":                                  {[]string{public, parent, "ORIGINS=http://app.example.org:8080"}, "ORIGINS", "localhost only", "use https://app.example.org:8080"},
		"a WebSocket URL":                             {[]string{public, parent, "ORIGINS=wss://app.example.org"}, "ORIGINS", `scheme is "wss"`, "https://"},
		"a file URL":                                  {[]string{public, "ORIGINS=file:///app/index.html"}, "ORIGINS", "not a web URL", "https://"},
		"an extension among pages":                    {[]string{public, "ORIGINS=chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, "ORIGINS", `"chrome-extension"`, "KEYLODGE_APP_ORIGINS"},
		"a web view among pages":                      {[]string{public, "ORIGINS=capacitor://localhost"}, "ORIGINS", `"capacitor"`, "KEYLODGE_APP_ORIGINS"},
		"an Android hash with padding":                {[]string{public, "ORIGINS=" + android + digest + "="}, "ORIGINS", digest + "=", "write " + android + digest},
		"an Android hash in base64":                   {[]string{public, "ORIGINS=" + android + strings.ReplaceAll(digest, "_", "/")}, "ORIGINS", "Android writes the origin of an app differently", "write " + android + digest},
		"an Android hash with colons":                 {[]string{public, "ORIGINS=" + android + fingerprint}, "ORIGINS", "Android writes the origin of an app differently", "write " + android + digest},
		"an Android hash in hexadecimal":              {[]string{public, "ORIGINS=" + android + strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))}, "ORIGINS", "Android writes the origin of an app differently", "write " + android + digest},
		"an Android hash with non-zero trailing bits": {[]string{public, "ORIGINS=" + android + digest[:42] + "9"}, "ORIGINS", "Android writes the origin of an app differently", "write " + android + digest},
		"an Android hash of SHA-1":                    {[]string{public, "ORIGINS=" + android + strings.Repeat("B", 27)}, "ORIGINS", "Android writes the origin of an app differently", "SHA-256"},
		"an Android hash in capitals":                 {[]string{public, "ORIGINS=android:APK-KEY-HASH:" + digest}, "ORIGINS", "Android writes the origin of an app differently", "android:apk-key-hash:"},
		"an Android package":                          {[]string{public, "ORIGINS=android:org.example.app"}, "ORIGINS", "Android writes the origin of an app differently", "SHA-256"},
		"another site of one label":                   {[]string{public, "ORIGINS=https://intranet"}, "ORIGINS", `"https://intranet"`, "a separate Keylodge"},
		"a public suffix":                             {[]string{public, "ORIGINS=https://github.io"}, "ORIGINS", "browsers do not accept it as a related origin", "KEYLODGE_APP_ORIGINS"},
		"localhost, RP ID elsewhere":                  {[]string{public, "ORIGINS=http://localhost:3000"}, "ORIGINS", "not on id.example.org or a subdomain", "KEYLODGE_APP_ORIGINS"},
		"an Apple app without its origin":             {[]string{public, parent, "APPLE_APPS=A1B2C3D4E5.org.example.app"}, "APPLE_APPS", "A1B2C3D4E5.org.example.app", "add https://example.org to KEYLODGE_ORIGINS"},
		"an Apple app, public URL with a port":        {[]string{"PUBLIC_URL=https://example.org:8443", "APPLE_APPS=A1B2C3D4E5.org.example.app"}, "APPLE_APPS", "is not allowed", "add https://example.org to KEYLODGE_ORIGINS"},

		// Origins of apps.
		"a website among apps":            {[]string{"APP_ORIGINS=https://app.example.org"}, "APP_ORIGINS", `"https://app.example.org"`, "KEYLODGE_ORIGINS"},
		"the public URL among apps":       {[]string{"APP_ORIGINS=http://localhost:8080"}, "APP_ORIGINS", "with cookies", "remove it here"},
		"an app with a slash":             {[]string{"APP_ORIGINS=capacitor://localhost/"}, "APP_ORIGINS", `"capacitor://localhost/"`, "capacitor://localhost"},
		"an app with a path":              {[]string{"APP_ORIGINS=app://bundle/index.html"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"an app without a host":           {[]string{"APP_ORIGINS=app://"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"an app with a wildcard":          {[]string{"APP_ORIGINS=capacitor://*"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"an app in capitals":              {[]string{"APP_ORIGINS=Capacitor://localhost"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"an app on port 65536":            {[]string{"APP_ORIGINS=capacitor://localhost:65536"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"a web view in capitals":          {[]string{"APP_ORIGINS=https://Tauri.localhost"}, "APP_ORIGINS", "browsers write this origin differently", "write https://tauri.localhost"},
		"a file among apps":               {[]string{"APP_ORIGINS=file://localhost"}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"null among apps":                 {[]string{"APP_ORIGINS=null"}, "APP_ORIGINS", `"null"`, "capacitor://localhost"},
		"an Android app among web views":  {[]string{"APP_ORIGINS=" + android + digest}, "APP_ORIGINS", "not the origin of an app", "capacitor://localhost"},
		"an extension with a wildcard":    {[]string{"APP_ORIGINS=chrome-extension://*"}, "APP_ORIGINS", "origin of an extension", "32 characters"},
		"an extension by a short id":      {[]string{"APP_ORIGINS=chrome-extension://abcdefghijklmnop"}, "APP_ORIGINS", "origin of an extension", "32 characters"},
		"an extension with an invalid id": {[]string{"APP_ORIGINS=chrome-extension://abcdefghijklmnopabcdefghijklmnoq"}, "APP_ORIGINS", "origin of an extension", "32 characters"},
		"a Firefox extension by name":     {[]string{"APP_ORIGINS=moz-extension://ada@example.org"}, "APP_ORIGINS", "origin of an extension", "moz-extension://"},

		// The RP ID and the public URL.
		"a non-ASCII public URL":             {[]string{"PUBLIC_URL=https://münchen.example"}, "PUBLIC_URL", `"https://münchen.example"`, "write https://xn--mnchen-3ya.example"},
		"a public URL, invalid Punycode":     {[]string{"PUBLIC_URL=https://xn--zz.example.org"}, "PUBLIC_URL", `"xn--zz.example.org" is not a host name`, "https://id.example.org"},
		"a public URL with a trailing dot":   {[]string{"PUBLIC_URL=https://id.example.org."}, "PUBLIC_URL", "browsers write this origin differently", "write https://id.example.org"},
		"a public URL with a wildcard":       {[]string{"PUBLIC_URL=https://*.example.org"}, "PUBLIC_URL", "no wildcard", "https://a.example.org"},
		"a public URL, IPv6":                 {[]string{"PUBLIC_URL=https://[::1]:8443"}, "PUBLIC_URL", "IP address", "http://localhost"},
		"a public URL, short IPv4":           {[]string{"PUBLIC_URL=https://127.1"}, "PUBLIC_URL", "IP address", "use a domain name"},
		"a public URL, IPv4 as one number":   {[]string{"PUBLIC_URL=https://2130706433"}, "PUBLIC_URL", "IP address", "use a domain name"},
		"a host that cannot be an RP ID":     {[]string{"PUBLIC_URL=https://my_server.example.org"}, "PUBLIC_URL", `"my_server.example.org"`, "a to z, digits and hyphens"},
		"a public URL with port 0":           {[]string{"PUBLIC_URL=https://id.example.org:0"}, "PUBLIC_URL", `"0" is not a port`, "1 to 65535"},
		"one label over http":                {[]string{"PUBLIC_URL=http://myserver"}, "PUBLIC_URL", "localhost only", "use https://myserver"},
		"a password in the public URL":       {[]string{"PUBLIC_URL=https://ada:hunter2@id.example.org"}, "PUBLIC_URL", `"https://id.example.org"`, "for example"},
		"RP ID of one label above the host":  {[]string{"PUBLIC_URL=https://id.corp", "RP_ID=corp"}, "RP_ID", `"corp"`, "write id.corp"},
		"RP ID localhost above the host":     {[]string{"PUBLIC_URL=http://id.localhost:8080", "RP_ID=localhost"}, "RP_ID", "public suffix", "write id.localhost"},
		"RP ID, public suffix of two labels": {[]string{"PUBLIC_URL=https://example.co.uk", "RP_ID=co.uk"}, "RP_ID", `"co.uk"`, "write example.co.uk"},
		"RP ID, hosting service":             {[]string{"PUBLIC_URL=https://ada.github.io", "RP_ID=github.io"}, "RP_ID", "public suffix", "write ada.github.io"},
		"RP ID in capitals":                  {[]string{public, "RP_ID=Example.org"}, "RP_ID", `"Example.org"`, "lower-case"},
		"RP ID with a port":                  {[]string{public, "RP_ID=id.example.org:443"}, "RP_ID", "not a domain name", "without scheme and port"},
		"RP ID, IP address":                  {[]string{public, "RP_ID=192.0.2.7"}, "RP_ID", "not a domain name", "example.org"},
		"RP name without visible characters": {[]string{"RP_NAME=\u200b\u2060"}, "RP_NAME", `"\u200b\u2060"`, "name of the site"},
		"RP name with a line break":          {[]string{"RP_NAME=Ada\nBen"}, "RP_NAME", `"Ada\nBen"`, "name of the site"},

		// Secrets.
		"a secret of zeros":                      {[]string{"SECRET=" + weak}, "SECRET", "can be guessed", "openssl rand -base64 32"},
		"a secret of one character":              {[]string{"SECRET=" + strings.Repeat("k", 44)}, "SECRET", "can be guessed", "openssl rand -base64 32"},
		"a secret of words":                      {[]string{"SECRET=" + strings.Repeat("changeme", 6)}, "SECRET", "can be guessed", "openssl rand -base64 32"},
		"the current secret among previous ones": {[]string{"SECRET=" + settings.FirstSecret, "PREVIOUS_SECRETS=" + settings.SecondSecret + "," + strings.TrimRight(settings.FirstSecret, "=")}, "PREVIOUS_SECRETS", "number 2 equals KEYLODGE_SECRET", "remove it"},
		"a previous secret twice":                {[]string{"SECRET=" + settings.FirstSecret, "PREVIOUS_SECRETS=" + settings.SecondSecret + "," + settings.SecondSecret}, "PREVIOUS_SECRETS", "number 2 is a duplicate", "remove it"},
		"a key file and an algorithm":            {[]string{"JWT_KEY_FILE=" + keyFile, "JWT_ALGORITHM=EdDSA"}, "JWT_ALGORITHM", "EdDSA has no effect with KEYLODGE_JWT_KEY_FILE", "remove one"},
		"a key file and the default algorithm":   {[]string{"JWT_KEY_FILE=" + keyFile, "JWT_ALGORITHM=ES256"}, "JWT_ALGORITHM", "ES256 has no effect", "remove one"},
		"a key file and a rotation interval":     {[]string{"JWT_KEY_FILE=" + keyFile, "JWT_ROTATION_INTERVAL=48h"}, "JWT_ROTATION_INTERVAL", "48h has no effect", "remove one"},
		"several audiences":                      {[]string{"JWT_AUDIENCE=https://a.example.org,https://b.example.org"}, "JWT_AUDIENCE", "a token has one", "without commas"},
		"two audiences and a semicolon":          {[]string{"JWT_AUDIENCE=a;b"}, "JWT_AUDIENCE", `"a;b"`, "without commas"},
		"an audience with a no-break space":      {[]string{"JWT_AUDIENCE=a\u00a0b"}, "JWT_AUDIENCE", `"a\u00a0b"`, "spaces"},
		"an audience with a control character":   {[]string{"JWT_AUDIENCE=a\x1bb"}, "JWT_AUDIENCE", `"a\x1bb"`, "without commas"},
		"an algorithm in lower case":             {[]string{"JWT_ALGORITHM=es256"}, "JWT_ALGORITHM", `"es256"`, "ES256 or EdDSA"},
		"a registration in capitals":             {[]string{"REGISTRATION=Closed"}, "REGISTRATION", `"Closed"`, "open or invite or closed"},
		"rate limits true":                       {[]string{"RATE_LIMITS=true"}, "RATE_LIMITS", `"true"`, "on, off"},
		"rate limits without a limit":            {[]string{"RATE_LIMITS=,"}, "RATE_LIMITS", `","`, "on, off"},
		"a limit twice":                          {[]string{"RATE_LIMITS=login=1/1m, login=2/1m"}, "RATE_LIMITS", `"login" is set twice`, "remove one"},
		"Redis without limits":                   {[]string{"RATE_LIMITS=off", "RATE_LIMIT_URL=redis://127.0.0.1"}, "RATE_LIMIT_URL", "has no effect", "enable a limit"},
		"step-up longer than the session":        {[]string{"SESSION_TTL=1h", "STEP_UP_TTL=2h"}, "STEP_UP_TTL", "2h is longer than KEYLODGE_SESSION_TTL (1h)", "reduce it"},
		"token longer than the session":          {[]string{"SESSION_TTL=30m", "ACCESS_TOKEN_TTL=45m"}, "ACCESS_TOKEN_TTL", "45m is longer", "reduce it"},
		"idle TTL longer than the session":       {[]string{"SESSION_TTL=1h", "SESSION_IDLE_TTL=2h"}, "SESSION_IDLE_TTL", "2h is longer", "reduce it"},
		"a negative duration":                    {[]string{"CHALLENGE_TTL=-5m"}, "CHALLENGE_TTL", "-5m is out of range", "from 30s to 1h"},
		"a duration that overflows":              {[]string{"SESSION_TTL=9999999999h"}, "SESSION_TTL", `"9999999999h"`, "720h"},
		"a duration in days":                     {[]string{"SESSION_TTL=30d"}, "SESSION_TTL", `"30d"`, "720h"},
		"a fraction of a second":                 {[]string{"ACCESS_TOKEN_TTL=90.5s"}, "ACCESS_TOKEN_TTL", "90.5s is not in whole seconds", "whole seconds"},
		"a number in words":                      {[]string{"MAX_PASSKEYS=ten"}, "MAX_PASSKEYS", `"ten"`, "1 to 100"},
		"no passkeys":                            {[]string{"MAX_PASSKEYS=0"}, "MAX_PASSKEYS", "0 is out of range", "1 to 100"},
		"a negative port":                        {[]string{"LISTEN=127.0.0.1:-1"}, "LISTEN", `"127.0.0.1:-1" is not host:port`, "127.0.0.1:8080"},
		"a proxy with a zone":                    {[]string{"TRUSTED_PROXIES=fe80::1%eth0"}, "TRUSTED_PROXIES", `"fe80::1%eth0"`, "without %eth0"},
		"a proxy of every address":               {[]string{"TRUSTED_PROXIES=0.0.0.0"}, "TRUSTED_PROXIES", `"0.0.0.0"`, "the proxy connects from"},
		"a network of IPv4 and IPv6":             {[]string{"TRUSTED_PROXIES=::ffff:10.0.0.0/64"}, "TRUSTED_PROXIES", "neither an IPv4 network", "10.1.0.0/16"},
		"SQLite parameters":                      {[]string{"DATABASE_URL=sqlite:keylodge.db?mode=ro"}, "DATABASE_URL", `"keylodge.db?mode=ro"`, "sqlite:FILE"},
		"SQLite in memory":                       {[]string{"DATABASE_URL=sqlite::memory:"}, "DATABASE_URL", `":memory:"`, "sqlite:FILE"},
		"SQLite file URI":                        {[]string{"DATABASE_URL=sqlite:file:keylodge.db"}, "DATABASE_URL", `"file:keylodge.db"`, "sqlite:FILE"},
		"SQLite, two slashes":                    {[]string{"DATABASE_URL=sqlite://keylodge.db"}, "DATABASE_URL", `"//keylodge.db"`, "sqlite:FILE"},
		"SQLite in the home directory":           {[]string{"DATABASE_URL=sqlite:~/keylodge.db"}, "DATABASE_URL", "~ is not the home directory", "sqlite:FILE"},
		"SQLite and a space":                     {[]string{"DATABASE_URL=sqlite: keylodge.db"}, "DATABASE_URL", `" keylodge.db"`, "sqlite:FILE"},
		"SQLite in this directory":               {[]string{"DATABASE_URL=sqlite:data/.."}, "DATABASE_URL", "no file name", "sqlite:FILE"},
		"a metadata root without metadata":       {[]string{"METADATA_ROOT_FILE=" + keyFile}, "METADATA_ROOT_FILE", "has no effect without KEYLODGE_METADATA_FILE", "remove this setting"},
		"a variable set by Kubernetes":           {[]string{"PORT=tcp://10.0.0.1:8080"}, "PORT", "no such setting", "enableServiceLinks: false"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.settings, c.setting, c.problem, c.fix) })
	}
}

func TestLoad_AcceptsUnambiguousValues(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		want     func(c Config) bool
	}{
		"white space around a value": {[]string{"REGISTRATION= closed\n", "MAX_PASSKEYS= 7 "}, func(c Config) bool { return c.Registration == "closed" && c.PasskeyLimit == 7 }},
		"a language":                 {[]string{"LANGUAGE=de"}, func(c Config) bool { return c.Language == "de" }},
		"white space alone":          {[]string{"RP_NAME=  ", "MAX_PASSKEYS=\t"}, func(c Config) bool { return c.RPName == "Keylodge" && c.PasskeyLimit == 20 }},
		"a short session": {[]string{"SESSION_TTL=6m", "ACCESS_TOKEN_TTL=6m"}, func(c Config) bool {
			return c.Sessions.IdleTTL == 6*time.Minute && time.Duration(c.StepUpTTL) == 6*time.Minute
		}},
		"an Apple app":           {[]string{"PUBLIC_URL=https://id.example.org", "RP_ID=example.org", "ORIGINS=https://example.org", "APPLE_APPS=A1B2C3D4E5.org.example.app,A1B2C3D4E5.org.example.app"}, func(c Config) bool { return len(c.WellKnown.AppleApps) == 1 }},
		"IPv4 in IPv6":           {[]string{"TRUSTED_PROXIES=::ffff:10.1.2.3/112"}, func(c Config) bool { return c.TrustedProxies[0].String() == "10.1.0.0/16" }},
		"a weak previous secret": {[]string{"SECRET=" + settings.FirstSecret, "PREVIOUS_SECRETS=" + strings.Repeat("A", 43)}, func(c Config) bool { return c.PreviousSecrets[0].CheckStrength() != nil }},
		"related and own origins": {[]string{"PUBLIC_URL=https://myserver", "ORIGINS=https://myserver:8443,https://shop.example.com"}, func(c Config) bool {
			return c.RPID == "myserver" && slices.Equal(c.RelatedOrigins(), []string{"https://shop.example.com"})
		}},
		"a retired RP ID of one label": {[]string{"RETIRED_RP_IDS=oldserver"}, func(c Config) bool { return len(c.RetiredRPIDs) == 1 }},
		"apps": {[]string{"APP_ORIGINS=capacitor://localhost, ionic://localhost,tauri://localhost,http://tauri.localhost,https://tauri.localhost,http://localhost," +
			"chrome-extension://abcdefghijklmnopabcdefghijklmnop,moz-extension://0b5c1d0e-2f3a-4b5c-8d7e-9f0a1b2c3d4e," +
			"safari-web-extension://0B5C1D0E-2F3A-4B5C-8D7E-9F0A1B2C3D4E,app://bundle,com.example.app://main"}, func(c Config) bool {
			return len(c.AppOrigins) == 11 && len(c.Origins) == 1 && slices.Equal(c.CeremonyOrigins(), []string{"http://localhost:8080",
				"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://0b5c1d0e-2f3a-4b5c-8d7e-9f0a1b2c3d4e"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := load(t, c.settings...)
			if err != nil || !c.want(config) {
				t.Errorf("%+v, %v", config, err)
			}
		})
	}
}

func TestLoad_IgnoresNamesWithoutPrefix(t *testing.T) {
	t.Setenv("REGISTRATION", "closed")
	t.Setenv("LISTEN", "0.0.0.0:1")
	t.Setenv("DATABASE_URL", "postgres://ada:hunter2@db/other")
	config, err := load(t)
	if err != nil || config.Registration != "open" || config.Listen != "127.0.0.1:8080" || config.Database != SQLite("keylodge.db") {
		t.Errorf("%+v, %v", config, err)
	}
}

func TestLoad_RejectsLowerCaseNames(t *testing.T) {
	t.Setenv("keylodge_registration", "closed")
	_, err := load(t)
	var errs SettingErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Setting != "keylodge_registration" || errs[0].Fix != "write KEYLODGE_REGISTRATION" {
		t.Errorf("got %v", err)
	}
}

func TestParseDotenv_KeepsLiteralValues(t *testing.T) {
	const text = "\ufeff# a comment\r\n" +
		"\r\n" +
		"KEYLODGE_SMTP_PASSWORD=Pa$$W0RD\r\n" +
		"  export  A=${HOME}$HOME$1$(id)`id`\n" +
		"B = \"a $b #c \\n \\\" # the rest\n" +
		"C='d\"e $f'\n" +
		"D=g#h\n" +
		"E=i # j\n" +
		"F=\n" +
		"G= # nothing\n" +
		"H=\"\"\n" +
		"I=it's \"so\"\n" +
		"J=k=l==\n" +
		"K=C:\\new\\table\\\n" +
		"L=' m '#\n"
	got, errs := parseDotenv([]byte(strings.ReplaceAll(text, "L=' m '#", "L=' m ' #")))
	want := []assignment{
		{"KEYLODGE_SMTP_PASSWORD", "Pa$$W0RD"}, {"A", "${HOME}$HOME$1$(id)`id`"}, {"B", `a $b #c \n \`}, {"C", `d"e $f`}, {"D", "g#h"}, {"E", "i"}, {"F", ""}, {"G", ""}, {"H", ""},
		{"I", `it's "so"`}, {"J", "k=l=="}, {"K", `C:\new\table\`}, {"L", " m "},
	}
	if len(errs) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q, %v\nwant %q", got, errs, want)
	}
}

func TestParseDotenv_RejectsAmbiguousLines(t *testing.T) {
	for name, c := range map[string]struct{ text, problem string }{
		"YAML":                         {"\nKEYLODGE_SECRET: hunter2", "line 2 is not NAME=value"},
		"a name without a value":       {"hunter2", "line 1 is not NAME=value"},
		"a name with a hyphen":         {"KEYLODGE-SECRET=hunter2", "line 1 is not NAME=value"},
		"a section":                    {"[hunter2]", "line 1 is not NAME=value"},
		"an open quote":                {"A='hunter2", "line 1 has an unclosed quote"},
		"two lines in quotes":          {"A=\"hunter2\nhunter2\"", "line 1 has an unclosed quote"},
		"text after the closing quote": {"A=\"hunter2\"hunter2", "has text after the closing quote"},
		"an escaped quote":             {`A="hunter2\"hunter2"`, "has text after the closing quote"},
		"a comment without a space":    {"A='hunter2'#b", "has text after the closing quote"},
		"a value that is a comment":    {"A=#hunter2", "line 1 has a value that begins with #"},
		"a name twice":                 {"A=hunter2\n# \nA=hunter2", "line 3 sets A, which line 1 also sets"},
		"a control character":          {"A=hunter2\x1b[0m", "control character"},
		"carriage returns only":        {"A=hunter2\rB=hunter2", "control character"},
		"UTF-16":                       {"\xff\xfeA\x00=\x00b\x00", "not UTF-8"},
		"a zero byte":                  {"A=hunter2\x00", "not UTF-8"},
		"every line is reported":       {"A:hunter2\nB:hunter2\nC", "line 3 is not"},
	} {
		_, errs := parseDotenv([]byte(c.text))
		if len(errs) == 0 || !strings.Contains(errs.Error(), c.problem) || strings.Contains(errs.Error(), "hunter2") {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func TestLoad_DotenvExpandsNothing(t *testing.T) {
	if _, err := load(t); err != nil {
		t.Fatal(err)
	}
	settings.WriteFile(t, ".env", "KEYLODGE_SMTP_HOST=127.0.0.1\nKEYLODGE_SMTP_FROM=no-reply@example.org\nKEYLODGE_SMTP_USERNAME=apikey\nKEYLODGE_SMTP_PASSWORD=Pa$$W0RD\n", 0o600)
	for _, name := range []string{"HOST", "FROM", "USERNAME", "PASSWORD"} {
		t.Cleanup(func() { _ = os.Unsetenv("KEYLODGE_SMTP_" + name) })
	}
	config, err := Load()
	if err != nil || config.SMTP.Password.Reveal() != "Pa$$W0RD" {
		t.Errorf("%+v, %v", config.SMTP, err)
	}
}

// Only the owner may read a file that contains a secret.
// Requirement: ASVS-13.3.1
func TestLoad_RejectsReadableSecretFiles(t *testing.T) {
	for line, secret := range map[string]bool{
		"KEYLODGE_SECRET=" + settings.FirstSecret: true, "KEYLODGE_PREVIOUS_SECRETS=" + settings.FirstSecret: true, "KEYLODGE_RATE_LIMIT_URL=redis://:hunter2@127.0.0.1:1/0": true,
		"KEYLODGE_RP_NAME=Ada": false, "KEYLODGE_SECRET=": false, "# KEYLODGE_SECRET=" + settings.FirstSecret: false, "KEYLODGE_RATE_LIMIT_URL=redis://127.0.0.1:1/0": false,
	} {
		for _, mode := range []os.FileMode{0o644, 0o604, 0o660, 0o600} {
			if _, err := load(t); err != nil {
				t.Fatal(err)
			}
			settings.WriteFile(t, ".env", line+"\n", mode)
			_, err := Load()
			name, _, _ := strings.Cut(line, "=")
			_ = os.Unsetenv(name)
			rejected := secret && mode != 0o600
			var errs SettingErrors
			if errors.As(err, &errs) != rejected || rejected && (errs[0].Setting != ".env" || errs[0].Fix != "chmod 600 .env") {
				t.Errorf("%s, mode %o: %v", name, mode, err)
			}
		}
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(settings.KeyFile(t, private))
	if err != nil {
		t.Fatal(err)
	}
	for mode, rejected := range map[os.FileMode]bool{0o644: true, 0o604: true, 0o660: true, 0o444: true, 0o600: false, 0o400: false} {
		file := filepath.Join(t.TempDir(), "jwt.pem")
		settings.WriteFile(t, file, string(key), mode)
		_, err := load(t, "JWT_KEY_FILE="+file)
		var errs SettingErrors
		if errors.As(err, &errs) != rejected || rejected && (errs[0].Setting != "KEYLODGE_JWT_KEY_FILE" || !strings.Contains(errs[0].Fix, "chmod 600 "+file)) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}
