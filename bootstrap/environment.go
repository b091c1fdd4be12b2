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
	RPID                    string `envconfig:"RP_ID"`
	RPName                  string `envconfig:"RP_NAME" default:"Keylodge"`
	Origins                 string `envconfig:"ORIGINS"`
	TrustedProxies          string `envconfig:"TRUSTED_PROXIES"`
	DatabaseURL             string `envconfig:"DATABASE_URL" default:"sqlite:keylodge.db"`
	Secret                  string `envconfig:"SECRET"`
	PreviousSecrets         string `envconfig:"PREVIOUS_SECRETS"`
	Registration            string `envconfig:"REGISTRATION" default:"open"`
	CounterPolicy           string `envconfig:"COUNTER_POLICY" default:"reject"`
	BackupEligibilityPolicy string `envconfig:"BACKUP_ELIGIBILITY_POLICY" default:"reject"`
	SessionTTL              string `envconfig:"SESSION_TTL" default:"720h"`
	SessionIdleTTL          string `envconfig:"SESSION_IDLE_TTL" default:"168h"`
	ChallengeTTL            string `envconfig:"CHALLENGE_TTL" default:"5m"`
	LogLevel                string `envconfig:"LOG_LEVEL" default:"info"`
	LogFormat               string `envconfig:"LOG_FORMAT"`
}

// LoadConfig reads the environment, and .env in the working directory for what the environment does not say. Every
// fault is in the error, each with its fix; with any, there is no Config.
func LoadConfig() (Config, error) {
	if err := godotenv.Load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, Faults{{Setting: ".env", Problem: err.Error(), Fix: "write NAME=value lines"}}
	}
	var env environment
	if err := envconfig.Process(prefix, &env); err != nil {
		return Config{}, err
	}
	config, faults := env.check()
	faults = append(unknownSettings(), faults...)
	if len(faults) > 0 {
		return Config{}, faults
	}
	return config, nil
}

// unknownSettings finds misspelt names: a setting that silently does nothing is a rule that somebody believes in.
func unknownSettings() Faults {
	known := settingNames()
	var faults Faults
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix+"_") && !slices.Contains(known, name) {
			faults = append(faults, Fault{Setting: name, Problem: "there is no such setting", Fix: "correct or remove it; the settings are " + strings.Join(known, ", ")})
		}
	}
	return faults
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
