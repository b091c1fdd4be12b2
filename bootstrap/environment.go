package bootstrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/joho/godotenv"
	"github.com/kelseyhightower/envconfig"
)

const prefix = "KEYLODGE"

// environment is every setting as it is written. All are text here, so that all faults can be found, not only the first;
// settings.go gives them their meaning.
type environment struct {
	PublicURL               string `envconfig:"PUBLIC_URL"`
	Listen                  string `envconfig:"LISTEN" default:"127.0.0.1:8080"`
	OpsListen               string `envconfig:"OPS_LISTEN" default:"127.0.0.1:9090" empty:"off"`
	RPID                    string `envconfig:"RP_ID"`
	AbandonedRPIDs          string `envconfig:"ABANDONED_RP_IDS"`
	RPName                  string `envconfig:"RP_NAME" default:"Keylodge"`
	Origins                 string `envconfig:"ORIGINS"`
	TrustedProxies          string `envconfig:"TRUSTED_PROXIES"`
	AndroidApps             string `envconfig:"ANDROID_APPS"`
	AppleApps               string `envconfig:"APPLE_APPS"`
	ChangePasswordURL       string `envconfig:"CHANGE_PASSWORD_URL"`
	DatabaseURL             string `envconfig:"DATABASE_URL" default:"sqlite:keylodge.db"`
	Secret                  string `envconfig:"SECRET"`
	PreviousSecrets         string `envconfig:"PREVIOUS_SECRETS"`
	Registration            string `envconfig:"REGISTRATION" default:"open"`
	RecoveryPolicy          string `envconfig:"RECOVERY_POLICY" default:"any"`
	CounterPolicy           string `envconfig:"COUNTER_POLICY" default:"reject"`
	BackupEligibilityPolicy string `envconfig:"BACKUP_ELIGIBILITY_POLICY" default:"reject"`
	AuthenticatorPolicy     string `envconfig:"AUTHENTICATOR_POLICY" default:"any"`
	AllowedAAGUIDs          string `envconfig:"ALLOWED_AAGUIDS"`
	DeniedAAGUIDs           string `envconfig:"DENIED_AAGUIDS"`
	MetadataFile            string `envconfig:"METADATA_FILE"`
	MetadataRootFile        string `envconfig:"METADATA_ROOT_FILE"`
	SessionTTL              string `envconfig:"SESSION_TTL" default:"720h"`
	SessionIdleTTL          string `envconfig:"SESSION_IDLE_TTL" default:"168h"`
	ChallengeTTL            string `envconfig:"CHALLENGE_TTL" default:"5m"`
	StepUpTTL               string `envconfig:"STEP_UP_TTL" default:"10m"`
	MaxPasskeys             string `envconfig:"MAX_PASSKEYS" default:"20"`
	AccessTokenTTL          string `envconfig:"ACCESS_TOKEN_TTL" default:"5m"`
	JWTAudience             string `envconfig:"JWT_AUDIENCE"`
	JWTAlgorithm            string `envconfig:"JWT_ALGORITHM" default:"ES256"`
	JWTRotationInterval     string `envconfig:"JWT_ROTATION_INTERVAL" default:"720h"`
	JWTKeyFile              string `envconfig:"JWT_KEY_FILE"`
	SMTPHost                string `envconfig:"SMTP_HOST"`
	SMTPPort                string `envconfig:"SMTP_PORT"`
	SMTPTLS                 string `envconfig:"SMTP_TLS"`
	SMTPUsername            string `envconfig:"SMTP_USERNAME"`
	SMTPPassword            string `envconfig:"SMTP_PASSWORD"`
	SMTPFrom                string `envconfig:"SMTP_FROM"`
	SMTPCAFile              string `envconfig:"SMTP_CA_FILE"`
	RateLimits              string `envconfig:"RATE_LIMITS" default:"on"`
	RateLimitURL            string `envconfig:"RATE_LIMIT_URL"`
	LogLevel                string `envconfig:"LOG_LEVEL" default:"info"`
	LogFormat               string `envconfig:"LOG_FORMAT"`
}

// LoadConfig reads the environment, and .env in the working directory for what the environment does not say. Every
// fault is in the error, each with its fix; with any, there is no Config.
func LoadConfig() (Config, error) {
	if err := loadFile(); err != nil {
		return Config{}, err
	}
	var env environment
	if err := envconfig.Process(prefix, &env); err != nil {
		return Config{}, err
	}
	env.fillEmpty()
	config, faults := env.check()
	if faults = append(unknownSettings(), faults...); len(faults) > 0 {
		return Config{}, faults
	}
	_, config.OpsListenGiven = os.LookupEnv(prefix + "_OPS_LISTEN")
	return config, nil
}

func loadFile() error {
	err := godotenv.Load()
	var unreadable *fs.PathError
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &unreadable):
		return Faults{{Setting: ".env", Problem: err.Error(), Fix: "let this user read it, or move it away"}}
	}
	// The library's words quote the file, secrets included.
	return Faults{{Setting: ".env", Problem: "a line in it cannot be read", Fix: "write NAME=value lines, each quote closed on its own line"}}
}

// fillEmpty takes an empty value for none, since what starts programs often has no other way to say nothing; except where
// empty means off.
func (e *environment) fillEmpty() {
	fields := reflect.ValueOf(e).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		if fields.Field(i).String() == "" && tag.Get("empty") == "" {
			fields.Field(i).SetString(tag.Get("default"))
		}
	}
}

// unknownSettings finds the names that mean nothing: a setting that silently does nothing is a rule that somebody believes in.
func unknownSettings() (unknown Faults) {
	known := settingNames()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix+"_") && !slices.Contains(known, name) {
			unknown = append(unknown, Fault{Setting: name, Problem: "there is no such setting", Fix: "correct or remove it; the settings are " + strings.Join(known, ", ")})
		}
	}
	return unknown
}

func settingNames() []string {
	fields := reflect.TypeFor[environment]()
	names := make([]string, fields.NumField())
	for i := range names {
		names[i] = prefix + "_" + fields.Field(i).Tag.Get("envconfig")
	}
	return names
}

// Fault is what is wrong with one setting.
type Fault struct{ Setting, Problem, Fix string }

// Faults is everything that is wrong with the settings.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the settings cannot be used:")
	for _, fault := range f {
		fmt.Fprintf(&b, "\n  %s: %s\n    fix: %s", fault.Setting, fault.Problem, fault.Fix)
	}
	return b.String()
}
