package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

const prefix = "KEYLODGE"

// environment contains the text of every setting. The tags contain the prefix: given separately, envconfig would also read PORT
// for KEYLODGE_PORT. All fields are strings, so that parse can report the errors of all settings.
//
// The declaration is also the source of docs/reference/settings.md, .env.example and the README's table, which `make generate`
// writes: a comment describes its setting, a comment with # begins a group, "type" is the form of the value, and "unset" is the
// value that applies if the setting has neither a value nor a default.
type environment struct {
	// # Addresses

	// Public URL of the server. The RP ID (its host) and the first allowed origin are derived from it. Plain http is
	// accepted for localhost only. If it is unset, its port follows `KEYLODGE_LISTEN`.
	PublicURL string `envconfig:"KEYLODGE_PUBLIC_URL" type:"URL" unset:"http://localhost:8080"`
	// Address that the server listens on.
	Listen string `envconfig:"KEYLODGE_LISTEN" type:"host:port" default:"127.0.0.1:8080"`
	// Address for `/metrics` (Prometheus), `/livez` and `/readyz`. An empty value disables it. If the default address is in
	// use, the server starts without it and logs a warning.
	OpsListen string `envconfig:"KEYLODGE_OPS_LISTEN" type:"host:port" default:"127.0.0.1:9090" empty:"off"`
	// Reverse proxies whose `X-Forwarded-For` is used: IP addresses or networks, separated by commas.
	TrustedProxies string `envconfig:"KEYLODGE_TRUSTED_PROXIES" type:"list of IP addresses or networks"`

	// # Relying party

	// Relying party ID: the host of `KEYLODGE_PUBLIC_URL` or a parent domain of it. Passkeys work only for the RP ID that
	// they were registered for. Do not change it later. Unset: the host of `KEYLODGE_PUBLIC_URL`.
	RPID string `envconfig:"KEYLODGE_RP_ID" type:"domain"`
	// Former RP IDs whose passkeys are retired, separated by commas. The server does not start if the database has passkeys
	// of an RP ID that is neither `KEYLODGE_RP_ID` nor listed here.
	RetiredRPIDs string `envconfig:"KEYLODGE_RETIRED_RP_IDS" type:"list of domains"`
	// Relying party name that devices show to users.
	RPName string `envconfig:"KEYLODGE_RP_NAME" type:"text" default:"Keylodge"`
	// Further allowed origins of the API and of ceremonies, separated by commas: `https://app.example.org`, or
	// `android:apk-key-hash:…` for an Android app. They are compared byte for byte; wildcards are not supported.
	Origins string `envconfig:"KEYLODGE_ORIGINS" type:"list of origins"`
	// Origins of apps in web views and of browser extensions, separated by commas: `capacitor://localhost`,
	// `tauri://localhost`, `http://localhost`, `chrome-extension://…`, `moz-extension://…`. They call the API with tokens;
	// their cookies are ignored.
	AppOrigins string `envconfig:"KEYLODGE_APP_ORIGINS" type:"list of origins"`

	// Applications that users return to after signing in here, separated by commas: the origin and the name that users see, as
	// `https://app.example.org=Example`; on the same machine also `http://127.0.0.1:5173=Example`. An application on another site
	// redeems an authorization code for tokens. With `https://wiki.example.org=Wiki;forward_auth` a reverse proxy asks about each
	// request to the application, and with `;forward_auth;max_age=8h` users authenticate there again after that time.
	Applications string `envconfig:"KEYLODGE_APPLICATIONS" type:"list of origin=name"`

	// # Brand and languages

	// Folder with the operator's logo, favicon and background. docs/guides/brand-and-languages.md lists the files. Read at startup.
	BrandDir string `envconfig:"KEYLODGE_BRAND_DIR" type:"folder"`
	// Colour of buttons, as `#rrggbb`. Its contrast on the background of the page is at least 4.5:1.
	AccentColor string `envconfig:"KEYLODGE_ACCENT_COLOR" type:"colour"`
	// The same for the dark mode. Unset: a lighter form of `KEYLODGE_ACCENT_COLOR`.
	AccentColorDark string `envconfig:"KEYLODGE_ACCENT_COLOR_DARK" type:"colour"`
	// Terms of service.
	LinksTerms string `envconfig:"KEYLODGE_LINKS_TERMS" type:"https URL"`
	// Privacy policy.
	LinksPrivacy string `envconfig:"KEYLODGE_LINKS_PRIVACY" type:"https URL"`
	// Imprint, which some countries require.
	LinksImprint string `envconfig:"KEYLODGE_LINKS_IMPRINT" type:"https URL"`
	// Where users find help: a page, or an address as `mailto:support@example.org`.
	LinksSupport string `envconfig:"KEYLODGE_LINKS_SUPPORT" type:"https or mailto URL"`
	// Home page of the site.
	LinksHome string `envconfig:"KEYLODGE_LINKS_HOME" type:"https URL"`
	// Whether `GET /v1/config` asks pages to show "Secured by Keylodge".
	SecuredBy string `envconfig:"KEYLODGE_SECURED_BY" type:"on|off" default:"on"`
	// Language of e-mails to users who have chosen none, or one without texts, as a BCP 47 tag: `en` or `de`. The page uses it
	// for browsers without a supported language.
	Language string `envconfig:"KEYLODGE_LANGUAGE" type:"language tag" default:"en"`

	// # Apps and well-known documents

	// Android apps that may use the passkeys of this RP ID, separated by commas: the package and the SHA-256 of its signing
	// certificate, as `org.example.app=AB:CD:…`. List an app with two certificates twice. Add each app's origin to
	// `KEYLODGE_ORIGINS`. Served at `/.well-known/assetlinks.json`.
	AndroidApps string `envconfig:"KEYLODGE_ANDROID_APPS" type:"list of apps"`
	// Apple apps that may use the passkeys of this RP ID, separated by commas: `TEAMID.BUNDLE`, as
	// `A1B2C3D4E5.org.example.app`. Add their origin, `https://` and the RP ID, to `KEYLODGE_ORIGINS` unless it is
	// `KEYLODGE_PUBLIC_URL`. Served at `/.well-known/apple-app-site-association`.
	AppleApps string `envconfig:"KEYLODGE_APPLE_APPS" type:"list of apps"`
	// Target of `/.well-known/change-password`, which password managers open: the https URL of a page, or `/` for this
	// server's page. Without it, that path returns 404.
	ChangePasswordURL string `envconfig:"KEYLODGE_CHANGE_PASSWORD_URL" type:"URL or /"`

	// # Database and secrets

	// Database: `sqlite:FILE`, relative to the working directory, or `postgres://user:password@host:5432/database`.
	DatabaseURL string `envconfig:"KEYLODGE_DATABASE_URL" type:"URL" default:"sqlite:keylodge.db"`
	// Master secret: at least 32 random bytes in base64 (`openssl rand -base64 32`). All other keys are derived from it.
	// Evidently non-random values are rejected. With PostgreSQL it is required, and the same on every node. Unset:
	// `keylodge.secret` beside the SQLite file, which the server generates once.
	Secret string `envconfig:"KEYLODGE_SECRET" type:"base64"`
	// Old secrets, separated by commas, newest first: still accepted for verification and decryption. Weak ones cause a
	// warning at startup.
	PreviousSecrets string `envconfig:"KEYLODGE_PREVIOUS_SECRETS" type:"list of base64"`

	// # Accounts and passkeys

	// Whether new users can sign up: all (`open`), those with an invite of `keylodge invites create` (`invite`), or none
	// (`closed`).
	Registration string `envconfig:"KEYLODGE_REGISTRATION" type:"open|invite|closed" default:"open"`
	// Factors required for account recovery: a TOTP code or a backup code (`any`), one of each (`both`), or no recovery
	// (`off`).
	RecoveryPolicy string `envconfig:"KEYLODGE_RECOVERY_POLICY" type:"any|both|off" default:"any"`
	// Maximum number of passkeys per account.
	MaxPasskeys string `envconfig:"KEYLODGE_MAX_PASSKEYS" type:"number" default:"20"`
	// Action if the signature counter of a device-bound passkey does not increase, a sign of a cloned key: reject the
	// sign-in (`reject`), allow it and mark the passkey (`flag`), or suspend the passkey permanently (`suspend`).
	CounterPolicy string `envconfig:"KEYLODGE_COUNTER_POLICY" type:"reject|flag|suspend" default:"reject"`
	// Action if the backup eligibility of a passkey changes, which some password managers cause.
	BackupEligibilityPolicy string `envconfig:"KEYLODGE_BACKUP_ELIGIBILITY_POLICY" type:"reject|accept-and-record" default:"reject"`
	// Authenticators that may register passkeys: all (`any`), or models in the metadata with a valid attestation
	// (`attested`). The policy applies at registration only.
	AuthenticatorPolicy string `envconfig:"KEYLODGE_AUTHENTICATOR_POLICY" type:"any|attested" default:"any"`
	// Accept only authenticators with these AAGUIDs, separated by commas. Without `KEYLODGE_AUTHENTICATOR_POLICY=attested`,
	// the AAGUID is the authenticator's unverified claim.
	AllowedAAGUIDs string `envconfig:"KEYLODGE_ALLOWED_AAGUIDS" type:"list of AAGUIDs"`
	// Reject authenticators with these AAGUIDs, separated by commas.
	DeniedAAGUIDs string `envconfig:"KEYLODGE_DENIED_AAGUIDS" type:"list of AAGUIDs"`
	// Metadata BLOB of the FIDO Metadata Service: `curl -fo metadata.jwt https://mds3.fidoalliance.org/`. Read at startup.
	// Required if `KEYLODGE_AUTHENTICATOR_POLICY` is `attested`.
	MetadataFile string `envconfig:"KEYLODGE_METADATA_FILE" type:"file"`
	// PEM file with the trust anchor for the metadata BLOB. Unset: the root of the FIDO Alliance.
	MetadataRootFile string `envconfig:"KEYLODGE_METADATA_ROOT_FILE" type:"PEM file"`

	// # Sessions and ceremonies

	// Maximum age of a session.
	SessionTTL string `envconfig:"KEYLODGE_SESSION_TTL" type:"duration" default:"720h"`
	// Maximum idle time of a session.
	SessionIdleTTL string `envconfig:"KEYLODGE_SESSION_IDLE_TTL" type:"duration, ≥ 5m" default:"168h"`
	// Maximum number of sessions per account. A further sign-in revokes the least recently used session.
	MaxSessions string `envconfig:"KEYLODGE_MAX_SESSIONS" type:"number, 1–1000" default:"100"`
	// How long an authentication counts as recent for sensitive actions: adding and removing passkeys, deleting the account.
	StepUpTTL string `envconfig:"KEYLODGE_STEP_UP_TTL" type:"duration" default:"10m"`
	// Maximum duration of a ceremony.
	ChallengeTTL string `envconfig:"KEYLODGE_CHALLENGE_TTL" type:"duration" default:"5m"`

	// # Access tokens

	// Lifetime of an access token.
	AccessTokenTTL string `envconfig:"KEYLODGE_ACCESS_TOKEN_TTL" type:"duration" default:"5m"`
	// Audience (`aud` claim) of access tokens. With a value of its own, tokens of `POST /v1/session/token` are for that
	// audience only, and Keylodge rejects them. Unset: `KEYLODGE_PUBLIC_URL`.
	JWTAudience string `envconfig:"KEYLODGE_JWT_AUDIENCE" type:"text"`
	// Signature algorithm of access tokens. Choose `EdDSA` (Ed25519) only if all verifiers support it.
	JWTAlgorithm string `envconfig:"KEYLODGE_JWT_ALGORITHM" type:"ES256|EdDSA" default:"ES256"`
	// Interval between two signing keys.
	JWTRotationInterval string `envconfig:"KEYLODGE_JWT_ROTATION_INTERVAL" type:"duration" default:"720h"`
	// PEM file with external signing keys (P-256 or Ed25519), mode 600: the first one signs, all are published. It excludes
	// `KEYLODGE_JWT_ALGORITHM` and `KEYLODGE_JWT_ROTATION_INTERVAL`. Unset: keys that the server generates, encrypts and
	// rotates.
	JWTKeyFile string `envconfig:"KEYLODGE_JWT_KEY_FILE" type:"PEM file, mode 600"`

	// # E-mail

	// SMTP server for verification codes and notifications. Without it, no e-mail is sent, and addresses are not verified.
	SMTPHost string `envconfig:"KEYLODGE_SMTP_HOST" type:"host"`
	// Sender of e-mails, such as `Example <no-reply@example.org>`.
	SMTPFrom string `envconfig:"KEYLODGE_SMTP_FROM" type:"address"`
	// SMTP user name (optional).
	SMTPUsername string `envconfig:"KEYLODGE_SMTP_USERNAME" type:"text"`
	// SMTP password.
	SMTPPassword string `envconfig:"KEYLODGE_SMTP_PASSWORD" type:"text" literal:"yes"`
	// TLS mode: `starttls` (port 587), implicit TLS (`tls`, port 465), or `none` (port 25), only for a server on this
	// machine.
	SMTPTLS string `envconfig:"KEYLODGE_SMTP_TLS" type:"starttls|tls|none" unset:"starttls"`
	// Port of the SMTP server. Unset: the port of the TLS mode.
	SMTPPort string `envconfig:"KEYLODGE_SMTP_PORT" type:"port"`
	// PEM file with CA certificates for verifying the SMTP server. Unset: the CAs of the system.
	SMTPCAFile string `envconfig:"KEYLODGE_SMTP_CA_FILE" type:"PEM file"`

	// # Rate limits

	// Rate limits: `on`, `off`, or a list that overrides single defaults, as `NAME=REQUESTS/TIME` or `NAME=off`:
	// `login=600/1m,recovery=10/10m`. docs/operations/rate-limits.md lists them.
	RateLimits string `envconfig:"KEYLODGE_RATE_LIMITS" type:"on, off or list" default:"on"`
	// Redis or Valkey that stores the rate-limit buckets of all nodes: `redis://:password@host:6379/0`, or `rediss://…` with
	// TLS. Unset: buckets in PostgreSQL or, with SQLite, in memory.
	RateLimitURL string `envconfig:"KEYLODGE_RATE_LIMIT_URL" type:"URL"`

	// # Logs

	// Minimum level of log records.
	LogLevel string `envconfig:"KEYLODGE_LOG_LEVEL" type:"debug|info|warn|error" default:"info"`
	// Format of log records. Unset: `text` on a terminal, else `json`.
	LogFormat string `envconfig:"KEYLODGE_LOG_FORMAT" type:"text|json"`
}

// Load reads the settings from the environment and from the files that it names, and those that are not set there from .env in the
// working directory. It returns SettingErrors if settings are invalid.
func Load() (Config, error) { return loadWith(func(*environment) {}) }

// loadWith is Load with settings that override changes.
func loadWith(override func(*environment)) (Config, error) {
	config, _, _, err := read(override)
	return config, err
}

// read returns the configuration with the texts of the settings that it was made from, and with their origins. If settings are invalid,
// it returns SettingErrors and the texts that were read.
func read(override func(*environment)) (Config, environment, origins, error) {
	var env environment
	from, fileErr := readFiles()
	if err := envconfig.Process("", &env); err != nil {
		return Config{}, env, from, err
	}
	quoted := env.normalize()
	override(&env)
	if fileErr != nil { // the settings of the file are missing, so that the errors of others would mislead
		return Config{}, env, from, fileErr
	}
	config, errs := env.parse()
	if errs = slices.Concat(unknownSettings(), quoted, errs); len(errs) > 0 {
		return Config{}, env, from, errs
	}
	_, config.OpsListenSet = os.LookupEnv(prefix + "_OPS_LISTEN")
	return config, env, from, nil
}

// normalize removes white space around values, and replaces empty ones by the default, since some supervisors cannot unset a
// variable. It leaves settings with the tag "empty" empty, and does not change those with the tag "literal". It returns an error
// for each value in quotes: unlike a shell, some programs that read a file of variables do not remove them.
func (e *environment) normalize() (errs SettingErrors) {
	fields := reflect.ValueOf(e).Elem()
	for i := range fields.NumField() {
		tag, field := fields.Type().Field(i).Tag, fields.Field(i)
		if tag.Get("literal") == "" {
			field.SetString(strings.TrimSpace(field.String()))
			if isQuoted(field.String()) {
				errs = append(errs, SettingError{tag.Get("envconfig"), "the value is in quotes, which would be part of it", "write it without quotes"})
				field.SetString("")
			}
		}
		if field.String() == "" && tag.Get("empty") == "" {
			field.SetString(tag.Get("default"))
		}
	}
	return errs
}

func isQuoted(s string) bool {
	for _, quotes := range []string{`""`, "''", "“”", "‘’", "``"} {
		q := []rune(quotes)
		if strings.HasPrefix(s, string(q[0])) && strings.HasSuffix(s, string(q[1])) {
			return true
		}
	}
	return false
}

// isSet reports whether the environment contains a value for a setting, which is named without the prefix.
func isSet(setting string) bool { return hasValue(prefix + "_" + setting) }

func hasValue(name string) bool { return strings.TrimSpace(os.Getenv(name)) != "" }

// serviceLink matches the variables that Kubernetes sets for a Service named keylodge.
var serviceLink = regexp.MustCompile(`^KEYLODGE_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`)

// unknownSettings returns an error for each variable that begins with the prefix and is no setting: the operator expects an
// effect of it.
func unknownSettings() (unknown SettingErrors) {
	known := settingNames()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, prefix+"_") || slices.Contains(known, name) || slices.Contains(known, settingOfFile(name)) {
			continue
		}
		fix := "correct or remove it; the settings are " + strings.Join(known, ", ")
		switch {
		case slices.Contains(known, upper):
			fix = "write " + upper
		case serviceLink.MatchString(name):
			fix = "if Kubernetes sets it for a Service of that name, set enableServiceLinks: false in the pod; otherwise remove it"
		}
		unknown = append(unknown, SettingError{Setting: name, Problem: "there is no such setting", Fix: fix})
	}
	return unknown
}

func settingNames() []string {
	fields := reflect.TypeFor[environment]()
	names := make([]string, fields.NumField())
	for i := range names {
		names[i] = fields.Field(i).Tag.Get("envconfig")
	}
	return names
}

// SettingError is an invalid setting, and how to correct it.
type SettingError struct{ Setting, Problem, Fix string }

// SettingErrors are the errors of all settings.
type SettingErrors []SettingError

func (e SettingErrors) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "invalid settings:")
	for _, err := range e {
		fmt.Fprintf(&b, "\n  %s: %s\n    fix: %s", err.Setting, err.Problem, err.Fix)
	}
	return b.String()
}
