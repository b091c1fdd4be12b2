// Package config reads the settings from the environment and from .env, and checks them.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Config is the checked configuration of one server. Load makes it from the environment.
type Config struct {
	PublicURL        string // scheme, host and port as browsers write an origin, no trailing slash
	Listen           string
	OpsListen        string // for health and metrics; "" for none
	OpsListenSet     bool   // somebody counts on it
	RPID             string
	RetiredRPIDs     []string // whose passkeys may be there and open nothing
	RPName           string
	Origins          []string // PublicURL first
	AppOrigins       []string // of web views and extensions, which call the API with tokens alone
	TrustedProxies   []netip.Prefix
	WellKnown        httpapi.WellKnown // what passkeys and apps on other domains need
	ReadWriteTimeout time.Duration     // with slow clients; 0 for the usual one, which no setting changes

	Database        Database
	Secret          *masterkey.Key  // nil: from the key file beside the database, which is a file then
	PreviousSecrets []masterkey.Key // still believed, no longer used

	Registration domain.RegistrationPolicy
	Recovery     domain.RecoveryPolicy
	Use          domain.UsePolicy
	Sessions     domain.SessionLifetime
	ChallengeTTL time.Duration
	StepUpTTL    domain.StepUpTTL
	PasskeyLimit domain.PasskeyLimit
	SessionLimit domain.SessionLimit

	Authenticators domain.AuthenticatorPolicy
	Metadata       *webauthn.Metadata // nil unless authenticators have to be attested

	SMTP *smtp.Config // nil: no mail is sent

	Access       domain.AccessPolicy
	Rotation     domain.KeyRotation
	JWTKeyFile   string           // the operator's own, "" for none
	ExternalKeys []ports.TokenKey // the keys in the operator's own file, if there is one

	LogLevel  slog.Level
	LogFormat LogFormat

	RateLimits   domain.RateLimits // none: they are off
	RateLimitURL domain.Secret     // of a Redis; zero for none
}

// LogFormat is how log lines are written.
type LogFormat string

const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
	LogAuto LogFormat = "" // text on a terminal, else JSON
)
