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

// environment is every setting as it is written, by its full name: given a prefix apart, envconfig takes PORT for
// PREFIX_PORT. All are text here, so that all faults can be found, not only the first; settings.go gives them their meaning.
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

// Load reads the environment, and .env in the working directory for what the environment does not say. Every
// fault is in the error, each with its fix; with any, there is no Config.
func Load() (Config, error) {
	if err := loadDotenv(); err != nil {
		return Config{}, err
	}
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return Config{}, err
	}
	quoted := env.normalize()
	config, faults := env.parse()
	if faults = slices.Concat(unknownSettings(), quoted, faults); len(faults) > 0 {
		return Config{}, faults
	}
	_, config.OpsListenSet = os.LookupEnv(prefix + "_OPS_LISTEN")
	return config, nil
}

const dotenvFile = ".env"

// loadDotenv puts what .env says into the environment, unless the environment says something itself.
func loadDotenv() error {
	text, err := os.ReadFile(dotenvFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return SettingErrors{{Setting: dotenvFile, Problem: err.Error(), Fix: "let this user read it, or move it away"}}
	}
	assignments, faults := parseDotenv(text)
	if slices.ContainsFunc(assignments, assignment.isSecret) {
		if info, err := os.Stat(dotenvFile); err != nil {
			faults = append(faults, SettingError{dotenvFile, err.Error(), "let this user read it, or move it away"})
		} else if err := masterkey.CheckPrivate(dotenvFile, info); err != nil {
			faults = append(faults, SettingError{dotenvFile, err.Error(), "chmod 600 " + dotenvFile})
		}
	}
	if len(faults) > 0 {
		return faults
	}
	for _, a := range assignments {
		if _, set := os.LookupEnv(a.name); set {
			continue
		}
		if err := os.Setenv(a.name, a.value); err != nil {
			return SettingErrors{{Setting: dotenvFile, Problem: a.name + " cannot be set", Fix: "correct its line"}}
		}
	}
	return nil
}

// isSecret reports whether a line holds what others must not read: a secret, a password, or a URL with one.
func (a assignment) isSecret() bool {
	switch a.name {
	case prefix + "_SECRET", prefix + "_PREVIOUS_SECRETS", prefix + "_SMTP_PASSWORD":
		return a.value != ""
	case prefix + "_DATABASE_URL", prefix + "_RATE_LIMIT_URL":
		return strings.Contains(a.value, "@") || strings.Contains(a.value, "password=")
	}
	return false
}

// normalize cuts off white space around values, and takes an empty value for none, since what starts programs often has no
// other way to say nothing; except where empty means off. It returns a fault for each value in quotes: a shell takes
// them off, and what reads a file in its place may not. A password is left as it is.
func (e *environment) normalize() (faults SettingErrors) {
	fields := reflect.ValueOf(e).Elem()
	for i := range fields.NumField() {
		tag, field := fields.Type().Field(i).Tag, fields.Field(i)
		if tag.Get("literal") == "" {
			field.SetString(strings.TrimSpace(field.String()))
			if isQuoted(field.String()) {
				faults = append(faults, SettingError{tag.Get("envconfig"), "its value stands in quotes, which are taken for a part of it", "write it without quotes"})
				field.SetString("")
			}
		}
		if field.String() == "" && tag.Get("empty") == "" {
			field.SetString(tag.Get("default"))
		}
	}
	return faults
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

// isSet reports whether the operator set a setting to something, rather than its default.
func isSet(setting string) bool { return strings.TrimSpace(os.Getenv(prefix+"_"+setting)) != "" }

var serviceLink = regexp.MustCompile(`^KEYLODGE_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`)

// unknownSettings finds the names that mean nothing: a setting that silently does nothing is a rule that somebody believes in.
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
			fix = "if Kubernetes sets it for a Service of that name, set enableServiceLinks: false for the pod; else remove it"
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

// SettingError is what is wrong with one setting.
type SettingError struct{ Setting, Problem, Fix string }

// SettingErrors is everything that is wrong with the settings.
type SettingErrors []SettingError

func (f SettingErrors) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the settings cannot be used:")
	for _, fault := range f {
		fmt.Fprintf(&b, "\n  %s: %s\n    fix: %s", fault.Setting, fault.Problem, fault.Fix)
	}
	return b.String()
}
