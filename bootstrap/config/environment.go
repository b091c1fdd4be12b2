package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"github.com/keylodge/keylodge/adapters/masterkey"
)

const prefix = "KEYLODGE"

// environment contains the text of every setting. The tags contain the prefix: given separately, envconfig would also read PORT
// for KEYLODGE_PORT. All fields are strings, so that parse can report the errors of all settings.
type environment struct {
	PublicURL               string `envconfig:"KEYLODGE_PUBLIC_URL"`
	Listen                  string `envconfig:"KEYLODGE_LISTEN" default:"127.0.0.1:8080"`
	OpsListen               string `envconfig:"KEYLODGE_OPS_LISTEN" default:"127.0.0.1:9090" empty:"off"`
	RPID                    string `envconfig:"KEYLODGE_RP_ID"`
	RetiredRPIDs            string `envconfig:"KEYLODGE_RETIRED_RP_IDS"`
	RPName                  string `envconfig:"KEYLODGE_RP_NAME" default:"Keylodge"`
	Origins                 string `envconfig:"KEYLODGE_ORIGINS"`
	AppOrigins              string `envconfig:"KEYLODGE_APP_ORIGINS"`
	TrustedProxies          string `envconfig:"KEYLODGE_TRUSTED_PROXIES"`
	AndroidApps             string `envconfig:"KEYLODGE_ANDROID_APPS"`
	AppleApps               string `envconfig:"KEYLODGE_APPLE_APPS"`
	ChangePasswordURL       string `envconfig:"KEYLODGE_CHANGE_PASSWORD_URL"`
	DatabaseURL             string `envconfig:"KEYLODGE_DATABASE_URL" default:"sqlite:keylodge.db"`
	Secret                  string `envconfig:"KEYLODGE_SECRET"`
	PreviousSecrets         string `envconfig:"KEYLODGE_PREVIOUS_SECRETS"`
	Registration            string `envconfig:"KEYLODGE_REGISTRATION" default:"open"`
	RecoveryPolicy          string `envconfig:"KEYLODGE_RECOVERY_POLICY" default:"any"`
	CounterPolicy           string `envconfig:"KEYLODGE_COUNTER_POLICY" default:"reject"`
	BackupEligibilityPolicy string `envconfig:"KEYLODGE_BACKUP_ELIGIBILITY_POLICY" default:"reject"`
	AuthenticatorPolicy     string `envconfig:"KEYLODGE_AUTHENTICATOR_POLICY" default:"any"`
	AllowedAAGUIDs          string `envconfig:"KEYLODGE_ALLOWED_AAGUIDS"`
	DeniedAAGUIDs           string `envconfig:"KEYLODGE_DENIED_AAGUIDS"`
	MetadataFile            string `envconfig:"KEYLODGE_METADATA_FILE"`
	MetadataRootFile        string `envconfig:"KEYLODGE_METADATA_ROOT_FILE"`
	SessionTTL              string `envconfig:"KEYLODGE_SESSION_TTL" default:"720h"`
	SessionIdleTTL          string `envconfig:"KEYLODGE_SESSION_IDLE_TTL" default:"168h"`
	ChallengeTTL            string `envconfig:"KEYLODGE_CHALLENGE_TTL" default:"5m"`
	StepUpTTL               string `envconfig:"KEYLODGE_STEP_UP_TTL" default:"10m"`
	MaxPasskeys             string `envconfig:"KEYLODGE_MAX_PASSKEYS" default:"20"`
	MaxSessions             string `envconfig:"KEYLODGE_MAX_SESSIONS" default:"100"`
	AccessTokenTTL          string `envconfig:"KEYLODGE_ACCESS_TOKEN_TTL" default:"5m"`
	JWTAudience             string `envconfig:"KEYLODGE_JWT_AUDIENCE"`
	JWTAlgorithm            string `envconfig:"KEYLODGE_JWT_ALGORITHM" default:"ES256"`
	JWTRotationInterval     string `envconfig:"KEYLODGE_JWT_ROTATION_INTERVAL" default:"720h"`
	JWTKeyFile              string `envconfig:"KEYLODGE_JWT_KEY_FILE"`
	SMTPHost                string `envconfig:"KEYLODGE_SMTP_HOST"`
	SMTPPort                string `envconfig:"KEYLODGE_SMTP_PORT"`
	SMTPTLS                 string `envconfig:"KEYLODGE_SMTP_TLS"`
	SMTPUsername            string `envconfig:"KEYLODGE_SMTP_USERNAME"`
	SMTPPassword            string `envconfig:"KEYLODGE_SMTP_PASSWORD" literal:"yes"`
	SMTPFrom                string `envconfig:"KEYLODGE_SMTP_FROM"`
	SMTPCAFile              string `envconfig:"KEYLODGE_SMTP_CA_FILE"`
	RateLimits              string `envconfig:"KEYLODGE_RATE_LIMITS" default:"on"`
	RateLimitURL            string `envconfig:"KEYLODGE_RATE_LIMIT_URL"`
	LogLevel                string `envconfig:"KEYLODGE_LOG_LEVEL" default:"info"`
	LogFormat               string `envconfig:"KEYLODGE_LOG_FORMAT"`
}

// Load reads the settings from the environment, and those that are not set there from .env in the working directory. It
// returns SettingErrors if settings are invalid.
func Load() (Config, error) {
	if err := loadDotenv(); err != nil {
		return Config{}, err
	}
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return Config{}, err
	}
	quoted := env.normalize()
	config, errs := env.parse()
	if errs = slices.Concat(unknownSettings(), quoted, errs); len(errs) > 0 {
		return Config{}, errs
	}
	_, config.OpsListenSet = os.LookupEnv(prefix + "_OPS_LISTEN")
	return config, nil
}

const dotenvFile = ".env"

// loadDotenv adds the settings in .env to the environment. Variables that are set already take precedence.
func loadDotenv() error {
	text, err := os.ReadFile(dotenvFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return SettingErrors{{Setting: dotenvFile, Problem: err.Error(), Fix: "make it readable for the user that runs keylodge, or remove it"}}
	}
	assignments, errs := parseDotenv(text)
	if slices.ContainsFunc(assignments, assignment.isSecret) {
		if info, err := os.Stat(dotenvFile); err != nil {
			errs = append(errs, SettingError{dotenvFile, err.Error(), "make it readable for the user that runs keylodge, or remove it"})
		} else if err := masterkey.CheckPrivate(dotenvFile, info); err != nil {
			errs = append(errs, SettingError{dotenvFile, err.Error(), "chmod 600 " + dotenvFile})
		}
	}
	if len(errs) > 0 {
		return errs
	}
	for _, a := range assignments {
		if _, set := os.LookupEnv(a.name); set {
			continue
		}
		if err := os.Setenv(a.name, a.value); err != nil {
			return SettingErrors{{Setting: dotenvFile, Problem: a.name + " cannot be set: " + err.Error(), Fix: "correct its line"}}
		}
	}
	return nil
}

// isSecret reports whether the value is a secret or a password, or a URL that contains one.
func (a assignment) isSecret() bool {
	switch a.name {
	case prefix + "_SECRET", prefix + "_PREVIOUS_SECRETS", prefix + "_SMTP_PASSWORD":
		return a.value != ""
	case prefix + "_DATABASE_URL", prefix + "_RATE_LIMIT_URL":
		return strings.Contains(a.value, "@") || strings.Contains(a.value, "password=")
	}
	return false
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

// isSet reports whether the environment contains a value for a setting.
func isSet(setting string) bool { return strings.TrimSpace(os.Getenv(prefix+"_"+setting)) != "" }

// serviceLink matches the variables that Kubernetes sets for a Service named keylodge.
var serviceLink = regexp.MustCompile(`^KEYLODGE_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`)

// unknownSettings returns an error for each variable that begins with the prefix and is no setting: the operator expects an
// effect of it.
func unknownSettings() (unknown SettingErrors) {
	known := settingNames()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, prefix+"_") || slices.Contains(known, name) {
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
